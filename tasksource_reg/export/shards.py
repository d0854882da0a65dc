"""Shards of an export, computed block by block and written whole. Shards know nothing of each other."""

from __future__ import annotations

import contextlib
import errno
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from tasksource_reg.errors import error
from tasksource_reg.export.layout import QUARANTINE, Layout
from tasksource_reg.export.parquet import RowWriter, footer_of
from tasksource_reg.files import whole_file
from tasksource_reg.mixing.blocks import Quarantined, Unfinished
from tasksource_reg.mixing.stream import MixtureData
from tasksource_reg.nested import Ints
from tasksource_reg.provenance.manifest import FORMAT, FileRecord, ShardRecord

T = TypeVar("T")

MOST_ROWS = 25_000
MOST_ROWS_OF_SEVERAL = 12_500
MOST_CHARACTERS = 9 * 2**20
"""Positions computed at once by a process, by one of several, and characters of their sources, at the most: a block
holds its memory several times over. Two processes of `benchmarks/export.py` are to take at most 600 MB together."""

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

    Blocks are computed here; threads put their rows in order, compress, write and hash them, one thread a shard. So a
    shard is finished while the next ones are computed already. (Reading ahead in a thread of its own was tried: it
    costs a third more CPU, for Python's lock is passed to and fro, and gains nothing on two cores.)

    Args:
        data: the mixture.
        layout: which positions are in which shard, and the names of the files.
        numbers: of the shards; a number is asked for when its first rows are computed.
        out: the export; the folder `data` is there.
        report: called with the number of positions computed since the last call.
        ahead: computed blocks that may wait to be written, and threads that write; memory holds these blocks, one more,
            and a row group a thread.

    Yields:
        The record of each shard, in the order of the numbers.

    Raises:
        UsageError: TSR-X008, the files cannot be written.
        TsrError: whatever the sources and rows raise.
    """
    behind = _Behind(ahead)
    finishing: deque[Future[ShardRecord]] = deque()
    shard: _Shard | None = None
    with contextlib.closing(behind):
        most = MOST_ROWS if ahead > 1 else MOST_ROWS_OF_SEVERAL
        for stretch in _stretches(layout, numbers, min(data.rows_holding(MOST_CHARACTERS), most)):
            rows = data.begin(stretch.positions)
            if shard is None:
                shard = _Shard(data, layout, stretch.shard, out)
                behind.clean.append(shard.abandon)
            behind.write(stretch.turn, shard.write, rows)
            del rows
            if ahead == 1:
                pa.default_memory_pool().release_unused()
            if report is not None:
                report(len(stretch.positions))
            if stretch.last:
                finishing.append(behind.submit(stretch.turn, shard.finish, footer(data, layout, stretch.shard)))
                shard = None
            while finishing and finishing[0].done():
                yield finishing.popleft().result()
        while finishing:
            yield finishing.popleft().result()


@dataclass(frozen=True)
class _Stretch:
    """Positions that are computed together: those of a shard, or some of them; `turn` counts the shards."""

    turn: int
    shard: int
    positions: Ints
    last: bool


def _stretches(layout: Layout, numbers: Iterable[int], most: int) -> Iterator[_Stretch]:
    """The positions of shards in stretches of about the same length, at most `most`."""
    for turn, number in enumerate(numbers):
        start, stop = layout.positions(number)
        bounds = np.linspace(start, stop, -(-(stop - start) // most) + 1).astype(np.int64).tolist()
        for first, last in pairwise(bounds):
            yield _Stretch(turn, number, np.arange(first, last, dtype=np.int64), last == stop)


class _Behind:
    """Threads that write, each one thing after the other; once one of them fails, no more is handed to any."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._threads = [ThreadPoolExecutor(1, thread_name_prefix="tsr-write") for _ in range(most)]
        self._waiting: deque[Future[Any]] = deque()
        self.clean: list[Callable[[], None]] = []
        """Called by `close`, in the thread that calls it, when nothing is under way any more."""

    def write(self, turn: int, do: Callable[..., None], *arguments: Any) -> None:
        """Hands over rows, as soon as few enough are under way; raises what an earlier one raised."""
        while len(self._waiting) >= self._most or (self._waiting and self._waiting[0].done()):
            self._waiting.popleft().result()
        self._waiting.append(self.submit(turn, do, *arguments))

    def submit(self, turn: int, do: Callable[..., T], *arguments: Any) -> Future[T]:
        """Hands a thing to a thread: those of one turn to the same, so that they are done in their order."""
        return self._threads[turn % self._most].submit(do, *arguments)

    def close(self) -> None:
        """Ends the threads; what waits is not done."""
        for thread in self._threads:
            thread.shutdown(wait=True, cancel_futures=True)
        for clean in self.clean:
            clean()


class _Shard:
    """The files of one shard while they are written."""

    def __init__(self, data: MixtureData, layout: Layout, number: int, out: Path) -> None:
        self._schema, self._layout, self._number, self._out = data.schema, layout, number, out
        self._open = contextlib.ExitStack()
        self._temporary: Path | None = None
        self._writer: RowWriter | None = None
        self._broken: BaseException | None = None
        self.quarantined: list[Quarantined] = []

    def write(self, rows: Unfinished) -> None:
        """Adds a block of rows."""
        try:
            block = rows.block()
            self.quarantined += block.quarantined
            with writable(self._out):
                if self._writer is None:
                    path = self._out / self._layout.data(self._number)
                    self._temporary = self._open.enter_context(whole_file(path))
                    self._writer = self._open.enter_context(RowWriter(self._temporary, self._schema))
                self._writer.write(block.rows)
        except BaseException as exc:
            self._broken = exc
            raise

    def finish(self, footer: dict[str, Any]) -> ShardRecord:
        """Puts the files under their names.

        Raises:
            whatever a block of the shard raised: one that lacks rows is never finished.
        """
        if self._broken is not None:
            raise self._broken
        assert self._writer is not None and self._temporary is not None
        start, stop = self._layout.positions(self._number)
        name = self._layout.data(self._number)
        with writable(self._out):
            self._writer.footer = footer
            self._writer.close()
            record = file_record(self._temporary, name)
            self._open.close()
            gone = _write_quarantine(self.quarantined, self._out, self._layout.quarantine(self._number))
        return ShardRecord(self._number, start, stop, self._writer.rows, len(self.quarantined), record, gone)

    def abandon(self) -> None:
        """Removes what is half done; nothing where the shard is finished."""
        self._open.__exit__(_Abandoned, _Abandoned(), None)


class _Abandoned(Exception):
    """Why a half-written shard is left."""


def footer(data: MixtureData, layout: Layout, number: int) -> dict[str, Any]:
    """What a shard says of itself: the export it belongs to, its positions, and the task table of its rows."""
    start, stop = layout.positions(number)
    here = data.plan.occurrences_within(start, stop)
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
