"""The mixture file: every key with good and bad values, with the place of what is wrong and the word that was meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasksource_reg.errors import TsrError
from tasksource_reg.mixing.spec import MixtureSpec, ShotsSpec, StopSpec, TemplatesSpec, Within, read_mixture

PARTS: list[dict[str, Any]] = [{"select": "family:nli"}]

FULL = """\
format: 1
mixture: nli-and-exams
seed: 7
split: validation
parts:
  - {select: "family:nli lang:en", share: 0.6,
     within: {by: examples, scale: 2, cap: 30000, temperature: 2.5, max_epochs: 3}}
  - {task: ai2_arc/challenge, share: 0.1}
  - {select: "id:a,b", within: {rates: {a: 1, b: 2.5}}}
  - {mixture: reasoning}
exclude: "id:glue/wnli"
templates: {choose: {nli/a: 1, nli/b: 0.5}, where: "options_shown:true", language: {data: 0.5, en: 0.5}}
shots: {k: {0: 0.7, 2: 0.2, 4: 0.1}, from: train}
stop: {rows: 200000}
on_error: raise
shape: text
tail: uneven
"""


def problems_of(source: Any) -> list[Any]:
    with pytest.raises(TsrError) as caught:
        read_mixture(source)
    return list(caught.value.problems)


def test_every_key_is_read(tmp_path: Path) -> None:
    path = tmp_path / "full.yaml"
    path.write_text(FULL)
    spec = read_mixture(path)
    assert (spec.mixture, spec.seed, spec.split, spec.exclude) == ("nli-and-exams", 7, "validation", "id:glue/wnli")
    assert (spec.on_error, spec.shape, spec.tail) == ("raise", "text", "uneven")
    assert spec.parts[0].within == Within(by="examples", scale=2.0, cap=30000.0, temperature=2.5, max_epochs=3.0)
    assert spec.parts[2].within.rates == {"a": 1.0, "b": 2.5}
    assert [part.name for part in spec.parts] == [
        "family:nli lang:en",
        "ai2_arc/challenge",
        "id:a,b",
        "mixture reasoning",
    ]
    assert spec.templates.language_shares == {"data": 0.5, "en": 0.5}
    assert spec.shot_probabilities == pytest.approx({0: 0.7, 2: 0.2, 4: 0.1})
    assert spec.stop == StopSpec(rows=200000)


def test_what_is_left_out_has_the_defaults_of_the_format() -> None:
    spec = read_mixture({"parts": PARTS})
    assert (spec.seed, spec.split, spec.on_error, spec.shape, spec.tail) == (
        0,
        "train",
        "quarantine",
        "messages",
        "drop",
    )
    assert (spec.templates, spec.shots, spec.stop) == (TemplatesSpec(), ShotsSpec(), StopSpec(epochs=1))
    assert spec.shot_probabilities == {0: 1.0}


def test_a_dict_and_a_file_and_a_spec_written_as_json_are_one_mixture(tmp_path: Path) -> None:
    path = tmp_path / "full.yaml"
    path.write_text(FULL)
    spec = read_mixture(path)
    again = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert read_mixture(json.loads(json.dumps(again))) == spec  # defaults may stand beside what excludes other values


@pytest.mark.parametrize(
    "stop", ["first_exhausted", "all_exhausted", "each_once", "never", {"rows": 3}, {"epochs": 0.5}]
)
def test_stop_rules(stop: Any) -> None:
    assert read_mixture({"parts": PARTS, "stop": stop}).stop in (
        stop,
        StopSpec(**stop) if isinstance(stop, dict) else stop,
    )


@pytest.mark.parametrize("k", [0, 3, {3: 1}, {"3": 2.0}])
def test_shots_are_a_number_or_probabilities(k: Any) -> None:
    assert read_mixture({"parts": PARTS, "shots": {"k": k}}).shot_probabilities == {0 if k == 0 else 3: 1.0}


@pytest.mark.parametrize(
    ("change", "code", "what", "hint"),
    [
        ({"partz": []}, "TSR-A001", '"partz" is no key of a mixture', "parts"),
        ({"parts": [{"slect": "x"}]}, "TSR-A001", '"slect" is no key of parts.0', "select"),
        ({"parts": [{"select": "x", "within": {"temprature": 2}}]}, "TSR-A001", '"temprature"', "temperature"),
        ({"stop": {"row": 3}}, "TSR-A001", '"row" is no key of stop', "rows"),
        ({"shots": {"form": "train"}}, "TSR-A001", '"form" is no key of shots', "from"),
        ({"templates": {"chose": "hash"}}, "TSR-A001", '"chose" is no key of templates', "choose"),
        ({"format": 2}, "TSR-A020", "format 2", "format 1"),
        ({"parts": []}, "TSR-A003", "parts: ", ""),
        ({"parts": {}}, "TSR-A003", "parts: ", ""),
        ({"parts": [{}]}, "TSR-A003", "one of select, task and mixture", ""),
        ({"parts": [{"task": "a", "select": "b"}]}, "TSR-A003", "one of select, task and mixture", ""),
        ({"parts": [{"task": ""}]}, "TSR-A003", "parts.0.task", ""),
        ({"parts": [{"task": "a", "share": 0}]}, "TSR-A003", "parts.0.share", ""),
        ({"parts": [{"task": "a", "share": 1.5}]}, "TSR-A003", "parts.0.share", ""),
        ({"parts": [{"task": "a", "share": "0.5"}]}, "TSR-A003", "parts.0.share", ""),
        ({"parts": [{"task": "a", "share": True}]}, "TSR-A003", "parts.0.share", ""),
        ({"parts": [{"mixture": "a", "within": {"cap": 3}}]}, "TSR-A003", "within is for select and task", ""),
        ({"parts": [{"select": "a", "within": {"by": "size"}}]}, "TSR-A003", '"size" is none of examples', ""),
        ({"parts": [{"select": "a", "within": {"cap": -1}}]}, "TSR-A003", "parts.0.within.cap", ""),
        ({"parts": [{"select": "a", "within": {"temperature": 0}}]}, "TSR-A003", "within.temperature", ""),
        ({"parts": [{"select": "a", "within": {"rates": {"a": 0}}}]}, "TSR-A003", "within.rates.a", ""),
        ({"parts": [{"select": "a", "within": {"rates": {"a": 1}, "cap": 2}}]}, "TSR-A003", "rates stand alone", ""),
        ({"parts": [{"select": "a", "within": {"by": "equal", "cap": 2}}]}, "TSR-A003", "remove cap", ""),
        ({"seed": -1}, "TSR-A003", "seed: ", ""),
        ({"seed": "7"}, "TSR-A003", "seed: ", ""),
        ({"seed": True}, "TSR-A003", "seed: ", ""),
        ({"split": ""}, "TSR-A003", "split: ", ""),
        ({"exclude": 3}, "TSR-A003", "exclude: ", ""),
        ({"templates": {"choose": "hsh"}}, "TSR-A003", '"hsh" is none of hash, round_robin, all', "hash"),
        ({"templates": {"choose": {}}}, "TSR-A003", "give weights", ""),
        ({"templates": {"choose": {"a": -1}}}, "TSR-A003", "templates.choose.a", ""),
        ({"templates": {"language": {}}}, "TSR-A003", "give shares", ""),
        ({"templates": {"choose": "all", "language": "en"}}, "TSR-A003", "where: lang:en", ""),
        ({"shots": {"k": -1}}, "TSR-A003", "from 0 to 64, not -1", ""),
        ({"shots": {"k": 65}}, "TSR-A003", "from 0 to 64, not 65", ""),
        ({"shots": {"k": {"two": 1}}}, "TSR-A003", "not two", ""),
        ({"shots": {"k": {1: -0.5}}}, "TSR-A003", "at least 0", ""),
        ({"shots": {"k": {1: 0}}}, "TSR-A003", "all 0", ""),
        ({"shots": {"k": "two"}}, "TSR-A003", "give a number of shots", ""),
        ({"shots": {"from": "test"}}, "TSR-A003", '"test" is none of train', ""),
        ({"stop": {}}, "TSR-A003", "rows, epochs, characters or tokens", ""),
        ({"stop": {"rows": 3, "epochs": 1}}, "TSR-A003", "stop has one of rows", ""),
        ({"stop": {"rows": 0}}, "TSR-A003", "stop.rows", ""),
        ({"stop": {"rows": 2.5}}, "TSR-A003", "stop.rows", ""),
        ({"stop": "first_exhaust"}, "TSR-A003", '"first_exhaust" is none of', "first_exhausted"),
        ({"on_error": "ignore"}, "TSR-A003", '"ignore" is none of quarantine, raise', ""),
        ({"shape": "mesages"}, "TSR-A003", '"mesages" is none of', "messages"),
        ({"shape": "fields", "shots": {"k": 1}}, "TSR-A003", "takes no shots", ""),
        ({"shape": "preference", "templates": {"choose": "all"}}, "TSR-A003", "takes no templates", ""),
        ({"tail": "wrap"}, "TSR-A003", '"wrap" is none of drop, repeat, uneven', ""),
    ],
)
def test_a_bad_value_is_one_problem_that_says_what_is_wrong(change: Any, code: str, what: str, hint: str) -> None:
    problems = problems_of({"parts": PARTS, **change} if "partz" not in change else change | {"parts": PARTS})
    assert [problem.code for problem in problems] == [code]
    assert what in problems[0].message
    assert hint in problems[0].advice


def test_problems_point_at_lines_and_all_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("mixture: m\nparts:\n  - {select: 'family:nli', shar: 0.5}\nstop: {rows: none}\nseed: 1.5\n")
    found = {(p.place.line, p.place.column, p.code) for p in problems_of(path)}
    assert found == {(3, 28, "TSR-A001"), (4, 14, "TSR-A003"), (5, 7, "TSR-A003")}


def test_a_missing_key_points_at_the_mapping_that_lacks_it(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("mixture: m\n")
    (problem,) = problems_of(path)
    assert (problem.code, problem.message, problem.place.line) == ("TSR-A002", '"parts" is missing', 1)


@pytest.mark.parametrize("text", ["- a\n", "just text\n"])
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    assert problems_of(path)[0].code == "TSR-A003"


@pytest.mark.parametrize("value", [Path("x"), float("nan"), {1, 2}])
def test_a_dict_that_is_not_plain_data_is_refused(value: Any) -> None:
    (problem,) = problems_of({"parts": PARTS, "exclude": value})
    assert problem.code == "TSR-A003"
    assert "plain data" in problem.message


def test_a_spec_does_not_change_after_reading() -> None:
    spec = MixtureSpec.model_validate({"parts": PARTS})
    with pytest.raises(ValueError, match="frozen"):
        spec.seed = 3  # type: ignore[misc]
