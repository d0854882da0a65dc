"""A mixture as a `torch.utils.data.IterableDataset`, for torch's `DataLoader` and torchdata's `StatefulDataLoader`.

The dataset makes whole batches itself, so a loader is told `batch_size=None`. A loader asks its workers in turn, and
worker v of u makes the batches v, v + u, v + 2u, ... of its rank: the loop sees the same batches in the same order
under any number of workers (as long as the loader keeps the order, which is torch's default). `mixing/deal.py` holds
the arithmetic.

Workers get the mixture as its options and its spec, and resolve it again. Only the iterator has a state: the dataset in
the main process cannot know how far its workers are. `state_at(batches)` says where the run stands after so many.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import torch.distributed
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from tasksource_reg.errors import error
from tasksource_reg.mixing.blocks import Quarantined
from tasksource_reg.mixing.deal import Deal, WorkerBatches, start_of, state_at
from tasksource_reg.mixing.stream import MixtureData

Collate = Callable[[Any], Any]


def place(rank: int | None = None, world: int | None = None) -> tuple[int, int]:
    """This process's rank, and the number of ranks.

    What is given counts; else `torch.distributed` where it is initialised, else the variables RANK and WORLD_SIZE of
    the environment, else rank 0 of 1.

    Raises:
        UsageError: TSR-U005, one of the two without the other, or values that are no place.
    """
    if rank is None and world is None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        else:
            given = [os.environ.get(name) for name in ("RANK", "WORLD_SIZE")]
            if any(value is not None and not value.isdecimal() for value in given):
                raise error("TSR-U005", f"RANK and WORLD_SIZE are {given}", fix="set both to numbers, or neither")
            rank, world = (None if value is None else int(value) for value in given)
            if rank is None and world is None:
                return 0, 1
    if rank is None or world is None or not 0 <= rank < world:
        raise error("TSR-U005", f"rank {rank} of a world of {world}", fix="give both; ranks run from 0 to world - 1")
    return rank, world


class MixtureDataset(IterableDataset):  # type: ignore[misc]
    """The batches of one rank of a mixture, or its rows one by one; made by `Mixture.to_torch`.

    Every iteration begins at `start`, in the main process and in workers alike, until `set_position` or
    `load_state_dict` move it; persistent workers keep the start that they were made with. `len` is the number of
    batches (without a batch size, of positions) of one iteration.

    Args:
        data: the mixture.
        batch_size: positions of a batch; None gives row by row.
        rank, world: see `place`.
        start: the first position of all ranks.
        state: instead of `start`, the state of a run that is to go on.
        collate: what makes a batch (a row) into what the loop gets; called in the worker.
        arrow: batches as record batches instead of lists of dicts.

    Raises:
        UsageError: TSR-U005, arguments out of range.
        FindingsError: TSR-M005, a state of another plan.
    """

    def __init__(
        self,
        data: MixtureData,
        batch_size: int | None = None,
        *,
        rank: int | None = None,
        world: int | None = None,
        start: int = 0,
        state: Mapping[str, Any] | None = None,
        collate: Collate | None = None,
        arrow: bool = False,
    ) -> None:
        if arrow and batch_size is None:
            raise error("TSR-U005", "record batches without a batch size", fix="give a batch_size")
        self._data, self.batch_size, self.collate, self.arrow = data, batch_size, collate, arrow
        self.rank, self.world = place(rank, world)
        self.set_position(start_of(data, start, state))

    def set_position(self, start: int) -> None:
        """Every iteration from now on begins at this position of all ranks."""
        size = 1 if self.batch_size is None else self.batch_size
        self._deal = Deal.of(self._data.plan, self._data.spec.tail, start, self.world, size)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Every iteration from now on begins where the state of a run says, whatever ranks and batches that run had.

        Raises:
            FindingsError: TSR-M005, the state is of another plan, or of a worker instead of a run.
        """
        self.set_position(start_of(self._data, state=state))

    @property
    def start(self) -> int:
        """The position where every iteration begins."""
        return self._deal.start

    def state_at(self, batches: int) -> dict[str, Any]:
        """The state of the run when the loop has had so many batches of an iteration, the same on all ranks.

        Raises:
            UsageError: TSR-U005, more batches than there are, or a dataset of rows, whose batches are the loader's.
        """
        if self.batch_size is None:
            raise error("TSR-U005", "a dataset of rows does not know the loader's batches", fix="give a batch_size")
        return state_at(self._data, self._deal, batches)

    def loader(self, make: Callable[..., Any] = DataLoader, **options: Any) -> Any:
        """A loader of the batches as they are: `make(self, batch_size=None, collate_fn=<nothing>, **options)`.

        Args:
            make: torch's `DataLoader`, or torchdata's `StatefulDataLoader`.
            options: of the loader, such as `num_workers`.
        """
        return make(self, **{"batch_size": None, "collate_fn": _as_it_is} | options)

    def __iter__(self) -> MixtureItems:
        worker = get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        batches = WorkerBatches(self._data, self._deal, self.rank, number, workers, arrow=self.arrow)
        return MixtureItems(batches, self.batch_size is None, self.collate, compact=self.arrow and worker is not None)

    def __len__(self) -> int:
        if self._data.plan.length is None:
            raise TypeError("an endless mixture has no length")
        return self._deal.batches(self.rank)

    def __repr__(self) -> str:
        what = "rows" if self.batch_size is None else f"batches of {self.batch_size}"
        name = self._data.spec.mixture
        return f"MixtureDataset({name!r}, {what}, rank {self.rank} of {self.world}, from position {self.start:,})"


class MixtureItems(Iterator[Any]):
    """What one worker gives; torchdata's loader stops and resumes it by `state_dict` and `load_state_dict`."""

    def __init__(self, batches: WorkerBatches, single: bool, collate: Collate | None, compact: bool) -> None:
        self._batches, self._single, self._collate, self._compact = batches, single, collate, compact

    def __next__(self) -> Any:
        item: Any = next(self._batches)
        while self._single and not item:  # a position in quarantine
            item = next(self._batches)
        if self._single:
            item = item[0]
        elif self._compact:  # a slice would be sent to the main process with its whole block
            item = _own(item)
        return item if self._collate is None else self._collate(item)

    def state_dict(self) -> dict[str, Any]:
        """Where this worker stands; without workers, where the run stands: see `WorkerBatches.state_dict`."""
        return self._batches.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where a state was taken: see `WorkerBatches.load_state_dict`."""
        self._batches.load_state_dict(state)

    @property
    def quarantined(self) -> list[Quarantined]:
        """The last positions passed that yield no row."""
        return list(self._batches.quarantined)

    @property
    def quarantined_count(self) -> int:
        """How many there were since the start, or since a state was loaded."""
        return self._batches.quarantined_count


def _own(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows in buffers that hold nothing else."""
    return pa.ipc.read_record_batch(batch.serialize(), batch.schema)


def _as_it_is(item: Any) -> Any:
    return item
