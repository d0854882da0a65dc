"""Plans of more than one kind of stretch: budgets, stages, batches of one task, many re-weightings."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasksource_reg.errors import TsrError
from tasksource_reg.mixing.build import build_plan, build_stages
from tasksource_reg.mixing.plan import Plan
from tasksource_reg.mixing.segments import SIZE_UNIT, PlanTask, Stop
from tasksource_reg.mixing.state import Marks, State

SIZES = [7, 40, 3, 120, 1, 18]


def tasks_of(sizes: list[int], characters: list[int] | None = None) -> list[PlanTask]:
    each = [None] * len(sizes) if characters is None else [n * SIZE_UNIT for n in characters]
    return [
        PlanTask(f"task/{n}", "train", size, size=unit) for n, (size, unit) in enumerate(zip(sizes, each, strict=True))
    ]


def located(plan: Plan, start: int = 0, stop: int | None = None) -> list[tuple[int, int, int]]:
    """(task, epoch, surviving row) of a stretch of positions."""
    found = plan.resolve(np.arange(start, plan.length if stop is None else stop))
    return list(zip(*(column.tolist() for column in found), strict=True))


def code_of(caught: pytest.ExceptionInfo[TsrError]) -> str:
    return caught.value.problems[0].code


# Budgets


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 50), st.floats(0.05, 5)), min_size=1, max_size=8),
    st.integers(60, 3000),
    st.sampled_from([None, 3.0]),
)
def test_a_budget_ends_at_the_last_position_that_it_covers(
    tasks: list[tuple[int, int, float]], budget: int, cap: float | None
) -> None:
    sizes, characters = [t[0] for t in tasks], [t[1] + 1 for t in tasks]
    rates, rows = [t[2] for t in tasks], tasks_of(sizes, characters)
    if cap is not None:
        budget = min(budget, 3 * sum(s * c for s, c in zip(sizes, characters, strict=True)) - 1)
        if budget < max(characters):
            return
    plan = build_plan(rows, rates, Stop("characters", budget), 3, cap)
    assert plan.length
    longer = build_plan(rows, rates, Stop("never"), 3, cap)
    task, _ = longer.locate(np.arange(plan.length + 1))
    spent = np.cumsum(np.array(characters)[task])
    assert spent[plan.length - 1] <= budget < spent[plan.length]
    assert located(plan) == located(longer, 0, plan.length)


def test_a_budget_counts_the_mean_of_each_tasks_rows_to_a_millionth() -> None:
    size = 1000 * SIZE_UNIT // 7  # 1000 characters in 7 rows
    plan = build_plan([PlanTask("a", "train", 7, size=size)], [1], Stop("characters", 5000))
    assert plan.length == 35
    assert build_plan([PlanTask("a", "train", 7, size=size)], [1], Stop("characters", 4999.99)).length == 34


def test_a_budget_beyond_the_epoch_caps_is_refused_and_one_below_the_first_row_too() -> None:
    rows = tasks_of([10, 20], [5, 5])
    with pytest.raises(TsrError, match="stop asks for 1,000 characters") as caught:
        build_plan(rows, [1, 1], Stop("characters", 1000), max_epochs=2)
    assert code_of(caught) == "TSR-M014"
    with pytest.raises(TsrError, match="before its first row") as caught:
        build_plan(rows, [1, 1], Stop("tokens", 4))
    assert code_of(caught) == "TSR-U005"


# Stages


def stages(*each: tuple[list[float], Stop], batch: int = 1, **more: object) -> Plan:
    return build_stages(tasks_of(SIZES), each, 5, batch=batch, **more)  # type: ignore[arg-type]


def test_stages_follow_each_other_and_the_first_is_what_it_is_alone() -> None:
    first = [1.0, 1, 0, 0, 0, 0]
    plan = stages((first, Stop("rows", 30)), ([0, 0, 0, 9, 0, 1], Stop("epochs", 1)))
    assert plan.length == 30 + 138
    assert {task for task, _, _ in located(plan, 0, 30)} == {0, 1}
    assert {task for task, _, _ in located(plan, 30)} == {3, 5}
    alone = build_plan(tasks_of(SIZES)[:2], [1, 1], Stop("rows", 30), 5)
    assert located(plan, 0, 30) == located(alone)


def test_a_task_that_comes_back_goes_on_with_its_epoch() -> None:
    one = [0.0, 1, 0, 0, 0, 0]
    plan = stages((one, Stop("rows", 15)), ([0, 1, 0, 1, 0, 0], Stop("rows", 50)))
    rows = [row for task, epoch, row in located(plan) if task == 1 and epoch == 0]
    assert len(rows) == len(set(rows)) == 40
    whole = build_plan(tasks_of(SIZES)[1:2], [1], Stop("epochs", 1), 5)
    assert rows == [row for _, _, row in located(whole)]


def test_rules_about_exhaustion_look_at_all_that_came() -> None:
    some, rest = [1.0, 1, 0, 0, 0, 0], [1.0, 1, 1, 0, 0, 0]
    plan = stages((some, Stop("rows", 10)), (rest, Stop("each_once")))
    assert plan.length == 50
    assert len(set(located(plan))) == 50
    again = stages((rest, Stop("each_once")), (some, Stop("rows", 10)))
    assert again.length == 60 and {epoch for _, epoch, _ in located(again, 50)} == {1}
    last = stages((some, Stop("rows", 8)), (some, Stop("all_exhausted")))
    assert {(task, row) for task, _, row in located(last)} == {(0, r) for r in range(7)} | {(1, r) for r in range(40)}
    with pytest.raises(TsrError) as caught:
        stages((some, Stop("all_exhausted")), (some, Stop("all_exhausted")))
    assert code_of(caught) == "TSR-M016"


def test_stages_count_their_budgets_from_where_they_begin() -> None:
    rows = tasks_of([10, 20], [5, 3])
    plan = build_stages(rows, [([1, 0], Stop("characters", 24)), ([0, 1], Stop("characters", 31))])
    assert [task for task, _, _ in located(plan)] == [0] * 4 + [1] * 10


def test_the_last_stage_may_never_end_and_no_other() -> None:
    one = [1.0] * 6
    assert stages((one, Stop("rows", 9)), (one, Stop("never"))).length is None
    with pytest.raises(TsrError) as caught:
        stages((one, Stop("never")), (one, Stop("rows", 9)))
    assert code_of(caught) == "TSR-M009"


def test_caps_hold_over_all_stages() -> None:
    one = [0.0, 0, 1, 0, 0, 1]
    plan = stages((one, Stop("rows", 4)), (one, Stop("rows", 20)), max_epochs=[None, None, 2, None, None, None])
    assert plan.occurrences_before(24)[2] == 6


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(0, 5).map(lambda r: r if r > 0.01 else 0.0), min_size=4, max_size=4).filter(any),
            st.integers(1, 60),
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([1, 1, 3]),
)
def test_a_longer_recipe_begins_as_the_shorter_one_and_comes_back_from_json(
    recipe: list[tuple[list[float], int]], batch: int
) -> None:
    rows = tasks_of([9, 30, 4, 11])
    each = [(rates, Stop("rows", count)) for rates, count in recipe]
    plan, shorter = build_stages(rows, each, batch=batch), build_stages(rows, each[:1], batch=batch)
    assert located(plan, 0, shorter.length) == located(shorter)
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    for rates, (start, stop) in zip((r for r, _ in recipe), _stretches(plan, each, batch), strict=True):
        came = plan.occurrences_before(stop) - plan.occurrences_before(start)
        exact = np.array(rates) / sum(rates) * (stop - start)
        assert np.abs(came - exact).max() <= 2 * batch + batch
        assert not came[np.array(rates) == 0].any()


def _stretches(plan: Plan, each: list[tuple[list[float], Stop]], batch: int) -> list[tuple[int, int]]:
    out, start = [], 0
    for _, stop in each:
        start = -(-start // batch) * batch
        end = start + int(stop.amount or 0)
        out.append((start, end))
        start = end
    assert out[-1][1] == plan.length
    return out


# Batches of one task


@pytest.mark.parametrize("batch", [2, 16])
def test_a_batch_is_of_one_task_and_every_row_comes_once_an_epoch(batch: int) -> None:
    plan = build_plan(tasks_of(SIZES), SIZES, Stop("rows", 10 * 189), 1, batch=batch)
    task = np.array([t for t, _, _ in located(plan)])
    for start in range(0, 1890, batch):
        assert len(set(task[start : start + batch].tolist())) == 1
    mine = [row for t, epoch, row in located(plan) if t == 3 and epoch == 2]
    assert sorted(mine) == list(range(120))
    shares = plan.occurrences_before(1890) / 1890
    assert np.abs(shares - np.array(SIZES) / 189).max() <= 3 * batch / 1890


def test_occurrences_inside_a_batch_are_exact() -> None:
    plan = build_plan(tasks_of(SIZES), [1] * 6, Stop("rows", 300), 1, batch=7)
    counted = np.zeros(6, dtype=np.int64)
    for position, (task, _, _) in enumerate(located(plan)):
        assert (plan.occurrences_before(position) == counted).all()
        counted[task] += 1


def test_exhaustion_in_batches() -> None:
    rows = tasks_of([10, 25])
    once = build_plan(rows, [1, 1], Stop("each_once"), batch=4)
    assert once.length == 8 + 24 and len(set(located(once))) == 32
    first = build_plan(rows, [1, 1], Stop("first_exhausted"), batch=4)
    assert first.length and len(set(located(first))) == first.length
    every = build_plan(rows, [1, 1], Stop("all_exhausted"), batch=4)
    assert {(task, row) for task, _, row in located(every)} == {(0, r) for r in range(10)} | {(1, r) for r in range(25)}


def test_a_task_that_cannot_fill_a_batch_is_named() -> None:
    with pytest.raises(TsrError, match="may take only 3") as caught:
        build_plan(tasks_of([10, 3]), [1, 1], Stop("each_once"), batch=4)
    assert code_of(caught) == "TSR-U005" and caught.value.problems[0].task == "task/1"
    assert build_plan(tasks_of([10, 3]), [1, 1], Stop("rows", 40), batch=4).length == 40
    with pytest.raises(TsrError, match="batches of 0"):
        build_plan(tasks_of([10]), [1], Stop("never"), batch=0)


def test_other_rates_begin_with_a_whole_batch() -> None:
    plan = build_plan(tasks_of(SIZES), [1] * 6, Stop("rows", 400), batch=8)
    with pytest.raises(TsrError, match="use 40") as caught:
        plan.reweight(44, [1, 0, 0, 0, 0, 0])
    assert code_of(caught) == "TSR-U005"
    other = plan.reweight(40, [1, 0, 0, 0, 0, 0])
    assert located(other, 0, 40) == located(plan, 0, 40) and {t for t, _, _ in located(other, 40)} == {0}


def test_batches_are_part_of_what_a_plan_means() -> None:
    plan, batched = (build_plan(tasks_of(SIZES), [1] * 6, Stop("rows", 400), batch=b) for b in (1, 8))
    assert plan.digests["rates"] != batched.digests["rates"] and "batch" not in plan.to_json()
    assert Plan.from_json(batched.to_json()) == batched


# Many re-weightings


def test_a_thousand_reweightings_of_600_tasks_stay_small() -> None:
    rng = np.random.default_rng(0)
    tasks = [PlanTask(f"task/{n}", "train", int(size)) for n, size in enumerate(rng.integers(50, 10**6, 600))]
    plan = build_plan(tasks, [t.rows for t in tasks], Stop("never"))
    size = len(json.dumps(State(10**12, Marks.of(plan)).to_json()))
    for number in range(1, 41):  # each adds the same; 1,000 would take half a minute
        plan = plan.reweight(number * 1000, rng.uniform(0.1, 5, 600).tolist())
    assert len(plan.segments) == 41
    text = json.dumps(plan.to_json(), separators=(",", ":"))
    assert 1000 / 40 * len(text) < 7e6
    assert len(json.dumps(State(10**12, Marks.of(plan)).to_json())) == size <= 200
    assert (plan.occurrences_before(40_000) == Plan.from_json(json.loads(text)).occurrences_before(40_000)).all()


def test_sizes_are_exact_numbers() -> None:
    assert Fraction(tasks_of([3], [7])[0].size or 0, SIZE_UNIT) == 7


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(6)), st.sampled_from([1, 4]), st.integers(0, 3))
def test_the_order_of_tasks_changes_nothing_in_any_kind_of_plan(order: list[int], batch: int, seed: int) -> None:
    rows = [task._replace(of=3 * task.rows, size=SIZE_UNIT * (n + 1)) for n, task in enumerate(tasks_of(SIZES))]
    recipe = [([1.0, 2, 2, 0, 0.5, 1], Stop("rows", 90)), ([1.0, 0, 0, 3, 0, 1], Stop("characters", 400))]

    def named(numbers: list[int]) -> list[tuple[str, int, int]]:
        tasks = [rows[n] for n in numbers]
        plan = build_stages(tasks, [([r[n] for n in numbers], stop) for r, stop in recipe], seed, batch=batch)
        plan = plan.reweight(plan.batch * 30, [float(n + 1) for n in numbers])
        return [(tasks[task].id, epoch, row) for task, epoch, row in located(plan)]

    assert named(order) == named(list(range(6)))


def test_another_task_changes_no_other_tasks_subset() -> None:
    rows = [task._replace(of=50 * task.rows) for task in tasks_of(SIZES)]
    alone = {row for _, _, row in located(build_plan(rows[1:2], [1], Stop("epochs", 1)))}
    among = build_plan(rows, SIZES, Stop("epochs", 1))
    assert alone == {row for task, _, row in located(among) if task == 1}
