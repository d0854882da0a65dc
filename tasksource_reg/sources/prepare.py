"""From a place to Arrow files on disk: the only module of `sources` that imports `datasets`.

`datasets` finds the data files, reads every format, types the columns and writes an Arrow cache; nothing of a dataset
is ever executed. What came of it is kept as a small record (JSON), so that the next opening needs neither `datasets`
nor the network. Data of mirrors and plain files goes under this package's own cache, keyed by content: the cache of
`datasets` is keyed by names and would mix up two mirrors. Only what `datasets` 4 and 5 both offer in public is used.
"""

from __future__ import annotations

import base64
import glob
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasksource_reg.errors import SourceError, error
from tasksource_reg.features import Features, from_datasets
from tasksource_reg.paths import cache_dir
from tasksource_reg.sources import records
from tasksource_reg.sources.failures import no_config
from tasksource_reg.sources.places import Place, content_digest, inside
from tasksource_reg.sources.spec import EXPORT, SourceSpec, digest

if TYPE_CHECKING:
    import datasets

RECORD_VERSION = 1

# What a declared format, or a file's ending, is read with: reader of `datasets`, and its options.
READERS: dict[str, tuple[str, dict[str, str]]] = {
    "csv": ("csv", {}),
    "tsv": ("csv", {"sep": "\t"}),
    "json": ("json", {}),
    "jsonl": ("json", {}),
    "ndjson": ("json", {}),
    "parquet": ("parquet", {}),
    "arrow": ("arrow", {}),
    "text": ("text", {}),
    "txt": ("text", {}),
    "xml": ("xml", {}),
}
_PACKING = {"gz", "bz2", "xz", "zst", "lz4", "zip"}

_ONE_AT_A_TIME = threading.RLock()  # the switches of `datasets` are global


@dataclass(frozen=True)
class PreparedFile:
    """One Arrow file: its rows, and its size in bytes, by which damage is noticed."""

    path: str
    rows: int
    size: int


@dataclass(frozen=True)
class Prepared:
    """A config on disk as Arrow files: what the record beside the data says."""

    configs: tuple[str, ...]
    config: str
    splits: Mapping[str, tuple[PreparedFile, ...]]
    features: Features
    schema: str  # the Arrow schema on disk, serialized, base64
    revision: str

    def rows(self) -> dict[str, int | None]:
        """Rows of each split."""
        return {name: sum(file.rows for file in files) for name, files in self.splits.items()}

    def whole(self) -> bool:
        """Whether every file is there with its size on record."""
        return all(
            os.path.isfile(f.path) and os.path.getsize(f.path) == f.size
            for files in self.splits.values()
            for f in files
        )


def read_record(key: str) -> Prepared | None:
    """The record of a key; None where there is none, or none that this version can read."""
    data = records.read_record(key, RECORD_VERSION)
    if data is None:
        return None
    splits = {name: tuple(PreparedFile(**f) for f in files) for name, files in data.pop("splits").items()}
    return Prepared(configs=tuple(data.pop("configs")), splits=splits, **data)


def write_record(key: str, prepared: Prepared) -> None:
    """Writes a record, whole or not at all."""
    records.write_record(key, RECORD_VERSION, asdict(prepared))


@contextmanager
def library_output(verbose: bool) -> Iterator[None]:
    """Keeps progress bars and log lines of `datasets` and of the hub client back, unless they are wanted.

    Both switches are put back as they were.
    """
    if verbose:
        yield
        return
    import datasets
    import huggingface_hub.utils as hub

    with ExitStack() as after:
        for switches in (datasets.utils, hub):
            if not switches.are_progress_bars_disabled():
                switches.disable_progress_bars()
                after.callback(switches.enable_progress_bars)
        for logging in (datasets.utils.logging, hub.logging):
            after.callback(logging.set_verbosity, logging.get_verbosity())
            logging.set_verbosity(logging.CRITICAL)
        yield


ROWS_TOGETHER = 16_384
"""Rows of a record batch of the prepared files, at the most: rows in a shuffled order come from every one of them."""


@dataclass(frozen=True)
class Request:
    """What `datasets` is asked to open: a reader or a dataset, its options, and what the answer must be."""

    path: str
    options: Mapping[str, Any]
    revision: str | None = None  # the commit that a hub dataset must come from
    configs: tuple[str, ...] = ()  # configs, where the reader does not know them


def request_for(spec: SourceSpec, place: Place, commit: str | None, hub_files: list[str]) -> Request:
    """How `datasets` opens a source.

    Args:
        spec: what is wanted.
        place: where it is.
        commit: the commit on the hub; None elsewhere.
        hub_files: the names of all files at that commit.

    Raises:
        SourceError: TSR-N004, TSR-N010, TSR-N011.
    """
    folder = inside(spec.dir, "the folder").strip("/") if spec.dir else ""
    files = {k: [v] if isinstance(v, str) else list(v) for k, v in (spec.files or {}).items()}
    configs: tuple[str, ...] = ()
    reader = spec.format
    if place.kind == "hub" and EXPORT in (spec.branch, spec.revision) and not files and not folder:
        configs, files = _converted(spec, hub_files)
        reader = "parquet"
    if place.path is not None and place.path.is_file():
        files, folder, base = {"train": [place.path.name]}, "", place.path.parent
    else:
        base = place.path or Path()
    for patterns in files.values():
        for pattern in patterns:
            inside(pattern, "the pattern")
    if files and (chosen := _reader(reader, files, spec)):
        prefix = f"hf://datasets/{place.name}@{commit}" if place.path is None else glob.escape(str(base))
        prefix += f"/{glob.escape(folder)}" if folder else ""
        located = {split: [f"{prefix}/{pattern}" for pattern in patterns] for split, patterns in files.items()}
        name, options = chosen
        return Request(name, {**options, "data_files": located}, None, configs or ("default",))
    plain: dict[str, Any] = {"name": spec.config, "data_dir": folder or None, "data_files": files or None}
    if place.path is not None:
        return Request(str(place.path), plain)
    return Request(place.name, plain | {"revision": commit}, commit)


def _reader(
    declared: str | None, files: Mapping[str, list[str]], spec: SourceSpec
) -> tuple[str, dict[str, str]] | None:
    if declared is not None:
        if declared not in READERS:
            raise error(
                "TSR-N011", f'"{spec.dataset}": no reader for the format "{declared}"', fix="use " + ", ".join(READERS)
            )
        if declared != "csv":
            return READERS[declared]
    endings = {_ending(pattern) for patterns in files.values() for pattern in patterns}
    if declared == "csv":
        return READERS["tsv"] if endings == {"tsv"} else READERS["csv"]
    kinds = {ending if ending in READERS else "" for ending in endings}
    readers = {READERS[kind][0] for kind in kinds if kind}
    return READERS[kinds.pop()] if len(kinds) == 1 and len(readers) == 1 else None


def is_packed(file: str) -> bool:
    """Whether a file is compressed as a whole, by its name."""
    return file.rsplit(".", 1)[-1].lower() in _PACKING


def _ending(pattern: str) -> str:
    parts = pattern.rsplit("/", 1)[-1].lower().split(".")[1:]
    while parts and parts[-1] in _PACKING:
        parts.pop()
    return parts[-1] if parts else ""


def _converted(spec: SourceSpec, hub_files: list[str]) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """Configs and files of the hub's own Parquet export, laid out as `<config>/<split>/<number>.parquet`."""
    found: dict[str, dict[str, list[str]]] = {}
    for name in sorted(hub_files):
        parts = name.split("/")
        if len(parts) == 3 and name.endswith(".parquet"):
            found.setdefault(parts[0], {}).setdefault(parts[1], []).append(name)
    config = spec.config or ("default" if "default" in found else next(iter(found)) if len(found) == 1 else None)
    if not found:
        raise error("TSR-N010", f'"{spec.dataset}" has no Parquet export on {EXPORT}', fix="leave `branch` out")
    if config not in found:
        raise no_config(spec, list(found))
    return tuple(found), found[config]


def load_builder(
    spec: SourceSpec, place: Place, request: Request, token: str | bool | None
) -> tuple[datasets.DatasetBuilder, tuple[str, ...]]:
    """The builder of `datasets` for a request, and the configs that exist; no data file is read yet.

    Raises:
        Exception: whatever `datasets` raises, for `failures.explain`; TSR-N004 for a config that does not exist.
    """
    import datasets

    cache = cache_dir() / "sources" / "builders" if place.path is not None else None
    options = {k: v for k, v in request.options.items() if v is not None}
    try:
        builder = datasets.load_dataset_builder(
            request.path,
            token=token,
            cache_dir=str(cache) if cache else None,
            writer_batch_size=ROWS_TOGETHER,
            **options,
        )
    except ValueError as exc:
        if found := re.search(r"(?:Available|available configs): \[(.*?)\]", str(exc)):
            names = _names(found[1])
            if spec.dir is not None and names == ["default"] and options.get("name") is not None:
                unnamed = replace(request, options={**request.options, "name": None})
                return load_builder(spec, place, unnamed, token)  # the config is a folder that no card speaks of
            raise no_config(spec, names) from exc
        raise
    if request.revision is not None and builder.hash != request.revision:
        raise error(
            "TSR-N006", f'the hub stopped answering while "{spec}" was opened; only an older copy is in the cache'
        )
    for split, found in (builder.config.data_files or {}).items():
        if not found:
            pattern = (spec.files or {}).get(str(split), "")
            raise error("TSR-N010", f'no file of "{spec.dataset}" fits the pattern "{pattern}" of split "{split}"')
    if "name" in request.options:  # the reader was inferred
        _same_reader(spec, builder)
    configs = request.configs or tuple(builder.builder_configs) or (builder.config.name,)
    if spec.format and not spec.files and READERS.get(spec.format, (spec.format,))[0] != builder.name:
        raise error("TSR-N011", f'"{spec}" is read as {builder.name}, not as {spec.format}', fix="name `source.files`")
    return builder, configs


def _same_reader(spec: SourceSpec, builder: datasets.DatasetBuilder) -> None:
    """Refuses files that the reader is not for: `datasets` reads every config as the first config's files look."""
    for files in (builder.config.data_files or {}).values():
        for file in files:
            reader, _ = READERS.get(_ending(str(file)), (builder.name, {}))
            if reader != builder.name:
                raise error(
                    "TSR-N011",
                    f'"{spec}" has {reader} files, but the files of its first config make `datasets` read '
                    f"all of them as {builder.name}",
                    fix="name the files under `source.files`",
                )


def _names(text: str) -> list[str]:
    """The names in a printed Python list of strings."""
    return [a or b for a, b in re.findall(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", text)]


def data_digest(builder: datasets.DatasetBuilder, root: Path) -> str:
    """The content digest of a local builder's data files, named relative to the root."""
    base = root.parent if root.is_file() else root
    paths = [Path(file) for files in (builder.config.data_files or {}).values() for file in files]
    return content_digest({Path(os.path.relpath(path, base)).as_posix(): path for path in paths})


def prepare(
    spec: SourceSpec,
    place: Place,
    request: Request,
    key: str,
    *,
    token: str | bool | None,
    anew: bool,
) -> Prepared:
    """Downloads what is missing, writes the Arrow files, and the record under `key`.

    `datasets` writes into a folder marked incomplete and renames it, under a file lock: two processes may prepare the
    same source, and a killed one leaves nothing that passes for whole.

    Args:
        spec, place, request: what is wanted, where it is, how it is opened.
        key: the key of the record to write.
        token: the hub token; None takes the stored one.
        anew: write the Arrow files again although they seem to be there.
    """
    import datasets

    builder, configs = load_builder(spec, place, request, token)
    output: str | None = None
    if place.path is None:
        revision = request.revision or commit_in(request)
    else:
        revision = data_digest(builder, place.path)
        card = place.path / "README.md"
        meaning = [revision, content_digest({"README.md": card}) if card.is_file() else None, datasets.__version__]
        parts = [spec.config, spec.dir, request.path if request.configs else None, spec.to_json()["files"], spec.format]
        name = re.sub(r"[^\w.-]+", "--", place.name).strip("-") or "files"
        output = str(cache_dir() / "sources" / "data" / name / digest([meaning, parts]))
    modes = [datasets.DownloadMode.REUSE_CACHE_IF_EXISTS]
    if not anew:
        modes.insert(0, datasets.DownloadMode.REUSE_DATASET_IF_EXISTS)
    for mode in modes:
        builder.download_and_prepare(output_dir=output, download_mode=mode)
        prepared = _collect(builder, configs, spec.config or builder.config.name, revision)
        if prepared is not None:
            write_record(key, prepared)
            return prepared
    raise error("TSR-N007", f'the prepared files of "{spec}" do not hold the rows that were written', fix="try again")


def commit_in(request: Request) -> str:
    """The commit in the `hf://` addresses of a request for raw files."""
    address = next(iter(request.options["data_files"].values()))[0]
    return str(address.partition("@")[2].partition("/")[0])


def _collect(builder: datasets.DatasetBuilder, configs: tuple[str, ...], config: str, revision: str) -> Prepared | None:
    """What the builder has on disk; None where files are missing or damaged."""
    from tasksource_reg.sources.arrow_files import POOL, ArrowFile

    splits: dict[str, tuple[PreparedFile, ...]] = {}
    for name, info in builder.info.splits.items():
        try:
            names = [f["filename"] for f in builder.as_dataset(split=name).cache_files]
        except (OSError, ValueError):  # damaged: the caller writes the files again
            return None
        lengths = list(info.shard_lengths or [])
        lengths = [n for n in lengths if n] if len(lengths) > 1 else [info.num_examples]
        if len(names) != len(lengths) and info.num_examples:
            return None
        files = [PreparedFile(n, rows, os.path.getsize(n)) for n, rows in zip(names, lengths, strict=False)]
        for file in files:
            POOL.forget(file.path)
            try:
                ArrowFile(file.path, file.rows).scan()
            except SourceError:
                return None
        splits[str(name)] = tuple(files)
    features = builder.info.features
    schema = base64.b64encode(features.arrow_schema.remove_metadata().serialize().to_pybytes()).decode()
    return Prepared(configs, config, splits, from_datasets(features), schema, revision)
