"""Opening sources: the thin shell around places, preparation and splits."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from tasksource_reg.cache import keep_within_bounds, touch
from tasksource_reg.errors import Problem, TsrError, error
from tasksource_reg.features import from_datasets
from tasksource_reg.sources import hub, prepare, streaming
from tasksource_reg.sources.arrow_files import ArrowFile, storage_schema
from tasksource_reg.sources.failures import explain, no_split
from tasksource_reg.sources.hub import HubState
from tasksource_reg.sources.inventory import Inventory, take_inventory
from tasksource_reg.sources.patience import patiently
from tasksource_reg.sources.places import Place, folder_state, locate, mirrored_names, mirrors_from_environment
from tasksource_reg.sources.prepare import Prepared
from tasksource_reg.sources.spec import EXPORT, SourceDescription, SourceSpec, digest
from tasksource_reg.sources.split import RowFile, SourceSplit
from tasksource_reg.sources.streamed_rows import StreamedRows
from tasksource_reg.sources.streaming import Streamed

_TRUE = {"1", "true", "yes", "on"}


class Sources:
    """Opens sources: mirrors first, then the hub; plain folders and files by their path.

    Nothing is read before it is asked for; what was opened once is kept. The network is used only for datasets that
    no mirror holds, and not at all for a commit that is already prepared.

    Args:
        mirrors: mirror roots, looked at before those of TSR_MIRROR.
        offline: never use the network; HF_HUB_OFFLINE and HF_DATASETS_OFFLINE say the same.
        token: the hub token; None takes the one that is stored.
        verbose: let `datasets` and the hub client show progress bars and log lines.
        streaming: fetch rows of Parquet files when they are wanted, instead of preparing sources whole; what is
            prepared already is used as it is, other formats are prepared as usual. TSR_STREAM says the same.

    Attributes:
        on_warning: told of each source that was to be streamed and cannot be.

    Example:
        sources = Sources(mirrors=(Path("mirror"),))
        train = sources.open(SourceSpec("nyu-mll/glue", former_ids=("glue",), config="rte"), "train")
        train.gather(np.array([3, 1]), ["sentence1", "label"])
    """

    def __init__(
        self,
        mirrors: Iterable[Path | str] = (),
        offline: bool = False,
        token: str | bool | None = None,
        *,
        verbose: bool = False,
        streaming: bool = False,
    ) -> None:
        self.mirrors: tuple[Path, ...] = tuple(Path(m).expanduser() for m in mirrors) + mirrors_from_environment()
        self.offline = offline or any(map(_said, ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")))
        self.streaming = streaming or _said("TSR_STREAM")
        self.on_warning: Callable[[Problem], None] = lambda problem: None
        self.token = token
        self.verbose = verbose
        self._lock = threading.RLock()
        self._opened: dict[SourceSpec, tuple[Place, Prepared | Streamed]] = {}
        self._rows: dict[tuple[SourceSpec, str], StreamedRows] = {}

    def open(self, spec: SourceSpec, split: str) -> SourceSplit:
        """One split, ready to be read.

        Args:
            spec: the source.
            split: the split's name in the source.

        Raises:
            SourceError: TSR-N001 to N012, see the catalogue of error codes.
        """
        place, opened = self._open(spec)
        if split not in opened.splits:
            raise no_split(spec, split, list(opened.splits))
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(opened.schema)))
        files: list[RowFile]
        if isinstance(opened, Streamed):
            files = [self._streamed_rows(opened, spec, split)]
        else:
            files = [ArrowFile(file.path, file.rows) for file in opened.splits[split]]
        return SourceSplit(
            spec.dataset,
            opened.config,
            split,
            opened.features,
            storage_schema(schema),
            files,
            opened.revision,
            place.origin,
            streamed=isinstance(opened, Streamed),
        )

    def _streamed_rows(self, streamed: Streamed, spec: SourceSpec, split: str) -> StreamedRows:
        with self._lock:
            if (spec, split) not in self._rows:
                touch(streaming.streams_dir() / streamed.folder)
                self._rows[spec, split] = streaming.open_rows(
                    streamed, spec, split, token=self.token, offline=self.offline
                )
            return self._rows[spec, split]

    def describe(self, spec: SourceSpec) -> SourceDescription:
        """What is known of a source; rows are not read for it.

        Row counts and features come from the prepared data where the config was opened before, else from the dataset
        card, which may be silent (None).

        Raises:
            SourceError: TSR-N001 to N011.
        """
        with self._lock:
            located = locate(spec, self.mirrors)
            with self._explained(spec):
                read, place, commit, files = patiently(lambda: self._commit(spec, located))
                key = self._key(spec, place, commit)
                record: Prepared | Streamed | None = prepare.read_record(key)
                if record is None and self.streaming:
                    record = streaming.read_record(key)
                if record is not None:
                    return SourceDescription(
                        record.configs, record.config, record.rows(), record.features, record.revision, place.origin
                    )
                if place.path is None and self.offline:
                    raise error("TSR-N008", f'offline, and the dataset "{spec}" is not in the cache')
                with prepare.library_output(self.verbose):
                    request = prepare.request_for(read, place, commit, files)
                    builder, configs = patiently(lambda: prepare.load_builder(read, place, request, self.token))
                    known = {str(name): info.num_examples for name, info in (builder.info.splits or {}).items()}
                    features = builder.info.features
                    revision = commit or prepare.data_digest(builder, place.path or Path())
                return SourceDescription(
                    configs,
                    spec.config or builder.config.name,
                    {str(name): known.get(str(name)) for name in (builder.config.data_files or known)},
                    from_datasets(features) if features else None,
                    revision,
                    place.origin,
                )

    def place(self, spec: SourceSpec) -> Place:
        """Where a source would be opened: a mirror, files, or the hub; nothing is asked.

        Raises:
            SourceError: TSR-N001, a path that does not exist, or a name that no hub id can have.
        """
        return locate(spec, self.mirrors)

    def hub_state(self, spec: SourceSpec) -> HubState:
        """What the hub says of a dataset now: its id, commit, file names; mirrors are not looked at.

        Raises:
            SourceError: TSR-N001 to N003, N006, N008, N009.
        """
        self._online(spec)
        with self._lock, self._explained(spec), prepare.library_output(self.verbose):
            return patiently(lambda: hub.ask(spec, self.token))

    def inventory(self, spec: SourceSpec) -> Inventory:
        """The data files of a config on the hub, with sizes and hashes; none is fetched, mirrors are not looked at.

        Raises:
            SourceError: TSR-N001 to N011.
        """
        self._online(spec)
        with self._lock, self._explained(spec), prepare.library_output(self.verbose):
            return patiently(lambda: take_inventory(spec, self.token))

    def config_names(self, spec: SourceSpec) -> tuple[str, ...]:
        """The configs that a source has, whether the one that `spec` names is among them or not.

        Raises:
            SourceError: TSR-N001 to N011.
        """
        import datasets

        with self._lock:
            place = locate(spec, self.mirrors)
            if place.path is None:
                self._online(spec)
            with self._explained(spec), prepare.library_output(self.verbose):
                path, commit = str(place.path), None
                if place.path is None:
                    state = patiently(lambda: hub.ask(spec, self.token))
                    if state.spec.branch == EXPORT:
                        return tuple(dict.fromkeys(n.split("/")[0] for n in state.files if n.endswith(".parquet")))
                    path, commit = state.name, state.commit
                names = patiently(
                    lambda: datasets.get_dataset_config_names(path, revision=commit, token=self.token)  # type: ignore[no-untyped-call,unused-ignore]
                )
                return tuple(str(name) for name in names)

    def _online(self, spec: SourceSpec) -> None:
        if self.offline:
            raise error("TSR-N008", f'offline: the hub cannot be asked for "{spec.dataset}"', fix="go online")

    def _open(self, spec: SourceSpec) -> tuple[Place, Prepared | Streamed]:
        with self._lock:
            if spec not in self._opened:
                place = locate(spec, self.mirrors)
                with self._explained(spec):
                    self._opened[spec] = patiently(lambda: self._prepare(spec, place))
            return self._opened[spec]

    def _prepare(self, spec: SourceSpec, located: Place) -> tuple[Place, Prepared | Streamed]:
        read, place, commit, files = self._commit(spec, located)
        key = self._key(spec, place, commit)
        record = prepare.read_record(key)
        if record is not None and record.whole():
            for file in next(iter(record.splits.values()), ()):
                touch(Path(file.path).parent)
            return place, record
        if self.streaming and (known := streaming.read_record(key)) is not None:
            return place, known
        if place.path is None and self.offline:
            raise error("TSR-N008", f'offline, and the dataset "{spec}" is not in the cache')
        with prepare.library_output(self.verbose):
            request = prepare.request_for(read, place, commit, files)
            if self.streaming:
                found = streaming.stream(read, place, request, key, token=self.token)
                if isinstance(found, Streamed):
                    keep_within_bounds()
                    if place.path is None:
                        streaming.write_record(self._key(spec, place, None), found)
                    return place, found
                self.on_warning(streaming.not_streamed(read, found, place))
            prepared = prepare.prepare(read, place, request, key, token=self.token, anew=record is not None)
            keep_within_bounds()
        if place.path is None:
            prepare.write_record(self._key(spec, place, None), prepared)  # what offline finds: the newest seen
        return place, prepared

    def _commit(self, spec: SourceSpec, place: Place) -> tuple[SourceSpec, Place, str | None, list[str]]:
        """How a source is to be read (see `hub.ask`), the place under its present id, the commit and file names there.

        The commit is None for folders, and offline where none is pinned; a pinned commit that is prepared is not
        asked for again.
        """
        if place.path is not None:
            return spec, place, None, []
        if hub.is_commit(spec.revision):
            key = self._key(spec, place, spec.revision)
            known = prepare.read_record(key)
            if self.offline or (known is not None and known.whole()):
                return spec, place, spec.revision, []
            if self.streaming and streaming.read_record(key) is not None:
                return spec, place, spec.revision, []
        if self.offline:
            return spec, place, None, []
        state = hub.ask(spec, self.token)
        return state.spec, replace(place, name=state.name), state.commit, state.files

    def _key(self, spec: SourceSpec, place: Place, commit: str | None) -> str:
        parts: list[object] = [prepare.RECORD_VERSION, spec.to_json()]
        if place.path is None:
            return digest([*parts, os.environ.get("HF_ENDPOINT", ""), commit or "newest"])
        return digest([*parts, str(place.path), folder_state(place.path)])

    @contextmanager
    def _explained(self, spec: SourceSpec) -> Iterator[None]:
        try:
            yield
        except TsrError:
            raise
        except Exception as exc:
            near = mirrored_names(self.mirrors)
            where = "in the mirrors or on the hub" if self.mirrors else "on the hub"
            raise explain(exc, spec, offline=self.offline, where=where, near=near) from exc


def _said(variable: str) -> bool:
    """Whether a variable of the environment says yes."""
    return os.environ.get(variable, "").lower() in _TRUE
