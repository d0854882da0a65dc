"""A mixture as a `datasets.IterableDataset`, made by its public `from_generator`.

The positions are cut into ranges, which are the dataset's shards: `split_dataset_by_node` and the workers of a loader
take whole ranges. A state of the dataset holds a range and the rows that it gave, so it resumes under the same ranks
and workers only, and computes that range again from its beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import datasets

from tasksource_reg.errors import error
from tasksource_reg.export.parquet import hf_features
from tasksource_reg.mixing.blocks import ROWS_AS_DICTS
from tasksource_reg.mixing.iterate import batches
from tasksource_reg.mixing.stream import MixtureData
from tasksource_reg.nested import python_rows

SHARD_POSITIONS = 8192  # few enough that a resumed range is soon computed again


def iterable_dataset(
    data: MixtureData, start: int = 0, stop: int | None = None, shard_positions: int = SHARD_POSITIONS
) -> datasets.IterableDataset:
    """The rows at positions [start, stop), in order; quarantined positions are left out.

    Args:
        data: the mixture.
        start, stop: positions; to the plan's end by default.
        shard_positions: positions in a shard.

    Raises:
        UsageError: TSR-M009, an endless plan without `stop`; TSR-M006, positions outside the plan; TSR-U005, nothing
            between start and stop, or shards of no positions.
    """
    if stop is None:
        stop = data.plan.length
    if stop is None:
        raise error("TSR-M009", "an endless mixture cannot be cut into shards", fix="give `stop`")
    if shard_positions < 1 or not 0 <= start < stop:
        message = f"positions {start} to {stop} in shards of {shard_positions}"
        raise error("TSR-U005", message, fix="start lies before stop, a shard has at least 1 position")
    batches(data, None, start, stop)  # refuses positions outside the plan
    firsts = list(range(start, stop, shard_positions))
    ranges = list(zip(firsts, [*firsts[1:], stop], strict=True))
    return datasets.IterableDataset.from_generator(
        _rows,
        features=datasets.Features.from_dict(hf_features(data.schema)),
        gen_kwargs={"data": data, "ranges": ranges},
    )


def _rows(data: MixtureData, ranges: list[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    for first, last in ranges:
        for batch in batches(data, ROWS_AS_DICTS, first, last):
            yield from python_rows(batch)
