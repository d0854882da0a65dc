"""Iterating over a mixture: blocks computed ahead of the rows, ranks, and a state that is one position.

The order is a pure function of the position, so a state holds the next position and digests of the plan, and nothing
else. What that means for ranks:

- A run that starts at position s gives rank r of w the positions s + r, s + r + w, s + r + 2w, ...; k steps of all
  ranks together cover s to s + k * w exactly. Where the end does not divide by the ranks, `tail` says what happens:
  `drop` leaves the last positions out, `repeat` fills up from the beginning of the plan, `uneven` lets some ranks end
  earlier.
- A position in quarantine is passed over: it counts as a position, and yields no row. The state counts positions: after
  a rank has passed c of its positions, the state says s + c * w. Positions that stand between the row last given and
  the next one are passed when the next one is asked for.
- So states of ranks that have passed equally many positions are equal, and any of them resumes the run under any number
  of ranks, no row lost or repeated. Where quarantined positions have let some ranks run ahead, each rank's own state
  resumes that rank under the same number of ranks, exactly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
import pyarrow as pa

from tasksource_reg.errors import error
from tasksource_reg.mixing.blocks import Quarantined
from tasksource_reg.mixing.limits import QuarantineLimit
from tasksource_reg.mixing.plan import Plan
from tasksource_reg.mixing.split_tree import LIMIT
from tasksource_reg.mixing.state import State
from tasksource_reg.mixing.stream import MixtureData
from tasksource_reg.nested import Ints

FIRST_BLOCK = 64  # positions computed before the first row is given
GROWTH = 32  # each block is so many times the last, up to the whole size: small ones cost as much as large ones, nearly
LISTED = 1000  # quarantined positions that are kept in full


def end_of(plan: Plan, tail: str, world: int, start: int = 0) -> int:
    """The position before which all ranks of a run stop.

    Args:
        plan: of the mixture; an endless one ends where positions do.
        tail: `drop`, `repeat` or `uneven`.
        world: number of ranks.
        start: the first position of the run.

    Returns:
        A position; past the plan's length where `repeat` fills up, at least `start`.
    """
    if plan.length is None:
        return LIMIT
    left = max(plan.length - start, 0)
    if tail == "drop":
        return start + left - left % world
    if tail == "repeat":
        return start + -(-left // world) * world
    return start + left


class MixtureIterator(Iterator[dict[str, Any]]):
    """The rows of one rank, as dicts, in order; see the module's docstring for what ranks and states mean.

    Args:
        data: the mixture.
        rank, world: this rank and the number of ranks.
        start: the first position of the run, all ranks together.
        block: positions computed at once, at most; the mixture's own number by default.

    Attributes:
        rank, world: as given.
        quarantined: the last positions passed that yield no row.
        quarantined_count: how many there were since the start, or since a state was loaded.

    Raises:
        UsageError: TSR-U005, a rank, world, start or block that cannot be.
        FindingsError: TSR-M018, when rows are asked for: more positions of this rank are in quarantine than the
            mixture's limit allows.
    """

    def __init__(
        self, data: MixtureData, rank: int = 0, world: int = 1, start: int = 0, block: int | None = None
    ) -> None:
        if not 0 <= rank < world:
            raise error("TSR-U005", f"rank {rank} of a world of {world}", fix="ranks run from 0 to world - 1")
        if start < 0 or (block is not None and block < 1):
            what = f"start {start}" if start < 0 else f"a block of {block} positions"
            raise error("TSR-U005", what, fix="start is at least 0, a block at least 1 position")
        self.rank, self.world = rank, world
        self._data, self._most = data, data.block_rows if block is None else block
        self._limit = QuarantineLimit.of(data.spec.quarantine_limit)
        self._seek(start)

    def _seek(self, position: int) -> None:
        self._begun = position
        self._next = position  # all ranks together: where the next step begins
        self._ahead = position  # the same, of what has been computed
        self._end = end_of(self._data.plan, self._data.spec.tail, self.world, position)
        self._size = min(FIRST_BLOCK, self._most)
        self._rows: Iterator[dict[str, Any] | Quarantined] = iter(())
        self.quarantined: deque[Quarantined] = deque(maxlen=LISTED)
        self.quarantined_count = 0

    def __next__(self) -> dict[str, Any]:
        while True:
            for entry in self._rows:
                self._next += self.world
                if not isinstance(entry, Quarantined):
                    return entry
                self.quarantined.append(entry)
                self.quarantined_count += 1
                self._limit.check(self.quarantined_count, (self._next - self._begun) // self.world, entry.message)
            if self._ahead + self.rank >= self._end:
                self._next = max(self._next, self._end)
                raise StopIteration
            self._rows = self._block()

    def _block(self) -> Iterator[dict[str, Any] | Quarantined]:
        """The entries of the next positions of this rank."""
        stop = min(self._ahead + self._size * self.world, self._end)
        positions = np.arange(self._ahead + self.rank, stop, self.world, dtype=np.int64)
        if self._data.plan.length is not None:
            positions %= self._data.plan.length  # `tail: repeat` goes round
        self._ahead += len(positions) * self.world
        self._size = min(GROWTH * self._size, self._most)
        return entries(self._data, positions)

    def state_dict(self) -> dict[str, Any]:
        """Where this rank stands: plain JSON, at most 200 bytes, equal on ranks that passed equally many positions."""
        return State(min(self._next, self._end), self._data.resolved.marks).to_json()

    def load_state_dict(self, state: Mapping[str, Any]) -> Self:
        """Goes on where a state was taken, under this iterator's rank and world.

        Raises:
            FindingsError: TSR-M005, the state is of another plan; the message names what changed.
        """
        known = State.from_json(state)
        known.check(self._data.resolved.marks)
        self._seek(known.position)
        return self

    def __repr__(self) -> str:
        name = self._data.spec.mixture
        return f"MixtureIterator({name!r}, rank {self.rank} of {self.world}, position {self._next:,})"


def entries(data: MixtureData, positions: Ints) -> Iterator[dict[str, Any] | Quarantined]:
    """For each position its row, or why there is none; rows are made dicts a few at a time."""
    block = data.block(positions)
    rows = block.dicts()
    if not block.quarantined:
        return rows
    lost = {q.position: q for q in block.quarantined}
    return (lost[position] if position in lost else next(rows) for position in positions.tolist())


def batches(
    data: MixtureData, size: int | None = None, start: int = 0, stop: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Rows at positions [start, stop) in order, in record batches of at most `size` rows (quarantined ones left out).

    Args:
        data: the mixture.
        size: rows in a batch, at most; as many as are computed at once by default.
        start, stop: positions; to the plan's end by default, for ever in an endless plan.

    Raises:
        UsageError: TSR-U005, a size below 1; TSR-M006, positions outside the plan.
        FindingsError: TSR-M018, more positions in quarantine than the mixture's limit allows.
    """
    if size is not None and size < 1:
        raise error("TSR-U005", f"batches of {size} rows", fix="give a size of at least 1")
    if start < 0 or (data.plan.length is not None and max(start, stop or 0) > data.plan.length):
        raise error("TSR-M006", f"positions {start} to {stop} of {data.plan.length}")
    return _batches(data, size, start, data.plan.length if stop is None else stop)


def _batches(data: MixtureData, size: int | None, start: int, end: int | None) -> Iterator[pa.RecordBatch]:
    most = data.block_rows
    step = most
    if size is not None:  # blocks of whole batches, the first one small
        most = max(most - most % size, min(size, most))
        step = min(-(-FIRST_BLOCK // size) * size, most)
    first, lost, limit = start, 0, QuarantineLimit.of(data.spec.quarantine_limit)
    while end is None or first < end:
        last = first + step if end is None else min(first + step, end)
        block = data.block(np.arange(first, last, dtype=np.int64))
        if block.quarantined:
            lost += len(block.quarantined)
            limit.check(lost, last - start, block.quarantined[0].message)
        rows = block.rows
        for at in range(0, rows.num_rows, size or max(rows.num_rows, 1)):
            yield rows.slice(at, size)
        first, step = last, min(GROWTH * step, most)
