"""Which files an export has, and which positions of the plan stand in which of them. Pure names and numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasksource_reg.errors import error

DATA, QUARANTINE = "data", "quarantine"
README, CROISSANT, PROV = "README.md", "croissant.json", "prov.json"
REFERENCES, ATTRIBUTION, RUN = "references.bib", "ATTRIBUTION.md", "RUN.json"
DOCUMENTS = (README, CROISSANT, PROV, REFERENCES, ATTRIBUTION)
"""Files beside the data that follow from the manifest's facts; RUN.json alone holds times."""

SHARD_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Layout:
    """Shard i is positions [i * shard_rows, (i + 1) * shard_rows) of a plan of `length` positions."""

    split: str
    length: int
    shard_rows: int

    @property
    def shards(self) -> int:
        """How many there are."""
        return -(-self.length // self.shard_rows)

    def positions(self, shard: int) -> tuple[int, int]:
        """First position of a shard, and the one after its last."""
        return shard * self.shard_rows, min((shard + 1) * self.shard_rows, self.length)

    @property
    def prefix(self) -> str:
        """The split's name as file names and the Hugging Face hub allow it."""
        return re.sub(r"[^\w.]", "_", self.split)

    def name(self, shard: int) -> str:
        """The file name of a shard: `train-00000-of-00012.parquet`."""
        return f"{self.prefix}-{shard:05d}-of-{self.shards:05d}.parquet"

    def data(self, shard: int) -> str:
        """Path of a shard's rows in the export."""
        return f"{DATA}/{self.name(shard)}"

    def quarantine(self, shard: int) -> str:
        """Path of a shard's quarantine; the file is there only if it holds something."""
        return f"{QUARANTINE}/{self.name(shard)}"


def layout(split: str, length: int, shard_rows: int | None = None) -> Layout:
    """The layout of an export.

    Args:
        split: that the mixture reads.
        length: positions of the plan.
        shard_rows: positions a shard; by default as many as make equal shards of at most 50,000.

    Raises:
        UsageError: TSR-U005 for shards without rows.
    """
    if shard_rows is None:
        count = -(-length // SHARD_ROWS)
        shard_rows = -(-length // count)
    if shard_rows < 1:
        raise error("TSR-U005", f"{shard_rows} rows a shard")
    return Layout(split, length, shard_rows)
