"""What this package's cache holds, and keeping it within a size.

An entry is a prepared config of a mirror or a folder, what was fetched of a streamed one, or the row index of a split.
Each carries the time when it was last used (its modification time is set when it is opened). Entries go whole, the
longest unused first; what was used within the last hour stays, for another process may be reading it. Data that
comes from the hub stands in the cache of `datasets`, and is not touched.

What is streamed has a bound of its own, which holds while it is read: within it the files of sections go one by one,
the longest unused first, however lately that was. Each can be fetched again.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasksource_reg.errors import error
from tasksource_reg.paths import cache_dir

SIZE_VARIABLE = "TSR_CACHE_SIZE"
STREAM_SIZE_VARIABLE = "TSR_STREAM_SIZE"
STREAM_SIZE = 20 * 10**9
STREAM_LEFT = 0.9  # of the bound is left when it was reached, so that the folder is seldom looked through
STREAM_LOOKS = 100  # each process looks when it has fetched this part of the bound
IN_USE_SECONDS = 3600.0
_PLACES = {"source": "data", "stream": "streams"}
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in the cache.

    Attributes:
        kind: `source`, a prepared config; `stream`, what was fetched of a streamed one; `rows`, the index of a split.
        name: of the dataset, as a folder name; the key of an index.
        path: its folder or file; size: bytes on disk; used: when it was last opened, in seconds since the epoch.
    """

    kind: Literal["source", "stream", "rows"]
    name: str
    path: Path
    size: int
    used: float


def entries() -> list[Entry]:
    """Everything in the cache that can go, the longest unused first."""
    return sorted([*_folders("source"), *_folders("stream"), *_rows()], key=lambda entry: (entry.used, entry.path))


def _folders(kind: Literal["source", "stream"]) -> Iterator[Entry]:
    for folder in (cache_dir() / "sources" / _PLACES[kind]).glob("*/*"):
        with contextlib.suppress(FileNotFoundError):  # another process removed it
            if folder.is_dir() and not folder.name.endswith((".incomplete", _GOING)):
                sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
                yield Entry(kind, folder.parent.name.replace("--", "/"), folder, sum(sizes), folder.stat().st_mtime)


def _rows() -> Iterator[Entry]:
    for path in (cache_dir() / "rows").glob("*.arrow"):
        with contextlib.suppress(FileNotFoundError):
            yield Entry("rows", path.stem[:12], path, path.stat().st_size, path.stat().st_mtime)


def touch(path: Path, after: float = 0.0) -> None:
    """Notes that an entry is used; a path outside the cache, or one that may not be written, is left alone.

    Args:
        path: its folder or file.
        after: seconds within which a note before this one is enough.
    """
    if path.is_relative_to(cache_dir()):
        with contextlib.suppress(OSError):
            if not after or time.time() - path.stat().st_mtime > after:
                os.utime(path)


def size_in(text: str) -> int:
    """Bytes of a size such as `500MB`, `20 GB` or `1073741824`.

    Raises:
        UsageError: TSR-U005, it is no size.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)b?\s*", text, re.IGNORECASE)
    if not found:
        raise error("TSR-U005", f'"{text}" is no size', fix="write bytes, or a number with kB, MB, GB or TB")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def keep_within_bounds() -> list[Entry]:
    """Removes what is longest unused where the cache is larger than `TSR_CACHE_SIZE` says; nothing where that is unset.

    Raises:
        UsageError: TSR-U005, the variable holds no size.
    """
    limit = os.environ.get(SIZE_VARIABLE)
    return trim(size_in(limit)) if limit else []


def trim(most: int, *, unused_for: float = IN_USE_SECONDS, dry_run: bool = False) -> list[Entry]:
    """Removes the longest unused entries until the others hold at most so many bytes.

    Args:
        most: bytes that may stay.
        unused_for: what was used within so many seconds stays, whatever its size.
        dry_run: remove nothing.

    Returns:
        what was removed.
    """
    from filelock import FileLock

    cache_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(cache_dir() / "trim.lock"):
        if not dry_run:
            _finish_removals()
        everything, now = entries(), time.time()
        left = sum(entry.size for entry in everything)
        gone = []
        for entry in everything:
            if left <= most:
                break
            if now - entry.used < unused_for:
                continue
            if dry_run or _remove(entry):
                gone.append(entry)
                left -= entry.size
        return gone


_GOING = ".going"


def _remove(entry: Entry) -> bool:
    """Removes an entry: first its name, so that no half of it passes for the whole. Open maps of it stay readable."""
    going = entry.path.with_name(entry.path.name + _GOING)
    try:
        entry.path.rename(going)
    except OSError:  # in use, where the system does not let files go that are open
        return False
    _delete(going)
    return True


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _finish_removals() -> None:
    """Deletes what a process that ended in the midst of a removal left; it would stand in the way of the next."""
    for pattern in (f"sources/data/*/*{_GOING}", f"sources/streams/*/*{_GOING}", f"rows/*{_GOING}"):
        for path in cache_dir().glob(pattern):
            _delete(path)


class _Fetched:
    """Bytes that this process fetched since it last looked at what all processes have; the first fetch looks."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.bytes: float = float("inf")


_fetched = _Fetched()


def stream_bound() -> int:
    """Bytes that fetched rows of streamed sources may hold: TSR_STREAM_SIZE, else TSR_CACHE_SIZE, else 20 GB.

    Raises:
        UsageError: TSR-U005, the variable holds no size.
    """
    said = os.environ.get(STREAM_SIZE_VARIABLE) or os.environ.get(SIZE_VARIABLE)
    return size_in(said) if said else STREAM_SIZE


def keep_streams_within_bounds(fetched: int) -> list[Path]:
    """Told of each fetch; now and then removes what is longest unused where streams hold more than their bound.

    Args:
        fetched: bytes that were written.

    Returns:
        what was removed.

    Raises:
        UsageError: TSR-U005, the variable holds no size.
    """
    bound = stream_bound()
    with _fetched.lock:
        _fetched.bytes += fetched
        if _fetched.bytes * STREAM_LOOKS < bound:
            return []
        _fetched.bytes = 0
    return trim_streams(bound)


def trim_streams(bound: int) -> list[Path]:
    """Removes sections of streamed sources, the longest unused first, if together they hold more than a bound.

    Maps of a removed file stay readable where the system allows that; elsewhere files in use stay. A process that is
    at it already is not waited for.

    Returns:
        what was removed.
    """
    from filelock import FileLock, Timeout

    found: list[tuple[float, int, Path]] = []
    gone: list[Path] = []
    with contextlib.suppress(Timeout), FileLock(cache_dir() / "trim-streams.lock", timeout=0):
        now = time.time()
        for path in (cache_dir() / "sources" / "streams").glob("*/*/*"):
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                if path.suffix == ".arrow":
                    found.append((stat.st_mtime, stat.st_size, path))
                elif path.suffix == ".tmp" and now - stat.st_mtime > IN_USE_SECONDS:  # of a process that was killed
                    path.unlink()
        held = sum(size for _, size, _ in found)
        if held <= bound:
            return []
        for _, size, path in sorted(found):
            if held <= bound * STREAM_LEFT:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                gone.append(path)
                held -= size
    return gone
