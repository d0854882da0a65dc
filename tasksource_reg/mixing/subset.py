"""Subsets of a task's rows that nest: the 1 % lie inside the 6 %, and the 32 rows inside the 64.

A row is drawn by the keyed hash of its number among the task's surviving rows, under the stream of (seed, task, split):
the k rows of least hash are the subset. So it does not depend on the order of the rows, growing k only adds rows, and
rows that the source gains at its end take the place of few.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from tasksource_reg import keyed
from tasksource_reg.mixing.permutation import IntArray

_CHUNK = 2**20


def subset_rows(rows: int, fraction: float | None = None, most: int | None = None) -> int:
    """How many of so many rows a fraction (rounded half up, at least one) or a fixed number leaves.

    Args:
        rows: surviving rows, at least 1.
        fraction: in (0, 1]; read as it is written, so that 0.29 is 29/100.
        most: rows a task; all where it has fewer.

    Example:
        >>> subset_rows(200, 0.01), subset_rows(30, 0.01), subset_rows(20, most=32)
        (2, 1, 20)
    """
    kept = rows
    if fraction is not None:
        kept = max(1, math.floor(Fraction(repr(float(fraction))) * rows + Fraction(1, 2)))
    return min(kept, rows if most is None else most)


def chosen_rows(key: int, rows: int, kept: int) -> IntArray:
    """The rows of a subset.

    Args:
        key: stream key of the task's subset.
        rows: surviving rows; kept: how many of them.

    Returns:
        int64 [kept], row numbers in [0, rows), ascending. Those of a smaller `kept` are among those of a larger one.
        Takes time in proportion to `rows`, memory in proportion to `kept`.
    """
    margin = 8 * math.sqrt(kept) + 64  # so many more are let through than are wanted, lest there be too few
    bound = min(1.0, (kept + margin) / rows)
    found = _below(key, rows, bound)
    if len(found) < kept:
        found = _below(key, rows, 1.0)
    order = np.lexsort((found, keyed.draw(key, found)))[:kept]
    return np.sort(found[order])


def _below(key: int, rows: int, bound: float) -> IntArray:
    """The rows whose hash, as a number in [0, 1), is below a bound."""
    parts = []
    for start in range(0, rows, _CHUNK):
        number = np.arange(start, min(start + _CHUNK, rows), dtype=np.int64)
        parts.append(number[keyed.uniform(keyed.draw(key, number)) < bound])
    return np.concatenate(parts)
