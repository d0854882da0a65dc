"""`tsr lock`: opens the sources of an annotation, counts, and writes what is known beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tasksource_reg.annotation.compiled import CompiledTask, ConfigFacts, Vocabularies
from tasksource_reg.annotation.expand import ExpandedTask
from tasksource_reg.annotation.load import AnnotationFile
from tasksource_reg.annotation.model import TaskModel, read_task
from tasksource_reg.annotation.pool import pooled
from tasksource_reg.authoring.tokens import Tokenizer, tokens_in
from tasksource_reg.errors import Problem, SourceError, TsrError, error, excerpt
from tasksource_reg.label_inventory import labels_in_rows
from tasksource_reg.likeness import shared_rows
from tasksource_reg.provenance.locks import ConfigLock, Lock, SplitCounts, TaskLock, write_lock
from tasksource_reg.rows import RowIndex
from tasksource_reg.sources import Sources, SourceSpec, SourceSplit
from tasksource_reg.sources.pull import pulled_commit
from tasksource_reg.task import SplitData, TaskData, spec_of

LISTED_ROWS = 3  # rows in quarantine that are shown for each split
LOOKED_AT_ROWS = 1000  # rows whose gold answers are looked at
MANY_ROWS = 20  # fewer rows may have the right choice at one place by chance
SAMPLED_ROWS = 64  # rows of a split whose digest a lock keeps


@dataclass
class LockResult:
    """What locking one file gave: the lock (None if nothing could be locked) and what went wrong."""

    file: AnnotationFile
    lock: Lock | None = None
    problems: list[Problem] = field(default_factory=list)


def lock_file(
    file: AnnotationFile,
    vocabularies: Mapping[str, Vocabularies],
    sources: Sources,
    cache: Path,
    progress: Callable[[str], None] = lambda _: None,
    only: Iterable[str] | None = None,
    tokenizer: Tokenizer | None = None,
) -> LockResult:
    """Counts every task of a file from its rows.

    Args:
        file: the annotation.
        vocabularies: of the known families.
        sources: opens the source.
        cache: for row indices.
        progress: told each task's id before it is counted.
        only: task ids; other tasks keep what the old lock says of them, and so do tasks that cannot be counted now.
        tokenizer: count its tokens too; the counts of others stay where the rows are what they were.
    """
    result = LockResult(file, problems=[p for p in file.problems if p.severity == "error"])
    if result.problems:
        return result
    wanted = None if only is None else set(only)
    try:
        old = file.lock
    except TsrError as exc:  # a damaged lock is what is being mended
        result.problems += [_as_warning(p) for p in exc.problems]
        file.relock(old := None)
    counter = _Counter(file, vocabularies, sources, cache, result.problems, old, tokenizer)
    kept: dict[str, TaskLock] = {}
    counted: dict[str, TaskLock] = {}
    for task in file.tasks:
        task_id = task.text("id") or ""
        locked = None
        if wanted is None or task_id in wanted:
            progress(task_id)
            try:
                locked = counter.count(task)
            except TsrError as exc:
                result.problems += exc.at(task=task_id).problems
        if locked is not None:
            counted[task_id] = locked
        elif old is not None and task_id in old.tasks:
            kept[task_id] = old.tasks[task_id]
    if not counted:
        return result
    configs = dict(counter.configs)
    if old is not None and (kept or wanted is not None):
        configs = {**old.explicit(), **configs}
    tasks = {t: lock for t in (x.text("id") or "" for x in file.tasks) if (lock := counted.get(t) or kept.get(t))}
    gated = counter.gated or (old is not None and old.gated and "hub" not in counter.origins)
    result.lock = Lock.joined(file.dataset, configs, tasks, gated)
    return result


def write(result: LockResult) -> Path | None:
    """Writes the lock of a result, if it has one."""
    return write_lock(result.file.path, result.lock) if result.lock is not None else None


def sample_digest(source: SourceSplit, rows: int) -> str:
    """16 hexadecimal digits over at most 64 rows, evenly spaced over the first `rows` of a split."""
    size = min(SAMPLED_ROWS, rows)
    numbers = np.linspace(0, rows - 1, size).astype(np.int64) if size else np.empty(0, np.int64)
    values = source.gather(numbers).to_pylist()
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def split_counts(index: RowIndex) -> SplitCounts:
    """The counts of an index as they stand in a lock."""
    return SplitCounts(
        index.source_rows,
        index.candidates,
        len(index),
        dict(index.filtered),
        dict(index.quarantined),
        dict(index.labels),
        index.characters,
        dict(index.gold),
    )


class _Counter:
    """Counts the tasks of one file; what is learned of a config serves all tasks that read it."""

    def __init__(
        self,
        file: AnnotationFile,
        vocabularies: Mapping[str, Vocabularies],
        sources: Sources,
        cache: Path,
        problems: list[Problem],
        old: Lock | None,
        tokenizer: Tokenizer | None,
    ) -> None:
        self.tokenizer = tokenizer
        self.file, self.vocabularies, self.sources, self.cache = file, vocabularies, sources, cache
        self.problems, self.old = problems, old
        self.configs: dict[str, ConfigLock] = {}
        self.origins: set[str] = set()
        self.gated = False
        self._specs: dict[str | None, SourceSpec] = {}

    def count(self, task: ExpandedTask) -> TaskLock | None:
        """Opens what a task reads and counts its rows; None with problems reported.

        Raises:
            TsrError: the source cannot be opened or read.
        """
        model = read_task(task, self.problems)
        if model is None:
            return None
        facts: dict[str | None, ConfigFacts] = {}
        found: list[Problem] = []  # `compile` reports them too
        for config, _ in pooled(task, model, found):
            lock = self._config(model, config)
            facts[config] = ConfigFacts(lock.features, lock.splits)
        compiled = self.file.compile(task, self.vocabularies, self.problems, facts, ())
        if compiled is None:
            return None
        labels: tuple[str, ...] = ()
        if compiled.model.labels == "from_lock":
            known = self.old.tasks.get(compiled.model.id) if self.old is not None else None

            def named(labels: tuple[str, ...]) -> CompiledTask:
                return self.file.compiled(task, self.vocabularies, facts, labels)

            labels = labels_in_rows(compiled, named, self.sources, self.cache, known.labels if known else ())
            compiled = named(labels)
        data = TaskData(compiled, self.sources, self.cache)
        splits = {}
        shared = shared_rows({name: data.split(name) for name in compiled.splits}, compiled.schema)
        for name in compiled.splits:
            split = data.split(name)
            tokens = self._known_tokens(compiled, name)
            if self.tokenizer is not None:
                tokens[self.tokenizer.key] = tokens_in(split, self.tokenizer.count)
            splits[name] = replace(split_counts(split.index), shared=shared[name], tokens=tokens)
            self.problems += [_as_warning(p) for p in split.quarantine_problems(LISTED_ROWS)]
            self.problems += [*_constant_gold(split), *_answers_elsewhere(split)]
        locked = TaskLock(compiled.hash, splits, labels)
        self.problems += self._other_answers(compiled, locked)
        return locked

    def _other_answers(self, compiled: CompiledTask, new: TaskLock) -> list[Problem]:
        """Splits whose source is as it was, but whose rows the mapping now answers in another way."""
        old = self.old.tasks.get(compiled.model.id) if self.old is not None else None
        if self.old is None or old is None or old.hash == new.hash:
            return []
        problems = []
        for name, pieces in compiled.splits.items():
            before = old.splits.get(name)
            if before is not None and all(self._unmoved(piece.config or "", piece.split) for piece in pieces):
                what = other_answers(before, new.splits[name])
                if what is not None:
                    message = f"{name}: the source has not moved, but {what}"
                    problems.append(Problem("TSR-W016", message, task=compiled.model.id, severity="warning"))
        return problems

    def _known_tokens(self, compiled: CompiledTask, split: str) -> dict[str, int]:
        """The token counts of a split in the old lock, where its rows are still the same."""
        old = self.old.tasks.get(compiled.model.id) if self.old is not None else None
        if old is None or old.hash != compiled.hash or split not in old.splits:
            return {}
        same = all(self._unmoved(piece.config or "", piece.split) for piece in compiled.splits[split])
        return dict(old.splits[split].tokens) if same else {}

    def _unmoved(self, config: str, split: str) -> bool:
        """Whether a split of the source is what the old lock counted."""
        assert self.old is not None
        before, now = self.old.configs.get(config), self.configs.get(config)
        if before is None or now is None or self.old.known_of(config) != "rows":
            return False
        if (before.splits or {}).get(split) != (now.splits or {}).get(split):
            return False
        if before.samples and now.samples:
            return before.samples.get(split) == now.samples.get(split)
        return before.revision is not None and before.revision == now.revision

    def _config(self, model: TaskModel, config: str | None) -> ConfigLock:
        spec = spec_of(self.file.dataset, self.file.former_ids, model, config)
        name = config or ""
        if name in self.configs:
            if self._specs[config] != spec:
                message = f'two tasks read the config "{name}" from different places'
                fix = "give each its own `config`; with `files` or `dir` that is only a name"
                raise error("TSR-A003", message, fix=fix)
            return self.configs[name]
        described = self.sources.describe(spec)
        opened = {name: self.sources.open(spec, name) for name in described.splits}
        first = next(iter(opened.values()), None)
        features = first.features if first is not None else described.features or {}
        revision = first.revision if first is not None else described.revision
        revision = pulled_commit(self.sources.place(spec)) or revision
        origin = described.origin.kind
        self.configs[name] = ConfigLock(
            features,
            {s: source.num_rows for s, source in opened.items()},
            revision,
            self._contents(spec, revision) if origin == "hub" else {},
            {s: sample_digest(source, source.num_rows) for s, source in opened.items()},
            "rows",
            origin,
        )
        self._specs[config] = spec
        self.origins.add(origin)
        return self.configs[name]

    def _contents(self, spec: SourceSpec, revision: str) -> dict[str, str]:
        """What the hub says of the data files at the commit that was read; empty where it cannot be asked now."""
        if self.sources.offline:
            return {}
        try:
            found = self.sources.inventory(replace(spec, revision=revision))
        except SourceError as exc:
            self.problems += [_as_warning(p) for p in exc.problems]
            return {}
        self.gated = self.gated or found.gated
        return found.contents()


def other_answers(before: SplitCounts, now: SplitCounts) -> str | None:
    """How the answers of a split's rows differ between two counts of the same source; None where they do not.

    Counts of labels and of positions of the right choice are compared as far as both have them, then the rows.
    """
    for what, one, other in (("label", before.labels, now.labels), ("position", before.gold, now.gold)):
        if one and other:
            moved = [k for k in dict.fromkeys((*one, *other)) if one.get(k, 0) != other.get(k, 0)]
            if moved:
                name = moved[0]
                return f'the {what} "{name}" has {other.get(name, 0):,} rows, not {one.get(name, 0):,}'
    if before.rows != now.rows:
        return f"{now.rows:,} rows are left, not {before.rows:,}"
    return None


def _constant_gold(split: SplitData) -> list[Problem]:
    """Whether the right choice stands at one place in the first rows of a split, where it would give itself away."""
    model = split.task.model
    if model.schema_name != "multiple_choice" or model.choice_order == "shuffled" or len(split) < MANY_ROWS:
        return []
    gold = split.batch(np.arange(min(len(split), LOOKED_AT_ROWS))).column("gold")
    if gold.null_count or len(gold.unique()) > 1:
        return []
    message = f"the right choice stands at {gold[0]} in all of {len(gold):,} rows"
    fix = "add choice_order: shuffled"
    return [Problem("TSR-A003", message, fix, task=model.id, split=split.name, severity="warning")]


def _answers_elsewhere(split: SplitData) -> list[Problem]:
    """Whether the context reads, where an answer is said to start, as the answer; of the first rows of a split."""
    if split.task.schema.name != "extractive_qa":
        return []
    rows = split.batch(np.arange(min(len(split), LOOKED_AT_ROWS))).select(["context", "answers"]).to_pylist()
    placed = [(i, row["context"], a) for i, row in enumerate(rows) for a in row["answers"] if a["start"] is not None]
    wrong = [(i, c, a) for i, c, a in placed if c[a["start"] : a["start"] + len(a["text"])] != a["text"]]
    if not wrong:
        return []
    number, context, answer = wrong[0]
    there = context[answer["start"] : answer["start"] + len(answer["text"])]
    message = (
        f"{len(wrong):,} of {len(placed):,} answers do not stand where they are said to start, the first "
        f'"{excerpt(answer["text"], 40)}", where "{excerpt(there, 40)}" stands'
    )
    row = int(split.index.rows[number])
    return [Problem("TSR-W022", message, task=split.task.model.id, split=split.name, row=row, severity="warning")]


def _as_warning(problem: Problem) -> Problem:
    return replace(problem, severity="warning")
