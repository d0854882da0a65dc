"""What this package's cache holds, and keeping it within a size.

An entry is a prepared config of a mirror or a folder, or the row index of a split. Each carries the time when it was
last used (its modification time is set when it is opened). Entries go whole, the longest unused first; what was used
within the last hour stays, for another process may be reading it. Data that comes from the hub stands in the cache of
`datasets`, and is not touched.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasksource_reg.errors import error
from tasksource_reg.paths import cache_dir

SIZE_VARIABLE = "TSR_CACHE_SIZE"
IN_USE_SECONDS = 3600.0
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in the cache.

    Attributes:
        kind: `source`, a prepared config, or `rows`, the index of a split.
        name: of the dataset, as a folder name; the key of an index.
        path: its folder or file; size: bytes on disk; used: when it was last opened, in seconds since the epoch.
    """

    kind: Literal["source", "rows"]
    name: str
    path: Path
    size: int
    used: float


def entries() -> list[Entry]:
    """Everything in the cache that can go, the longest unused first."""
    return sorted([*_sources(), *_rows()], key=lambda entry: (entry.used, entry.path))


def _sources() -> Iterator[Entry]:
    for folder in (cache_dir() / "sources" / "data").glob("*/*"):
        with contextlib.suppress(FileNotFoundError):  # another process removed it
            if folder.is_dir() and not folder.name.endswith((".incomplete", _GOING)):
                size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                yield Entry("source", folder.parent.name.replace("--", "/"), folder, size, folder.stat().st_mtime)


def _rows() -> Iterator[Entry]:
    for path in (cache_dir() / "rows").glob("*.arrow"):
        with contextlib.suppress(FileNotFoundError):
            yield Entry("rows", path.stem[:12], path, path.stat().st_size, path.stat().st_mtime)


def touch(path: Path) -> None:
    """Notes that an entry is used; a path outside the cache, or one that may not be written, is left alone."""
    if path.is_relative_to(cache_dir()):
        with contextlib.suppress(OSError):
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
    for pattern in (f"sources/data/*/*{_GOING}", f"rows/*{_GOING}"):
        for path in cache_dir().glob(pattern):
            _delete(path)
