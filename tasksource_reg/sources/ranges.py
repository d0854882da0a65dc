"""Bytes of data files by position: exact ranges, over a new connection where one breaks.

A `DataFile` is a file at a pinned commit of the hub, or on disk. `read_range` gives bytes of it, all that were asked
for or an error. `RangeFile` shows a file to readers that want one: the ranges that it holds come from memory, all
else is read when it is asked for.
"""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from tasksource_reg.errors import error
from tasksource_reg.sources.failures import is_passing_read
from tasksource_reg.sources.patience import patiently

if TYPE_CHECKING:
    import huggingface_hub

HUB = "hf://"
GAP = 1 << 18  # bytes between two ranges that are read rather than asked around: a request costs as much time

Span: TypeAlias = tuple[int, int]
"""First byte, and the byte after the last."""


@dataclass(frozen=True)
class DataFile:
    """A data file as it was when its source was opened.

    Attributes:
        address: `hf://datasets/<id>@<commit>/<path>`, or a path on disk.
        size: bytes.
        changed: when it was last written, in nanoseconds; 0 on the hub, where a commit does not change.
    """

    address: str
    size: int
    changed: int = 0

    @property
    def remote(self) -> bool:
        """Whether it is on the hub."""
        return self.address.startswith(HUB)

    @property
    def name(self) -> str:
        """Its name for people: the path in its dataset, or on disk."""
        return self.address.partition("@")[2].partition("/")[2] if self.remote else self.address


class CutShortError(ConnectionError):
    """Fewer bytes arrived than were asked for, or others."""

    def __init__(self, arrived: int, asked: int) -> None:
        super().__init__(f"IncompleteRead: {arrived:,} bytes arrived where {asked:,} were asked for")


def local_file(path: str) -> DataFile:
    """A file on disk as it is now."""
    stat = os.stat(path)
    return DataFile(path, stat.st_size, stat.st_mtime_ns)


def read_range(file: DataFile, start: int, stop: int, token: str | bool | None) -> bytes:
    """Bytes [start, stop) of a file, tried again where the connection or the hub fails.

    Args:
        file: the file.
        start, stop: within its size.
        token: the hub token; None takes the stored one.

    Raises:
        SourceError: TSR-N012, a file on disk that is not what it was.
        Exception: what the hub's client raises, after all tries.
    """
    if not file.remote:
        return _read_local(file, start, stop)
    return patiently(lambda: _read_remote(file, start, stop, token), is_passing_read)


def _read_local(file: DataFile, start: int, stop: int) -> bytes:
    try:
        with open(file.address, "rb") as handle:
            stat = os.fstat(handle.fileno())
            handle.seek(start)
            data = handle.read(stop - start)
    except FileNotFoundError as exc:
        raise error("TSR-N012", f'the file "{file.address}" is gone') from exc
    if (stat.st_size, stat.st_mtime_ns) != (file.size, file.changed) or len(data) != stop - start:
        raise error("TSR-N012", f'the file "{file.address}" has changed since it was opened')
    return data


@cache
def _hub(token: str | bool | None) -> huggingface_hub.HfFileSystem:
    """The hub's files; kept, because it asks the hub once for each dataset whether it is there."""
    import huggingface_hub

    return huggingface_hub.HfFileSystem(token=token)


def _read_remote(file: DataFile, start: int, stop: int, token: str | bool | None) -> bytes:
    """One request; the block cache of fsspec is left out, since ranges are known beforehand."""
    with _hub(token).open(file.address, "rb", size=file.size, cache_type="none") as handle:
        handle.seek(start)
        data: bytes = handle.read(stop - start)
    if len(data) != stop - start:
        raise CutShortError(len(data), stop - start)
    return data


def joined(spans: Iterable[Span], gap: int = GAP) -> list[Span]:
    """Spans in order, with those joined that overlap or lie at most `gap` bytes apart."""
    out: list[Span] = []
    for start, stop in sorted(spans):
        if out and start - out[-1][1] <= gap:
            out[-1] = (out[-1][0], max(stop, out[-1][1]))
        else:
            out.append((start, stop))
    return out


class RangeFile(io.RawIOBase):
    """A file for a reader: what it holds comes from memory, the rest is read when it is asked for.

    Args:
        file: the file.
        token: the hub token.
        held: the spans to read at once.
    """

    def __init__(self, file: DataFile, token: str | bool | None, held: Sequence[Span] = ()) -> None:
        self.file = file
        self._token = token
        self._at = 0
        self._held = [(start, read_range(file, start, stop, token)) for start, stop in held]
        self._starts = [start for start, _ in self._held]

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The place of the next read, in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves the place of the next read."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.file.size}[whence]
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes; fewer only at the end of the file."""
        start = self._at
        stop = self.file.size if size is None or size < 0 else min(start + size, self.file.size)
        if stop <= start:
            return b""
        self._at = stop
        number = bisect_right(self._starts, start) - 1
        if number >= 0:
            first, data = self._held[number]
            if stop <= first + len(data):
                return data[start - first : stop - first]
        return read_range(self.file, start, stop, self._token)
