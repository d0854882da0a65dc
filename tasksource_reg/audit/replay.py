"""`replay`: proves that sampled rows of an export can be made again, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasksource_reg.audit.rebuild import rebuild
from tasksource_reg.audit.trace import read_rows
from tasksource_reg.errors import Problem, error
from tasksource_reg.keyed import stream_key
from tasksource_reg.mixing.permutation import permute
from tasksource_reg.nested import Ints
from tasksource_reg.provenance.manifest import Manifest, read_manifest
from tasksource_reg.provenance.passport import COLUMN
from tasksource_reg.workspace import Workspace

LISTED = 20


@dataclass(frozen=True, slots=True)
class Differing:
    """A row that comes out otherwise: its number in the export, its address, and the columns that differ."""

    row: int
    position: int
    task: str
    split: str
    source_row: int
    template: str | None
    columns: tuple[str, ...]


@dataclass(frozen=True)
class ReplayResult:
    """What a replay found.

    Attributes:
        sampled, identical: rows.
        differing: the others.
        differences: what has changed since the export (versions, hashes, revisions), a line each.
    """

    sampled: int
    identical: int
    differing: tuple[Differing, ...]
    differences: tuple[str, ...]

    def problems(self) -> list[Problem]:
        """TSR-X006 for each differing row, at most 20 of them."""
        why = "; ".join(self.differences[:3]) or "nothing on record has changed"
        return [
            Problem(
                "TSR-X006",
                f"row {d.row:,} differs in {', '.join(d.columns)} ({why})",
                task=d.task,
                split=d.split,
                row=d.source_row,
            )
            for d in self.differing[:LISTED]
        ]


def replay(out: Path, sample: int, seed: int, workspace: Workspace) -> ReplayResult:
    """Makes sampled rows again and compares them with the exported ones.

    Args:
        out: the export.
        sample: how many rows; all of them if there are fewer.
        seed: of the sample.
        workspace: opens sources as the export did; see `export.run_record.source_arguments`.

    Raises:
        UsageError: TSR-X007, no such export; TSR-U005, an empty sample.
        FindingsError: TSR-X002, TSR-X003: shards are damaged or missing; TSR-X006: tasks are gone.
        SourceError: sources cannot be opened.
    """
    if sample < 1:
        raise error("TSR-U005", f"a sample of {sample} rows")
    manifest = read_manifest(out)
    numbers = sampled_rows(manifest.rows, sample, seed)
    rebuilt = rebuild(manifest, workspace, out)
    differing: list[Differing] = []
    for rows, exported in _exported(out, manifest, numbers, rebuilt.data.block_rows):
        passports = exported.column(COLUMN).to_pylist()
        positions = np.array([p["position"] for p in passports], dtype=np.int64)
        block = rebuilt.data.block(positions)
        made = {p["position"]: i for i, p in enumerate(block.rows.column(COLUMN).to_pylist())}
        again = pa.Table.from_batches([block.rows])
        if exported.schema != again.schema:
            message = "the columns of the export are not those that the mixture gives now"
            raise error("TSR-X006", message)
        if not exported.equals(again):
            for i, passport in enumerate(passports):
                columns = _other_columns(exported.slice(i, 1), again, made.get(passport["position"]))
                if columns:
                    differing.append(_differing(int(rows[i]), passport, columns))
    return ReplayResult(len(numbers), len(numbers) - len(differing), tuple(differing), rebuilt.differences)


def sampled_rows(rows: int, sample: int, seed: int) -> Ints:
    """`sample` distinct row numbers out of [0, rows), drawn by a keyed permutation, ascending."""
    if not rows:
        return np.zeros(0, dtype=np.int64)
    key = stream_key(seed, "replay")
    return np.sort(permute(key, rows, 0, np.arange(min(sample, rows), dtype=np.int64)))


def _exported(out: Path, manifest: Manifest, numbers: Ints, size: int) -> Iterator[tuple[Ints, pa.Table]]:
    """The sampled rows, in tables of at most `size` rows: (their numbers in the export, the rows)."""
    start = 0
    for shard in manifest.shards:
        here = numbers[(numbers >= start) & (numbers < start + shard.rows)]
        for first in range(0, len(here), size):
            chosen = here[first : first + size]
            yield chosen, read_rows(out / shard.data.path, (chosen - start).tolist())
        start += shard.rows


def _other_columns(row: pa.Table, again: pa.Table, place: int | None) -> tuple[str, ...]:
    """The columns in which a row differs; all of them if it is not made any more."""
    if place is None:
        return tuple(row.column_names)
    other = again.slice(place, 1)
    return tuple(name for name in row.column_names if not row.column(name).equals(other.column(name)))


def _differing(row: int, passport: dict[str, object], columns: tuple[str, ...]) -> Differing:
    return Differing(
        row,
        int(str(passport["position"])),
        str(passport["task"]),
        str(passport["split"]),
        int(str(passport["row"])),
        None if passport["template"] is None else str(passport["template"]),
        columns,
    )
