"""States: small, and refused by other plans with the name of what changed; differences named."""

import json
from dataclasses import replace

import pytest

from tasksource_reg.errors import TsrError
from tasksource_reg.mixing.build import build_plan
from tasksource_reg.mixing.plan import Plan
from tasksource_reg.mixing.segments import PlanTask, Stop
from tasksource_reg.mixing.state import Marks, State, difference


def plan_of(rows: int = 30, rate: float = 1, stop: Stop = Stop("rows", 100), seed: int = 0) -> Plan:  # noqa: B008
    return build_plan([PlanTask("a", "train", rows), PlanTask("b", "train", 50)], [rate, 1], stop, seed)


def test_a_state_is_at_most_200_bytes_of_json_and_comes_back() -> None:
    state = State(2**62 - 1, Marks.of(plan_of(stop=Stop("never"))))
    text = json.dumps(state.to_json())
    assert len(text.encode()) <= 200
    assert State.from_json(json.loads(text)) == state


def test_a_state_fits_the_plan_that_made_it_however_its_tasks_are_ordered() -> None:
    state = State(17, Marks.of(plan_of()))
    state.check(Marks.of(plan_of()))
    same = build_plan([PlanTask("b", "train", 50), PlanTask("a", "train", 30)], [1, 1], Stop("rows", 100))
    state.check(Marks.of(same))


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        (plan_of(rows=31), "tasks"),
        (plan_of(rate=2), "rates"),
        (plan_of().reweight(20, [3, 1]), "rates"),
        (plan_of(stop=Stop("rows", 101)), "stop"),
        (plan_of(seed=1), "seed"),
        (replace(plan_of(), batch=4), "rates or order"),
        (replace(plan_of(), locality=(16, 4)), "seed or locality"),
    ],
)
def test_a_state_of_another_plan_names_what_changed(other: Plan, kind: str) -> None:
    with pytest.raises(TsrError, match=f"other {kind}") as caught:
        State(17, Marks.of(plan_of())).check(Marks.of(other))
    assert caught.value.problems[0].code == "TSR-M005"


@pytest.mark.parametrize("value", [{}, {"position": -1, "parts": {}}, {"position": "4", "parts": {}}, {"position": 4}])
def test_what_is_no_state_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(TsrError) as caught:
        State.from_json(value)
    assert caught.value.problems[0].code == "TSR-M005"


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(TsrError, match="version 9") as caught:
        State.from_json(State(3, Marks.of(plan_of())).to_json() | {"version": 9}).check(Marks.of(plan_of()))
    assert caught.value.problems[0].code == "TSR-M005"


def test_equal_plans_differ_in_nothing() -> None:
    assert difference(plan_of(), plan_of()) == []


def test_every_kind_of_difference_is_named() -> None:
    assert difference(plan_of(), plan_of(rows=31)) == ["task a (train): 30 rows became 31"]
    assert difference(plan_of(), plan_of(seed=4)) == ["seed: 0 became 4"]
    assert difference(plan_of(), plan_of(stop=Stop("never"))) == [
        "stop: rows 100 became never",
        "length: 100 became no end",
    ]
    assert difference(plan_of(), plan_of(rate=3)) == [
        "rates: the share of a (train) from position 0 was 0.5, is 0.75",
        "rates: the share of b (train) from position 0 was 0.5, is 0.25",
    ]
    assert difference(plan_of(), plan_of().reweight(20, [3, 1])) == ["rates: one plan changes them once more, at 20"]
    assert difference(plan_of().reweight(30, [3, 1]), plan_of().reweight(20, [3, 1])) == [
        "rates: change at position 30, now at 20"
    ]
    other = build_plan([PlanTask("a", "train", 30), PlanTask("c", "train", 5)], [1, 1], Stop("rows", 100))
    assert difference(plan_of(), other) == ["task b (train): left", "task c (train): new, 5 rows"]


def test_other_epoch_caps_are_named() -> None:
    tasks = [PlanTask("a", "train", 30), PlanTask("b", "train", 50)]
    capped = build_plan(tasks, [1, 1], Stop("rows", 40), max_epochs=[2, None])
    assert difference(build_plan(tasks, [1, 1], Stop("rows", 40)), capped) == [
        "task a (train): epoch cap of no end became 60 positions"
    ]
