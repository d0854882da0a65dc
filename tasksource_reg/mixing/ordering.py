"""A mixture's curriculum over its rows: which occurrence of a task stands where, by the scores of the rows.

The plan gives each task its occurrences, shuffled. A curriculum permutes those of an epoch that the run has: it sorts
them by the scores of their rows and lays them out as its pacing says. So the rows are those of the same mixture without
it, in another order; what a row is, its template and shots among it, follows from its occurrence as before. The order
of an epoch is computed when a position of it is first asked for, and takes 4 bytes a row while it is in use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tasksource_reg.keyed import draw, stream_key
from tasksource_reg.mixing.pacing import paced
from tasksource_reg.mixing.plan import IntArray, Plan
from tasksource_reg.mixing.scores import Floats

_Order: TypeAlias = npt.NDArray[np.integer]

EPOCHS_IN_USE = 2
"""Orders that are kept for each task: a block may lie across the end of an epoch."""


class Ordering:
    """The occurrences of a plan in the order of its curriculum.

    Args:
        plan: has a curriculum.
        scores: for a task's number and int64 [n] rows of it, by their numbers in the plan, their scores: float64 [n].
    """

    def __init__(self, plan: Plan, scores: Callable[[int, IntArray], Floats]) -> None:
        assert plan.curriculum is not None
        self._plan, self._curriculum, self._scores = plan, plan.curriculum, scores
        self._orders: dict[int, OrderedDict[int, _Order]] = {}

    def ordered(self, task: npt.NDArray[np.int32], occurrence: IntArray) -> IntArray:
        """What stands in the place of each occurrence.

        Args:
            task: int32 [rows], numbers of tasks.
            occurrence: int64 [rows], as the plan locates them.

        Returns:
            int64 [rows], occurrences of the same tasks, in the same epochs.
        """
        out = occurrence.copy()
        for number in np.flatnonzero(np.bincount(task)).tolist():
            here, rows = np.flatnonzero(task == number), self._plan.tasks[number].rows
            epochs, place = np.divmod(occurrence[here], rows)
            for epoch in np.unique(epochs).tolist():
                many = self._curriculum.rows(number, rows, epoch)
                which = here[(epochs == epoch) & (place < many)]
                if len(which):
                    out[which] = self._order(number, epoch, many)[occurrence[which] - epoch * rows] + epoch * rows
        return out

    def _order(self, task: int, epoch: int, rows: int) -> _Order:
        """The occurrence, counted from the epoch's start, at each of the places of an epoch that are ordered."""
        known = self._orders.setdefault(task, OrderedDict())
        if epoch not in known:
            known[epoch] = self._computed(task, epoch, rows)
            while len(known) > EPOCHS_IN_USE:
                known.popitem(last=False)
        known.move_to_end(epoch)
        return known[epoch]

    def _computed(self, task: int, epoch: int, rows: int) -> _Order:
        name, curriculum = self._plan.tasks[task], self._curriculum
        place = np.arange(rows, dtype=np.int64)
        row = self._plan.rows_of(np.full(rows, task, np.int32), place + epoch * name.rows).surviving
        score = self._scores(task, row)
        lots = draw(stream_key(self._plan.seed, "order by score", name.id, name.split), epoch, row)  # for equal scores
        order = np.lexsort((lots, -score if curriculum.descending else score))
        if curriculum.pacing is not None:
            key = stream_key(self._plan.seed, "pacing", name.id, name.split)
            order = order[paced(curriculum.pacing.available(rows), draw(key, epoch, place))]
        small: _Order = order.astype(np.int32 if rows < 2**31 else np.int64)
        return small
