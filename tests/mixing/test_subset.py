"""Subsets of rows: sizes, nesting, no dependence on order, and what a plan makes of them."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasksource_reg import keyed
from tasksource_reg.mixing import subset
from tasksource_reg.mixing.build import build_plan
from tasksource_reg.mixing.plan import Plan
from tasksource_reg.mixing.segments import PlanTask, Stop
from tasksource_reg.mixing.subset import chosen_rows, subset_rows


@pytest.mark.parametrize(
    ("rows", "fraction", "most", "kept"),
    [(200, 0.01, None, 2), (250, 0.01, None, 3), (30, 0.01, None, 1), (100, 0.29, None, 29), (20, None, 32, 20),
     (90, None, 32, 32), (90, 1.0, None, 90)],
)  # fmt: skip
def test_how_many_rows_are_left(rows: int, fraction: float | None, most: int | None, kept: int) -> None:
    assert subset_rows(rows, fraction, most) == kept


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**64 - 1), st.data())
def test_subsets_nest_and_have_distinct_rows(rows: int, key: int, data: st.DataObject) -> None:
    small = data.draw(st.integers(1, rows))
    large = data.draw(st.integers(small, rows))
    few, many = chosen_rows(key, rows, small), chosen_rows(key, rows, large)
    assert len(set(few.tolist())) == small and len(set(many.tolist())) == large
    assert set(few.tolist()) <= set(many.tolist()) <= set(range(rows))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 2000), st.integers(0, 2**64 - 1), st.integers(0, 400), st.data())
def test_the_rows_of_least_hash_are_chosen_and_rows_at_the_end_take_the_place_of_few(
    rows: int, key: int, more: int, data: st.DataObject
) -> None:
    kept = data.draw(st.integers(1, rows))
    found = chosen_rows(key, rows, kept).tolist()
    hashes = keyed.draw(key, np.arange(rows + more)).tolist()
    assert found == sorted(sorted(range(rows), key=lambda row: hashes[row])[:kept])
    grown = set(chosen_rows(key, rows + more, kept).tolist())
    assert {row for row in grown if row < rows} <= set(found)


def test_a_subset_over_several_chunks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = chosen_rows(7, 10_000, 500)
    monkeypatch.setattr(subset, "_CHUNK", 777)
    assert (chosen_rows(7, 10_000, 500) == whole).all()


def test_a_subset_is_spread_over_the_rows() -> None:
    found = chosen_rows(3, 100_000, 10_000)
    per_tenth = np.bincount(found // 10_000, minlength=10)
    assert ((per_tenth - 1000) ** 2 / 1000).sum() < 33.7  # chi-square of 9 degrees of freedom, one in ten thousand


def plan_of(rows: int, of: int | None, copies: int = 1, seed: int = 0, epochs: float = 1) -> Plan:
    task = PlanTask("a", "train", rows * copies, None, of, copies)
    return build_plan([task, PlanTask("b", "train", 5)], [rows * copies, 5], Stop("epochs", epochs), seed)


def rows_of(plan: Plan) -> list[int]:
    located = plan.resolve(np.arange(plan.length or 0))
    return [row for task, row in zip(located.task.tolist(), located.surviving.tolist(), strict=True) if task == 0]


def test_a_plan_draws_from_the_subset_only_each_row_once_an_epoch() -> None:
    few, many = rows_of(plan_of(30, 1000, epochs=2)), rows_of(plan_of(90, 1000))
    assert set(Counter(few).values()) == {2} and len(set(few)) == 30
    assert set(few) < set(many)
    assert set(rows_of(plan_of(30, 1000, seed=1))) != set(few)


def test_with_all_templates_the_subset_is_of_rows() -> None:
    plain, copied = rows_of(plan_of(30, 1000)), rows_of(plan_of(30, 1000, copies=4))
    assert Counter(row // 4 for row in copied) == dict.fromkeys(plain, 4)
    assert {row % 4 for row in copied} == {0, 1, 2, 3}


def test_a_subset_is_part_of_what_a_plan_means() -> None:
    plan = plan_of(30, 1000)
    assert Plan.from_json(plan.to_json()) == plan
    assert len({plan.digest, plan_of(30, 999).digest, plan_of(30, None).digest}) == 3
    assert "of" not in plan_of(30, None).to_json()["tasks"][0]
