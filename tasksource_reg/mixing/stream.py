"""Rows at positions of a plan: the one place where a mixture is computed.

`MixtureData.block(positions)` resolves positions to (task, epoch, row), gathers and harmonizes per task, chooses a
template for each row, draws shots, renders task by task and template by template, and shapes the rows in the order of
the positions. It is a pure function of the positions: shards, ranks, iterators and random access all call it, and
none changes a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasksource_reg.cache import stream_bound
from tasksource_reg.errors import Problem, error
from tasksource_reg.keyed import draw, stream_key
from tasksource_reg.mixing.blocks import Block, TaskRows, Unfinished
from tasksource_reg.mixing.choice import in_language
from tasksource_reg.mixing.fields import fields_schema, named_fields
from tasksource_reg.mixing.options import shows_some, with_options
from tasksource_reg.mixing.ordering import Ordering
from tasksource_reg.mixing.plan import Located
from tasksource_reg.mixing.pools import ShotPools
from tasksource_reg.mixing.resolve import MixtureTask, Resolved, resolve_mixture
from tasksource_reg.mixing.scores import Floats
from tasksource_reg.mixing.shaping import Group, Piece
from tasksource_reg.mixing.spec import UNRENDERED, MixtureSpec
from tasksource_reg.mixing.state import Marks
from tasksource_reg.nested import Ints, Mask, take_rows, valid_of
from tasksource_reg.prompting.candidates import candidates
from tasksource_reg.prompting.choose import NONE, choose
from tasksource_reg.prompting.render import Renderer
from tasksource_reg.prompting.shapes import SHAPES, Rows, shape
from tasksource_reg.provenance.passport import COLUMN, FULL, SLIM, TaskRecord
from tasksource_reg.task import SplitData
from tasksource_reg.workspace import Workspace

LEAST_BLOCK, MOST_BLOCK = 8192, 65_536  # positions
ROWS_PER_GROUP = 8192  # of one task and template in a block: below, the cost of a group shows
BLOCK_CHARACTERS = 64 * 2**20  # of source text in a block, about


class MixtureData:
    """A resolved mixture with its sources. Opens each task when its first row is asked for.

    Pickles as its options and its spec: the other process resolves it again, and refuses if the plan is another one.

    Args:
        workspace: where tasks come from.
        resolved: the mixture.
        full_passport: carry what is constant per task in each row.
    """

    def __init__(self, workspace: Workspace, resolved: Resolved, *, full_passport: bool = False) -> None:
        self.workspace, self.resolved, self.full_passport = workspace, resolved, full_passport
        self.spec, self.plan = resolved.spec, resolved.plan
        self._splits: dict[tuple[str, str], SplitData] = {}
        self._renderers: dict[tuple[int, int], Renderer] = {}
        self._pools = ShotPools(self)
        self.template_ids: tuple[str, ...] = tuple(sorted({t.id for task in resolved.tasks for t in task.templates}))
        self._template_number = {name: i for i, name in enumerate(self.template_ids)}

    def __reduce__(self) -> tuple[Callable[..., MixtureData], tuple[Any, ...]]:
        resolved = self.resolved
        return _again, (self.workspace, self.spec, resolved.folder, resolved.marks, self.full_passport)

    @property
    def tasks(self) -> tuple[MixtureTask, ...]:
        """The tasks, in plan order."""
        return self.resolved.tasks

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the rows: the shape's columns and `provenance`."""
        if self.spec.shape == "fields":
            columns = fields_schema([t.compiled.schema for t in self.tasks])
        else:
            columns = SHAPES[self.spec.shape].schema
        return columns.append(pa.field(COLUMN, FULL if self.full_passport else SLIM))

    @cached_property
    def block_rows(self) -> int:
        """Positions worth computing at once: more with more tasks and templates, fewer where texts are long."""
        return self.rows_holding(BLOCK_CHARACTERS)

    def rows_holding(self, characters: int) -> int:
        """Positions worth computing at once, whose sources hold at most so many characters, about."""
        groups = sum(max(1, len(t.templates)) for t in self.tasks)
        rates = np.array([t.rate for t in self.tasks])
        sizes = np.array([t.counts.characters / max(t.counts.rows, 1) for t in self.tasks])
        shots = self.spec.shot_probabilities
        each = float(rates @ sizes / rates.sum()) * (1 + sum(k * p for k, p in shots.items()))
        fitting = int(characters / max(each, 1))
        return max(64, min(max(LEAST_BLOCK, ROWS_PER_GROUP * groups), MOST_BLOCK, fitting))

    def split(self, task: int, name: str | None = None) -> SplitData:
        """A split of a task; its surviving rows are those that the plan counts on."""
        entry = self.tasks[task]
        name = name or entry.split
        key = (entry.info.id, name)
        if key not in self._splits:
            found = self.workspace.data(entry.info).split(name)
            counts = entry.counts if name == entry.split else self.workspace.counts(entry.info, name)
            if len(found) != counts.rows:
                message = f"{len(found):,} rows survive, the lock says {counts.rows:,}"
                raise error("TSR-L001", message, task=entry.info.id, split=name)
            if found.streamed_bytes > stream_bound() and self.spec.locality is None:
                message = (
                    "it is streamed, and in this order rows come from all over it: they are fetched again and again"
                )
                self.workspace.warn(Problem("TSR-M020", message, task=entry.info.id, split=name, severity="warning"))
            self._splits[key] = found
        return self._splits[key]

    @cached_property
    def records(self) -> tuple[TaskRecord, ...]:
        """The task table. Opens the sources, because it names their revisions."""
        return tuple(self._record(i) for i in range(len(self.tasks)))

    def _record(self, number: int) -> TaskRecord:
        entry = self.tasks[number]
        revisions = [p.revision for p in self.split(number).pieces]
        return _record(entry, ",".join(dict.fromkeys(revisions)))

    @cached_property
    def passport_records(self) -> tuple[TaskRecord, ...]:
        """What passports take from the task table; slim ones name no revision, so that no source need be open."""
        return self.records if self.full_passport else tuple(_record(entry, "") for entry in self.tasks)

    def block(self, positions: Ints) -> Block:
        """The rows at positions.

        Args:
            positions: int64 [n], any order, repeats allowed.

        Returns:
            rows in the order of the positions, those of quarantined positions left out.

        Raises:
            UsageError: TSR-M006, a position outside the plan.
            FindingsError: a row that cannot be rendered, where the mixture says `on_error: raise`.
        """
        return self.begin(positions).block()

    def begin(self, positions: Ints) -> Unfinished:
        """The larger part of `block`; what is left of it, a few long kernels, may run in another thread."""
        positions = np.asarray(positions, dtype=np.int64)
        located, occurrence = self._located(positions)
        n, turns = len(positions), self.spec.templates.choose == "round_robin"
        row, part, template = np.zeros(n, np.int64), np.zeros(n, np.int64), np.full(n, NONE, np.int64)
        failures: dict[int, tuple[str, str]] = {}  # place -> code, message
        plain: list[Piece] = []
        groups: list[Group] = []
        for task in self._harmonized(located):
            places = task.places
            row[places], part[places] = task.rows, task.parts
            if self.spec.shape in UNRENDERED:
                plain.append((self._unrendered(task), places))
                continue
            turn = occurrence[places] if turns else None
            chosen = self._choose(task, turn, failures) if task.fixed is None else self._assigned(task, failures)
            numbers = [self._template_number[t.id] for t in self.tasks[task.number].templates]
            template[places] = np.array([*numbers, NONE])[chosen]
            groups += self._rendered(task, chosen, failures)
        return Unfinished(self, positions, located.task.astype(np.int64), row, part, template, plain, groups, failures)

    def located(self, positions: Ints) -> Located:
        """The task, epoch and surviving row at each position; int64 [n], in any order.

        Raises:
            UsageError: TSR-M006, a position outside the plan.
        """
        return self._located(positions)[0]

    def _located(self, positions: Ints) -> tuple[Located, Ints]:
        """What stands at each position, and which occurrence of its task that is."""
        task, occurrence = self.plan.locate(positions)
        if self.plan.curriculum is not None:
            occurrence = self._ordering.ordered(task, occurrence)
        return self.plan.rows_of(task, occurrence), occurrence

    @cached_property
    def _ordering(self) -> Ordering:
        return Ordering(self.plan, self._scores)

    def _scores(self, number: int, rows: Ints) -> Floats:
        """The scores of rows of a task, by their numbers in the plan."""
        split, table = self.split(number), self.resolved.scores
        surviving = rows // len(self.tasks[number].templates) if self._every else rows
        if table is None:
            return split.lengths[surviving].astype(np.float64)
        index = split.index
        return table.of(split.task.model.id, split.name, index.rows[surviving], index.parts[surviving])

    def _harmonized(self, located: Located) -> Iterator[TaskRows]:
        """The rows of located positions, task by task."""
        small = np.min_scalar_type(len(self.tasks))  # sorted by their digits
        order = np.argsort(located.task.astype(small), kind="stable")
        bounds = np.concatenate([[0], np.cumsum(np.bincount(located.task, minlength=len(self.tasks)))])
        for number in np.flatnonzero(np.diff(bounds)).tolist():
            places = order[bounds[number] : bounds[number + 1]]
            places = places[np.argsort(located.surviving[places], kind="stable")]  # in the order of the source
            surviving, fixed = located.surviving[places], None
            if self._every:
                surviving, fixed = np.divmod(surviving, len(self.tasks[number].templates))
            data, epochs = self.split(number), located.epoch[places]
            rows, parts = data.index.rows[surviving], data.index.parts[surviving].astype(np.int64)
            batch = data.batch(surviving, seed=self.spec.seed, epochs=epochs)
            if self.spec.shape not in UNRENDERED:
                batch = self.optioned(batch, data, rows, parts, epochs)
            yield TaskRows(number, places, rows, parts, epochs, fixed, batch)

    @property
    def _every(self) -> bool:
        """Whether each row comes with every template in turn."""
        return self.spec.templates.choose == "all" and self.spec.shape not in UNRENDERED

    def optioned(self, batch: pa.RecordBatch, data: SplitData, *counters: Ints | int) -> pa.RecordBatch:
        """Rows of a split with the options that they show."""
        if self.spec.templates.max_options is None:
            return batch
        key = stream_key(self.spec.seed, "options", data.task.model.id, data.name)
        return with_options(data.task, batch, self.spec.templates.max_options, draw(key, *counters))

    # Templates

    def renderer(self, task: int, choice: int) -> Renderer:
        """A template of a task, by their numbers."""
        if (task, choice) not in self._renderers:
            entry = self.tasks[task]
            sampled = shows_some(entry.compiled, self.spec.templates.max_options)
            self._renderers[task, choice] = Renderer(entry.compiled.profile, entry.templates[choice], sampled=sampled)
        return self._renderers[task, choice]

    def _masks(self, task: TaskRows) -> list[Mask | None]:
        """Which rows each template may have; None for all."""
        masks: dict[tuple[object, ...], Mask | None] = {}
        out = []
        for i, template in enumerate(self.tasks[task.number].templates):
            asks = (template.needs, template.languages) if template.selective else ()
            if asks not in masks:
                masks[asks] = self.renderer(task.number, i).eligible(task.batch) if asks else None
            out.append(masks[asks])
        return out

    def _choose(self, task: TaskRows, turn: Ints | None, failures: dict[int, tuple[str, str]]) -> Ints:
        """The number of each row's template among those of its task; NONE where none may have the row."""
        entry, rule = self.tasks[task.number], self.spec.templates.choose
        assert rule != "all"
        if isinstance(rule, dict):  # weights of templates that fit other tasks of the mixture are theirs
            own = {t.id for t in entry.templates}
            rule = {name: weight for name, weight in rule.items() if name in own}
        masks, counters = self._masks(task), (task.rows, task.parts, task.epochs)
        shares = self.spec.templates.language_shares
        if shares is not None:
            bits = draw(stream_key(self.spec.seed, "template language", entry.info.id, entry.split), *counters)
            masks = in_language(entry.templates, masks, shares, entry.compiled.profile.languages, task.batch, bits)
        key = stream_key(self.spec.seed, "template", entry.info.id, entry.split)
        chosen = choose(rule, entry.templates, key, *counters, occurrence=turn, eligible=masks)
        for place in task.places[chosen == NONE].tolist():
            failures[place] = ("TSR-T010", "no template of the mixture fits this row")
        return chosen

    def _assigned(self, task: TaskRows, failures: dict[int, tuple[str, str]]) -> Ints:
        """Templates that the plan assigns (`choose: all`); rows that theirs does not fit fail."""
        fixed = task.fixed
        assert fixed is not None
        for i, mask in enumerate(self._masks(task)):
            if mask is not None:
                template = self.tasks[task.number].templates[i]
                needs = [*template.needs, *([] if template.speaks("en") else template.languages or ())]
                why = ("TSR-T010", f"{template.id} needs {', '.join(needs)}, which the row does not have")
                failures |= dict.fromkeys(task.places[(fixed == i) & ~mask].tolist(), why)
        return fixed

    # Rendering

    def _rendered(self, task: TaskRows, chosen: Ints, failures: dict[int, tuple[str, str]]) -> Iterator[Group]:
        """The rows of one task, template by template, without those that fail."""
        chosen = np.where(np.isin(task.places, list(failures)), NONE, chosen) if failures else chosen
        shots = self._pools.shots(task, chosen)
        if shots is not None:
            short = shots.short & (chosen != NONE)
            why = ("TSR-M010", "too few other rows can stand as shots")
            failures |= dict.fromkeys(task.places[short].tolist(), why)
            chosen = np.where(short, NONE, chosen)
        counts = np.bincount(chosen + 1, minlength=len(self.tasks[task.number].templates) + 1)
        ends = np.cumsum(counts)
        by_template = np.argsort(chosen.astype(np.int16), kind="stable")  # a radix sort
        ordered = task.batch if counts.max(initial=0) == len(chosen) else take_rows(task.batch, by_template)
        for choice in np.flatnonzero(counts[1:]).tolist():
            first, last = ends[choice], ends[choice + 1]
            which = by_template[first:last]
            renderer = self.renderer(task.number, choice)
            fields = ordered.slice(first, last - first)
            done = renderer.render(fields)
            failed = {f.row: (f.code, f.message) for f in done.failures}
            options = candidates(renderer, fields) if self.spec.shape == "rank_classification" else None
            if options is not None:
                why = ("TSR-T009", f"{renderer.template.id}: the row has no options, or one of them cannot be rendered")
                failed = dict.fromkeys(np.flatnonzero(~valid_of(options.targets)).tolist(), why) | failed
            group = Group(
                task.places[which],
                renderer.template,
                done.prompt,
                done.response,
                done.system,
                None if shots is None else self._pools.fitting(shots.of(which), renderer.template, done),
                options,
            )
            if failed:
                failures |= {int(task.places[which[row]]): reason for row, reason in failed.items()}
                group = group.rows(np.delete(np.arange(len(which)), list(failed)))
            yield group

    # Shaping

    def _unrendered(self, task: TaskRows) -> list[pa.Array]:
        """The columns of shapes that show the fields themselves."""
        profile = self.tasks[task.number].compiled.profile
        if self.spec.shape == "fields":
            return named_fields(task.batch, profile, list(self.schema)[:-1])
        nothing = pa.nulls(task.batch.num_rows, pa.string())
        key = stream_key(self.spec.seed, "unpaired", profile.id)
        take_chosen = (draw(key, task.rows, task.parts, task.epochs) & np.uint64(1)).astype(bool)
        rows = Rows(nothing, nothing, fields=task.batch, take_chosen=take_chosen)
        return list(shape(self.spec.shape, rows).columns)


def _again(workspace: Workspace, spec: MixtureSpec, folder: Path, marks: Marks, full_passport: bool) -> MixtureData:
    """A mixture's data in another process."""
    resolved = resolve_mixture(workspace, spec, folder=folder)
    if resolved.marks != marks:
        raise error("TSR-M013", "the registry changed between two processes of one run", fix="start the run again")
    return MixtureData(workspace, resolved, full_passport=full_passport)


def _record(entry: MixtureTask, revision: str) -> TaskRecord:
    """The line of a task in the task table."""
    model = entry.compiled.model
    return TaskRecord(
        id=entry.info.id,
        split=entry.split,
        task_hash=entry.compiled.hash,
        schema=model.schema_name,
        family=model.family,
        languages=model.languages,
        dataset=entry.compiled.dataset,
        config=entry.compiled.parts[0].config,
        revision=revision,
        license=model.license.spdx,
        cite=model.citations,
        title=model.title,
        rows=entry.counts.rows,
        source_rows=entry.counts.source_rows,
        templates={t.id: t.hash for t in entry.templates},
    )
