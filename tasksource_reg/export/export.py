"""`export`: a mixture as a folder of Parquet shards with everything that explains them.

Shards are written in any order, by this process or by workers; what is finished is never made again. When all are
there, the documents follow, and last the manifest: before it the folder is visibly unfinished, and can be gone on with.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tasksource_reg.errors import error
from tasksource_reg.export.attribution import attribution, credits, references
from tasksource_reg.export.croissant import croissant
from tasksource_reg.export.folder import ExportFolder
from tasksource_reg.export.identity import identity
from tasksource_reg.export.layout import (
    ATTRIBUTION,
    CROISSANT,
    PROV,
    QUARANTINE,
    README,
    REFERENCES,
    RUN,
    Layout,
    layout,
)
from tasksource_reg.export.pool import Job, write_in_processes
from tasksource_reg.export.prov import prov
from tasksource_reg.export.readme import readme
from tasksource_reg.export.recipe import Recipe
from tasksource_reg.export.run_record import Run, run_record
from tasksource_reg.export.shards import file_record, writable, write_shards
from tasksource_reg.export.summary import layout_length, manifest_of
from tasksource_reg.files import write_whole
from tasksource_reg.mixing.limits import QuarantineLimit
from tasksource_reg.mixing.stream import MixtureData
from tasksource_reg.provenance.citations import read_entries
from tasksource_reg.provenance.manifest import NAME, Manifest, ShardRecord


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an export is: positions and shards done, of how many; `resumed` positions were done before it began."""

    done: int
    total: int
    shards_done: int
    shards: int
    resumed: int


@dataclass(frozen=True)
class ExportResult:
    """A finished export.

    Attributes:
        out: its folder; manifest: its record.
        written, resumed: how many shards were made, and how many were there already.
        seconds: wall time.
        notes: what the mixture left out, and why.
    """

    out: Path
    manifest: Manifest
    written: int
    resumed: int
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Size of the data files."""
        return sum(shard.data.bytes for shard in self.manifest.shards)


def export(
    data: MixtureData,
    out: Path,
    *,
    workers: int = 1,
    shard_rows: int | None = None,
    overwrite: bool = False,
    passport: Literal["slim", "full"] = "slim",
    progress: Callable[[Progress], None] | None = None,
) -> ExportResult:
    """Exports a mixture. Exporting again into the same folder finishes what is unfinished and mends what is damaged.

    Args:
        data: the mixture, see `mixing.stream`.
        out: the folder; new, empty, or one that holds this export.
        workers: processes that write shards; with one, this process does. The bytes do not depend on it. Scripts that
            ask for more start under `if __name__ == "__main__":`, as always where processes are spawned.
        shard_rows: positions a shard, by default at most 50,000, one row group.
        overwrite: remove another export that stands in the folder.
        passport: `full` carries what is constant per task (dataset, revision, licence, hashes) in each row, too.
        progress: called as positions are done.

    Raises:
        UsageError: TSR-M009, the plan never ends; TSR-X001, TSR-X008, TSR-X009: see the catalogue of error codes.
        FindingsError, SourceError: whatever rows and sources raise; TSR-X010, a worker died; TSR-M018, more positions
            are in quarantine than the mixture's limit allows: the export can go on once the mixture is mended.
    """
    if workers < 1:
        raise error("TSR-U005", f"{workers} workers")
    if passport not in ("slim", "full"):
        raise error("TSR-U005", f'passport is "slim" or "full", not "{passport}"')
    if data.full_passport != (passport == "full"):
        data = MixtureData(data.workspace, data.resolved, full_passport=passport == "full")
    started, clock = datetime.datetime.now(datetime.UTC), time.monotonic()
    place = layout(data.spec.split, layout_length(data), shard_rows)
    folder = ExportFolder(Path(out), identity(data, place), place)
    if (complete := folder.complete()) is not None:
        return ExportResult(folder.out, complete, 0, place.shards, time.monotonic() - clock, data.resolved.notes)
    with folder.claim(overwrite=overwrite):
        shards = folder.finished()
        resumed = len(shards)
        for record in _missing_shards(data, folder, shards, workers, progress):
            folder.keep(record)
            shards[record.number] = record
            _check_quarantine(data, shards.values(), folder.out)
        manifest = manifest_of(data, place, list(shards.values()), folder.out)
        manifest = _write_documents(data, place, manifest, folder.out)
        seconds = time.monotonic() - clock
        run = Run(started, seconds, workers, resumed)
        write_whole(folder.out / RUN, run_record(run, Recipe.of(data)).encode())
        write_whole(folder.out / NAME, manifest.to_text().encode())
    return ExportResult(folder.out, manifest, place.shards - resumed, resumed, seconds, data.resolved.notes)


def _check_quarantine(data: MixtureData, shards: Collection[ShardRecord], out: Path) -> None:
    """Stops an export whose finished shards have more in quarantine than the mixture allows; they stay as they are."""
    lost, positions = sum(s.quarantined for s in shards), sum(s.stop - s.start for s in shards)
    where = f'the rows and their reasons stand in "{out / QUARANTINE}"'
    QuarantineLimit.of(data.spec.quarantine_limit).check(lost, positions, where)


def _missing_shards(
    data: MixtureData,
    folder: ExportFolder,
    finished: dict[int, ShardRecord],
    workers: int,
    progress: Callable[[Progress], None] | None,
) -> Iterator[ShardRecord]:
    """Writes the shards that are not finished."""
    place = folder.layout
    resumed = sum(record.stop - record.start for record in finished.values())
    done, shards_done = resumed, len(finished)

    def report(positions: int) -> None:
        nonlocal done
        done += positions
        if progress is not None:
            progress(Progress(done, place.length, shards_done, place.shards, resumed))

    report(0)
    missing = [number for number in range(place.shards) if number not in finished]
    records: Iterator[ShardRecord]
    if min(workers, len(missing)) <= 1:
        records = write_shards(data, place, missing, folder.out, report)
    else:
        job = Job(Recipe.of(data), folder.identity, place, str(folder.out))
        records = write_in_processes(job, missing, workers, report)
    for record in records:
        shards_done += 1
        yield record
        report(0)


def _write_documents(data: MixtureData, place: Layout, manifest: Manifest, out: Path) -> Manifest:
    """Writes what people and other tools read; returns the manifest with these files in it."""
    owed = credits(data)
    cited = any(credit.citations for credit in owed)
    entries = read_entries(root.path for root in data.workspace.registry.roots) if cited else {}
    texts = {
        README: readme(manifest, place),
        CROISSANT: croissant(manifest, place, data.schema),
        PROV: prov(manifest),
        REFERENCES: references(owed, entries),
        ATTRIBUTION: attribution(owed, entries),
    }
    with writable(out):
        for name, text in texts.items():
            write_whole(out / name, text.encode())
    return replace(manifest, documents=tuple(file_record(out / name, name) for name in texts))
