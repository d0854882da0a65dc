"""Template choice: pure in its keys, stable when templates come and go, fair to the weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasksource_reg.errors import TsrError
from tasksource_reg.keyed import draw, further, stream_key
from tasksource_reg.prompting.choose import NONE, choose, negative_log
from tasksource_reg.prompting.model import Template

KEY = stream_key(7, "template", "glue/rte", "train")


def templates(*ids: str) -> list[Template]:
    return [Template(f"nli/{i}", "nli", "classification", "p", "r") for i in ids]


def ids(chosen: np.ndarray, of: list[Template]) -> list[str | None]:
    return [None if i == NONE else of[i].id for i in chosen]


def test_a_small_case_exactly() -> None:
    of = templates("a", "b", "c")
    rows = np.arange(12)
    keys = [np.uint64(stream_key(t.id)) for t in of]
    by_hand = [max(range(3), key=lambda i: int(further(draw(KEY, int(row), 0, 0), keys[i]))) for row in rows]
    assert choose("hash", of, KEY, rows, 0, 0).tolist() == by_hand
    assert len(set(by_hand)) == 3


NAMES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=7, unique=True).map(sorted)


@settings(max_examples=200, deadline=None)
@given(NAMES, st.integers(0, 2**60), st.booleans())
def test_adding_a_template_changes_only_the_rows_that_fall_to_it(names: list[str], first: int, weighted: bool) -> None:
    rows = np.arange(first, first + 200)
    before, after = templates(*names), templates(*sorted([*names, "new"]))
    weights = {t.id: 1.0 + len(t.id) for t in after}
    one = {t.id: weights[t.id] for t in before} if weighted else "hash"
    old = ids(choose(one, before, KEY, rows, 0, 0), before)  # type: ignore[arg-type]
    new = ids(choose(weights if weighted else "hash", after, KEY, rows, 0, 0), after)
    assert [b for a, b in zip(old, new, strict=True) if a != b] == ["nli/new"] * sum(
        a != b for a, b in zip(old, new, strict=True)
    )
    assert "nli/new" in new


@settings(max_examples=100, deadline=None)
@given(NAMES, st.data())
def test_rows_that_may_not_have_their_first_choice_take_the_next_best(names: list[str], data: st.DataObject) -> None:
    of = templates(*names)
    n = 20
    masks = [np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n))) for _ in of]
    chosen = choose("hash", of, KEY, np.arange(n), 0, 0, eligible=masks)
    for row in range(n):
        allowed = [i for i in range(len(of)) if masks[i][row]]
        if not allowed:
            assert chosen[row] == NONE
        else:
            kept = choose("hash", [of[i] for i in allowed], KEY, np.array([row]), 0, 0)
            assert chosen[row] == allowed[kept[0]]


def test_each_row_is_chosen_alone() -> None:
    of = templates("a", "b", "c")
    rows, parts = np.arange(100), np.arange(100) % 3
    whole = choose("hash", of, KEY, rows, parts, 4)
    assert [int(choose("hash", of, KEY, rows[i : i + 1], parts[i : i + 1], 4)[0]) for i in range(100)] == whole.tolist()
    assert (whole != choose("hash", of, KEY, rows, parts, 5)).any()
    assert (whole != choose("hash", of, KEY + 1, rows, parts, 4)).any()


def test_equal_chances_and_weights_are_kept() -> None:
    of = templates("a", "b", "c")
    n = 60_000
    even = np.bincount(choose("hash", of, KEY, np.arange(n), 0, 0), minlength=3)
    assert abs(even - n / 3).max() < 5 * math.sqrt(n * 2 / 9)
    weights = {"nli/a": 1, "nli/b": 3}
    parts = np.bincount(choose(weights, of, KEY, np.arange(n), 0, 0), minlength=3)
    assert parts[2] == 0
    assert abs(parts[1] - n * 3 / 4) < 5 * math.sqrt(n * 3 / 16)


def test_equal_weights_choose_as_hash_does() -> None:
    of = templates("a", "b", "c")
    rows = np.arange(1000)
    assert (choose({t.id: 2.0 for t in of}, of, KEY, rows, 0, 0) == choose("hash", of, KEY, rows, 0, 0)).all()


@given(st.integers(0, 2**64 - 1))
def test_the_logarithm_is_right(bits: int) -> None:
    u = ((bits >> 11) + 0.5) * 2.0**-53
    ours = float(negative_log(np.array([bits], dtype=np.uint64))[0])
    assert ours == pytest.approx(-math.log(u), rel=1e-9, abs=1e-15)


def test_round_robin_goes_by_occurrence_and_skips() -> None:
    of = templates("a", "b", "c")
    occurrence = np.array([0, 1, 2, 3, 4, 10**12])
    assert choose("round_robin", of, KEY, occurrence=occurrence).tolist() == [0, 1, 2, 0, 1, 1]
    masks = [None, np.array([True, False, True, False, False, True]), np.array([True, False, False, True, True, True])]
    assert choose("round_robin", of, KEY, occurrence=occurrence, eligible=masks).tolist() == [0, 0, 0, 0, 2, 1]
    none = [np.zeros(6, dtype=bool)] * 3
    assert choose("round_robin", of, KEY, occurrence=occurrence, eligible=none).tolist() == [NONE] * 6


def test_no_templates_leave_every_row_without_one() -> None:
    assert choose("hash", [], KEY, np.arange(3), 0, 0).tolist() == [NONE] * 3


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ({"nli/d": 1.0}, "TSR-U007"),
        ({"nli/a": 0}, "TSR-M003"),
        ({"nli/a": float("nan")}, "TSR-M003"),
        ({"nli/a": float("inf")}, "TSR-M003"),
        ({"nli/a": True}, "TSR-M003"),
        ("random", "TSR-U005"),
    ],
)
def test_ways_and_weights_that_mean_nothing(method: object, code: str) -> None:
    with pytest.raises(TsrError, match=code):
        choose(method, templates("a", "b"), KEY, np.arange(3), 0, 0)  # type: ignore[arg-type]
