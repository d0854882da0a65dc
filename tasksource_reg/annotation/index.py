"""The index: one record for each task, read from annotation files and locks without pydantic or Arrow.

`load_index` gives the index of one registry root. In a wheel it was built beforehand; elsewhere it is kept in the cache
folder, checked against path, time and size of every file, and only what changed is read again. Files that cannot be
read do not vanish: their problems stand in the index beside the tasks.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from tasksource_reg.errors import Place, Problem
from tasksource_reg.paths import cache_dir, shown

INDEX_VERSION = 3
"""Raised with every change of what the index holds; an index of another version is built again."""

_RACY_NS = 2_000_000_000  # a file younger than this when it was read may change again without a new time

Stamp: TypeAlias = tuple[int, ...]
Vocabularies: TypeAlias = tuple[tuple[str, ...], ...] | None
"""The label vocabularies of a family; None: the family is open."""
StatedVocabularies: TypeAlias = Vocabularies | Literal["open"]
"""What a file says of its family's vocabularies; None: nothing."""


class TaskInfo(NamedTuple):
    """What the index knows of a task: a record that is equal to another if all its values are.

    Attributes:
        id: the task's id, such as `glue/rte`.
        dataset, former_ids: the present hub id of the source, and older ones.
        schema, family, title, version, aliases, languages (BCP-47), domains, cite: as the annotation says.
        configs: the configs of the source that are read; more than one where they are pooled, empty for the default.
        license: an SPDX expression; None if the annotation names none.
        status: `train`, `evaluation_only` or `parked`; `because` is the reason of the last two.
        splits: the names of the task's splits, in order.
        rows: surviving rows of the splits, as far as the lock knows them.
        withheld: splits of the source whose labels are hidden.
        verified: how the lock knows its facts: `rows`, `features`, `declared`; None without a lock.
        line, path: where the task is written: the line, and the annotation file relative to `root`.
        root: the registry root, an absolute path.
    """

    id: str
    dataset: str
    schema: str
    line: int = 1
    family: str | None = None
    languages: tuple[str, ...] = ()
    license: str | None = None
    verified: str | None = None
    splits: tuple[str, ...] = ()
    title: str | None = None
    domains: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    status: str = "train"
    because: str | None = None
    aliases: tuple[str, ...] = ()
    cite: tuple[str, ...] = ()
    rows: Mapping[str, int] = MappingProxyType({})
    former_ids: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    version: int = 1
    path: str = ""
    root: str = ""

    def __hash__(self) -> int:
        return hash((self.id, self.version, self.path))  # `rows` is a mapping

    @property
    def config(self) -> str | None:
        """The config of the source; None for the default one, and where several are pooled."""
        return self.configs[0] if len(self.configs) == 1 else None

    @property
    def file(self) -> Path:
        """The annotation file."""
        return Path(self.root, self.path)

    @property
    def place(self) -> Place:
        """Where the task is written, for errors."""
        return Place(shown(self.file), self.line)

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON values, without the root."""
        out = self._asdict() | {"rows": dict(self.rows)}
        del out["root"]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in out.items()}


class AnnotationEntry(NamedTuple):
    """What came of one annotation file. A stamp of None says that the file may have changed since."""

    stamp: Stamp | None
    tasks: tuple[TaskInfo, ...]
    problems: tuple[Problem, ...]


class TemplateEntry(NamedTuple):
    """What came of one template file.

    Attributes:
        name: the family or schema that the file is for; empty if it cannot be told.
        labels: what it says of the family's vocabularies.
        counts: templates for each schema.
    """

    stamp: Stamp | None
    name: str
    labels: StatedVocabularies
    counts: Mapping[str, int]
    problems: tuple[Problem, ...]


class RootIndex(NamedTuple):
    """The index of one registry root; files by their path relative to it, sorted."""

    root: Path
    annotations: Mapping[str, AnnotationEntry]
    templates: Mapping[str, TemplateEntry]

    @property
    def problems(self) -> Iterator[Problem]:
        """What is wrong with the files, in their order."""
        for annotation in self.annotations.values():
            yield from annotation.problems
        for template in self.templates.values():
            yield from template.problems


def load_index(root: Path, prebuilt: Path | None = None) -> RootIndex:
    """The index of a registry root, out of the cache as far as it holds.

    Args:
        root: the folder that holds `annotations/`, and perhaps `templates/`.
        prebuilt: an index that was built together with the root and is taken as it is, if it is of this version.
    """
    root = root.resolve()
    if prebuilt is not None and (index := _read(prebuilt, root, of=None)) is not None:
        return index
    of = f"{root} {_code_stamp()}"
    cache = cache_dir() / "index" / f"{root.name}-{zlib.crc32(os.fsencode(root)):08x}.json"
    old = _read(cache, root, of)
    new = build_index(root, old)
    if old is None or new != old:
        from tasksource_reg.files import write_whole

        with contextlib.suppress(OSError):  # a cache that cannot be written costs time, nothing else
            cache.parent.mkdir(parents=True, exist_ok=True)
            write_whole(cache, index_to_json(new, of).encode())
    return new


def build_index(root: Path, old: RootIndex | None = None) -> RootIndex:
    """Reads a registry root.

    Args:
        root: the folder that holds `annotations/`.
        old: an earlier index of the same root; files whose stamp is the same are taken from it.
    """
    annotations: dict[str, AnnotationEntry] = {}
    templates: dict[str, TemplateEntry] = {}
    for path, stamp in _annotation_files(root):
        known = old.annotations.get(path) if old else None
        if known is None or known.stamp != stamp:
            from tasksource_reg.annotation.index_files import read_annotation  # the YAML reader, only when needed

            tasks, problems = read_annotation(root, path)
            known = AnnotationEntry(_settled(stamp), tasks, problems)
        annotations[path] = known
    for path, stamp in _template_files(root):
        kept = old.templates.get(path) if old else None
        if kept is None or kept.stamp != stamp:
            from tasksource_reg.annotation.index_files import read_templates

            name, labels, counts, problems = read_templates(root, path)
            kept = TemplateEntry(_settled(stamp), name, labels, counts, problems)
        templates[path] = kept
    return RootIndex(root, annotations, templates)


def _code_stamp() -> str:
    """Time and size of the modules that make the records, so that an edit of theirs shows in a checkout at once."""
    folder = Path(__file__).resolve().parent
    names = ("index.py", "index_files.py", "expand.py", "../provenance/locks.py", "../yaml_reader.py")
    stats = [os.stat(folder / name) for name in names]
    return f"{zlib.crc32(repr([(s.st_mtime_ns, s.st_size) for s in stats]).encode()):08x}"


def _settled(stamp: Stamp) -> Stamp | None:
    """The stamp, or None if a file is so young that another change might leave its time as it is."""
    return None if time.time_ns() - max(stamp[0], stamp[2]) < _RACY_NS else stamp


def _annotation_files(root: Path) -> list[tuple[str, Stamp]]:
    """Annotation files under a root with time and size of the file and of its lock."""
    files = dict(_walk(root, "annotations"))
    return sorted(
        (path, (*stamp, *files.get(path.removesuffix(".yaml") + ".lock.json", (0, -1))))
        for path, stamp in files.items()
        if path.endswith(".yaml")
    )


def _template_files(root: Path) -> list[tuple[str, Stamp]]:
    files = (item for folder in ("families", "schemas") for item in _walk(root, f"templates/{folder}"))
    return sorted((path, (*stamp, 0, -1)) for path, stamp in files if path.endswith(".yaml"))


def _walk(root: Path, folder: str) -> Iterator[tuple[str, Stamp]]:
    """Every YAML and lock file under a folder: its path relative to the root with `/`, modification time (ns), size."""
    try:
        entries = list(os.scandir(root / folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        path = f"{folder}/{entry.name}"
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(root, path)
        elif entry.name.endswith((".yaml", ".lock.json")):
            try:
                stat = entry.stat()
            except FileNotFoundError:  # a link that leads nowhere: reading it will say so
                yield path, (0, -1)
                continue
            yield path, (stat.st_mtime_ns, stat.st_size)


# The index as JSON. Paths in it are relative to the root, so that a prebuilt index names no machine.


def index_to_json(index: RootIndex, of: str | None = None) -> str:
    """The index as JSON text, the same for the same files (stamps aside).

    Args:
        index: the index.
        of: what a cached index was built of, the root and the code; None for one that is shipped.
    """
    body = {
        "version": INDEX_VERSION,
        "of": of,
        "annotations": {
            path: {
                "stamp": entry.stamp,
                "tasks": [_task_to_json(task) for task in entry.tasks],
                "problems": [_problem_to_json(p, path) for p in entry.problems],
            }
            for path, entry in index.annotations.items()
        },
        "templates": {
            path: {
                "stamp": entry.stamp,
                "name": entry.name,
                "labels": entry.labels,
                "counts": dict(entry.counts),
                "problems": [_problem_to_json(p, path) for p in entry.problems],
            }
            for path, entry in index.templates.items()
        },
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def prebuilt_index(root: Path) -> str:
    """The JSON text that is shipped beside a root in the wheel: no times, no sizes, files read anew."""
    index = build_index(root.resolve())
    return index_to_json(
        RootIndex(
            index.root,
            {path: entry._replace(stamp=None) for path, entry in index.annotations.items()},
            {path: entry._replace(stamp=None) for path, entry in index.templates.items()},
        )
    )


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage is collected meanwhile: thousands of new objects that stay would have all others looked through."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_no_collection()
def _read(path: Path, root: Path, of: str | None) -> RootIndex | None:
    """The index in a file; None if it is not there, not whole, of another version, root or code."""
    try:
        body = json.loads(path.read_bytes())
        if (body["version"], body["of"]) != (INDEX_VERSION, of):
            return None
        name = str(root)
        annotations = {
            file: AnnotationEntry(
                _stamp(entry["stamp"]),
                tuple(_task_from_json(task, file, name) for task in entry["tasks"]),
                tuple(_problem_from_json(p, root, file) for p in entry["problems"]),
            )
            for file, entry in body["annotations"].items()
        }
        templates = {
            file: TemplateEntry(
                _stamp(entry["stamp"]),
                entry["name"],
                entry["labels"] if entry["labels"] in (None, "open") else tuple(map(tuple, entry["labels"])),
                entry["counts"],
                tuple(_problem_from_json(p, root, file) for p in entry["problems"]),
            )
            for file, entry in body["templates"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # whatever is wrong with a cache, the files themselves say it all
    return RootIndex(root, annotations, templates)


def _stamp(value: list[int] | None) -> Stamp | None:
    return None if value is None else tuple(value)


_DEFAULTS = tuple(TaskInfo("", "", ""))[:-2]  # of all but path and root


def _task_to_json(task: TaskInfo) -> list[Any]:
    """The values of a record in their order, without path and root, and without defaults at the end."""
    values = [*task[:-2]]
    while len(values) > 1 and values[-1] == _DEFAULTS[len(values) - 1]:
        del values[-1]
    return [dict(value) if isinstance(value, Mapping) else value for value in values]


def _task_from_json(values: list[Any], path: str, root: str) -> TaskInfo:
    given = [tuple(value) if type(value) is list else value for value in values]
    return TaskInfo._make((*given, *_DEFAULTS[len(given) :], path, root))


def _problem_to_json(problem: Problem, path: str) -> dict[str, Any]:
    from dataclasses import asdict  # hardly ever needed

    out = {name: value for name, value in asdict(problem).items() if value is not None}
    if problem.place is not None and problem.place.file.endswith(".lock.json"):
        path = path.removesuffix(".yaml") + ".lock.json"
    if "place" in out:
        out["place"]["file"] = path
    return out


def _problem_from_json(record: dict[str, Any], root: Path, path: str) -> Problem:
    if (place := record.get("place")) is not None:
        record = {**record, "place": Place(**{**place, "file": shown(root / place["file"])})}
    return Problem(**record)
