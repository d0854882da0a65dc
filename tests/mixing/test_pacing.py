"""Pacing: every row once, none before its time, and otherwise nothing but chance."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasksource_reg.keyed import below, draw
from tasksource_reg.mixing.pacing import FUNCTIONS, STEPS, Curriculum, Pacing, PacingName, paced

Ints = npt.NDArray[np.int64]

FORMULAS = {  # Wu, Dyer and Neyshabur 2021, of the time until all rows are available
    "linear": lambda t: t,
    "root": math.sqrt,
    "quadratic": lambda t: t**2,
    "step": math.floor,
    "exponential": lambda t: (math.exp(10 * t) - 1) / (math.exp(10) - 1),
    "logarithmic": lambda t: 1 + 0.1 * math.log(t + math.exp(-10)),
}


def one_swap_after_the_other(available: Ints, lots: npt.NDArray[np.uint64]) -> list[int]:
    """The definition that `paced` computes for all places at once."""
    partner = (np.arange(len(available)) + below(lots, available - np.arange(len(available)))).tolist()
    rows = list(range(len(available)))
    for place, other in enumerate(partner):
        rows[place], rows[other] = rows[other], rows[place]
    return rows


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60), st.integers(0, 2**63))
def test_pacing_is_the_shuffle_it_says_it_is(most: list[int], key: int) -> None:
    place = np.arange(len(most))
    available = np.clip(np.maximum.accumulate(np.array(most)), place + 1, len(most))
    lots = draw(key, place)
    found = paced(available, lots)
    assert found.tolist() == one_swap_after_the_other(available, lots)
    assert sorted(found.tolist()) == place.tolist()
    assert (found < available).all()


def test_each_row_that_is_available_is_equally_likely() -> None:
    available = np.array([2, 2, 5, 5, 5, 6])
    orders = [tuple(paced(available, draw(key, np.arange(6))).tolist()) for key in range(9600)]
    # 2 * 1 * 3 * 2 * 1 * 1 = 12 ways through the places
    counts = np.unique(np.array(orders), axis=0, return_counts=True)[1]
    assert len(counts) == 12
    assert ((counts - 800) ** 2 / 800).sum() < 37.4  # chi-square of 11 degrees of freedom: p > 1e-4


@pytest.mark.parametrize("function", list(FUNCTIONS))
@pytest.mark.parametrize(("start", "full_at"), [(0.2, 0.8), (0.04, 0.5), (1.0, 1.0)])
def test_what_is_available_follows_the_formulas(function: PacingName, start: float, full_at: float) -> None:
    rows = 5000
    found = Pacing(function, start, full_at).available(rows)
    for place in (0, 1, 700, 2499, 2500, 3999, 4000, 4999):
        time = min((place * STEPS // rows) / STEPS / full_at, 1)
        share = min(max(start + (1 - start) * FORMULAS[function](time), 0), 1)
        assert abs(int(found[place]) - max(share * rows, place + 1)) <= 1
    assert (np.diff(found) >= 0).all() and found[-1] == rows


@given(st.sampled_from(list(FUNCTIONS)), st.integers(1, 3000), st.floats(0.001, 1), st.floats(0.001, 1))
def test_any_pacing_leaves_a_row_for_each_place(function: PacingName, rows: int, start: float, full_at: float) -> None:
    available = Pacing(function, start, full_at).available(rows)
    place = np.arange(rows)
    assert len(available) == rows
    assert ((available > place) & (available <= rows)).all() and (np.diff(available) >= 0).all()


def test_large_epochs_do_not_overflow() -> None:
    available = Pacing("linear", 0.5, 1.0).available(3_000_000)
    assert available[0] == 1_500_000 and available[-1] == 3_000_000


def test_a_curriculum_orders_what_the_run_has() -> None:
    plan = Curriculum("length", extents=(25, 7))
    assert [plan.rows(0, 10, epoch) for epoch in range(4)] == [10, 10, 5, 0]
    assert plan.rows(1, 10, 0) == 7
    first = Curriculum("length", epochs=1)
    assert [first.rows(0, 10, epoch) for epoch in range(3)] == [10, 0, 0]
    for one in (plan, first, Curriculum("length", True, Pacing("root", 0.1, 0.9), 2, (1,))):
        assert Curriculum.from_json(one.to_json()) == one
