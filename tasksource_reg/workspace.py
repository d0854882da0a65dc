"""A workspace: a registry, the sources it may open, a cache; hands out compiled tasks and their data.

Everything above (mixtures, exports, the Python API, the verbs) gets its tasks here, so that the lock is compared with
the source in one place: opening a source whose features, class names or row counts are not those on record is an error
that says what moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tasksource_reg.annotation.compiled import CompiledTask, ConfigFacts, Piece, Vocabularies
from tasksource_reg.annotation.expand import ExpandedTask
from tasksource_reg.annotation.load import AnnotationFile, Facts, read_annotation
from tasksource_reg.annotation.model import TaskModel, read_task
from tasksource_reg.annotation.pool import pooled
from tasksource_reg.errors import Problem, SourceError, error, raise_problems
from tasksource_reg.features import difference
from tasksource_reg.label_inventory import labels_in_rows
from tasksource_reg.paths import cache_dir
from tasksource_reg.prompting.library import TemplateLibrary
from tasksource_reg.provenance.locks import Lock, SplitCounts, TaskLock
from tasksource_reg.registry import Registry, TaskInfo
from tasksource_reg.sources import Sources, SourceSpec, SourceSplit
from tasksource_reg.sources.hub import is_commit
from tasksource_reg.sources.places import mirrors_from_environment
from tasksource_reg.task import TaskData, spec_of

DEMO_MIRROR = Path(__file__).parent / "demo" / "mirror"  # holds the datasets of the built-in demo, and no others


class Workspace:
    """Where tasks come from.

    Args:
        registry: the annotations.
        mirrors: directories laid out as the hub, looked up before those of TSR_MIRROR and before the network.
        offline: never touch the network.
        accept_drift: open sources that differ from their locks.
        cache: directory for row indices; the user's cache by default.
        streaming: fetch rows of Parquet sources when they are wanted, instead of preparing sources whole.

    Attributes:
        warnings: what was found so far that is no error, such as a source that differs from an unverified record.
        on_warning: told each of them at once.
    """

    def __init__(
        self,
        registry: Registry | None = None,
        mirrors: tuple[Path, ...] = (),
        *,
        offline: bool = False,
        accept_drift: bool = False,
        cache: Path | None = None,
        streaming: bool = False,
    ) -> None:
        self.registry = registry if registry is not None else Registry()
        roots = (*mirrors, *mirrors_from_environment(), DEMO_MIRROR)
        self.sources = Sources(mirrors=roots, offline=offline, streaming=streaming)
        self.sources.on_warning = self.warn
        self.accept_drift = accept_drift
        self.cache = cache if cache is not None else cache_dir()
        self.warnings: list[Problem] = []
        self.on_warning: Callable[[Problem], None] | None = None
        self._files: dict[Path, AnnotationFile] = {}
        self._compiled: dict[str, CompiledTask] = {}
        self._data: dict[str, TaskData] = {}

    def warn(self, problem: Problem) -> None:
        """Keeps a warning, and tells `on_warning` of it, once."""
        if problem not in self.warnings:
            self.warnings.append(problem)
            if self.on_warning is not None:
                self.on_warning(problem)

    def __reduce__(self) -> tuple[Callable[..., Workspace], tuple[Any, ...]]:
        """Pickles as its options; what it has opened is opened again."""
        sources, roots = self.sources, self.registry.named_roots
        return _again, (roots, sources.mirrors, sources.offline, self.accept_drift, self.cache, sources.streaming)

    @cached_property
    def vocabularies(self) -> dict[str, Vocabularies]:
        """Label vocabularies by family; None for open families."""
        return self.registry.family_vocabularies()

    @cached_property
    def library(self) -> TemplateLibrary:
        """The templates of the registry's roots."""
        return TemplateLibrary.load([folder.parent for folder in self.registry.template_roots()])

    def annotation(self, info: TaskInfo) -> tuple[AnnotationFile, ExpandedTask]:
        """The file of a task, and the task in it."""
        path = info.file
        if path not in self._files:
            self._files[path] = read_annotation(path)
        file = self._files[path]
        raise_problems(file.problems)
        task = file.task(info.id)
        if task is None:
            raise error("TSR-U001", f'"{info.id}" is no longer in {path.name}')
        return file, task

    def lock(self, info: TaskInfo) -> TaskLock | None:
        """What the lock knows of a task; None without a lock."""
        file, _ = self.annotation(info)
        return file.lock.tasks.get(info.id) if file.lock is not None else None

    def counts(self, info: TaskInfo, split: str) -> SplitCounts:
        """The lock's counts of a split.

        Raises:
            FindingsError: TSR-L002 without a lock, TSR-L003 if the annotation has changed since.
        """
        lock = self.lock(info)
        if lock is None or split not in lock.splits:
            what = f'no surviving row count of split "{split}"' if lock is not None else "no lock"
            raise error("TSR-L002", f'"{info.id}" has {what}', fix=f"run `tsr lock {info.id}`", task=info.id)
        if lock.hash != self.compiled(info).hash:
            message = f'the annotation of "{info.id}" has changed since it was counted'
            raise error("TSR-L003", message, fix=f"run `tsr lock {info.id}`", task=info.id)
        return lock.splits[split]

    def compiled(self, info: TaskInfo) -> CompiledTask:
        """The task, compiled against the lock's facts, or the source's own where the lock is silent or may differ.

        Labels that were to come from rows and are not on record are taken from the rows now, with a warning.

        Raises:
            FindingsError: what is wrong with the annotation.
        """
        if info.id not in self._compiled:
            file, task = self.annotation(info)
            self._compiled[info.id] = self._compile(info, file, task, self._facts(file, task))
        return self._compiled[info.id]

    def data(self, info: TaskInfo) -> TaskData:
        """The task with its sources; no rows are read before a split is.

        Where a lock repeats a record that nobody checked, and the source is otherwise, the task is compiled against the
        source, with a warning.
        """
        if info.id not in self._data:
            file, _ = self.annotation(info)
            task = self._compiled[info.id] = self._as_the_source_is(info, self.compiled(info))
            lock = None if self.accept_drift else file.lock
            self._data[info.id] = TaskData(
                task,
                self.sources,
                self.cache,
                lambda piece, source: self._guard(info, piece, source),
                lambda spec: pinned(spec, lock),
                lambda split, sources: self._counted(info, split, sources),
            )
        return self._data[info.id]

    def _compile(self, info: TaskInfo, file: AnnotationFile, task: ExpandedTask, facts: Facts) -> CompiledTask:
        found: list[Problem] = []

        def named(labels: tuple[str, ...] | None) -> CompiledTask:
            return file.compiled(task, self.vocabularies, facts, labels, found)

        compiled = named(None)
        for problem in found if any(f.unseen for f in facts.values()) else ():
            if problem.code in ("TSR-A018", "TSR-A024"):  # the others are of the annotation alone, for `tsr check`
                self.warn(replace(problem, task=info.id))
        if compiled.model.labels == "from_lock" and not compiled.profile.labels:
            compiled = named(labels_in_rows(compiled, named, self.sources, self.cache))
            message = f"no labels on record; these are in its rows: {', '.join(compiled.profile.labels)}"
            fix = f"`tsr lock {info.id}` keeps them, and their order"
            self.warn(Problem("TSR-L002", message, fix, task=info.id, severity="warning"))
        return compiled

    def _facts(self, file: AnnotationFile, task: ExpandedTask) -> Facts:
        """What is known of the configs of a task: the lock's word, else what the source says of itself."""
        facts = {} if self.accept_drift else {c: known for c, known in file.facts.items() if known.features is not None}
        problems: list[Problem] = []
        model = read_task(task, problems)
        for config, _ in pooled(task, model, problems) if model is not None else ():
            if model is not None and config not in facts:
                unseen = file.lock is not None and file.lock.known_of(config or "") in ("declared", "features")
                facts[config] = replace(self._live(file, model, config), unseen=unseen)
        return facts

    def _live(self, file: AnnotationFile, model: TaskModel, config: str | None) -> ConfigFacts:
        """What the source says of itself."""
        spec = spec_of(file.dataset, file.former_ids, model, config)
        described = self.sources.describe(spec)
        features = described.features
        if features is None and described.splits:  # formats without a schema show theirs when they are read
            features = self.sources.open(spec, next(iter(described.splits))).features
        return ConfigFacts(features, described.splits)

    def _as_the_source_is(self, info: TaskInfo, compiled: CompiledTask) -> CompiledTask:
        """The task, or another reading of it for a source that differs from an unchecked record."""
        file, task = self.annotation(info)
        facts, moved = dict(file.facts), list[str]()
        for config in dict.fromkeys(part.config for part in compiled.parts):
            known = facts.get(config)
            if self.accept_drift or known is None or known.features is None:
                continue
            if file.lock is None or file.lock.known_of(config or "") != "features":
                continue
            try:
                live = self._live(file, compiled.model, config)
            except SourceError:
                return compiled  # opening it says so again, where somebody waits for rows
            found = [] if live.features is None else difference(known.features, live.features)
            if known.splits and live.splits and set(known.splits) != set(live.splits):
                found.append(f"splits {', '.join(live.splits)}, not {', '.join(known.splits)}")
            if found:
                facts[config] = replace(live, unseen=True)
                moved += found
        if not moved:
            return compiled
        message = f"{file.dataset} differs from its record: {'; '.join(moved)}"
        fix = f"mend the annotation where it does not fit, then run `tsr lock {info.id}`"
        self.warn(Problem("TSR-L001", message, fix, task=info.id, severity="warning"))
        return self._compile(info, file, task, facts)

    def _counted(self, info: TaskInfo, split: str, sources: Sequence[SourceSplit]) -> SplitCounts | None:
        """The lock's counts of a split, where this annotation was counted on these very sources."""
        file, _ = self.annotation(info)
        known = file.lock.tasks.get(info.id) if file.lock is not None and not self.accept_drift else None
        if file.lock is None or known is None or known.hash != self.compiled(info).hash:
            return None
        for piece, source in zip(self.compiled(info).splits[split], sources, strict=True):
            config = file.lock.configs.get(piece.config or "")
            if config is None or config.revision != source.revision:
                return None
            if file.lock.known_of(piece.config or "") != "rows":
                return None
        return known.splits.get(split)

    def _guard(self, info: TaskInfo, piece: Piece, source: SourceSplit) -> None:
        """Compares an opened source with the lock."""
        file, _ = self.annotation(info)
        config = file.lock.configs.get(piece.config or "") if file.lock is not None else None
        if config is None or self.accept_drift:
            return
        checked = file.lock is not None and file.lock.known_of(piece.config or "") == "rows"
        moved = difference(config.features, source.features) if checked and config.features is not None else []
        expected = (config.splits or {}).get(piece.split)
        if expected is not None and expected != source.num_rows:
            sentence = f"the split {piece.split} has {source.num_rows:,} rows, the lock says {expected:,}"
            if checked:
                moved.append(sentence)
            else:
                self.warn(Problem("TSR-L001", sentence, task=info.id, split=piece.split, severity="warning"))
        if moved:
            where = f"{file.dataset}" + (f", config {piece.config}" if piece.config else "")
            raise error("TSR-L001", f"{where}: " + "; ".join(moved), task=info.id, split=piece.split)


def _again(
    roots: tuple[Path, ...],
    mirrors: tuple[Path, ...],
    offline: bool,
    accept_drift: bool,
    cache: Path,
    streaming: bool,
) -> Workspace:
    """A workspace with the same options, in another process."""
    registry = Registry(roots)
    return Workspace(registry, mirrors, offline=offline, accept_drift=accept_drift, cache=cache, streaming=streaming)


def pinned(spec: SourceSpec, lock: Lock | None) -> SourceSpec:
    """A source at the hub commit at which it was locked.

    It is left as it is where its annotation names a revision, or the lock was not made from the hub.
    """
    known = lock.configs.get(spec.config or "") if lock is not None else None
    if spec.revision is None and known is not None and is_commit(known.revision):
        return replace(spec, revision=known.revision)
    return spec
