"""Sources that are streamed: nothing is prepared, rows are fetched by row groups when they are asked for.

`stream` finds out what a config holds without reading its rows, and keeps it as a small record (JSON) beside those of
prepared sources; `open_rows` reads the footers of one split and gives its rows by position. Only Parquet can be read by
position over a network; of other formats `stream` says None, and they are prepared as usual.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from tasksource_reg.errors import Problem, error
from tasksource_reg.features import Features, from_datasets
from tasksource_reg.files import write_whole
from tasksource_reg.paths import cache_dir
from tasksource_reg.sources import prepare, records
from tasksource_reg.sources.inventory import files_at, path_of
from tasksource_reg.sources.places import Place
from tasksource_reg.sources.prepare import Request
from tasksource_reg.sources.ranges import HUB, DataFile, local_file
from tasksource_reg.sources.sections import Section, kept_footer, read_footer, sections_of
from tasksource_reg.sources.spec import EXPORT, SourceSpec, digest
from tasksource_reg.sources.streamed_rows import StreamedRows, explained, footer_path, together

if TYPE_CHECKING:
    import datasets

STREAM_VERSION = 1
_PLAIN = {"columns": None, "filters": None, "on_bad_files": "error"}  # settings of a config that leave rows out


@dataclass(frozen=True)
class Streamed:
    """A config that is streamed: what its record says.

    Attributes:
        configs, config: those that exist, and this one.
        files: of each split, in the order in which they are read.
        declared: rows by split, as far as the dataset card says so.
        features, schema: of the columns; the schema is serialized, base64, with the features in its metadata.
        revision: the commit of the hub, or the content digest of a mirror's or folder's data files.
        folder: where fetched rows are kept, below `streams_dir()`.
    """

    configs: tuple[str, ...]
    config: str
    files: Mapping[str, tuple[DataFile, ...]]
    declared: Mapping[str, int]
    features: Features
    schema: str
    revision: str
    folder: str

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits."""
        return tuple(self.files)

    def arrow_schema(self) -> pa.Schema:
        """The schema, with the features in its metadata."""
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.schema)))

    def rows(self) -> dict[str, int | None]:
        """Rows of each split; None where neither its footers were read nor the card says it."""
        found = {name: _read_sections(_sections_path(self, name)) for name in self.files}
        return {
            name: self.declared.get(name) if files is None else sum(s.rows for file in files for s in file)
            for name, files in found.items()
        }


def streams_dir() -> Path:
    """The folder of fetched rows: `<dataset>/<key>/`, one file a section and its columns."""
    return cache_dir() / "sources" / "streams"


def read_record(key: str) -> Streamed | None:
    """The record of a key; None where there is none, or none that this version can read."""
    data = records.read_record(f"{key}.stream", STREAM_VERSION)
    if data is None:
        return None
    files = {name: tuple(DataFile(**f) for f in found) for name, found in data.pop("files").items()}
    return Streamed(configs=tuple(data.pop("configs")), files=files, **data)


def write_record(key: str, streamed: Streamed) -> None:
    """Writes a record, whole or not at all."""
    records.write_record(f"{key}.stream", STREAM_VERSION, asdict(streamed))


def stream(spec: SourceSpec, place: Place, request: Request, key: str, *, token: str | bool | None) -> Streamed | str:
    """Finds out what a config holds and writes its record; reads no rows, at most one footer.

    Args:
        spec, place, request: what is wanted, where it is, how `datasets` opens it.
        key: the key of the record to write.
        token: the hub token; None takes the stored one.

    Returns:
        what is streamed, or why it cannot be.

    Raises:
        Exception: what `datasets` and the hub's client raise, for `failures.explain`.
    """
    builder, configs = prepare.load_builder(spec, place, request, token)
    if (why := _unfit(builder, place)) is not None:
        return why
    found = {str(name): [str(f) for f in files] for name, files in (builder.config.data_files or {}).items()}
    if place.path is None:
        revision = request.revision or prepare.commit_in(request)
        names = {address: path_of(address, spec) for addresses in found.values() for address in addresses}
        known = files_at(place.name, revision, sorted(set(names.values())), token)
        files = {
            split: tuple(DataFile(a, known[names[a]].size) for a in addresses) for split, addresses in found.items()
        }
    else:
        revision = prepare.data_digest(builder, place.path)
        files = {name: tuple(map(local_file, paths)) for name, paths in found.items()}
    declared = {str(name): info.num_examples for name, info in (builder.info.splits or {}).items()}
    if declared and set(declared) != set(files):
        message = f'"{spec}" has the splits {", ".join(files)}, its card says {", ".join(declared)}'
        raise error("TSR-N007", message, fix="mend the dataset card")
    features = builder.info.features or _inferred(files, token)
    schema = base64.b64encode(features.arrow_schema.serialize().to_pybytes()).decode()
    name = re.sub(r"[^\w.-]+", "--", place.name).strip("-") or "files"
    folder = f"{name}/{digest([STREAM_VERSION, revision, schema])}"
    config = spec.config or builder.config.name
    streamed = Streamed(configs, config, files, declared, from_datasets(features), schema, revision, folder)
    write_record(key, streamed)
    return streamed


def _unfit(builder: datasets.DatasetBuilder, place: Place) -> str | None:
    """Why the files of a config cannot be read by position; None where they can."""
    files = [str(file) for found in (builder.config.data_files or {}).values() for file in found]
    if builder.name != "parquet":
        return f"its files are read as {builder.name}"
    if any("::" in file or prepare.is_packed(file) for file in files):
        return "its Parquet files are packed"
    if any((place.path is None) != file.startswith(HUB) for file in files):
        return "its files lie elsewhere"
    if any(getattr(builder.config, option, plain) != plain for option, plain in _PLAIN.items()):
        return "its card asks for some columns or rows of its files"
    return None


def _inferred(files: Mapping[str, Sequence[DataFile]], token: str | bool | None) -> datasets.Features:
    """The features that `datasets` takes where the card has none: those of the first file."""
    import datasets

    first = next(file for found in files.values() for file in found)
    return datasets.Features.from_arrow_schema(read_footer(first, token).schema.to_arrow_schema())


def open_rows(
    streamed: Streamed, spec: SourceSpec, split: str, *, token: str | bool | None, offline: bool
) -> StreamedRows:
    """The rows of one split by position; the footers of its files are read, if they were not before.

    Args:
        streamed: the config.
        spec: what was asked for.
        split: one of its splits.
        token: the hub token.
        offline: do without the hub.

    Raises:
        SourceError: TSR-N006, N007, N008, N011, N012; those of footers name the file.
    """
    path = _sections_path(streamed, split)
    sections = _read_sections(path)
    files = streamed.files[split]
    if sections is None:
        if offline and any(file.remote for file in files):
            raise error("TSR-N008", f'offline, and the split "{split}" of "{spec}" was never opened', split=split)
        sections = _find_sections(streamed, spec, split, token)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(sections).encode())
    rows = sum(section.rows for found in sections for section in found)
    if streamed.declared.get(split, rows) != rows:
        message = f'the split "{split}" of "{spec}" has {rows:,} rows, its card says {streamed.declared[split]:,}'
        raise error("TSR-N007", message, fix="mend the dataset card", split=split)
    folder = streams_dir() / streamed.folder
    return StreamedRows(spec, split, files, sections, streamed.arrow_schema(), folder, token=token, offline=offline)


def _find_sections(streamed: Streamed, spec: SourceSpec, split: str, token: str | bool | None) -> list[list[Section]]:
    """The sections of each file of a split, from their footers, several at once."""
    files, names = streamed.files[split], set(streamed.features)
    found: dict[int, list[Section]] = {}

    def look(number: int) -> None:
        file = files[number]
        with explained(spec, split, file):
            footer = kept_footer(footer_path(streams_dir() / streamed.folder, file), file, token)
            if others := set(footer.schema.to_arrow_schema().names) - names:
                message = f'"{file.name}" of "{spec}" has columns that its other files do not have: '
                raise error("TSR-N011", message + ", ".join(sorted(others)), fix="name the files under `source.files`")
            found[number] = sections_of(footer)

    together([partial(look, number) for number in range(len(files))])
    return [found[number] for number in range(len(files))]


def _sections_path(streamed: Streamed, split: str) -> Path:
    files = [[file.address, file.size, file.changed] for file in streamed.files[split]]
    return streams_dir() / streamed.folder / f"{digest([split, files])}.json"


def _read_sections(path: Path) -> list[list[Section]] | None:
    """The sections of each file of a split, from the cache; None where they are not there."""
    try:
        return [[Section(*section) for section in file] for file in json.loads(path.read_text(encoding="utf-8"))]
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def not_streamed(spec: SourceSpec, why: str, place: Place) -> Problem:
    """What to say of a source that was to be streamed and is prepared whole, and the way out."""
    message = f'"{spec.dataset}" cannot be streamed: {why}; it is prepared whole'
    on_hub = place.path is None and EXPORT not in (spec.branch, spec.revision)
    fix = f"name `branch: {EXPORT}` in its source, if the hub has a Parquet export of it" if on_hub else None
    return Problem("TSR-N013", message, fix, severity="warning")
