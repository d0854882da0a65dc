"""How the positions of a run are dealt to ranks, batches and workers, and the batches of one worker.

A run begins at position s. Batch n of rank r of w, with b positions in a batch, is

    s + (n * b + k) * w + r    for k = 0 .. b - 1, where that lies before the end of the run,

and worker v of u takes the batches v, v + u, v + 2u, ... of its rank: the order in which a data loader asks its workers
in turn. So the batches that a training loop sees do not depend on the number of workers, n batches of all ranks cover
the positions s to s + n * b * w exactly, and what is left can be dealt anew under any ranks, batch size and workers.

A batch is so many positions, not so many rows: where positions are in quarantine it is shorter, down to empty.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from tasksource_reg.errors import error
from tasksource_reg.mixing.blocks import Quarantined
from tasksource_reg.mixing.iterate import FIRST_BLOCK, GROWTH, LISTED, end_of, entries
from tasksource_reg.mixing.limits import QuarantineLimit
from tasksource_reg.mixing.plan import Plan
from tasksource_reg.mixing.state import State
from tasksource_reg.mixing.stream import MixtureData
from tasksource_reg.nested import Ints

Batch: TypeAlias = list[dict[str, Any]] | pa.RecordBatch


@dataclass(frozen=True, slots=True)
class Deal:
    """What the module's docstring says, as arithmetic.

    Attributes:
        start, end: the positions of the run, all ranks together; `end` as `tail` says.
        world: ranks.
        size: positions of a batch.
    """

    start: int
    end: int
    world: int = 1
    size: int = 1

    @classmethod
    def of(cls, plan: Plan, tail: str, start: int = 0, world: int = 1, size: int = 1) -> Deal:
        """The deal of a run that begins at a position of a plan.

        Args:
            plan, tail: of the mixture.
            start: the first position of all ranks.
            world: ranks.
            size: positions of a batch.

        Raises:
            UsageError: TSR-U005, a start, world or size that cannot be.
        """
        if start < 0 or world < 1 or size < 1:
            message = f"batches of {size} from position {start} for {world} ranks"
            raise error("TSR-U005", message, fix="start is at least 0; world and batch size are at least 1")
        return cls(start, end_of(plan, tail, world, start), world, size)

    def batches(self, rank: int = 0) -> int:
        """How many batches a rank has; rank 0 has the most."""
        own = -(-max(0, self.end - self.start - rank) // self.world)
        return -(-own // self.size)

    def after(self, batches: int) -> int:
        """The next position of all ranks when each has had so many batches."""
        return min(self.start + batches * self.size * self.world, self.end)

    def positions(self, batches: Ints, rank: int) -> tuple[Ints, Ints]:
        """The positions of some batches of a rank.

        Args:
            batches: int64 [n], their numbers.
            rank: from 0 to world - 1.

        Returns:
            int64 [sum of sizes] positions, batch by batch, and int64 [n] how many each batch has. Past the plan's
            length where `tail: repeat` goes round.
        """
        first = self.start + rank + batches[:, None] * (self.size * self.world)
        grid = first + np.arange(self.size, dtype=np.int64) * self.world
        inside = grid < self.end
        return grid[inside], inside.sum(axis=1, dtype=np.int64)


class WorkerBatches(Iterator[Batch]):
    """The batches of one worker of one rank, in order; blocks are computed ahead of them.

    Args:
        data: the mixture.
        deal: of the run.
        rank: this rank.
        worker, workers: this worker of the rank, and how many there are.
        arrow: batches as record batches, instead of lists of dicts.

    Attributes:
        quarantined: the last positions passed that yield no row.
        quarantined_count: how many there were since the start, or since a state was loaded.

    Raises:
        UsageError: TSR-U005, a rank that cannot be.
        FindingsError: TSR-M018, when batches are asked for: more positions of this worker are in quarantine than the
            mixture's limit allows.
    """

    def __init__(
        self, data: MixtureData, deal: Deal, rank: int = 0, worker: int = 0, workers: int = 1, *, arrow: bool = False
    ) -> None:
        if not 0 <= rank < deal.world:
            raise error("TSR-U005", f"rank {rank} of a world of {deal.world}", fix="ranks run from 0 to world - 1")
        self.rank, self.worker, self.workers = rank, worker, workers
        self._data, self._arrow = data, arrow
        self._limit = QuarantineLimit.of(data.spec.quarantine_limit)
        self._begin(deal, worker)

    def _begin(self, deal: Deal, batch: int) -> None:
        self._deal = deal
        self._next = self._ahead = batch  # numbers: the next one to be given, to be computed
        self._size = min(FIRST_BLOCK, self._data.block_rows)  # positions computed at once
        self._computed = 0
        self._ready: Iterator[Batch] = iter(())
        self.quarantined: deque[Quarantined] = deque(maxlen=LISTED)
        self.quarantined_count = 0

    def __next__(self) -> Batch:
        while True:
            for batch in self._ready:
                self._next += self.workers
                return batch
            if self._ahead >= self._deal.batches(self.rank):
                raise StopIteration
            self._ready = self._block()

    def _block(self) -> Iterator[Batch]:
        """The next batches of this worker, computed together."""
        most = max(1, self._size // self._deal.size)
        stop = min(self._ahead + most * self.workers, self._deal.batches(self.rank))
        numbers = np.arange(self._ahead, stop, self.workers, dtype=np.int64)
        positions, lengths = self._deal.positions(numbers, self.rank)
        if self._data.plan.length is not None:
            positions %= self._data.plan.length  # `tail: repeat` goes round
        self._ahead += len(numbers) * self.workers
        self._computed += len(positions)
        self._size = min(GROWTH * self._size, self._data.block_rows)
        return (self._as_arrow if self._arrow else self._as_dicts)(positions, lengths.tolist())

    def _as_dicts(self, positions: Ints, lengths: list[int]) -> Iterator[Batch]:
        stream = entries(self._data, positions)
        for length in lengths:
            batch = []
            for entry in islice(stream, length):
                if isinstance(entry, Quarantined):
                    self._pass(entry)
                else:
                    batch.append(entry)
            yield batch

    def _as_arrow(self, positions: Ints, lengths: list[int]) -> Iterator[Batch]:
        block = self._data.block(positions)
        lost = {q.position: q for q in block.quarantined}
        at = row = 0
        for length in lengths:
            own = [lost[p] for p in positions[at : at + length].tolist() if p in lost] if lost else []
            for entry in own:
                self._pass(entry)
            yield block.rows.slice(row, length - len(own))
            at, row = at + length, row + length - len(own)

    def _pass(self, entry: Quarantined) -> None:
        self.quarantined.append(entry)
        self.quarantined_count += 1
        self._limit.check(self.quarantined_count, self._computed, entry.message)

    def state_dict(self) -> dict[str, Any]:
        """Where this worker stands, as plain JSON.

        The only worker of a rank gives the state of the run, at most 200 bytes, which resumes it under any ranks, batch
        size and workers. One worker of several gives a state that is good for the same worker of as many.
        """
        state = State(self._deal.after(self._next), self._data.resolved.marks).to_json()
        return state if self.workers == 1 else {"worker": self._place(), "state": state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where a state was taken: one of the whole run, or one of this very worker.

        Raises:
            FindingsError: TSR-M005, the state is of another plan, or of another worker than this one.
        """
        own = "worker" in state
        if own and list(state["worker"]) != self._place():
            message = f"the state is of {_worker(state['worker'])}, this is {_worker(self._place())}"
            raise error("TSR-M005", message, fix="keep workers, ranks and batch size, or resume from `state_at`")
        known = State.from_json(state["state"] if own else state)
        known.check(self._data.resolved.marks)
        plan, tail = self._data.plan, self._data.spec.tail
        deal = Deal.of(plan, tail, known.position, self._deal.world, self._deal.size)
        self._begin(deal, 0 if own else self.worker)  # a worker's own state says where its own next batch begins

    def _place(self) -> list[int]:
        return [self.worker, self.workers, self._deal.size, self._deal.world]


def _worker(place: list[int]) -> str:
    worker, workers, size, world = place
    return f"worker {worker} of {workers} with batches of {size} for {world} ranks"


def state_at(data: MixtureData, deal: Deal, batches: int) -> dict[str, Any]:
    """The state of a run when every rank has had so many batches; plain JSON, at most 200 bytes.

    Raises:
        UsageError: TSR-U005, more batches than there are.
    """
    if not 0 <= batches <= deal.batches():
        raise error("TSR-U005", f"{batches:,} batches of a run of {deal.batches():,}", fix="count from the run's start")
    return State(deal.after(batches), data.resolved.marks).to_json()


def start_of(data: MixtureData, start: int = 0, state: Mapping[str, Any] | None = None) -> int:
    """The position where a run begins: as given, or as a state of the whole run says.

    Raises:
        FindingsError: TSR-M005, the state is of another plan.
        UsageError: TSR-U005, a start beside a state.
    """
    if state is None:
        return start
    if start:
        raise error("TSR-U005", "a start beside a state", fix="give one of the two")
    known = State.from_json(state)
    known.check(data.resolved.marks)
    return known.position
