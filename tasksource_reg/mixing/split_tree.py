"""Exact proportions: which task stands at a position, by splitting counts in a balanced binary tree.

The leaves are tasks, sorted by weight; a node splits the positions that reach it between its two children, the lighter
of which ("minor", weight a of the node's w) gets exactly one position in each stretch of w/a positions. Where in the
stretch is drawn by key, within a fraction `jitter` of its middle, so that the order has no period with which ranks
could fall in step: by plain rounding, one of 8 ranks would see only one of 8 equal tasks. (Some unevenness is left
where the number of ranks is a small multiple of w: of 5 ranks, one sees only one side of a split into 2/5 and 3/5.)
Position -> (task, occurrence), counts of a prefix and (task, occurrence) -> position are all exact and closed.

Why every prefix is within 2 rows of the exact shares. A node's split is off by at most c = 1/2 + jitter rows, and the
node's own error is passed on in the ratio of the weights: a child is off by c + (its weight / w) * (the node's error).
Splits are as even as the sorted weights allow, so a child is a single task or has at most 2/3 of its parent. With
c = 1/2 throughout, nodes are then off by at most 1/2 * (1 + 2/3 + 4/9 + ...) = 3/2 and tasks by at most 2. What a task
leaves of the 2 is shared out as jitter among the nodes above it (`_jitter`), up to (1 - a/w) / 2 each, which keeps two
occurrences of one child from meeting in one position.

Everything repeats after `cycle` positions, but for the jitter, so numbers inside the tree stay below 2**31 and their
products below 2**62, whatever the position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tasksource_reg import keyed

IntArray: TypeAlias = npt.NDArray[np.int64]

TOTAL = 2**31  # the largest sum of weights
LIMIT = 2**62  # positions and occurrences stay below
DEVIATION = 2  # rows
_GRAIN = 1024
_BLOCK = 16_000  # positions that are located at once: arrays below 128 KiB, which the allocator does not map anew


@dataclass(frozen=True, slots=True, eq=False)
class SplitTree:
    """The tree of one set of weights.

    Nodes are numbered level by level, the root first; the leaf of task t has the number `inner + t`, and stands for
    itself as its own child, so that rows which have arrived may idle there while others go on.

    Attributes:
        inner: number of inner nodes.
        scale: factor that brings the weights near `TOTAL`; everything below is scaled.
        cycle: sum of the weights: so many positions hold each task exactly as often as its weight.
        weight: int64 [tasks].
        total, minor: int64 [nodes]: weight of the node and of its lighter child (leaf: 1 and 0).
        low: int64 [nodes], span: uint64 [nodes]: an occurrence's threshold is drawn from [low, low + span).
        shift: int64 [nodes]: total - (low + span).
        key: uint64 [nodes].
        child: int64 [2 * nodes]: the major child of node v at 2v, the minor one at 2v + 1.
        levels: node numbers where each level begins, and `inner`.
    """

    inner: int
    scale: int
    cycle: int
    weight: IntArray
    total: IntArray
    minor: IntArray
    low: IntArray
    span: keyed.Bits
    shift: IntArray
    key: keyed.Bits
    child: IntArray
    levels: tuple[int, ...]

    @classmethod
    def build(cls, weights: Sequence[int] | IntArray, key: int, order: IntArray | None = None) -> SplitTree:
        """The tree of integer weights.

        Args:
            weights: [tasks], at least 0, their sum 1 to `TOTAL`; a task of weight 0 never comes.
            key: stream key of the jitter.
            order: int64 [tasks], distinct: which of two tasks of equal weight goes first; their numbers when None.

        Raises:
            ValueError: the weights are negative, all zero, or too large.
        """
        weight = np.asarray(weights, dtype=np.int64)
        if not len(weight) or weight.min() < 0 or not 1 <= sum(weight.tolist()) <= TOTAL:
            raise ValueError(f"weights must be at least 0 and sum to 1 .. {TOTAL}")
        scale = TOTAL // int(weight.sum())
        weight = weight * scale
        leaves = np.lexsort((np.arange(len(weight)) if order is None else order, -weight))[: np.count_nonzero(weight)]
        ends = np.concatenate(([0], np.cumsum(weight[leaves])))
        total, minor, child, levels = _grow(ends, leaves, len(weight))
        inner = levels[-1]
        jitter = _jitter(total, minor, child, levels)
        low = -(-total * (_GRAIN // 2 - jitter) // _GRAIN)
        high = total * (_GRAIN // 2 + jitter) // _GRAIN
        low[inner:], high[inner:] = 0, 0  # a leaf has nothing to draw
        return cls(
            inner=inner,
            scale=scale,
            cycle=int(ends[-1]),
            weight=weight,
            total=total,
            minor=minor,
            low=low,
            span=(high - low + 1).view(np.uint64),
            shift=total - high - 1,
            key=keyed.draw(key, np.arange(len(total))),
            child=child,
            levels=levels,
        )

    def locate(self, positions: IntArray) -> tuple[IntArray, IntArray]:
        """The task at each position, and how often it came before.

        Args:
            positions: int64 [rows] in [0, 2**62), in any order.

        Returns:
            int64 [rows] task and int64 [rows] occurrence, which is 0 for a task's first position.
        """
        task, occurrence = np.empty(len(positions), np.int64), np.empty(len(positions), np.int64)
        for start in range(0, len(positions), _BLOCK):
            rows = slice(start, start + _BLOCK)
            self._descend(positions[rows], task[rows], occurrence[rows])
        return task, occurrence

    def _descend(self, positions: IntArray, task: IntArray, occurrence: IntArray) -> None:
        """Fills `task` and `occurrence` for one block, all rows a level at a time."""
        cycles = positions // self.cycle
        rest = positions - cycles * self.cycle
        salt = _salt(cycles)
        rows = np.arange(len(positions))
        node = np.full(len(positions), 0 if self.inner else int(np.argmax(self.weight)), dtype=np.int64)
        while len(rows):
            arrived = node >= self.inner
            if 8 * np.count_nonzero(arrived) >= len(rows):
                here, on = np.flatnonzero(arrived), np.flatnonzero(~arrived)  # masks themselves take ten times as long
                done, found = rows.take(here), node.take(here) - self.inner
                task[done] = found
                occurrence[done] = cycles.take(done) * self.weight.take(found) + rest.take(here)
                rows, node, rest, salt = rows.take(on), node.take(on), rest.take(on), salt.take(on)
            number, phase, threshold = self._split(node, rest, salt)
            before = number + (threshold < phase)
            is_minor = (phase <= threshold) & (threshold < phase + self.minor.take(node))
            rest = np.where(is_minor, before, rest - before)
            node = self.child.take(2 * node + is_minor)

    def _split(self, node: IntArray, rest: IntArray, salt: keyed.Bits) -> tuple[IntArray, IntArray, IntArray]:
        """Where `rest` positions of a node leave its minor child.

        Returns:
            The number of the one occurrence of the minor child that may fall near here; how far the count is into
            its stretch, and its threshold, both moved by `shift` so that the stretch begins just after the latest
            threshold of the occurrence before: that one is past, and the next cannot have come.
        """
        total, span = self.total.take(node), self.span.take(node)
        product = rest * self.minor.take(node)
        product += self.shift.take(node)
        number = product // total
        product -= number * total
        threshold = self._drawn(self.key.take(node), number, salt, span)
        threshold += total
        threshold -= span.view(np.int64)
        return number, product, threshold

    def counts(self, position: int) -> IntArray:
        """How often each task comes before `position`: int64 [tasks], exact, summing to `position`."""
        cycle, rest = divmod(position, self.cycle)
        salt = _salt(np.array([cycle], dtype=np.int64))
        at = np.zeros(len(self.total), dtype=np.int64)
        at[0 if self.inner else int(np.argmax(self.weight))] = rest
        for first, last in pairwise(self.levels):
            node = np.arange(first, last)
            number, phase, threshold = self._split(node, at[node], salt)
            before = number + (threshold < phase)
            at[self.child[2 * node + 1]] = before
            at[self.child[2 * node]] = at[node] - before
        return at[self.inner :] + cycle * self.weight

    def positions(self, task: IntArray, occurrence: IntArray) -> IntArray:
        """The position of each (task, occurrence): the inverse of `locate`.

        Args:
            task: int64 [rows], tasks of positive weight.
            occurrence: int64 [rows], at least 0.

        Returns:
            int64 [rows]; `LIMIT` stands for any position from there on.
        """
        weight = self.weight[task]
        cycles = occurrence // weight
        at = occurrence - cycles * weight
        far = cycles > LIMIT // self.cycle
        cycles = np.where(far, 0, cycles)
        salt = _salt(cycles)
        side = np.full(len(self.total), -1, dtype=np.int64)  # 2v + 1 for the minor child of v, 2v for the major one
        side[self.child[: 2 * self.inner]] = np.arange(2 * self.inner)
        above = side[task + self.inner]
        while True:
            for is_minor, place in ((1, self._minor_position), (0, self._major_position)):
                rows = np.flatnonzero((above >= 0) & (above % 2 == is_minor))
                at[rows] = place(above[rows] // 2, at[rows], salt[rows])
            if not (above >= 0).any():
                return np.where(far, LIMIT, np.minimum(cycles * self.cycle + at, LIMIT))
            above = np.where(above >= 0, side[above // 2], -1)

    def _minor_position(self, node: IntArray, number: IntArray, salt: keyed.Bits) -> IntArray:
        """Where, in its node, the minor child's occurrence `number` stands."""
        place = self._drawn(self.key.take(node), number, salt, self.span.take(node))
        place += self.low.take(node) + number * self.total.take(node)
        place //= self.minor.take(node)
        return place

    def _major_position(self, node: IntArray, number: IntArray, salt: keyed.Bits) -> IntArray:
        """Where, in its node, the major child's occurrence `number` stands: after it and the minor ones before it."""
        minor, major = self.minor.take(node), self.total.take(node) - self.minor.take(node)
        before: IntArray = np.maximum(
            number * minor // major - 2, 0
        )  # never too many: a split is off by less than a row
        while True:
            more = (before < minor) & (self._minor_position(node, before, salt) - before <= number)
            if not more.any():
                break
            before += more
        before += number
        return before

    @staticmethod
    def _drawn(key: keyed.Bits, number: IntArray, salt: keyed.Bits, span: keyed.Bits) -> IntArray:
        """The jitter of the occurrences `number` of nodes of these keys, in [0, span); span is at most 2**31."""
        with np.errstate(over="ignore"):
            bits = number.view(np.uint64) ^ salt
            bits *= keyed.GOLDEN
            bits += key
            bits = keyed.mix(bits)
        bits >>= np.uint64(32)
        bits *= span
        bits >>= np.uint64(32)
        return bits.view(np.int64)


def _salt(cycles: IntArray) -> keyed.Bits:
    """What sets the jitter of one cycle apart from that of the others: the cycle's number above the occurrences."""
    return cycles.view(np.uint64) << np.uint64(32)


def _grow(ends: IntArray, leaves: IntArray, tasks: int) -> tuple[IntArray, IntArray, IntArray, tuple[int, ...]]:
    """Splits the sorted leaves into halves, a level at a time.

    Args:
        ends: int64 [leaves + 1]: sums of the weights before each leaf, the heaviest leaf first.
        leaves: int64 [leaves]: the task of each leaf.
        tasks: number of tasks.

    Returns:
        `total`, `minor`, `child` and `levels` of the tree.
    """
    inner = len(leaves) - 1
    totals, minors, children, levels = [], [], [], [0]
    first, last = np.array([0]), np.array([len(leaves)])  # the stretch of leaves of each of this level's nodes
    while levels[-1] < inner:
        begin, end = ends[first], ends[last]
        cut = np.clip(np.searchsorted(ends, (begin + end + 1) // 2), first + 1, last - 1)
        sooner = np.maximum(cut - 1, first + 1)
        cut = np.where(np.abs(2 * ends[sooner] - begin - end) <= np.abs(2 * ends[cut] - begin - end), sooner, cut)
        starts, stops = np.stack([first, cut], axis=1).ravel(), np.stack([cut, last], axis=1).ravel()
        divides = stops - starts > 1  # [2 * nodes of this level]: whether the left and the right part are nodes
        levels.append(levels[-1] + len(first))
        both = np.where(divides, levels[-1] + np.cumsum(divides) - 1, inner + leaves[starts]).reshape(-1, 2)
        left, right = ends[cut] - begin, end - ends[cut]
        totals.append(end - begin)
        minors.append(np.minimum(left, right))
        children.append(np.where((left <= right)[:, None], both[:, ::-1], both).ravel())
        first, last = starts[divides], stops[divides]
    own = np.arange(inner, inner + tasks)
    total, minor = np.ones(tasks, np.int64), np.zeros(tasks, np.int64)
    return (
        np.concatenate([*totals, total]),
        np.concatenate([*minors, minor]),
        np.concatenate([*children, np.repeat(own, 2)]),
        tuple(levels),
    )


def _jitter(total: IntArray, minor: IntArray, child: IntArray, levels: tuple[int, ...]) -> IntArray:
    """The jitter of each node in grains of 1/1024: as much as keeps every task within `DEVIATION` rows.

    Going down, `least` adds up what a node is off by without jitter, `extra` what full jitter adds to it; a leaf then
    knows which part of the full jitter it can bear, and a node takes the smallest part among the leaves below it.
    """
    full = (total - minor) / total / 2
    least, extra, part = np.zeros(len(total)), np.zeros(len(total)), np.ones(len(total))
    for first, last in pairwise(levels):
        node = np.arange(first, last)
        for below, weight in ((child[2 * node + 1], minor[node]), (child[2 * node], total[node] - minor[node])):
            least[below] = 0.5 + least[node] * (weight / total[node])
            extra[below] = full[node] + extra[node] * (weight / total[node])
    leaves = np.flatnonzero(extra[levels[-1] :]) + levels[-1]
    part[leaves] = np.clip((DEVIATION - least[leaves]) / extra[leaves], 0, 1)
    for last, first in pairwise(reversed(levels)):
        node = np.arange(first, last)
        part[node] = np.minimum(part[child[2 * node]], part[child[2 * node + 1]])
    return (_GRAIN * full * part).astype(np.int64)
