"""`tsr check`, `tsr test` and `tsr lock` as a contributor calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from small_registry import SmallRegistry, echoes

from tasksource_reg.cli import main
from tasksource_reg.provenance.locks import read_lock

EXAMPLES = [
    {"given": {"said": "one", "heard": "ONE"}, "expect": {"input": "one", "target": "ONE"}},
    {"given": {"said": "two", "heard": "TWO"}, "expect": {"input": "two", "target": "TWO"}},
]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallRegistry:
    own = SmallRegistry(tmp_path)
    (own.root / "annotations" / "references.bib").write_text("")
    monkeypatch.setenv("TSR_REGISTRY", str(own.root))
    monkeypatch.setenv("TSR_MIRROR", str(own.mirror))
    return own


def tsr(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def tsr_json(*args: object) -> Any:
    return json.loads(tsr(*args, "--json").stdout)


# check


def test_check_of_a_good_file(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 3), examples=EXAMPLES)
    done = tsr("check", own.annotation("a"))
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "1 file: 0 errors, 0 warnings\n"


def test_check_reports_every_problem_with_its_place(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 3), lock=False, examples=EXAMPLES, familly="echo", chioce_order="fixed")
    done = tsr("check", own.annotation("a"))
    assert done.exit_code == 1
    assert done.stdout.count(f"{own.annotation('a')}:1:") == 2
    assert 'did you mean "family"?' in done.stdout
    found = tsr_json("check", own.annotation("a"))
    assert found["files"] == 1
    assert [problem["code"] for problem in found["problems"]] == ["TSR-A001", "TSR-A001"]


def test_check_of_folders_and_warnings(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 3), examples=EXAMPLES)
    own.task("b", echoes("b", 3), examples=EXAMPLES, family=None)
    done = tsr("check", own.root / "annotations")
    assert done.exit_code == 0
    assert "TSR-A017" in done.stdout
    assert "2 files: 0 errors, 1 warning" in done.stderr
    assert tsr("check", "--strict", own.root / "annotations").exit_code == 1


def test_check_of_what_is_not_there_or_not_an_annotation(own: SmallRegistry, tmp_path: Path) -> None:
    assert tsr("check", tmp_path / "nothing.yaml").exit_code == 2
    (tmp_path / "notes.yaml").write_text("\tnot yaml: [")
    assert tsr("check", tmp_path / "notes.yaml").exit_code == 1


def test_check_of_the_demo_is_clean() -> None:
    import tasksource_reg.demo

    done = tsr("check", Path(tasksource_reg.demo.__file__).parent / "annotations")
    assert done.exit_code == 0, done.stdout


# test


def test_examples_that_hold_and_that_do_not(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 3), examples=EXAMPLES)
    done = tsr("test", "own/a")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "1 task, 2 examples: 0 problems\n")
    wrong = {"given": {"said": "x", "heard": "y"}, "expect": {"input": "x", "target": "Y"}}
    own.task("b", echoes("b", 3), examples=[*EXAMPLES, wrong])
    done = tsr("test", "dataset:own/*")
    assert done.exit_code == 1
    assert "TSR-A013" in done.stdout
    assert "2 tasks, 5 examples: 1 problem" in done.stderr
    assert [p["code"] for p in tsr_json("test", "own/b")["problems"]] == ["TSR-A013"]


def test_examples_of_a_task_that_does_not_compile_are_a_problem(own: SmallRegistry) -> None:
    own.task(
        "a", echoes("a", 3), lock=False, fields={"input": {"nonsense": "said"}, "target": "heard"}, examples=EXAMPLES
    )
    done = tsr("test", "own/a")
    assert (done.exit_code, "TSR-E001" in done.stdout) == (1, True)


def test_testing_everything_counts_files_that_cannot_be_read(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 3), examples=EXAMPLES)
    assert tsr("test").exit_code == 0
    own.annotation("b").write_text("dataset: [")
    done = tsr("test")
    assert (done.exit_code, "own/b.yaml:1" in done.stdout) == (1, True)


def test_testing_what_is_not_there(own: SmallRegistry) -> None:
    assert tsr("test", "own/nothing").exit_code == 2
    done = tsr("test", "family:nothing-of-the-kind")
    assert (done.exit_code, "TSR-U001" in done.stderr) == (2, True)


# lock


def test_locking_writes_counts_beside_the_annotation(own: SmallRegistry) -> None:
    rows = [*echoes("a", 5), {"said": None, "heard": "x"}]
    own.task("a", rows, lock=False)
    done = tsr("lock", "own/a")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[1].split() == ["own/a", "train", "6", "6", "5", "1", "null", "input"]
    lock = read_lock(own.annotation("a"))
    assert lock is not None
    assert lock.tasks["own/a"].splits["train"].rows == 5
    before = own.annotation("a").with_suffix(".lock.json").read_bytes()
    assert tsr_json("lock", "own/a")["splits"][0]["rows"] == 5
    assert own.annotation("a").with_suffix(".lock.json").read_bytes() == before


def test_a_dry_run_writes_nothing(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 5), lock=False)
    assert tsr("lock", "own/a", "--dry-run").exit_code == 0
    assert read_lock(own.annotation("a")) is None


def test_locking_counts_tokens_of_a_file(own: SmallRegistry, tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="the extra `tokens` is not installed")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.save(str(tmp_path / "words.json"))
    own.task("a", echoes("a", 5), lock=False)
    assert tsr("lock", "own/a", "--tokenizer", tmp_path / "words.json").exit_code == 0
    lock = read_lock(own.annotation("a"))
    assert lock is not None
    ((name, count),) = lock.tasks["own/a"].splits["train"].tokens.items()
    assert (name.startswith("words@"), count) == (True, 10)
    refused = tsr("lock", "own/a", "--tokenizer", tmp_path / "words.json", "--declared")
    assert (refused.exit_code, "read none" in refused.stderr) == (2, True)


def test_a_source_that_is_away_ends_with_3_and_the_others_are_locked(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 5), lock=False)
    own.task("gone", echoes("g", 5), lock=False)
    (own.mirror / "own" / "gone").rename(own.mirror / "away")
    done = tsr("lock", "dataset:own/*", "--offline")
    assert (done.exit_code, "TSR-N008" in done.stderr) == (3, True)
    assert read_lock(own.annotation("a")) is not None


def test_locking_nothing_is_a_usage_error(own: SmallRegistry) -> None:
    assert tsr("lock").exit_code == 2
    assert tsr("lock", "own/nothing").exit_code == 2
