"""Plans: exact counts, stop rules, segments, stability under edits, ranks, JSON."""

import json
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasksource_reg.errors import TsrError
from tasksource_reg.mixing import planning
from tasksource_reg.mixing.build import build_plan
from tasksource_reg.mixing.plan import Plan, rank_positions
from tasksource_reg.mixing.rates import examples
from tasksource_reg.mixing.segments import PlanTask, Stop
from tasksource_reg.mixing.spec import read_mixture
from tasksource_reg.mixing.split_tree import DEVIATION, LIMIT
from tasksource_reg.mixing.state import changes
from tasksource_reg.sources.prepare import ROWS_TOGETHER

SIZES = [7, 40, 3, 120, 1, 18]


def tasks_of(sizes: list[int]) -> list[PlanTask]:
    return [PlanTask(f"task/{number}", "train", size) for number, size in enumerate(sizes)]


def plan_of(
    sizes: list[int], rates: Sequence[float] | None = None, stop: Stop | None = None, seed: int = 0, **more: object
) -> Plan:
    rates = examples(sizes).tolist() if rates is None else rates
    return build_plan(tasks_of(sizes), rates, stop or Stop("epochs", 1), seed, **more)  # type: ignore[arg-type]


def rows_of(plan: Plan, start: int = 0, stop: int | None = None) -> list[tuple[str, int, int]]:
    """(task id, epoch, surviving row) of a stretch of positions."""
    located = plan.resolve(np.arange(start, plan.length if stop is None else stop))
    return [
        (plan.tasks[task].id, epoch, row)
        for task, epoch, row in zip(*(column.tolist() for column in located), strict=True)
    ]


def code_of(caught: pytest.ExceptionInfo[TsrError]) -> str:
    return caught.value.problems[0].code


def test_one_epoch_by_row_counts_has_every_row_exactly_once() -> None:
    plan = plan_of(SIZES)
    assert plan.length == sum(SIZES) and len(plan.segments) == 1
    expected = {(f"task/{number}", 0, row) for number, size in enumerate(SIZES) for row in range(size)}
    assert Counter(rows_of(plan)) == Counter(expected)


def test_whole_epochs_by_row_counts_shuffle_each_epoch_anew() -> None:
    plan = plan_of([50, 100], stop=Stop("epochs", 2))
    rows = rows_of(plan)
    first, second = ([row for task, epoch, row in rows if task == "task/1" and epoch == number] for number in (0, 1))
    assert sorted(first) == sorted(second) == list(range(100)) and first != second


@pytest.mark.parametrize(("epochs", "length"), [(0.5, 95), (1.5, 284), (0.29, 55), (0.001, 1)])
def test_fractions_of_an_epoch_are_rounded_half_up(epochs: float, length: int) -> None:
    assert plan_of(SIZES, stop=Stop("epochs", epochs)).length == length


def test_rows_stop_after_so_many_positions() -> None:
    plan = plan_of(SIZES, [1] * 6, Stop("rows", 1000))
    assert plan.length == 1000
    assert plan.occurrences_before(1000).sum() == 1000
    assert np.abs(plan.occurrences_before(1000) - 1000 / 6).max() <= DEVIATION


def test_first_exhausted_ends_just_before_the_first_repeat() -> None:
    for rates in ([1, 1, 1, 1, 0.01, 1], [3, 1, 0.2, 9, 0.05, 2]):
        plan = plan_of(SIZES, rates, Stop("first_exhausted"))
        assert plan.length
        assert all(epoch == 0 for _, epoch, _ in rows_of(plan))
        longer = plan_of(SIZES, rates, Stop("rows", plan.length + 1))
        assert rows_of(longer)[:-1] == rows_of(plan) and rows_of(longer)[-1][1] == 1


def test_all_exhausted_ends_with_the_last_row_that_was_missing() -> None:
    for rates in ([1] * 6, [3, 1, 0.2, 0.5, 0.05, 2]):
        plan = plan_of(SIZES, rates, Stop("all_exhausted"))
        assert plan.length
        seen = [(task, row) for task, _, row in rows_of(plan)]
        assert len(set(seen)) == sum(SIZES)
        assert seen.count(seen[-1]) == 1
        assert max(epoch for _, epoch, _ in rows_of(plan)) >= 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.floats(0.01, 10)), min_size=1, max_size=12), st.integers(0, 1000))
def test_each_once_has_every_row_exactly_once_at_any_rates(tasks: list[tuple[int, float]], seed: int) -> None:
    sizes = [size for size, _ in tasks]
    plan = plan_of(sizes, [rate for _, rate in tasks], Stop("each_once"), seed)
    assert plan.length == sum(sizes)
    assert Counter(rows_of(plan)) == Counter(
        (f"task/{n}", 0, row) for n, size in enumerate(sizes) for row in range(size)
    )
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_segment_begins_where_a_task_is_exhausted_and_the_prefix_stays() -> None:
    once, endless = plan_of(SIZES, [1] * 6, Stop("each_once")), plan_of(SIZES, [1] * 6, Stop("never"))
    cut = once.segments[1].start
    assert once.segments[1].weights == (1, 1, 1, 1, 0, 1)  # the task of one row has left
    assert rows_of(once, 0, cut) == rows_of(endless, 0, cut)
    assert rows_of(endless, cut, cut + 1)[0][:2] == ("task/4", 1)


def test_never_goes_on_to_the_largest_position() -> None:
    plan = plan_of(SIZES, [1] * 6, Stop("never"))
    assert plan.length is None
    located = plan.resolve([LIMIT - 1, 0])
    assert located.epoch[0] > 10**15 and located.epoch[1] == 0


def test_epoch_caps_append_segments_and_hold() -> None:
    plan = plan_of(SIZES, [1] * 6, Stop("rows", 300), max_epochs=4)
    assert plan.occurrences_before(300)[[2, 4]].tolist() == [12, 4]
    assert len(plan.segments) > 1
    uncapped = plan_of(SIZES, [1] * 6, Stop("rows", 300))
    assert rows_of(plan, 0, plan.segments[1].start) == rows_of(uncapped, 0, plan.segments[1].start)


def test_epoch_caps_may_differ_by_task_and_be_fractions() -> None:
    plan = plan_of([10, 10, 100], [1, 1, 1], Stop("rows", 100), max_epochs=[0.5, None, 3])
    assert plan.occurrences_before(100)[0] == 5
    assert [task.limit for task in plan.tasks] == [5, None, 300]


def test_a_plan_whose_tasks_are_all_capped_ends_with_the_last() -> None:
    plan = plan_of([10, 20], [1, 1], Stop("never"), max_epochs=2)
    assert plan.length == 60
    assert plan.occurrences_before(60).tolist() == [20, 40]


def test_a_stop_that_the_epoch_caps_do_not_reach_is_refused() -> None:
    with pytest.raises(TsrError, match="the epoch caps allow 60") as caught:
        plan_of([10, 20], [1, 1], Stop("rows", 61), max_epochs=2)
    assert code_of(caught) == "TSR-M014"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=30), st.integers(0, 10**15))
def test_counts_of_a_prefix_equal_the_occurrences_that_follow(rates: list[float], position: int) -> None:
    plan = plan_of([5] * len(rates), rates, Stop("never"))
    before = plan.occurrences_before(position)
    assert before.sum() == position
    task, occurrence = plan.locate(np.arange(position, position + 50))
    for number, count in zip(task.tolist(), occurrence.tolist(), strict=True):
        assert count == before[number]
        before[number] += 1
    assert (before == plan.occurrences_before(position + 50)).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 189), st.integers(1, 5))
def test_restarting_anywhere_with_any_number_of_ranks_gives_the_suffix(cut: int, world: int) -> None:
    plan = plan_of(SIZES, [1, 2, 0.5, 3, 0.1, 1], Stop("each_once"))
    whole = rows_of(plan)
    assert rows_of(plan, cut) == whole[cut:]
    joined: dict[int, tuple[str, int, int]] = {}
    for rank in range(world):
        mine = rank_positions(cut, 189, rank, world)
        assert (mine % world == rank).all()
        rows = plan.resolve(mine)
        for place, *row in zip(mine.tolist(), *(column.tolist() for column in rows), strict=True):
            assert place not in joined
            joined[place] = (plan.tasks[row[0]].id, row[1], row[2])
    assert [joined[place] for place in range(cut, 189)] == whole[cut:]


def test_positions_may_be_asked_for_in_any_order_across_segments() -> None:
    plan = plan_of(SIZES, [1] * 6, Stop("each_once"))
    shuffled = np.random.default_rng(0).permutation(189)
    located = plan.resolve(shuffled)
    whole = rows_of(plan)
    for place, task, row in zip(shuffled.tolist(), located.task.tolist(), located.surviving.tolist(), strict=True):
        assert (plan.tasks[task].id, 0, row) == whole[place]


def test_reweighting_leaves_the_prefix_and_changes_the_rest() -> None:
    plan = plan_of(SIZES, [1] * 6, Stop("rows", 2000), seed=4)
    other = plan.reweight(500, [0, 0, 1, 5, 0, 0])
    assert rows_of(other, 0, 500) == rows_of(plan, 0, 500)
    assert other.length == 2000
    added = other.occurrences_before(2000) - other.occurrences_before(500)
    assert added.tolist() == [0, 0, 250, 1250, 0, 0]
    again = other.reweight(1000, [1] * 6)
    assert rows_of(again, 0, 1000) == rows_of(other, 0, 1000)
    assert again.reweight(500, [0, 0, 1, 5, 0, 0]) == other


def test_reweighting_keeps_the_stop_rule_and_the_caps() -> None:
    plan = plan_of(SIZES, [1] * 6, Stop("each_once"))
    other = plan.reweight(20, [9, 1, 1, 1, 1, 1])
    assert other.length == sum(SIZES) and len(set(rows_of(other))) == sum(SIZES)


@pytest.mark.parametrize("rates", [[0.0, 0.0], [1.0, -1.0], [float("nan"), 1.0]])
def test_reweighting_needs_rates(rates: list[float]) -> None:
    with pytest.raises(TsrError) as caught:
        plan_of([5, 5]).reweight(3, rates)
    assert code_of(caught) == "TSR-M003"


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(6)), st.integers(0, 6))
def test_reordering_tasks_changes_nothing(order: list[int], seed: int) -> None:
    rates = [1.5, 2, 2, 0.3, 2, 1.5]
    tasks = tasks_of(SIZES)
    plan = build_plan(tasks, rates, Stop("each_once"), seed)
    other = build_plan([tasks[n] for n in order], [rates[n] for n in order], Stop("each_once"), seed)
    assert rows_of(other) == rows_of(plan)
    assert other.digest == plan.digest


def test_adding_and_dropping_tasks_changes_no_other_tasks_rows() -> None:
    tasks = tasks_of(SIZES)
    plan = build_plan(tasks, [1] * 6, Stop("rows", 600), 3)
    fewer = build_plan(tasks[1:4], [1] * 3, Stop("rows", 300), 3)
    more = build_plan([PlanTask("a/new", "train", 9), *tasks], [2] + [1] * 6, Stop("rows", 800), 3)

    def rows_by_task(of: Plan) -> dict[str, list[tuple[int, int]]]:
        out: dict[str, list[tuple[int, int]]] = {}
        for task, epoch, row in rows_of(of):
            out.setdefault(task, []).append((epoch, row))
        return out

    whole = rows_by_task(plan)
    for other in (rows_by_task(fewer), rows_by_task(more)):
        for task in other.keys() & whole.keys():
            shared = min(len(other[task]), len(whole[task]))
            assert shared >= 90 and other[task][:shared] == whole[task][:shared]


def test_seed_split_and_id_key_the_order_of_rows() -> None:
    def order(task: str, split: str, seed: int) -> tuple[int, ...]:
        plan = build_plan([PlanTask(task, split, 30)], [1], Stop("epochs", 1), seed)
        return tuple(plan.resolve(np.arange(30)).surviving.tolist())

    assert len({order(task, split, seed) for task in "ab" for split in ("train", "test") for seed in (0, 1)}) == 8


def test_the_order_is_pinned() -> None:
    """A released order never changes: exports and states of older versions depend on it."""
    plan = plan_of([4, 2, 6], stop=Stop("epochs", 1), seed=7)
    assert [(int(task[-1]), row) for task, _, row in rows_of(plan)] == [
        (1, 1),
        (2, 0),
        (2, 4),
        (0, 0),
        (0, 3),
        (2, 3),
        (0, 2),
        (2, 2),
        (2, 5),
        (1, 0),
        (2, 1),
        (0, 1),
    ]
    assert plan.digest == "ed147fa438b298fb"


def test_json_holds_the_plan_whole() -> None:
    plan = plan_of(SIZES, [1] * 6, Stop("rows", 300), 5, max_epochs=4).reweight(200, [0, 1, 0, 2, 0, 1])
    value = json.loads(json.dumps(plan.to_json()))
    again = Plan.from_json(value)
    assert again == plan and again.digest == plan.digest
    assert [set(segment) for segment in value["segments"][:2]] == [{"start", "weights"}, {"start", "without"}]


@pytest.mark.parametrize(
    "damage",
    [{"version": 2}, {"tasks": None}, {"segments": [{"start": 0, "weights": [1]}]}, {"stop": {"kind": "rows", "a": 1}}],
)
def test_a_plan_that_cannot_be_read_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(TsrError) as caught:
        Plan.from_json(plan_of(SIZES).to_json() | damage)
    assert code_of(caught) == "TSR-M015"


@pytest.mark.parametrize("position", [-1, 189, 10**18])
def test_positions_outside_the_plan_are_refused(position: int) -> None:
    with pytest.raises(TsrError) as caught:
        plan_of(SIZES).locate([0, position])
    assert code_of(caught) == "TSR-M006"
    with pytest.raises(TsrError):
        plan_of(SIZES).occurrences_before(position if position != 189 else 190)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_rates_that_are_not_positive_name_their_task(rate: float) -> None:
    with pytest.raises(TsrError) as caught:
        plan_of([5, 5], [1.0, rate])
    assert code_of(caught) == "TSR-M003" and caught.value.problems[0].task == "task/1"


def test_a_task_without_rows_is_named() -> None:
    with pytest.raises(TsrError) as caught:
        plan_of([5, 0], [1.0, 1.0])
    assert code_of(caught) == "TSR-M004" and caught.value.problems[0].task == "task/1"


@pytest.mark.parametrize(
    "stop",
    [
        ("rows", None),
        ("rows", 0),
        ("rows", 2.5),
        ("epochs", -1),
        ("epochs", float("inf")),
        ("never", 3),
        ("sometimes", None),
    ],
)
def test_stop_rules_that_make_no_sense_are_refused(stop: tuple[str, float | None]) -> None:
    with pytest.raises(TsrError) as caught:
        Stop(*stop)  # type: ignore[arg-type]
    assert code_of(caught) == "TSR-U005"


@pytest.mark.parametrize("stop", [Stop("rows", 2**62 + 1), Stop("all_exhausted")])
def test_ends_beyond_the_largest_position_are_refused(stop: Stop) -> None:
    with pytest.raises(TsrError) as caught:
        plan_of([2**61, 2**61], [1, 2**20 + 0.5], stop)
    assert code_of(caught) == "TSR-U005"


@pytest.mark.parametrize(("rank", "world"), [(1, 1), (-1, 2), (0, 0)])
def test_ranks_outside_the_world_are_refused(rank: int, world: int) -> None:
    with pytest.raises(TsrError) as caught:
        rank_positions(0, 10, rank, world)
    assert code_of(caught) == "TSR-U005"


def test_a_cap_of_no_epochs_is_refused() -> None:
    with pytest.raises(TsrError) as caught:
        plan_of(SIZES, max_epochs=0)
    assert code_of(caught) == "TSR-U005"


def test_tasks_that_stand_twice_are_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="distinct"):
        build_plan([PlanTask("a", "train", 3)] * 2, [1, 1], Stop("never"))


def test_a_plan_with_locality_gives_every_row_once_an_epoch_from_few_blocks_at_a_time() -> None:
    spec = {"parts": [{"task": "a"}], "locality": {"rows": 16, "window": 4}, "stop": {"epochs": 2}}
    planned = [planning.Planned("a", "train", 1000, 1000, 1, (1.0,)), planning.Planned("b", "train", 50, 50, 1, (1.0,))]
    plan = planning.plan_of(read_mixture(spec), planned)
    plain = planning.plan_of(read_mixture({**spec, "locality": None}), planned)
    assert plan.locality == (16, 4) and plan.length == plain.length
    located, other = plan.resolve(np.arange(plan.length or 0)), plain.resolve(np.arange(plan.length or 0))
    assert (located.task == other.task).all() and (located.epoch == other.epoch).all()
    for task in (0, 1):
        for epoch in np.unique(located.epoch[located.task == task]):
            mine = (located.task == task) & (located.epoch == epoch)
            assert len(set(located.surviving[mine])) == mine.sum()
    first = located.surviving[(located.task == 0) & (located.epoch == 0)]
    assert len(np.unique(first[:50] // 16)) <= 4
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan and again.digest == plan.digest != plain.digest
    assert [change.text for change in changes(plain, plan)] == [
        "locality: none became blocks of 16 rows in windows of 4"
    ]
    assert "locality" not in plain.to_json()


def test_locality_by_name_has_blocks_of_prepared_files() -> None:
    assert read_mixture({"parts": [{"task": "a"}], "locality": "block"}).local == (ROWS_TOGETHER, 64)
