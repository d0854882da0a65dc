"""The folder of an export while it is written: whose it is, which shards are done, and that one process writes it.

`out/.progress/` holds the identity of the export (`export.json`), a record of each finished shard (`shard-00000.json`)
and the lock of the writer. It goes away when the manifest, the last file, is in place: a folder with `.progress` and
without a manifest is visibly unfinished.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from tasksource_reg.errors import TsrError, error
from tasksource_reg.export.identity import difference, identity_digest, lasting
from tasksource_reg.export.layout import DATA, DOCUMENTS, QUARANTINE, README, RUN, Layout
from tasksource_reg.export.shards import is_intact, writable
from tasksource_reg.files import write_whole
from tasksource_reg.provenance.manifest import NAME, PROGRESS, Manifest, ShardRecord, read_manifest

_IDENTITY, _LOCK = "export.json", "lock"


class ExportFolder:
    """An export's folder. Use `claim`; nothing of the folder is changed before.

    Args:
        out: the folder; it need not exist.
        identity: of the export that shall stand in it.
        layout: of that export.
    """

    def __init__(self, out: Path, identity: dict[str, Any], layout: Layout) -> None:
        self.out, self.identity, self.layout = out, identity, layout
        self.progress = out / PROGRESS

    @contextlib.contextmanager
    def claim(self, *, overwrite: bool = False) -> Iterator[None]:
        """Makes the folder this export's and keeps other writers away.

        Raises:
            UsageError: TSR-X001, it holds something else; TSR-X008, it cannot be written; TSR-X009, another process
                writes it.
        """
        if self.out.exists() and not self.out.is_dir():
            raise error("TSR-X008", f'"{self.out}" is a file', fix="name a folder")
        foreign = self._foreign()
        if foreign is not None and (foreign.fix is not None or not overwrite):
            raise error("TSR-X001", foreign.message, fix=foreign.fix)
        with writable(self.out):
            self.progress.mkdir(parents=True, exist_ok=True)
        with _only_writer(self.progress / _LOCK), writable(self.out):
            if foreign is not None:
                self._clear()
            self._adopt()
            yield
            shutil.rmtree(self.progress, ignore_errors=True)  # finished; on any error it stays

    def complete(self) -> Manifest | None:
        """The manifest if this export is finished and every file is intact (README.md may have been edited)."""
        if not (self.out / NAME).is_file() or self.progress.exists() or self._foreign() is not None:
            return None
        manifest = read_manifest(self.out)
        files = [file for shard in manifest.shards for file in shard.files]
        files += [file for file in manifest.documents if file.path != README]
        return manifest if all(is_intact(self.out, file) for file in files) else None

    def finished(self) -> dict[int, ShardRecord]:
        """The shards that are done and intact, by number."""
        found = {}
        for number in range(self.layout.shards):
            record = _read_record(self._record_path(number))
            expected = (number, *self.layout.positions(number))
            if record is None or (record.number, record.start, record.stop) != expected:
                continue
            if all(is_intact(self.out, file) for file in record.files):
                found[number] = record
        return found

    def keep(self, record: ShardRecord) -> None:
        """Notes that a shard is done; a note that is lost has the shard made again."""
        with writable(self.out):
            write_whole(self._record_path(record.number), json.dumps(asdict(record)).encode(), synced=False)

    def _record_path(self, number: int) -> Path:
        return self.progress / f"shard-{number:05d}.json"

    def _foreign(self) -> _Foreign | None:
        """What else the folder holds; None if it is empty or this export's."""
        if not self.out.is_dir() or not any(self.out.iterdir()):
            return None
        if (self.out / NAME).is_file():
            try:
                manifest = read_manifest(self.out)
            except TsrError as exc:
                return _Foreign(f'"{self.out}" holds a damaged export: {exc.problems[0].message}')
            before = _identity_of(manifest)
            if identity_digest(before) == identity_digest(self.identity):
                return None
            return _Foreign(f'"{self.out}" holds another export ({difference(before, self.identity)})')
        try:
            before = json.loads((self.progress / _IDENTITY).read_text(encoding="utf-8"))
        except FileNotFoundError:
            if {path.name for path in self.out.iterdir()} <= {PROGRESS}:
                return None  # the writer ended before it wrote anything
            return _Foreign(f'"{self.out}" holds files that are no export', "name a new or an empty folder")
        except ValueError:
            return _Foreign(f'"{self.out}" holds a damaged export')
        if identity_digest(before) == identity_digest(self.identity):
            return None
        return _Foreign(f'"{self.out}" holds another, unfinished export ({difference(before, self.identity)})')

    def _adopt(self) -> None:
        """Prepares the folder: identity on record, records of a finished export taken over, leftovers removed."""
        write_whole(self.progress / _IDENTITY, json.dumps(self.identity, ensure_ascii=False).encode())
        if (self.out / NAME).is_file():
            for shard in read_manifest(self.out).shards:
                self.keep(shard)
            (self.out / NAME).unlink()
        (self.out / DATA).mkdir(exist_ok=True)
        for folder in (self.out, self.out / DATA, self.out / QUARANTINE, self.progress):
            for leftover in folder.glob(".*.tmp"):
                leftover.unlink(missing_ok=True)

    def _clear(self) -> None:
        """Removes the files of the export that is overwritten, the manifest first; other files stay."""
        (self.out / NAME).unlink(missing_ok=True)
        for record in self.progress.glob("*.json"):
            record.unlink()
        for name in (*DOCUMENTS, RUN):
            (self.out / name).unlink(missing_ok=True)
        for folder in (DATA, QUARANTINE):
            for shard in (self.out / folder).glob("*-of-*.parquet"):
                shard.unlink()
            with contextlib.suppress(OSError):  # not empty, or not there
                (self.out / folder).rmdir()


class _Foreign(NamedTuple):
    """Something else that the folder holds; with `fix` it may not be overwritten either."""

    message: str
    fix: str | None = None


def _identity_of(manifest: Manifest) -> dict[str, Any]:
    """The identity of a finished export."""
    value = manifest.to_json()
    plan = {key: part for key, part in value["plan"].items() if key != "digest"}
    tasks = [record.to_json() for record in manifest.tasks]
    names = ("format", "spec", "passport", "shard_rows", "versions")
    return {name: value[name] for name in names} | {"spec": lasting(value["spec"]), "plan": plan, "tasks": tasks}


def _read_record(path: Path) -> ShardRecord | None:
    try:
        return ShardRecord.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # a shard without a readable record is made again


@contextlib.contextmanager
def _only_writer(path: Path) -> Iterator[None]:
    """Holds the lock file of a writer; the system lets go of it when the process ends, however it ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _lock(handle):
            owner = os.read(handle, 40).decode(errors="replace").strip()
            raise error("TSR-X009", f"process {owner} writes this export" if owner else "it is being written")
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Takes the lock of an open file; False if another process has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nothing can be said
        return True
    return True
