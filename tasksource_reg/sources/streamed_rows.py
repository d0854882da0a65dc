"""The rows of a streamed split by position: sections are fetched once, kept as Arrow files, and read from there.

A fetched section stands in the cache under a name made of its file, row groups and columns, written whole. So worker
processes share what one of them fetched, a run that is resumed finds it, and what was removed meanwhile is fetched
again. Fetching runs in threads that end with the process: an interruption need not wait for a connection.
"""

from __future__ import annotations

import contextlib
import errno
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasksource_reg.cache import keep_streams_within_bounds, touch
from tasksource_reg.errors import SourceError, TsrError, error
from tasksource_reg.files import whole_file
from tasksource_reg.sources.arrow_files import POOL, ArrowFile, Integers
from tasksource_reg.sources.failures import chain, explain
from tasksource_reg.sources.prepare import ROWS_TOGETHER
from tasksource_reg.sources.ranges import DataFile
from tasksource_reg.sources.sections import Section, kept_footer, read_section
from tasksource_reg.sources.spec import SourceSpec, digest

THREADS = 8
AHEAD = 2 * THREADS
"""Sections that are fetched before rows of them are read, at the most."""
TRIES = 3
LOCKS = 64
ALONE_SECONDS = 300.0
_KEPT_OPEN = 4096
_NOT_THERE = {"EntryNotFoundError", "RemoteEntryNotFoundError", "RevisionNotFoundError"}  # the hub client's names


def together(acts: Sequence[Callable[[], None]]) -> None:
    """Runs actions in threads; the first error is raised, and what has not begun then never does.

    The threads do not keep the process alive, and the caller waits on a queue, so that Ctrl-C gets through at once.
    """
    waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    stopped = threading.Event()

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while not stopped.is_set():
                act = waiting.get_nowait()
                try:
                    act()
                    done.put(None)
                except BaseException as exc:
                    done.put(exc)

    for act in acts:
        waiting.put(act)
    for _ in range(min(THREADS, len(acts))):
        threading.Thread(target=work, daemon=True, name="tsr-fetch").start()
    try:
        for _ in acts:
            if (exc := done.get()) is not None:
                raise exc
    finally:
        stopped.set()


@contextlib.contextmanager
def explained(spec: SourceSpec, split: str, file: DataFile, section: Section | None = None) -> Iterator[None]:
    """Turns what goes wrong with a file into a coded error that names it."""
    try:
        yield
    except TsrError as exc:
        raise exc.at(split=split) from exc.__cause__
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno == errno.ENOSPC:
            message = f'no space is left for rows of "{spec}"'
            raise error("TSR-N011", message, fix="free space, or set TSR_STREAM_SIZE to less", split=split) from exc
        if file.remote and any(type(link).__name__ in _NOT_THERE for link in chain(exc)):
            message = f'"{file.name}" of "{spec}" is no longer on the hub at the commit that was opened'
            raise error("TSR-N012", message, fix="open the source again, or lock it anew", split=split) from exc
        problem = explain(exc, spec).problems[0]
        where = f'"{file.name}"'
        if section is not None:
            last = section.first + section.groups - 1
            where += f", row group {section.first}" if section.groups == 1 else f", row groups {section.first}-{last}"
        raise error(problem.code, f"{problem.message} ({where})", fix=problem.fix, split=split) from exc


def footer_path(folder: Path, file: DataFile) -> Path:
    """Where the footer of a file is kept."""
    return folder / f"{file_key(file)}.footer"


def file_key(file: DataFile) -> str:
    """16 hexadecimal digits over the address of a file and its state."""
    return digest([file.address, file.size, file.changed])[:16]


class StreamedRows:
    """The rows of a split, as `ArrowFile` gives them of a prepared file.

    Args:
        spec, split: what they are of, for errors.
        files: the Parquet files; sections: those of each.
        schema: of all columns, with their features in its metadata.
        folder: where fetched sections are kept.
        token: the hub token.
        offline: rows that were not fetched before are an error.
    """

    def __init__(
        self,
        spec: SourceSpec,
        split: str,
        files: Sequence[DataFile],
        sections: Sequence[Sequence[Section]],
        schema: pa.Schema,
        folder: Path,
        *,
        token: str | bool | None,
        offline: bool,
    ) -> None:
        self.spec, self.split, self.folder = spec, split, folder
        self.files, self.schema = tuple(files), schema
        self.token, self.offline = token, offline
        self._sections: Integers = np.array(
            [(number, *section) for number, found in enumerate(sections) for section in found], dtype=np.int64
        ).reshape(-1, 4)
        self._starts: Integers = np.concatenate([np.zeros(1, np.int64), np.cumsum(self._sections[:, 3])])
        self.num_rows = int(self._starts[-1])
        self._keys = [file_key(file) for file in files]
        self._open: dict[Path, ArrowFile] = {}

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(file.size for file in self.files)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}

    def pieces(self, rows: Integers, columns: list[str]) -> list[pa.RecordBatch]:
        """The rows of ascending numbers; sections of theirs that are not in the cache are fetched, several at once.

        Args:
            rows: int64, ascending, duplicates allowed, in [0, num_rows).
            columns: the columns of the pieces, in this order.

        Returns:
            As `ArrowFile.pieces`.

        Raises:
            SourceError: TSR-N006, the hub does not answer; TSR-N007, a damaged file; TSR-N008, offline, and not in the
                cache; TSR-N012, a file that has changed.
        """
        of = np.searchsorted(self._starts, rows, side="right") - 1
        numbers, firsts = np.unique(of, return_index=True)
        bounds = [*firsts.tolist(), len(rows)]
        out: list[pa.RecordBatch] = []
        for begin in range(0, len(numbers), AHEAD):  # what is mapped stays readable, so few need to be there at once
            wave = [int(number) for number in numbers[begin : begin + AHEAD]]
            self._fetch(wave, columns)
            for place, number in enumerate(wave, begin):
                local = rows[bounds[place] : bounds[place + 1]] - self._starts[number]
                out += self._read(number, columns, local)
        return out

    def ahead(self, row: int, columns: list[str]) -> None:
        """Fetches the sections from a row on, several at once, if that of the row is not there."""
        first = int(np.searchsorted(self._starts, row, side="right")) - 1
        if not self._path(first, columns).exists():
            self._fetch(list(range(first, min(first + AHEAD, len(self._sections)))), columns)

    def _fetch(self, numbers: Sequence[int], columns: list[str]) -> None:
        """Fetches those of some sections that are not in the cache."""
        missing = [number for number in numbers if not self._path(number, columns).exists()]
        if missing:
            together([partial(self._fetch_one, number, columns) for number in missing])

    def _read(self, number: int, columns: list[str], local: Integers) -> list[pa.RecordBatch]:
        """Rows of one section, by their numbers in it; fetched again where its file was removed or is damaged."""
        path = self._path(number, columns)
        for last in (False,) * (TRIES - 1) + (True,):
            file = self._open.get(path)
            if file is None:
                if len(self._open) >= _KEPT_OPEN:
                    self._open.clear()
                file = self._open[path] = ArrowFile(str(path), int(self._sections[number, 3]))
            try:
                pieces = file.pieces(local, columns)
                touch(path, after=10.0)
                return pieces
            except SourceError:
                if last:
                    raise
            POOL.forget(str(path))
            self._open.pop(path, None)
            with contextlib.suppress(OSError):
                path.unlink()
            self._fetch([number], columns)
        raise AssertionError("the loop returns or raises")

    def _section(self, number: int) -> tuple[DataFile, Section]:
        file, first, groups, rows = self._sections[number].tolist()
        return self.files[file], Section(first, groups, rows)

    def _path(self, number: int, columns: list[str]) -> Path:
        file, first, groups, _ = self._sections[number].tolist()
        return self.folder / f"{self._keys[file]}-{first}+{groups}-{_columns_key(tuple(columns))}.arrow"

    def _fetch_one(self, number: int, columns: list[str]) -> None:
        """Writes a section into the cache, unless another process just did."""
        file, section = self._section(number)
        if self.offline and file.remote:
            raise error("TSR-N008", f'offline, and these rows of "{self.spec}" are not in the cache', split=self.split)
        with explained(self.spec, self.split, file, section):
            try:
                size = self._write(number, columns)
            except FileNotFoundError:
                if self.folder.is_dir():
                    raise
                size = self._write(number, columns)  # the cache was cleared meanwhile
        path = self._path(number, columns)
        with contextlib.suppress(SourceError):
            POOL.get(str(path))  # it can be read once, even if it is more than the cache may hold
        for gone in keep_streams_within_bounds(size):
            if gone != path:
                POOL.forget(str(gone))

    def _write(self, number: int, columns: list[str]) -> int:
        """Fetches a section that is not there; returns the bytes that were written."""
        file, section = self._section(number)
        path = self._path(number, columns)
        wanted = pa.schema([self.schema.field(name) for name in columns], metadata=self.schema.metadata)
        self.folder.mkdir(parents=True, exist_ok=True)
        with _alone(self.folder / f"{number % LOCKS}.lock"):
            if path.exists():
                return 0
            footer = kept_footer(footer_path(self.folder, file), file, self.token)
            with whole_file(path, synced=False) as temporary:
                with pa.ipc.new_stream(str(temporary), wanted.remove_metadata()) as writer:
                    for table in read_section(file, footer, section, wanted, self.token):
                        writer.write_table(table, max_chunksize=ROWS_TOGETHER)
                return temporary.stat().st_size


@lru_cache(1024)
def _columns_key(columns: tuple[str, ...]) -> str:
    """16 hexadecimal digits over columns in their order, and what their batches are like."""
    return digest([columns, ROWS_TOGETHER])[:16]


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keeps other processes from fetching what this one fetches.

    Where files cannot be locked, or another process keeps the lock for long, both fetch: it does no harm.
    """
    from filelock import FileLock

    with contextlib.ExitStack() as stack:
        with contextlib.suppress(NotImplementedError, OSError):
            stack.enter_context(FileLock(path, timeout=ALONE_SECONDS))
        yield
