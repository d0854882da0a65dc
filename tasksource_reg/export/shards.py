"""Shards of an export, computed block by block and written whole. Shards know nothing of each other."""

from __future__ import annotations

import contextlib
import errno
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from tasksource_reg.errors import error
from tasksource_reg.export.layout import QUARANTINE, Layout
from tasksource_reg.export.parquet import RowWriter, footer_of
from tasksource_reg.files import whole_file
from tasksource_reg.mixing.stream import MixtureData, Quarantined
from tasksource_reg.provenance.manifest import FORMAT, FileRecord, ShardRecord

T = TypeVar("T")

MOST_ROWS = 25_000
"""Positions computed at once, at the most: rows of many tasks, with shots, take some 200 MB for 50,000."""

QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("position", pa.int64()),
        pa.field("task", pa.string()),
        pa.field("split", pa.string()),
        pa.field("row", pa.int64()),
        pa.field("part", pa.int32()),
        pa.field("template", pa.string()),
        pa.field("code", pa.string()),
        pa.field("message", pa.string()),
    ]
)
_NOT_WRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


def write_shards(
    data: MixtureData,
    layout: Layout,
    numbers: Iterable[int],
    out: Path,
    report: Callable[[int], None] | None = None,
    ahead: int = 2,
) -> Iterator[ShardRecord]:
    """Computes and writes shards one after the other: their rows, and their quarantine if they have any.

    Blocks are computed here; a thread compresses, writes and hashes them. So a shard is finished while the next one is
    computed already.

    Args:
        data: the mixture.
        layout: which positions are in which shard, and the names of the files.
        numbers: of the shards; a number is asked for when its first rows are computed.
        out: the export; the folder `data` is there.
        report: called with the number of positions computed since the last call.
        ahead: computed blocks that may wait to be written; memory holds these, one more and a row group.

    Yields:
        The record of each shard, in the order of the numbers.

    Raises:
        UsageError: TSR-X008, the files cannot be written.
        TsrError: whatever the sources and rows raise.
    """
    step = min(data.block_rows, MOST_ROWS)
    behind = _Behind(ahead)
    finishing: deque[Future[ShardRecord]] = deque()
    try:
        for number in numbers:
            shard = _Shard(data, layout, number, out)
            behind.clean.append(shard.abandon)
            quarantined: list[Quarantined] = []
            start, stop = layout.positions(number)
            for first, last in _even(start, stop, step):
                block = data.block(np.arange(first, last, dtype=np.int64))
                quarantined += block.quarantined
                behind.submit(shard.write, block.rows)
                del block
                if report is not None:
                    report(last - first)
            finishing.append(behind.submit(shard.finish, footer(data, layout, number), quarantined))
            while finishing and finishing[0].done():
                yield finishing.popleft().result()
        while finishing:
            yield finishing.popleft().result()
    finally:
        behind.close()


def _even(start: int, stop: int, most: int) -> Iterator[tuple[int, int]]:
    """Stretches of about the same length, at most `most`."""
    bounds = np.linspace(start, stop, -(-(stop - start) // most) + 1).astype(np.int64).tolist()
    return pairwise(bounds)


class _Behind:
    """A thread that does one thing after the other, a few of them late; once one fails, none of the rest is done."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="tsr-write")
        self._waiting: deque[Future[Any]] = deque()
        self.clean: list[Callable[[], None]] = []
        """Called by `close`, in the thread that calls it, when nothing is under way any more."""

    def submit(self, do: Callable[..., T], *arguments: Any) -> Future[T]:
        """Hands over a thing to do, as soon as few enough are waiting; raises what an earlier one raised."""
        while len(self._waiting) >= self._most or (self._waiting and self._waiting[0].done()):
            self._waiting.popleft().result()
        future = self._pool.submit(do, *arguments)
        self._waiting.append(future)
        return future

    def close(self) -> None:
        """Ends the thread; what waits is not done."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for clean in self.clean:
            clean()


class _Shard:
    """The files of one shard while they are written."""

    def __init__(self, data: MixtureData, layout: Layout, number: int, out: Path) -> None:
        self._schema, self._layout, self._number, self._out = data.schema, layout, number, out
        self._open = contextlib.ExitStack()
        self._temporary: Path | None = None
        self._writer: RowWriter | None = None

    def write(self, rows: pa.RecordBatch) -> None:
        """Adds a block of rows."""
        with writable(self._out):
            if self._writer is None:
                path = self._out / self._layout.data(self._number)
                self._temporary = self._open.enter_context(whole_file(path))
                self._writer = self._open.enter_context(RowWriter(self._temporary, self._schema))
            self._writer.write(rows)

    def finish(self, footer: dict[str, Any], quarantined: Sequence[Quarantined]) -> ShardRecord:
        """Puts the files under their names."""
        assert self._writer is not None and self._temporary is not None
        start, stop = self._layout.positions(self._number)
        name = self._layout.data(self._number)
        with writable(self._out):
            self._writer.footer = footer
            self._writer.close()
            record = file_record(self._temporary, name)
            self._open.close()
            gone = _write_quarantine(quarantined, self._out, self._layout.quarantine(self._number))
        return ShardRecord(self._number, start, stop, self._writer.rows, len(quarantined), record, gone)

    def abandon(self) -> None:
        """Removes what is half done; nothing where the shard is finished."""
        self._open.__exit__(_Abandoned, _Abandoned(), None)


class _Abandoned(Exception):
    """Why a half-written shard is left."""


def footer(data: MixtureData, layout: Layout, number: int) -> dict[str, Any]:
    """What a shard says of itself: the export it belongs to, its positions, and the task table of its rows."""
    start, stop = layout.positions(number)
    here = data.plan.occurrences_before(stop) - data.plan.occurrences_before(start)
    tasks = [data.records[task].to_json() for task in np.flatnonzero(here).tolist()]
    common = {
        "format": FORMAT,
        "mixture": data.spec.mixture,
        "shape": data.spec.shape,
        "plan": data.plan.digest,
        "shard": number,
        "of": layout.shards,
        "start": start,
        "stop": stop,
    }
    return footer_of(common, tasks)


def _write_quarantine(quarantined: Sequence[Quarantined], out: Path, name: str) -> FileRecord | None:
    path = out / name
    if not quarantined:
        path.unlink(missing_ok=True)  # of an earlier try
        return None
    (out / QUARANTINE).mkdir(exist_ok=True)
    batch = pa.RecordBatch.from_pylist([asdict(q) for q in quarantined], schema=QUARANTINE_SCHEMA)
    with whole_file(path) as temporary:
        with RowWriter(temporary, QUARANTINE_SCHEMA, passport=False) as writer:
            writer.write(batch)
        return file_record(temporary, name)


def file_record(path: Path, name: str) -> FileRecord:
    """The record of a file that is called `name` in the export."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileRecord(name, digest, path.stat().st_size)


def is_intact(out: Path, record: FileRecord) -> bool:
    """Whether a file is what its record says."""
    path = out / record.path
    return path.is_file() and path.stat().st_size == record.bytes and file_record(path, record.path) == record


def task_rows(tables: Iterator[pa.Table]) -> Mapping[tuple[str, str | None], int]:
    """Rows by (task, template), counted from the passports in tables."""
    counts: dict[tuple[str, str | None], int] = {}
    for table in tables:
        passport = pa.Table.from_struct_array(table.column("provenance").combine_chunks())
        grouped = passport.group_by(["task", "template"], use_threads=False).aggregate([([], "count_all")])
        for row in grouped.to_pylist():
            key = (row["task"], row["template"])
            counts[key] = counts.get(key, 0) + row["count_all"]
    return counts


@contextlib.contextmanager
def writable(out: Path) -> Iterator[None]:
    """Turns what the system says of a full disk or a folder without write access into TSR-X008."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in _NOT_WRITABLE:
            raise
        raise error("TSR-X008", f'"{out}" cannot be written: {exc.strerror or exc}') from exc
