"""Discovery: roots, clashes, names, queries over tasks, families and mixtures."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasksource_reg import registry as registry_module
from tasksource_reg.errors import TsrError
from tasksource_reg.registry import Registry, Root

ROOT = Path(__file__).resolve().parents[1]

TASKS = """\
format: 1
dataset: nyu-mll/glue
former_ids: [glue]
languages: [en]
license: {spdx: LicenseRef-unknown}
schema: classification
family: nli
tasks:
  - {id: glue/rte, aliases: [super_glue/rte, shared], fields: {text: a, label: b}}
  - {id: glue/cola, aliases: [shared], version: 3, license: {spdx: MIT}, fields: {text: a, label: b}}
  - {id: glue/ax, status: evaluation_only, because: a diagnostic set, fields: {text: a, label: b}}
  - {id: glue/wnli, status: parked, because: adversarial dev split, fields: {text: a, label: b}}
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> Path:
    """A package folder of the test's own, so that the real registry is not among the roots."""
    package = tmp_path / "checkout" / "tasksource_reg"
    demo = "format: 1\ndataset: tasksource-reg-demo/rain\nid: demo/rain\nschema: score\nfields: {text: a}\n"
    write(package / "demo/annotations/tasksource-reg-demo/rain.yaml", demo)
    monkeypatch.setattr(registry_module, "_PACKAGE", package)
    monkeypatch.delenv("TSR_REGISTRY", raising=False)
    return package


@pytest.fixture
def glue(tmp_path: Path) -> Path:
    """A root with four tasks of one dataset."""
    write(tmp_path / "extra/annotations/nyu-mll/glue.yaml", TASKS)
    return tmp_path / "extra"


def only(caught: pytest.ExceptionInfo[TsrError]) -> tuple[str, str, str]:
    (problem,) = caught.value.problems
    return problem.code, problem.message, problem.advice


# Roots


def test_in_a_checkout_the_repository_is_the_built_in_root(own_package: Path) -> None:
    checkout = own_package.parent
    (checkout / "annotations").mkdir()
    (checkout / "templates").mkdir()
    assert Registry().roots == (Root(checkout, "built-in"), Root(own_package / "demo", "demo"))


def test_in_a_wheel_the_registry_lies_inside_the_package_with_its_indices(own_package: Path) -> None:
    shipped = own_package / "_registry"
    (shipped / "annotations").mkdir(parents=True)
    assert Registry().roots == (
        Root(shipped, "built-in", shipped / "index.json"),
        Root(own_package / "demo", "demo", shipped / "demo.index.json"),
    )


def test_named_roots_come_first_and_each_root_once(glue: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(glue)
    assert [root.path for root in Registry([glue, link, str(glue)]).roots][:1] == [glue]
    assert len(Registry([glue, link]).roots) == 2  # with the demo


def test_the_environment_names_roots_unless_the_call_does(
    glue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    (other / "annotations").mkdir(parents=True)
    monkeypatch.setenv("TSR_REGISTRY", os.pathsep.join([str(other), str(glue)]))
    assert [root.path for root in Registry().roots][:2] == [other, glue]
    assert [root.path for root in Registry([glue]).roots][:1] == [glue]
    assert other not in [root.path for root in Registry([glue]).roots]


def test_u009_a_folder_that_is_no_registry(glue: Path, tmp_path: Path) -> None:
    with pytest.raises(TsrError) as caught:
        Registry([tmp_path / "nowhere"])
    assert only(caught)[0] == "TSR-U009" and "there is no folder" in only(caught)[1]
    with pytest.raises(TsrError) as caught:
        Registry([glue / "annotations"])
    assert only(caught)[0] == "TSR-U009" and str(glue) in only(caught)[2]


# Clashes


def test_a_named_root_takes_the_place_of_a_later_one_with_a_note(glue: Path, tmp_path: Path) -> None:
    mine = "format: 1\ndataset: me/mine\nid: glue/rte\nschema: score\nfields: {text: a}\n"
    path = write(tmp_path / "mine/annotations/me/mine.yaml", mine)
    registry = Registry([tmp_path / "mine", glue])
    assert registry.resolve("glue/rte").dataset == "me/mine"
    assert len(registry.notes) == 1 and "glue/rte" in registry.notes[0] and path.name in registry.notes[0]
    assert registry.problems == ()


def test_a008_an_id_twice_in_one_root_names_both_places(glue: Path) -> None:
    path = write(glue / "annotations/zz.yaml", "format: 1\n# again\nid: glue/rte\ndataset: zz\nschema: score\n")
    registry = Registry([glue])
    (problem,) = registry.problems
    assert problem.code == "TSR-A008" and problem.place is not None
    assert (problem.place.file, problem.place.line) == (str(path), 3)
    assert "glue.yaml:9" in problem.message
    assert registry.resolve("glue/rte").dataset == "nyu-mll/glue"


# Names


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("glue/rte", "glue/rte"),
        ("glue/rte@1", "glue/rte"),
        ("glue/cola@3", "glue/cola"),
        ("super_glue/rte", "glue/rte"),
        ("super_glue/rte@1", "glue/rte"),
        ("GLUE/RTE", "glue/rte"),
        ("Super_Glue/RTE", "glue/rte"),
        ("glue/wnli", "glue/wnli"),
        ("demo/rain", "demo/rain"),
    ],
)
def test_names_resolve(glue: Path, name: str, id_: str) -> None:
    assert Registry([glue]).resolve(name).id == id_


def test_an_id_wins_over_an_alias_of_another_task(glue: Path) -> None:
    text = "format: 1\ndataset: b\nid: b\naliases: [glue/rte]\nschema: score\n"
    write(glue / "annotations/b.yaml", text)
    assert Registry([glue]).resolve("glue/rte").id == "glue/rte"


def test_an_alias_as_written_wins_over_an_id_in_another_case(glue: Path) -> None:
    text = "format: 1\ndataset: b\nid: b\naliases: [GLUE/RTE]\nschema: score\n"
    write(glue / "annotations/b.yaml", text)
    assert Registry([glue]).resolve("GLUE/RTE").id == "b"
    assert Registry([glue]).resolve("Glue/RTE").id == "glue/rte"


def test_u002_an_ambiguous_alias_lists_all_its_tasks(glue: Path) -> None:
    for name in ("shared", "SHARED", "shared@3"):
        with pytest.raises(TsrError) as caught:
            Registry([glue]).resolve(name)
        assert only(caught)[0] == "TSR-U002" and "glue/cola, glue/rte" in only(caught)[1]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("glue/rt3", 'did you mean "glue/rte"'),
        ("rte", "ids that hold it: glue/rte"),
        ("super_glu/rte", 'did you mean "super_glue/rte"'),
        ("nyu-mll/glue", "its tasks: glue/ax, glue/cola, glue/rte, glue/wnli"),
        ("glue", "its tasks: glue/ax"),
        ("zzzzzzzzzzzz", "`tsr list` shows all 5"),
        ("", "`tsr list` shows all 5"),
        ("glue/rte@x", 'did you mean "glue/rte"'),
    ],
)
def test_u001_an_unknown_name_comes_with_a_hint(glue: Path, name: str, hint: str) -> None:
    with pytest.raises(TsrError) as caught:
        Registry([glue]).resolve(name)
    assert only(caught)[0] == "TSR-U001" and hint in only(caught)[2] and caught.value.exit_code == 2


def test_an_unknown_name_tells_of_files_that_could_not_be_read(glue: Path) -> None:
    write(glue / "annotations/broken.yaml", "id: x\nid: y\n")
    with pytest.raises(TsrError) as caught:
        Registry([glue]).resolve("zzzzzzzzzzzz")
    assert "broken.yaml" in only(caught)[2]


def test_u008_another_version(glue: Path) -> None:
    with pytest.raises(TsrError) as caught:
        Registry([glue]).resolve("glue/cola@2")
    assert only(caught)[:2] == ("TSR-U008", '"glue/cola" is at version 3, not 2')


# Queries


def test_parked_tasks_are_left_out_and_counted_unless_asked_for(glue: Path) -> None:
    registry = Registry([glue])
    found = registry.select("dataset:glue")
    assert [t.id for t in found.tasks] == ["glue/ax", "glue/cola", "glue/rte"]
    assert [t.id for t in found.parked] == ["glue/wnli"]
    assert [t.id for t in registry.tasks("dataset:glue", include_parked=True)][-1] == "glue/wnli"
    assert [t.id for t in registry.tasks("status:parked")] == ["glue/wnli"]
    assert registry.select("family:topic").parked == ()


def test_tasks_for_evaluation_can_be_left_out(glue: Path) -> None:
    registry = Registry([glue])
    found = registry.select("dataset:glue", include_evaluation_only=False)
    assert [t.id for t in found.tasks] == ["glue/cola", "glue/rte"]
    assert [t.id for t in found.evaluation_only] == ["glue/ax"]
    asked = registry.tasks("dataset:glue status:evaluation_only", include_evaluation_only=False)
    assert [t.id for t in asked] == ["glue/ax"]


@pytest.mark.parametrize("query", ["license:commercial", "-license:commercial"])
def test_unknown_licences_are_left_out_and_counted(glue: Path, query: str) -> None:
    found = Registry([glue]).select(f"dataset:glue {query}")
    assert [t.id for t in found.tasks] == (["glue/cola"] if not query.startswith("-") else [])
    assert [t.id for t in found.unknown] == ["glue/ax", "glue/rte"]


def test_a_query_that_finds_nothing_says_why(glue: Path) -> None:
    assert Registry([glue]).select("family:nlj").hints == ('nothing has family:nlj; did you mean "nli"?',)


# Files


def test_families_and_templates_of_the_first_root_win(glue: Path, tmp_path: Path) -> None:
    nli = "family: nli\nlabels: {}\nfor: {{schema: classification}}\ntemplates: [{{id: nli/a}}, {{id: nli/b}}]\n"
    write(glue / "templates/families/nli.yaml", nli.format("[[b, a]]"))
    write(glue / "templates/families/topic.yaml", "format: 1\nfamily: topic\nlabels: open\n")
    write(tmp_path / "two/templates/families/nli.yaml", nli.format("[[z, w]]"))
    write(tmp_path / "two/templates/schemas/classification.yaml", "schema: classification\ntemplates: [{id: c/a}]\n")
    (tmp_path / "two/annotations").mkdir()
    registry = Registry([glue, tmp_path / "two"])
    assert registry.family_vocabularies() == {"nli": (("b", "a"),), "topic": None}
    write(glue / "templates/families/nli.yaml", "format: 1\nfamily: nli\ntemplates: []\n")  # says nothing of labels
    assert Registry([glue, tmp_path / "two"]).family_vocabularies() == {"nli": (("z", "w"),), "topic": None}
    write(glue / "templates/families/nli.yaml", "format: 1\nfamily: nli\nlabels: open\n")
    for _ in range(2):  # read, then from the index
        assert Registry([glue, tmp_path / "two"]).family_vocabularies() == {"nli": None, "topic": None}
    assert registry.template_roots() == [glue / "templates", tmp_path / "two/templates"]
    assert registry.template_counts(registry.resolve("glue/rte")) == {"family": 4, "schema": 1}


def test_mixtures_are_found_by_path_and_by_name(glue: Path) -> None:
    path = write(glue / "mixtures/nested/demo.yaml", "format: 1\n")
    registry = Registry([glue])
    assert registry.mixture_path(str(path)) == path
    assert registry.mixture_path("nested/demo") == registry.mixture_path("nested/demo.yaml") == path
    with pytest.raises(TsrError) as caught:
        registry.mixture_path("nested/demu")
    assert only(caught)[0] == "TSR-M008" and 'did you mean "nested/demo"' in only(caught)[2]


def test_annotation_files_of_all_roots(glue: Path, own_package: Path) -> None:
    registry = Registry([glue])
    assert list(registry.annotation_files()) == [
        glue / "annotations/nyu-mll/glue.yaml",
        own_package / "demo/annotations/tasksource-reg-demo/rain.yaml",
    ]
    assert registry.resolve("glue/rte").file == glue / "annotations/nyu-mll/glue.yaml"


def test_the_real_registry_has_no_problems_and_no_id_of_two_meanings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "_PACKAGE", ROOT / "tasksource_reg")
    registry = Registry()
    assert [str(p) for p in registry.problems if p.severity == "error"] == []
    families = registry.family_vocabularies()
    assert [t.id for t in registry.by_id.values() if t.family is not None and t.family not in families] == []
    for task in registry.by_id.values():
        assert registry.resolve(task.id) is task
        assert registry.resolve(f"{task.id}@{task.version}") is task


def test_discovery_imports_nothing_heavy() -> None:
    code = """
import sys
from tasksource_reg.registry import Registry
assert Registry().tasks("schema:classification")
heavy = {"datasets", "pandas", "pyarrow", "numpy", "pydantic", "rich", "click"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_root_may_hold_templates_alone(glue: Path, tmp_path: Path) -> None:
    text = "family: nli\nfor: {schema: classification}\ntemplates: [{id: nli/own}]\n"
    write(tmp_path / "mine/templates/families/nli.yaml", text)
    registry = Registry([tmp_path / "mine", glue])
    assert registry.template_counts(registry.resolve("glue/rte"))["family"] == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(TsrError) as caught:
        Registry([tmp_path / "empty"])
    assert "holds none of annotations/, templates/, mixtures/" in only(caught)[1]
