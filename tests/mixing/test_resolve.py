"""From names to tasks, rates, templates and a plan: what is chosen, what is left out and said, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from small_registry import PLAIN, SmallRegistry, echoes

from tasksource_reg.errors import Problem, TsrError
from tasksource_reg.mixing.report import report
from tasksource_reg.mixing.resolve import Resolved


def refused(own: SmallRegistry, **spec: Any) -> list[Problem]:
    with pytest.raises(TsrError) as caught:
        own.resolve(spec)
    return list(caught.value.problems)


def names(resolved: Resolved) -> list[str]:
    return [task.info.id for task in resolved.tasks]


def shares(resolved: Resolved) -> dict[str, float]:
    total = sum(task.rate for task in resolved.tasks)
    return {task.info.id: pytest.approx(task.rate / total) for task in resolved.tasks}


@pytest.fixture
def three(own: SmallRegistry) -> SmallRegistry:
    """Tasks a, b, c of 10, 40 and 90 rows."""
    for name, rows in (("a", 10), ("b", 40), ("c", 90)):
        own.task(name, {"train": echoes(name, rows), "validation": echoes(name, 5)})
    return own


# Rates.


def test_without_shares_tasks_weigh_their_rows(three: SmallRegistry) -> None:
    assert shares(three.resolve({})) == {"own/a": 10 / 140, "own/b": 40 / 140, "own/c": 90 / 140}


@pytest.mark.parametrize(
    ("within", "rates"),
    [
        ({"by": "equal"}, (1, 1, 1)),
        ({"cap": 20}, (10, 20, 20)),
        ({"scale": 2, "cap": 100}, (20, 80, 100)),
        ({"temperature": 2}, (10**0.5, 40**0.5, 90**0.5)),
        ({"cap": 40, "temperature": 2}, (10**0.5, 40**0.5, 40**0.5)),
        ({"rates": {"own/a": 3, "own/b": 1, "own/c": 0.5}}, (3, 1, 0.5)),
    ],
)
def test_rates_within_a_part(three: SmallRegistry, within: Any, rates: tuple[float, ...]) -> None:
    resolved = three.resolve({"parts": [{"select": "dataset:own/*", "within": within}]})
    assert [task.rate for task in resolved.tasks] == pytest.approx(rates)


def test_characters_weigh_texts(own: SmallRegistry) -> None:
    own.task("short", [{"said": "ab", "heard": "cd"}] * 10)
    own.task("long", [{"said": "ab" * 50, "heard": "cd" * 50}] * 10)
    resolved = own.resolve({"parts": [{"select": "dataset:own/*", "within": {"by": "characters"}}]})
    assert {task.info.id: task.rate for task in resolved.tasks} == {"own/short": 40, "own/long": 2000}


def test_a_share_is_of_the_whole_and_the_rest_takes_what_is_left(three: SmallRegistry) -> None:
    resolved = three.resolve({"parts": [{"task": "own/c", "share": 0.5}, {"select": "id:own/a,own/b"}]})
    assert shares(resolved) == {"own/c": 0.5, "own/a": 0.1, "own/b": 0.4}


def test_a_task_of_two_parts_has_the_sum_of_its_rates(three: SmallRegistry) -> None:
    resolved = three.resolve({"parts": [{"task": "own/a", "share": 0.5}, {"select": "id:own/a,own/b"}]})
    assert shares(resolved) == {"own/a": 0.6, "own/b": 0.4}
    assert [task.part for task in resolved.tasks] == ["own/a", "id:own/a,own/b"]


def test_max_epochs_caps_what_a_small_task_gives(three: SmallRegistry) -> None:
    parts = [{"select": "dataset:own/*", "within": {"by": "equal", "max_epochs": 2}}]
    plan = report(three.resolve({"parts": parts, "stop": {"rows": 200}}))
    assert {task.id: task.positions for task in plan} == {"own/a": 20, "own/b": 80, "own/c": 100}
    assert [p.code for p in refused(three, parts=parts, stop={"rows": 300})] == ["TSR-M014"]


def test_shares_that_do_not_add_up(three: SmallRegistry) -> None:
    half = [{"task": "own/a", "share": 0.5}]
    assert [p.code for p in refused(three, parts=half)] == ["TSR-M002"]
    assert [p.code for p in refused(three, parts=[*half, {"task": "own/b", "share": 0.6}])] == ["TSR-M002"]
    full = [{"task": "own/a", "share": 1}, {"task": "own/b"}]
    assert [p.code for p in refused(three, parts=full)] == ["TSR-M002"]


@pytest.mark.parametrize(("rates", "code"), [({"own/a": 1}, "TSR-M003"), ({"own/a": 1, "own/x": 1}, "TSR-U001")])
def test_rates_name_every_task_of_the_part_and_no_other(three: SmallRegistry, rates: Any, code: str) -> None:
    parts = [{"select": "id:own/a,own/b", "within": {"rates": rates}}]
    assert [p.code for p in refused(three, parts=parts)] == [code]


# What is left out, and said.


def test_parked_and_evaluation_tasks_are_left_out_unless_asked_for(three: SmallRegistry) -> None:
    three.task("held", echoes("h", 4), status="evaluation_only", because="a benchmark")
    three.task("old", echoes("o", 4), status="parked", because="wrong labels")
    resolved = three.resolve({})
    assert names(resolved) == ["own/a", "own/b", "own/c"]
    assert resolved.notes == (
        "dataset:own/*: 1 parked left out (own/old)",
        "dataset:own/*: 1 for evaluation only left out (own/held)",
    )
    assert names(three.resolve({"parts": [{"select": "dataset:own/* status:evaluation_only"}]})) == ["own/held"]
    assert names(three.resolve({"parts": [{"task": "own/old"}, {"task": "own/held"}]})) == ["own/old", "own/held"]


def test_unknown_licences_are_left_out_of_a_licence_query_and_said(three: SmallRegistry) -> None:
    three.task(
        "dark", echoes("d", 4), license={"spdx": "LicenseRef-unknown", "evidence": [{"where": "x", "says": "y"}]}
    )
    resolved = three.resolve({"parts": [{"select": "dataset:own/* license:commercial"}]})
    assert names(resolved) == ["own/a", "own/b", "own/c"]
    assert resolved.notes == ("dataset:own/* license:commercial: 1 of unknown licence left out (own/dark)",)
    three.task("spare", echoes("s", 4), license={"spdx": "CC-BY-NC-4.0", "evidence": [{"where": "x", "says": "y"}]})
    excluding = three.resolve({"exclude": "license:commercial", "parts": [{"select": "dataset:own/*"}]})
    assert names(excluding) == ["own/spare"]
    assert excluding.notes == ("exclude license:commercial: nobody knows of own/dark; left out",)


def test_excluded_tasks_are_out_of_every_part(three: SmallRegistry) -> None:
    assert names(three.resolve({"exclude": "id:own/b"})) == ["own/a", "own/c"]
    (problem,) = refused(three, parts=[{"task": "own/b"}], exclude="id:own/*")
    assert problem.code == "TSR-M001"


def test_tasks_without_rows_in_the_split_are_left_out_of_queries_and_said(three: SmallRegistry) -> None:
    three.task("trainless", {"test": echoes("t", 4)})
    three.task("filtered", echoes("f", 4), where=[{"of": "said", "equals": "no", "because": "none is"}])
    resolved = three.resolve({})
    assert names(resolved) == ["own/a", "own/b", "own/c"]
    assert resolved.notes == ("dataset:own/*: 2 without rows in train left out (own/filtered, own/trainless)",)
    (problem,) = refused(three, parts=[{"task": "own/filtered"}])
    assert problem.code == "TSR-M004"
    (problem,) = refused(three, parts=[{"task": "own/trainless"}])
    assert (problem.code, problem.advice) == ("TSR-U003", "it has: test")


def test_a_part_that_selects_nothing_says_why(three: SmallRegistry) -> None:
    (problem,) = refused(three, parts=[{"select": "family:ech"}])
    assert (problem.code, "family:echo" in problem.advice or "echo" in problem.advice) == ("TSR-M001", True)
    (problem,) = refused(three, split="test")
    assert 'selects nothing with rows in the split "test"' in problem.message


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"parts": [{"task": "own/aa"}]}, "TSR-U001"),
        ({"parts": [{"select": "famly:echo"}]}, "TSR-U004"),
        ({"parts": [{"mixture": "nope"}]}, "TSR-M008"),
        ({"exclude": "x:y"}, "TSR-U004"),
        ({"templates": {"where": "fom:question"}}, "TSR-U004"),
    ],
)
def test_names_that_are_not_there(three: SmallRegistry, spec: Any, code: str) -> None:
    assert [p.code for p in refused(three, **spec)] == [code]


# Locks.


def test_tasks_without_locks_are_left_out_of_queries_and_said(three: SmallRegistry) -> None:
    three.task("x", echoes("x", 3), lock=False)
    three.task("y", echoes("y", 3), lock=False)
    resolved = three.resolve({})
    assert names(resolved) == ["own/a", "own/b", "own/c"]
    assert resolved.notes == ("dataset:own/*: 2 not counted yet (see `tsr lock`) left out (own/x, own/y)",)


def test_a_task_without_a_lock_that_is_asked_for_is_refused(three: SmallRegistry) -> None:
    three.task("x", echoes("x", 3), lock=False)
    for part in ({"task": "own/x"}, {"select": "id:own/x"}):
        (problem,) = refused(three, parts=[part])
        assert problem.code == "TSR-L002"
        assert problem.advice.startswith("run `tsr lock own/x`")


def test_a_lock_older_than_its_annotation_is_refused(three: SmallRegistry) -> None:
    three.task("a", echoes("a", 10), lock=False, where=[{"of": "said", "differs": "a1", "because": "odd"}])
    assert [(p.code, p.task) for p in refused(three)] == [("TSR-L003", "own/a")]
    three.lock("a")
    assert three.resolve({}).tasks[0].counts.rows == 9


# Nested mixtures.


def test_a_nested_mixture_brings_its_tasks_in_its_own_ratio(three: SmallRegistry) -> None:
    three.mixture(
        "inner", {"parts": [{"task": "own/a", "share": 0.75}, {"task": "own/b"}], "seed": 9, "shape": "fields"}
    )
    resolved = three.resolve({"parts": [{"mixture": "inner", "share": 0.4}, {"task": "own/c"}]})
    assert shares(resolved) == {"own/a": 0.3, "own/b": 0.1, "own/c": 0.6}
    assert (resolved.spec.seed, resolved.spec.shape) == (0, "text")


def test_nested_mixtures_keep_their_exclusions_and_obey_the_outer_one(three: SmallRegistry) -> None:
    three.mixture("inner", {"parts": [{"select": "dataset:own/*"}], "exclude": "id:own/a"})
    assert names(three.resolve({"parts": [{"mixture": "inner"}]})) == ["own/b", "own/c"]
    assert names(three.resolve({"parts": [{"mixture": "inner"}], "exclude": "id:own/b"})) == ["own/c"]
    (problem,) = refused(three, parts=[{"mixture": "inner"}], exclude="dataset:own/*")
    assert problem.code == "TSR-M001"


def test_mixtures_in_a_circle_are_refused_however_they_are_called(three: SmallRegistry) -> None:
    first = three.mixture("first", {"parts": [{"mixture": "second"}]})
    three.mixture("second", {"parts": [{"mixture": str(first)}, {"task": "own/a"}]})
    for given in ("first", first):
        with pytest.raises(TsrError) as caught:
            three.resolve(given)
        assert caught.value.problems[0].code == "TSR-M007"
        assert caught.value.problems[0].message == f"first -> second -> {first}"
    three.mixture("itself", {"parts": [{"mixture": "itself"}]})
    with pytest.raises(TsrError, match="itself -> itself"):
        three.resolve("itself")


def test_a_mixture_reached_by_two_ways_is_no_circle(three: SmallRegistry) -> None:
    three.mixture("inner", {"parts": [{"task": "own/a"}]})
    three.mixture("left", {"parts": [{"mixture": "inner"}, {"task": "own/b"}]})
    resolved = three.resolve({"parts": [{"mixture": "left"}, {"mixture": "inner"}]})
    assert {task.info.id: task.rate for task in resolved.tasks} == {"own/a": 20, "own/b": 40}


# Stop rules.


@pytest.mark.parametrize(
    ("stop", "length"),
    [
        ({"rows": 17}, 17),
        ({"epochs": 1}, 50),
        ({"epochs": 1.5}, 75),
        ("each_once", 50),
        ("never", None),
    ],
)
def test_stop_rules_give_the_length(own: SmallRegistry, stop: Any, length: int | None) -> None:
    own.task("a", echoes("a", 10))
    own.task("b", echoes("b", 40))
    assert own.resolve({"stop": stop}).plan.length == length


def test_exhaustion_stops_before_the_first_repetition_or_after_the_last_first_time(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 10))
    own.task("b", echoes("b", 40))
    parts = [{"select": "dataset:own/*", "within": {"by": "equal"}}]
    first = report(own.resolve({"parts": parts, "stop": "first_exhausted"}))
    last = report(own.resolve({"parts": parts, "stop": "all_exhausted"}))
    assert 18 <= len(first) <= 22
    assert max(task.epochs or 0 for task in first) == 1
    assert 78 <= len(last) <= 82
    assert min(task.epochs or 0 for task in last) == 1


# Templates and shapes.


def test_templates_of_a_query(own: SmallRegistry) -> None:
    other = {
        **PLAIN,
        "id": "echo/asking",
        "form": "question",
        "options_shown": True,
        "length": "wordy",
        "inverted": True,
    }
    own.templates("families", "echo", [PLAIN, other])
    own.task("a", echoes("a", 5))
    for where in (
        "form:question", "options_shown:true", "length:wordy", "inverted:true", "id:echo/ask*",
        "-id:echo/plain family:echo schema:generation lang:en",
    ):  # fmt: skip
        (task,) = own.resolve({"templates": {"where": where}}).tasks
        assert [t.id for t in task.templates] == ["echo/asking"], where
    (problem,) = refused(own, templates={"where": "form:dialogue"})
    assert (problem.code, problem.task) == ("TSR-T010", "own/a")


def test_weights_of_unknown_and_useless_templates_are_refused(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 5))
    (problem,) = refused(own, templates={"choose": {"echo/plain": 1, "echo/plian": 1}})
    assert (problem.code, problem.advice) == ("TSR-U007", 'did you mean "echo/plain"?')
    (problem,) = refused(own, templates={"choose": {"echo/plain": 1, "nli/can-we-infer": 1}})
    assert (problem.code, "fits no task" in problem.message) == ("TSR-T010", True)


@pytest.mark.parametrize("shape", ["preference", "unpaired", "rank_classification"])
def test_a_shape_that_a_task_cannot_take_names_each_task(own: SmallRegistry, shape: str) -> None:
    own.task("a", echoes("a", 5))
    own.task("b", echoes("b", 5))
    assert [(p.code, p.task) for p in refused(own, shape=shape)] == [("TSR-M012", "own/a"), ("TSR-M012", "own/b")]


def test_too_few_rows_for_the_shots_are_known_before_reading(own: SmallRegistry) -> None:
    own.task("a", {"train": echoes("a", 3), "validation": echoes("v", 3)})
    own.task("b", {"validation": echoes("b", 9)})
    assert own.resolve({"parts": [{"task": "own/a"}], "shots": {"k": 2}}).tasks[0].shot_split == "train"
    (problem,) = refused(own, parts=[{"task": "own/a"}], shots={"k": {0: 0.9, 3: 0.1}})
    assert (problem.code, problem.message) == ("TSR-M010", "3 rows for up to 3 shots")
    assert own.resolve({"parts": [{"task": "own/a"}], "split": "validation", "shots": {"k": 3}}).tasks
    (problem,) = refused(own, parts=[{"task": "own/b"}], split="validation", shots={"k": 1})
    assert (problem.code, problem.message) == ("TSR-M010", "the task has no train split to take shots from")


def test_languages_without_templates_are_noted(own: SmallRegistry) -> None:
    own.templates("families", "echo", [PLAIN], **{"for": {"schema": "generation", "languages": ["en"]}})
    own.task("a", echoes("a", 5), languages=["fr"])
    resolved = own.resolve({"templates": {"language": {"data": 0.5, "en": 0.5}}})
    assert resolved.notes == (
        "templates.language: no template in the data's own language for 1 (own/a); others take their place",
    )


def test_resolving_opens_no_source(own: SmallRegistry) -> None:
    own.task("a", echoes("a", 5))
    import shutil

    shutil.rmtree(own.mirror)
    assert len(report(own.resolve({}))) == 5
