"""What every mixture can do for the loaders of other libraries; `api.Mixture` inherits it.

Only the method that is called imports its library. docs/training.md says how each is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tasksource_reg.errors import error
from tasksource_reg.mixing.deal import Deal, start_of, state_at
from tasksource_reg.mixing.iterate import batches
from tasksource_reg.mixing.stream import MixtureData

if TYPE_CHECKING:
    import datasets

    from tasksource_reg.adapters.torch import MixtureDataset


class Loadable:
    """`state_at`, `to_torch`, `to_hf` and `to_arrow_reader` of a mixture."""

    _data: MixtureData

    def state_at(
        self,
        *,
        batches: int,
        batch_size: int,
        world: int = 1,
        start: int = 0,
        state: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The state of a run when every rank has had so many batches: plain JSON, at most 200 bytes.

        It resumes the run under any ranks, batch size and workers: `to_torch(state=...)`, or `load_state_dict` of an
        iterator.

        Args:
            batches: batches that each rank has had since the run began.
            batch_size: positions of a batch.
            world: ranks.
            start: the position where the run began.
            state: instead of `start`, the state that the run began with.

        Raises:
            UsageError: TSR-U005, arguments out of range, or more batches than there are.
            FindingsError: TSR-M005, a state of another plan.
        """
        begun = start_of(self._data, start, state)
        deal = Deal.of(self._data.plan, self._data.spec.tail, begun, world, batch_size)
        return state_at(self._data, deal, batches)

    def to_torch(
        self,
        batch_size: int | None = None,
        *,
        rank: int | None = None,
        world: int | None = None,
        start: int = 0,
        state: Mapping[str, Any] | None = None,
        collate: Callable[[Any], Any] | None = None,
        arrow: bool = False,
    ) -> MixtureDataset:
        """A `torch.utils.data.IterableDataset` of this rank's batches; give the loader `batch_size=None`.

        The loop sees the same batches under any number of workers; see docs/training.md.

        Args:
            batch_size: positions of a batch (those in quarantine yield no row); None gives row by row.
            rank, world: of `torch.distributed` where it is initialised, else RANK and WORLD_SIZE, else 0 of 1.
            start: the first position of all ranks.
            state: instead of `start`, the state of a run that is to go on.
            collate: what makes a batch (a row) into what the loop gets; called in the worker.
            arrow: batches as record batches instead of lists of dicts.

        Raises:
            UsageError: TSR-U005, arguments out of range, or torch is not installed.
            FindingsError: TSR-M005, a state of another plan.
        """
        try:
            from tasksource_reg.adapters.torch import MixtureDataset
        except ModuleNotFoundError as missing:
            if missing.name != "torch":
                raise
            fix = "pip install 'tasksource-reg[torch]'"
            raise error("TSR-U005", "to_torch needs the package torch", fix=fix) from missing
        return MixtureDataset(
            self._data, batch_size, rank=rank, world=world, start=start, state=state, collate=collate, arrow=arrow
        )

    def to_hf(
        self, *, start: int = 0, stop: int | None = None, shard_positions: int | None = None
    ) -> datasets.IterableDataset:
        """The rows at positions [start, stop) as a `datasets.IterableDataset`, in order.

        Its `state_dict` resumes under the same ranks and workers; `to_torch` resumes under others.

        Args:
            start, stop: positions; to the plan's end by default.
            shard_positions: positions in one of its shards, about 8,000 by default.

        Raises:
            UsageError: TSR-M009, an endless plan without `stop`; TSR-M006 or TSR-U005 for arguments out of range.
        """
        from tasksource_reg.adapters.huggingface import SHARD_POSITIONS, iterable_dataset

        size = SHARD_POSITIONS if shard_positions is None else shard_positions
        return iterable_dataset(self._data, start, stop, size)

    def to_arrow_reader(
        self, size: int | None = None, *, start: int = 0, stop: int | None = None
    ) -> pa.RecordBatchReader:
        """The batches of `batches(size, start=, stop=)` as a reader, from which DuckDB, polars and others pull."""
        return pa.RecordBatchReader.from_batches(self._data.schema, batches(self._data, size, start, stop))
