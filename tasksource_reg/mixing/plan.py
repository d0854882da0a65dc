"""The plan: a pure function from a position to (task, epoch, row), and what it takes to write it down.

A plan is a list of segments, in each of which every task keeps a fixed share (`split_tree`); where a task is exhausted
or at its epoch cap, or the rates change, another segment begins, so a prefix never changes. The occurrence j of a task
becomes (epoch = j div rows, row = keyed permutation of [0, rows) at j mod rows), keyed by (seed, task id, split):
adding, dropping or reordering tasks changes no other task's rows. Nothing here holds state; positions may be asked
for in any order, any number of times.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tasksource_reg import keyed
from tasksource_reg.errors import error
from tasksource_reg.mixing import permutation
from tasksource_reg.mixing.pacing import Curriculum
from tasksource_reg.mixing.rates import check_rates, integer_weights
from tasksource_reg.mixing.segments import (
    PlanTask,
    Segment,
    Stop,
    extend,
    ranks,
    segment_tree,
    segments_from_json,
    segments_to_json,
    spent_by,
)
from tasksource_reg.mixing.split_tree import LIMIT, SplitTree
from tasksource_reg.mixing.subset import chosen_rows

IntArray: TypeAlias = npt.NDArray[np.int64]

VERSION = 1
_TOGETHER = 2**18  # positions that are counted at once


class Located(NamedTuple):
    """Rows of a plan: task number (int32), epoch (int64), and number among the task's surviving rows (int64)."""

    task: npt.NDArray[np.int32]
    epoch: IntArray
    surviving: IntArray


@dataclass(frozen=True)
class Plan:
    """A resolved order of rows: see the module's docstring.

    Attributes:
        tasks: distinct (id, split).
        segments: by start, the first at 0.
        length: positions; None where the plan never ends.
        seed: of the order of rows and of the places of tasks.
        stop: the rule that gave the length.
        batch: positions [k * batch, (k + 1) * batch) are all of one task; segments begin with such a batch.
        locality: rows of a block, and blocks of a window, whose rows alone are mixed (`permutation.permute_blocks`);
            None mixes all rows of a task.
        curriculum: how the occurrences of a task are ordered by scores of its rows, which the plan does not know: see
            `ordering.Ordering`. None leaves them shuffled.
        unordered: the positions of the plan without it, in a keyed order.
    """

    tasks: tuple[PlanTask, ...]
    segments: tuple[Segment, ...]
    length: int | None
    seed: int
    stop: Stop
    batch: int = 1
    locality: tuple[int, int] | None = None
    curriculum: Curriculum | None = None
    unordered: bool = False

    def locate(self, positions: npt.ArrayLike) -> tuple[npt.NDArray[np.int32], IntArray]:
        """The task at each position, and the number of its occurrence.

        Args:
            positions: int64 [rows], in any order.

        Returns:
            int32 [rows] task number and int64 [rows] occurrence, counted from the start of the plan.

        Raises:
            TsrError: TSR-M006 for a position outside the plan.
        """
        at = np.atleast_1d(np.asarray(positions, dtype=np.int64))
        if len(at):
            self._check(int(at.min()), int(at.max()))
        if self.unordered:
            at = permutation.permute(keyed.stream_key(self.seed, "unordered"), self.length or 1, 0, at)
        task, occurrence = np.empty(len(at), dtype=np.int32), np.empty(len(at), dtype=np.int64)
        number = np.searchsorted(self._starts, at, side="right") - 1
        present = np.flatnonzero(np.bincount(number)).tolist()
        for segment in present:
            rows: Any = slice(None) if len(present) == 1 else np.flatnonzero(number == segment)
            found, local = self._locate(segment, at[rows] - self.segments[segment].start)
            task[rows] = found
            occurrence[rows] = local + self._firsts(segment)[found]
        return task, occurrence

    def resolve(self, positions: npt.ArrayLike) -> Located:
        """The row at each position of a plan without a curriculum.

        Args:
            positions: int64 [rows], in any order.

        Raises:
            TsrError: TSR-M006 for a position outside the plan.
        """
        if self.curriculum is not None:
            raise ValueError("a curriculum orders rows by scores; see MixtureData.located")
        return self.rows_of(*self.locate(positions))

    def rows_of(self, task: npt.NDArray[np.int32], occurrence: IntArray) -> Located:
        """The row of each occurrence of a task, as they are shuffled.

        Args:
            task: int32 [rows], numbers of tasks.
            occurrence: int64 [rows], from the start of the plan.
        """
        rows = self._rows[task]
        epoch = occurrence // rows
        keys, at = self._order_keys[task], occurrence - epoch * rows
        if self.locality is None:
            surviving = permutation.permute(keys, rows, epoch, at)
        else:
            surviving = permutation.permute_blocks(keys, rows, epoch, at, *self.locality)
        for number in np.unique(task).tolist() if self._partial else ():
            here = np.flatnonzero(task == number)
            surviving[here] = self._among_all(number, surviving[here])
        return Located(task, epoch, surviving)

    def _locate(self, segment: int, at: IntArray) -> tuple[IntArray, IntArray]:
        """Task and occurrence, counted from the segment's start, of positions counted from there too."""
        if self.batch == 1:
            return self._tree(segment).locate(at)
        whole = at // self.batch
        found, local = self._tree(segment).locate(whole)
        return found, local * self.batch + (at - whole * self.batch)

    def _among_all(self, task: int, rows: IntArray) -> IntArray:
        """Rows of a task, numbered among all its surviving rows (times its copies) in place of those of its subset."""
        subset, copies = self.subset(task), self.tasks[task].copies
        if subset is None:
            return rows
        which, copy = np.divmod(rows, copies)
        out: IntArray = subset[which] * copies + copy
        return out

    def subset(self, task: int) -> IntArray | None:
        """The surviving rows that a task gives, int64, ascending; None where it gives all."""
        name, split, rows, _, of, copies, _ = self.tasks[task]
        if of is None:
            return None
        if task not in self._subsets:
            key = keyed.stream_key(self.seed, "subset", name, split)
            self._subsets[task] = chosen_rows(key, of, rows // copies)
        return self._subsets[task]

    def occurrences_before(self, position: int) -> IntArray:
        """How many positions before `position` each task has: int64 [tasks], exact, summing to `position`.

        Raises:
            TsrError: TSR-M006 for a position after the plan's end.
        """
        return self.occurrences_within(0, position)

    def occurrences_within(self, start: int, stop: int) -> IntArray:
        """How many of the positions [start, stop) each task has: int64 [tasks], exact.

        Raises:
            TsrError: TSR-M006 for positions outside the plan.
        """
        if stop != start:
            self._check(start, stop - 1)
        if not self.unordered or (start, stop) == (0, self.length):
            return self._occurrences(stop) - self._occurrences(start)
        counts = np.zeros(len(self.tasks), dtype=np.int64)
        for first in range(start, stop, _TOGETHER):
            task, _ = self.locate(np.arange(first, min(first + _TOGETHER, stop), dtype=np.int64))
            counts += np.bincount(task, minlength=len(counts))
        return counts

    def _occurrences(self, position: int) -> IntArray:
        """As `occurrences_before`, also just after the end, where the last batch is filled up."""
        if not self.segments:
            return np.zeros(len(self.tasks), dtype=np.int64)
        segment = max(0, int(np.searchsorted(self._starts, position, side="left")) - 1)
        whole, rest = divmod(position - self.segments[segment].start, self.batch)
        counts = self._tree(segment).counts(whole) * self.batch + self._firsts(segment)
        if rest:
            counts[self._tree(segment).locate(np.array([whole]))[0]] += rest
        return counts

    def reweight(self, at: int, rates: Sequence[float]) -> Plan:
        """The same plan up to position `at`, with other rates from there on; the stop rule and the epoch caps stay.

        Args:
            at: a position of the plan, or its length.
            rates: one a task; 0 makes a task pause.

        Raises:
            TsrError: TSR-M006 for a position outside the plan, TSR-M003 for rates below 0 or all 0.
        """
        if self.unordered:
            fix = "give other rates to the mixture that it is the control of"
            raise error("TSR-U005", "a control has the positions of its mixture, and no rates of its own", fix=fix)
        first = self.occurrences_before(at)
        if at % self.batch:
            fix = f"use {at - at % self.batch:,}"
            raise error("TSR-U005", f"position {at:,} lies inside a batch of {self.batch}", fix=fix)
        kept = tuple(segment for segment in self.segments if segment.start < at)
        weights = self.whole_weights(rates)
        segments, length = extend(self.tasks, self.seed, self.stop, kept, at, first, weights, batch=self.batch)
        return replace(self, segments=segments, length=length)

    def then(self, rates: Sequence[float], stop: Stop) -> Plan:
        """The same plan with another stage after its end, which begins with a whole batch.

        Tasks that came before go on with the row that is next in their epoch. Of the stop rule, `rows`, `epochs` (of
        the stage's tasks) and budgets count from the stage's beginning; the rules about exhaustion look at all
        occurrences so far: `each_once` gives the rows that have not come yet.

        Args:
            rates: one a task; 0 for tasks that the stage does not have.
            stop: where the stage ends.

        Raises:
            TsrError: TSR-M009 after a plan without end, TSR-M003 for rates below 0 or all 0, TSR-M016 for a stage that
                ends before it begins.
        """
        if self.length is None:
            raise error("TSR-M009", "a stage follows one that does not end", fix="let each stage but the last end")
        start = -(-self.length // self.batch) * self.batch
        first, weights = self._occurrences(start), self.whole_weights(rates)
        known = stop.rows(sum(task.rows for task, rate in zip(self.tasks, rates, strict=True) if rate))
        rule = stop if known is None else Stop("rows", start + known)
        tasks = self.tasks
        if stop.kind == "each_once":
            tasks = tuple(t._replace(limit=t.rows if t.limit is None else min(t.rows, t.limit)) for t in tasks)
        spent = spent_by([task.size or 0 for task in self.tasks], first)
        kept, size = self.segments, self.batch
        segments, length = extend(tasks, self.seed, rule, kept, start, first, weights, batch=size, spent=spent)
        if length is not None and length <= start:
            raise error("TSR-M016", f"the stage that begins at position {start:,} has no positions")
        whole = Stop("never") if length is None else Stop("rows", length)
        return replace(self, segments=segments, length=length, stop=whole)

    def whole_weights(self, rates: Sequence[float]) -> tuple[int, ...]:
        """Whole weights of rates, one a task, of which some may be 0; of such weights, these themselves.

        Raises:
            TsrError: TSR-M003 for rates below 0 or all 0.
        """
        check_rates([rate or 1.0 for rate in rates], [task.id for task in self.tasks])
        if not any(rates):
            raise error("TSR-M003", "all rates are 0")
        return integer_weights(rates, self._ranks)

    def to_json(self) -> dict[str, Any]:
        """The plan as plain JSON values; equal plans give equal values."""
        return {
            "version": VERSION,
            "seed": self.seed,
            "stop": {"kind": self.stop.kind, "amount": self.stop.amount},
            "length": self.length,
            "tasks": [task.to_json() for task in self.tasks],
            "segments": segments_to_json(self.segments),
            **({} if self.batch == 1 else {"batch": self.batch}),
            **({} if self.locality is None else {"locality": list(self.locality)}),
            **({} if self.curriculum is None else {"curriculum": self.curriculum.to_json()}),
            **({"unordered": True} if self.unordered else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Plan:
        """The plan that `to_json` wrote.

        Raises:
            TsrError: TSR-M015 for a version that this package does not read, or values that are no plan.
        """
        if value.get("version") != VERSION:
            raise error("TSR-M015", f'the plan has version "{value.get("version")}", this package reads {VERSION}')
        try:
            tasks = tuple(PlanTask(**task) for task in value["tasks"])
            stop, seed = Stop(**value["stop"]), int(value["seed"])
            batch = int(value.get("batch", 1))
            segments = segments_from_json(tasks, seed, value["segments"], batch)
            block, window = value.get("locality") or (0, 0)
            locality = (int(block), int(window)) if block else None
            ordered = value.get("curriculum")
            curriculum = None if ordered is None else Curriculum.from_json(ordered)
            unordered = bool(value.get("unordered", False))
            return cls(tasks, segments, value["length"], seed, stop, batch, locality, curriculum, unordered)
        except (KeyError, TypeError, ValueError, IndexError) as cause:
            raise error("TSR-M015", f"not a plan: {type(cause).__name__} {cause}") from cause

    @cached_property
    def digests(self) -> dict[str, str]:
        """Eight hex digits for each kind of component: tasks, rates, stop, seed. The order of tasks does not count.

        How many rows of a task stand together goes with the rates, as a curriculum does; the locality with the seed.
        """
        order = np.argsort(self._ranks).tolist()
        weights = [[segment.start, *(segment.weights[task] for task in order)] for segment in self.segments]
        return {
            "tasks": _digest([_meaning(self.tasks[task]) for task in order]),
            "rates": _digest([weights, [self.tasks[task].limit for task in order], *self._ordered(order)]),
            "stop": _digest([self.stop.kind, self.stop.amount, self.length]),
            "seed": _digest(self.seed if self.locality is None else [self.seed, *self.locality]),
        }

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits over everything that the order of rows depends on."""
        return _digest([VERSION, self.digests], size=8)

    def _check(self, least: int, most: int) -> None:
        end = LIMIT if self.length is None else self.length
        for position in (least, most):
            if not 0 <= position < end:
                raise error("TSR-M006", f"position {position:,} is outside the plan of {end:,} positions")

    def _tree(self, segment: int) -> SplitTree:
        if segment not in self._trees:
            part = self.segments[segment]
            self._trees[segment] = segment_tree(self.seed, part.start, part.weights, self._ranks)
        return self._trees[segment]

    def _firsts(self, segment: int) -> IntArray:
        return np.asarray(self.segments[segment].first, dtype=np.int64)

    def _ordered(self, order: Sequence[int]) -> list[Any]:
        """What else the order of positions depends on, tasks in an order of names; nothing in most plans."""
        found: list[Any] = [] if self.batch == 1 else [self.batch]
        if self.curriculum is not None:
            extents = self.curriculum.extents
            found.append(self.curriculum.to_json() | {"extents": extents and [extents[task] for task in order]})
        return [*found, "unordered"] if self.unordered else found

    @cached_property
    def _partial(self) -> bool:
        return any(task.of is not None for task in self.tasks)

    @cached_property
    def _subsets(self) -> dict[int, IntArray]:
        return {}

    @cached_property
    def _trees(self) -> dict[int, SplitTree]:
        return {}

    @cached_property
    def _ranks(self) -> IntArray:
        return ranks(self.tasks)

    @cached_property
    def _starts(self) -> IntArray:
        return np.array([segment.start for segment in self.segments], dtype=np.int64)

    @cached_property
    def _rows(self) -> IntArray:
        return np.array([task.rows for task in self.tasks], dtype=np.int64)

    @cached_property
    def _order_keys(self) -> keyed.Bits:
        keys = [keyed.stream_key(self.seed, "order", task.id, task.split) for task in self.tasks]
        return np.array(keys, dtype=np.uint64)


def rank_positions(start: int, stop: int, rank: int, world: int) -> IntArray:
    """The positions of one rank: those of `rank + k * world` in [start, stop), as int64.

    Raises:
        TsrError: TSR-U005 unless 0 <= rank < world.

    Example:
        >>> rank_positions(5, 12, rank=1, world=3).tolist()
        [7, 10]
    """
    if not 0 <= rank < world:
        raise error("TSR-U005", f"rank {rank} of a world of {world}", fix="ranks run from 0 to world - 1")
    return np.arange(start + (rank - start) % world, stop, world, dtype=np.int64)


def _meaning(task: PlanTask) -> list[object]:
    """What the rows of a task depend on."""
    return [*task[:3]] if task.of is None else [*task[:3], task.of, task.copies]


def _digest(value: object, size: int = 4) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()
