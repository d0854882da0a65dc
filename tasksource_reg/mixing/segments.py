"""Segments: stretches of a plan with fixed shares, and the rules that say where one ends and the next begins.

A segment lasts until a task would take more positions than it may; the next one goes on without it, the others' weights
unchanged. The ends are found exactly, by asking the tree where a task's occurrence stands. Stop rules turn into a
length here. All pure: from tasks, weights, a stop rule and a seed to tuples of plain numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from tasksource_reg import keyed
from tasksource_reg.errors import error
from tasksource_reg.mixing.split_tree import DEVIATION, LIMIT, SplitTree

IntArray: TypeAlias = npt.NDArray[np.int64]
StopKind = Literal[
    "rows", "epochs", "characters", "tokens", "first_exhausted", "all_exhausted", "each_once", "never"
]  # fmt: skip
COUNTED = ("rows", "epochs", "characters", "tokens")
"""Stop rules that take a number."""
SIZE_UNIT = 2**20
"""A task's size is in parts of a character or token: one of so many."""


class PlanTask(NamedTuple):
    """A task of a plan.

    Attributes:
        id, split: its name.
        rows: the rows that it gives in an epoch.
        limit: how many positions it may take; None: any number.
        of: the surviving rows among which its rows are drawn, where it gives only a subset; None: it gives all.
        copies: how often each surviving row stands among its rows (once with each template); counts beside `of` only.
        size: what a position of it counts towards a budget, in parts of `SIZE_UNIT`; None without a budget.
    """

    id: str
    split: str
    rows: int
    limit: int | None = None
    of: int | None = None
    copies: int = 1
    size: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; what most tasks do not have is left out."""
        body = self._asdict()
        always = ("id", "split", "rows", "limit")
        return {key: value for key, value in body.items() if key in always or value != self._field_defaults[key]}


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a plan ends.

    `rows`: after `amount` positions. `epochs`: after `amount` times the sum of all tasks' rows, rounded half up (as
    `num_epochs` over one concatenated dataset; it is one pass over each task only where rates follow the row counts).
    `characters`, `tokens`: before the first position at which the tasks' sizes add up to more than `amount`; each
    position counts the mean of its task's rows, so whole epochs count exactly what they hold. `first_exhausted`: before
    the first position that would repeat a row. `all_exhausted`: when every row of every task has come at least once,
    while others repeat. `each_once`: when every row of every task has come exactly once. `never`: not at all.
    """

    kind: StopKind
    amount: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(StopKind):
            raise error("TSR-U005", f'no stop rule "{self.kind}"', fix="use one of " + ", ".join(get_args(StopKind)))
        counted = self.kind in COUNTED
        if counted != (self.amount is not None):
            raise error("TSR-U005", f"stop {self.kind} " + ("needs a number" if counted else "takes no number"))
        if self.amount is not None:
            if not (math.isfinite(self.amount) and self.amount > 0):
                raise error("TSR-U005", f"stop {self.kind} is {self.amount}", fix="give a positive number")
            if self.kind == "rows" and self.amount != int(self.amount):
                raise error("TSR-U005", f"stop rows is {self.amount}", fix="give a whole number")

    def rows(self, total: int) -> int | None:
        """The length that the rule fixes beforehand, for tasks of so many rows together; None where it fixes none."""
        if self.kind == "rows":
            return int(self.amount or 0)
        if self.kind == "epochs":
            return max(1, math.floor(_exact(self.amount or 0) * total + Fraction(1, 2)))
        return None


@dataclass(frozen=True)
class Segment:
    """A stretch of positions with fixed shares.

    Attributes:
        start: its first position.
        weights: one a task; 0 for tasks that do not come.
        first: one a task; the number of the task's next occurrence at `start`.
    """

    start: int
    weights: tuple[int, ...]
    first: tuple[int, ...]


def extend(
    tasks: tuple[PlanTask, ...],
    seed: int,
    stop: Stop,
    kept: tuple[Segment, ...],
    start: int,
    first: IntArray,
    weights: tuple[int, ...],
    *,
    batch: int = 1,
    spent: int = 0,
) -> tuple[tuple[Segment, ...], int | None]:
    """Appends the segments from `start` on, and finds the plan's length.

    A segment lasts until a task would take more positions than its limit; the next one goes on without it.

    Args:
        kept: the segments before `start`.
        first: int64 [tasks]: occurrences before `start`.
        weights: of the tasks from `start` on, before any is left out.
        batch: positions that one task fills at a time; `start` and `first` are whole batches. All that follows is
            counted in batches.
        spent: what the positions before the stop rule began to count have used of a budget, in parts of `SIZE_UNIT`.
    """
    segments = list(kept)
    rows = np.array([task.rows for task in tasks], dtype=np.int64)
    limit = np.array([LIMIT if task.limit is None else task.limit for task in tasks], dtype=np.int64)
    weight = np.asarray(weights, dtype=np.int64)
    _check_batch(tasks, weight, rows if stop.kind == "first_exhausted" else limit, batch)
    start, first, limit, most = start // batch, first // batch, limit // batch, LIMIT // batch
    order = ranks(tasks)
    length = stop.rows(sum(task.rows for task in tasks))
    if length is not None and length > LIMIT:
        raise error("TSR-U005", f"a plan of {length:,} positions", fix=f"at most {LIMIT:,} can be addressed")
    fixed = None if length is None else -(-length // batch)
    budget = _budget(stop, tasks, batch, spent)
    while True:
        active = (weight > 0) & (first < limit)
        if not active.any():
            break
        here = np.where(active, weight, 0)
        tree = segment_tree(seed, start * batch, here, order)
        numbers = np.flatnonzero(active)
        capped = numbers[limit[numbers] < most]
        cut = _earliest(tree, start, capped, (limit - first)[capped], most) if len(capped) else most
        end = fixed
        if stop.kind == "first_exhausted":
            end = _earliest(tree, start, numbers, (rows // batch - first)[numbers], most)
        elif stop.kind == "all_exhausted":
            wanted = -(-rows // batch)
            pending = np.flatnonzero(active & (first < wanted))
            last = _positions(tree, start, pending, (wanted - first)[pending] - 1, most)
            end = int(last.max()) + 1 if len(pending) else start
        elif budget is not None:
            end = budget.end(tree, start, first, cut)
        if end is not None and end <= cut:
            if end > start:
                segments.append(_segment(start, here, first, batch))
            return tuple(segments), end * batch if length is None else min(end * batch, length)
        if cut >= most:
            if stop.kind != "never":
                raise error(
                    "TSR-U005", f"the plan ends after more than {LIMIT:,} positions", fix="set `stop: {rows: N}`"
                )
            return (*segments, _segment(start, here, first, batch)), None
        segments.append(_segment(start, here, first, batch))
        first = first + tree.counts(cut - start)
        start = cut
    if length is not None and length > start * batch:
        raise error("TSR-M014", f"stop asks for {length:,} positions, but the epoch caps allow {start * batch:,}")
    if budget is not None:
        message = f"stop asks for {stop.amount:,.0f} {stop.kind}, but the epoch caps end the plan before"
        raise error("TSR-M014", message)
    return tuple(segments), start * batch


def _check_batch(tasks: Sequence[PlanTask], weight: IntArray, most: IntArray, batch: int) -> None:
    """Raises TSR-U005 for a task that may not fill even one batch."""
    for number in np.flatnonzero((weight > 0) & (most < batch)).tolist():
        message = f"batches of {batch} positions, but the task may take only {most[number]}"
        raise error(
            "TSR-U005", message, fix="exclude it, ask for smaller batches, or stop by rows", task=tasks[number].id
        )


@dataclass(frozen=True, slots=True)
class _Budget:
    """A budget of characters or tokens: how much of it there is, and what a batch of each task counts, in parts."""

    amount: int
    sizes: tuple[int, ...]

    def end(self, tree: SplitTree, start: int, first: IntArray, cut: int) -> int | None:
        """The last batch number in [start, cut] before which no more than the budget is spent; None: it lies later."""

        def within(end: int) -> bool:
            return spent_by(self.sizes, first + tree.counts(end - start)) <= self.amount

        if within(cut):
            return None
        low, high = start, cut
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if within(middle) else (low, middle)
        return low


def _budget(stop: Stop, tasks: Sequence[PlanTask], batch: int, spent: int) -> _Budget | None:
    if stop.kind not in ("characters", "tokens"):
        return None
    return _Budget(spent + int(_exact(stop.amount or 0) * SIZE_UNIT), tuple((t.size or 0) * batch for t in tasks))


def spent_by(sizes: Sequence[int], counts: IntArray) -> int:
    """What so many positions (or batches) of each task use of a budget, in parts of `SIZE_UNIT`; exact at any size."""
    return sum(size * count for size, count in zip(sizes, counts.tolist(), strict=True))


def _positions(tree: SplitTree, start: int, task: IntArray, occurrence: IntArray, most: int) -> IntArray:
    """Positions of the plan at which occurrences, counted from the segment's start, stand; at most `most`."""
    return np.minimum(tree.positions(task, occurrence), most - start) + start


def _earliest(tree: SplitTree, start: int, task: IntArray, occurrence: IntArray, most: int) -> int:
    """The least of the `_positions`; those that cannot be it, by the tasks' shares, are not looked up."""
    stretch = tree.cycle / tree.weight[task]
    about, margin = occurrence * stretch, (DEVIATION + 1) * stretch
    near = about * (1 - 1e-9) - margin <= (about * (1 + 1e-9) + margin).min()
    return int(_positions(tree, start, task[near], np.maximum(occurrence[near], 0), most).min())


def _segment(start: int, weights: IntArray, first: IntArray, batch: int = 1) -> Segment:
    return Segment(start * batch, tuple(weights.tolist()), tuple((first * batch).tolist()))


def segment_tree(seed: int, start: int, weights: Sequence[int] | IntArray, order: IntArray) -> SplitTree:
    """The tree of a segment: its jitter is keyed by the seed and the segment's start; `order` as `ranks` gives it."""
    return SplitTree.build(weights, keyed.stream_key(seed, "places", start), order)


def ranks(tasks: Sequence[PlanTask]) -> IntArray:
    """What decides between tasks of equal weight: the place of each by its name, whatever their order here."""
    by_name = sorted(range(len(tasks)), key=lambda task: (tasks[task].id, tasks[task].split))
    out = np.empty(len(tasks), dtype=np.int64)
    out[by_name] = np.arange(len(tasks))
    return out


def position_limit(task: PlanTask, max_epochs: float | None, stop: Stop) -> int | None:
    """How many positions a task may take, at least one; None where nothing caps it."""
    if max_epochs is not None and not (math.isfinite(max_epochs) and max_epochs > 0):
        raise error("TSR-U005", f"max_epochs is {max_epochs}", fix="give a positive number", task=task.id)
    once = Fraction(1) if stop.kind == "each_once" else None
    caps = [cap for cap in (once, None if max_epochs is None else _exact(max_epochs)) if cap is not None]
    return max(1, math.floor(min(caps) * task.rows)) if caps else None


def _exact(number: float) -> Fraction:
    """The number as it is written: 0.29 is 29/100, not the nearest binary fraction."""
    return Fraction(repr(float(number)))


def segments_to_json(segments: tuple[Segment, ...]) -> list[dict[str, Any]]:
    """Weights in full, or, where tasks only leave, the numbers of those that do; `first` follows from the rest."""
    out: list[dict[str, Any]] = []
    before: tuple[int, ...] = ()
    for segment in segments:
        pairs = list(zip(before, segment.weights, strict=True)) if before else []
        if pairs and all(new in (old, 0) for old, new in pairs):
            without = [task for task, (old, new) in enumerate(pairs) if new != old]
            out.append({"start": segment.start, "without": without})
        else:
            out.append({"start": segment.start, "weights": list(segment.weights)})
        before = segment.weights
    return out


def segments_from_json(
    tasks: tuple[PlanTask, ...], seed: int, values: Sequence[Mapping[str, Any]], batch: int = 1
) -> tuple[Segment, ...]:
    """The segments that `segments_to_json` wrote, with the occurrences before each counted again."""
    segments: list[Segment] = []
    order = ranks(tasks)
    first = np.zeros(len(tasks), dtype=np.int64)
    for value in values:
        start = int(value["start"])
        if segments:
            last = segments[-1]
            tree = segment_tree(seed, last.start, last.weights, order)
            first = first + tree.counts((start - last.start) // batch) * batch
        if "weights" in value:
            weights = np.asarray(value["weights"], dtype=np.int64)
        else:
            weights = np.asarray(segments[-1].weights, dtype=np.int64)
            weights[value["without"]] = 0
        if len(weights) != len(tasks):
            raise ValueError("a segment needs one weight a task")
        segments.append(_segment(start, weights, first))
    return tuple(segments)
