"""Curricula as arithmetic: which of a task's rows, sorted from easy to hard, stands at each place of an epoch.

A pacing function says which share of the easiest rows is available when a share of the epoch has passed; each place
takes one of the available rows that have not come yet, all of them equally likely. So every row comes once an epoch, as
without a curriculum, and a place never holds a harder row than its pacing allows. Where the function asks for fewer
rows than have passed, rows come sorted. Everything is a pure function of keys and whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from tasksource_reg.keyed import Bits, below
from tasksource_reg.mixing.permutation import IntArray

PacingName = Literal["linear", "root", "quadratic", "step", "exponential", "logarithmic"]
STEPS = 1000
"""So many times an epoch the number of available rows grows: computed in decimals, the same on every machine."""

_TEN, _TINY = Decimal(10), (-Decimal(10)).exp()
FUNCTIONS: Mapping[PacingName, Callable[[Decimal], Decimal]] = {
    "linear": lambda x: x,
    "root": lambda x: x.sqrt(),
    "quadratic": lambda x: x * x,
    "step": lambda x: Decimal(int(x >= 1)),
    "exponential": lambda x: ((_TEN * x).exp() - 1) / (_TEN.exp() - 1),
    "logarithmic": lambda x: 1 + (x + _TINY).ln() / 10,
}
"""What share of the rows that are not available at first is so, by the share of the time until all are.

The pacing functions of Wu, Dyer and Neyshabur, "When do curricula work?", ICLR 2021, with their constants.
"""


@dataclass(frozen=True, slots=True)
class Pacing:
    """A pacing function: `start` of the rows are available at once, all of them from `full_at` of the epoch on."""

    function: PacingName
    start: float
    full_at: float

    def available(self, rows: int) -> IntArray:
        """How many of the easiest of so many rows are available at each place: int64 [rows], place + 1 at least."""
        place = np.arange(rows, dtype=np.int64)
        parts = np.array(_parts(self), dtype=np.int64)
        step = place * STEPS // max(rows, 1)
        most = parts[step] // _UNIT * rows + (parts[step] % _UNIT * rows + _UNIT - 1) // _UNIT
        result: IntArray = np.clip(most, place + 1, rows)
        return result


_UNIT = 2**30  # rows times a part of it fits into 63 bits


@lru_cache(maxsize=64)
def _parts(pacing: Pacing) -> tuple[int, ...]:
    """The share of rows that are available in each step, in parts of `_UNIT`."""
    with localcontext() as context:
        context.prec = 30
        start, full_at = Decimal(repr(pacing.start)), Decimal(repr(pacing.full_at))
        out = []
        for step in range(STEPS):
            time = min(Decimal(step) / STEPS / full_at, Decimal(1))
            share = start + (1 - start) * FUNCTIONS[pacing.function](time)
            out.append(min(max(int(share * _UNIT), 1), _UNIT))
        return tuple(out)


@dataclass(frozen=True, slots=True)
class Curriculum:
    """The order of a mixture's rows by their scores, task by task.

    Attributes:
        by: what scores are: `length`, or `scores <digest of their file> <column>`.
        descending: the highest score comes first.
        pacing: None for the sorted order.
        epochs: how many epochs of a task are ordered, the later ones shuffled; None: all.
        extents: for each task of the plan, how many of its occurrences are ordered: those that the run has; None where
            it never ends. What comes after them is shuffled.
    """

    by: str
    descending: bool = False
    pacing: Pacing | None = None
    epochs: int | None = None
    extents: tuple[int, ...] | None = None

    def rows(self, task: int, rows: int, epoch: int) -> int:
        """How many places of an epoch of a task are ordered.

        Args:
            task: its number in the plan; rows: of an epoch of it.
            epoch: which of its epochs.
        """
        if self.epochs is not None and epoch >= self.epochs:
            return 0
        return rows if self.extents is None else max(0, min(rows, self.extents[task] - epoch * rows))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"extents": None if self.extents is None else list(self.extents)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Curriculum:
        """The curriculum that `to_json` wrote.

        Raises:
            KeyError, TypeError: values that are none.
        """
        pacing, extents = value["pacing"], value["extents"]
        return cls(
            str(value["by"]),
            bool(value["descending"]),
            None if pacing is None else Pacing(**pacing),
            value["epochs"],
            None if extents is None else tuple(int(n) for n in extents),
        )


def paced(available: IntArray, lots: Bits) -> IntArray:
    """Which row stands at each place, where each place takes one of the available rows that have not come, by lot.

    The Fisher-Yates shuffle (Durstenfeld, CACM 7(7), 1964) in which place i swaps with a place in [i, available[i]),
    for all places at once: what stands at a place is followed back through the swaps by pointer doubling.

    Args:
        available: int64 [n], how many of the first rows may stand at each place; ascending, above the place, at most n.
        lots: uint64 [n], a draw for each place.

    Returns:
        int64 [n], a permutation of [0, n) whose element i is below `available[i]`; all that are so are equally likely
        in the order of the places.

    Example:
        >>> paced(np.array([1, 2, 3]), np.zeros(3, np.uint64)).tolist()
        [0, 1, 2]
    """
    place = np.arange(len(available), dtype=np.int64)
    swapped = place + below(lots, available - place)
    order = np.argsort(swapped, kind="stable")  # by partner, then by place
    same = swapped[order][1:] == swapped[order][:-1]
    sooner = np.full(len(place), -1, dtype=np.int64)  # the last place before this one with the same partner
    sooner[order[1:][same]] = order[:-1][same]
    # What a place holds before its own turn came there when an earlier place swapped with it: the last that did.
    last = np.full(len(place), -1, dtype=np.int64)
    last[swapped[order]] = order  # of several the last one stays: the order ascends within a partner
    held = np.where(last == place, sooner, last)
    root = np.where(held < 0, place, held)
    while True:
        further = root[root]
        if np.array_equal(further, root):
            break
        root = further
    return np.where(sooner < 0, swapped, root[sooner])
