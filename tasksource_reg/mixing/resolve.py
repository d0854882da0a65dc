"""What a mixture's names stand for: tasks, rows, rates, templates, and the plan that follows.

Resolving opens no source: surviving rows come from the locks. Everything that can be known to fail before reading
starts fails here, all of it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tasksource_reg import query
from tasksource_reg.annotation.compile import CompiledTask
from tasksource_reg.errors import Problem, TsrError, did_you_mean, error, raise_problems
from tasksource_reg.mixing.choice import DATA
from tasksource_reg.mixing.controls import alone, unordered
from tasksource_reg.mixing.lock import moved, read_mixture_lock
from tasksource_reg.mixing.plan import Plan
from tasksource_reg.mixing.planning import Budget, Planned, budget_of, plan_of
from tasksource_reg.mixing.scores import ScoreTable
from tasksource_reg.mixing.selection import Selection, mixture_file, select
from tasksource_reg.mixing.sizes import CountTokens, Taken, TokenCounts
from tasksource_reg.mixing.spec import UNRENDERED, MixtureSpec, ScoresSpec, TokensSpec, read_mixture
from tasksource_reg.mixing.state import Marks
from tasksource_reg.prompting.model import Template
from tasksource_reg.provenance.locks import SplitCounts
from tasksource_reg.registry import TaskInfo
from tasksource_reg.sources.spec import digest
from tasksource_reg.workspace import Workspace

__all__ = ["MixtureTask", "Resolved", "mixture_file", "resolve_mixture"]

SHAPE_SCHEMAS = {
    "preference": ("preference",),
    "unpaired": ("preference",),
    "rank_classification": ("classification", "multiple_choice"),
}
"""Shapes that not every schema can take."""


SHOT_SPLIT = "train"
"""The split that shots come from."""


@dataclass(frozen=True)
class MixtureTask:
    """One task of a resolved mixture.

    Attributes:
        info, compiled: the task.
        split: the split that is read; counts: what the lock says of it.
        part: name of the first part that brought it; rate: its rate after shares and nesting; in a mixture of stages
            the sum of its shares of them.
        templates: the templates that may render its rows, by id; empty for shapes without prompts.
        shot_split: the split that shots come from, None without shots.
        revisions: of the source by config ("" the default one), as the lock says; None where it does not.
        taken: how many of its surviving rows the mixture draws from; None: all.
        why: where its rate comes from.
    """

    info: TaskInfo
    compiled: CompiledTask
    split: str
    counts: SplitCounts
    part: str
    rate: float
    templates: tuple[Template, ...]
    shot_split: str | None
    revisions: Mapping[str, str | None] = field(default_factory=dict)
    taken: int | None = None
    why: str = ""


@dataclass(frozen=True)
class Resolved:
    """A mixture, resolved.

    Attributes:
        spec: as it is written; tasks: in plan order; plan: of them.
        notes: what was left out, and why.
        folder: what paths in the spec are relative to.
        scores: the table that its order names, if it names one.
    """

    spec: MixtureSpec
    tasks: tuple[MixtureTask, ...]
    plan: Plan
    notes: tuple[str, ...]
    folder: Path = Path()
    scores: ScoreTable | None = None

    @cached_property
    def digests(self) -> dict[str, str]:
        """For each kind of thing that rows hang on, a digest in hex: the plan's kinds, and what makes rows."""
        tasks = sorted(self.tasks, key=lambda task: (task.info.id, task.split))
        order = self.plan.digests
        rendering = self.spec.model_dump(mode="json", include={"templates", "shots", "shape"})
        return {
            "tasks": digest([order["tasks"], [task.compiled.hash for task in tasks]]),
            "revisions": digest([dict(task.revisions) for task in tasks]),
            "templates": digest([[{t.id: t.hash for t in task.templates} for task in tasks], rendering]),
            **{kind: order[kind] for kind in ("rates", "stop", "seed")},
        }

    @cached_property
    def marks(self) -> Marks:
        """What states of this mixture hold beside their position."""
        return Marks.of(self.plan, self.digests)


def resolve_mixture(
    workspace: Workspace,
    source: str | Path | Mapping[str, Any] | MixtureSpec,
    *,
    locked: bool = True,
    count_tokens: CountTokens | None = None,
    folder: Path | None = None,
) -> Resolved:
    """Resolves a mixture.

    Args:
        workspace: where tasks come from.
        source: a path, a name under mixtures/, a dict, or a spec.
        locked: compare with the lock beside the file, if there is one.
        count_tokens: counts tokens from the rows, in place of the locks; the resolved spec then holds the counts.
        folder: what paths in the mixture are relative to, where it is no file; the working directory by default.

    Raises:
        FindingsError: anything that is known to be wrong before rows are read.
        UsageError: names that are not there; TSR-M008, there is no such mixture.
    """
    file = None if isinstance(source, MixtureSpec | Mapping) else mixture_file(workspace, source)
    if isinstance(source, MixtureSpec):
        spec = source
    else:
        spec = read_mixture(source if isinstance(source, Mapping) else file or Path())
    budget = budget_of(spec)
    suits = _template_filter(spec)

    def templates(info: TaskInfo) -> int:
        if spec.shape in UNRENDERED:
            return 1
        return len(workspace.library.for_task(workspace.compiled(info).profile, suits))

    selection = select(workspace, spec, file, templates, TokenCounts(spec.tokens, count_tokens))
    tasks = _tasks(workspace, spec, selection)
    folder = file.parent.absolute() if file is not None else folder or Path.cwd()
    order = spec.scored.by if spec.scored is not None else None
    scores = ScoreTable(folder / order.scores, order.column) if isinstance(order, ScoresSpec) else None
    tasks, plan = _controlled(spec, tasks, plan_of(spec, _planned(spec, tasks, selection, budget), scores))
    if count_tokens is not None and selection.tokens.found:
        spec = spec.model_copy(update={"tokens": TokensSpec(counts=dict(sorted(selection.tokens.found.items())))})
    notes = (*selection.notes, *_language_notes(spec, tasks))
    resolved = Resolved(spec, tasks, plan, notes, folder, scores)
    frozen = read_mixture_lock(file) if locked and file is not None else None
    if frozen is not None:
        raise_problems(moved(frozen, resolved))
    return resolved


def _planned(
    spec: MixtureSpec, tasks: tuple[MixtureTask, ...], selection: Selection, budget: Budget | None
) -> list[Planned]:
    """The tasks as the plan sees them."""
    every = spec.templates.choose == "all" and spec.shape not in UNRENDERED
    stages = [dict(zip(rates.tasks, rates.rates, strict=True)) for rates in selection.stages]
    planned = []
    for task in tasks:
        name, surviving = task.info.id, task.counts.rows
        total = None if budget is None else task.counts.characters
        if budget == "tokens":
            total = selection.tokens.of(Taken(task.info, task.split, task.counts, surviving))
        planned.append(
            Planned(
                id=name,
                split=task.split,
                surviving=surviving,
                taken=surviving if task.taken is None else task.taken,
                copies=len(task.templates) if every else 1,
                rates=tuple(stage.get(name, 0.0) for stage in stages),
                max_epochs=selection.caps.get(name),
                total=total,
            )
        )
    return planned


def _controlled(spec: MixtureSpec, tasks: tuple[MixtureTask, ...], plan: Plan) -> tuple[tuple[MixtureTask, ...], Plan]:
    """The tasks and the plan of a mixture's control; as they are, where it is none."""
    if spec.control is None:
        return tasks, plan
    if spec.control == "unordered":
        return tasks, unordered(plan)
    name, ids = spec.control.task, [task.info.id for task in tasks]
    if name not in ids:
        message = f'the control is of "{name}", which is no task of the mixture'
        raise error("TSR-U001", message, fix=did_you_mean(name, ids))
    number = ids.index(name)
    shots = max(spec.shot_probabilities) and spec.shots.from_ == "family"
    beside = [i for i, task in enumerate(tasks) if shots and kindred(tasks[number], task)]
    found = alone(plan, number, beside)
    by_name = {(task.info.id, task.split): task for task in tasks}
    return tuple(by_name[task.id, task.split] for task in found.tasks), found


def _tasks(workspace: Workspace, spec: MixtureSpec, selection: Selection) -> tuple[MixtureTask, ...]:
    """The tasks with their templates and the split of their shots."""
    suits = _template_filter(spec)
    problems: list[Problem] = []
    tasks = []
    for name, rate in selection.rates.items():
        info = selection.infos[name]
        compiled = workspace.compiled(info)
        takes = SHAPE_SCHEMAS.get(spec.shape)
        if takes is not None and compiled.schema.name not in takes:
            message = f"the shape {spec.shape} takes {' and '.join(takes)}, this is {compiled.schema.name}"
            problems.append(Problem("TSR-M012", message, task=name))
            continue
        templates: tuple[Template, ...] = ()
        shot_split = None
        try:
            if spec.shape not in UNRENDERED:
                templates = workspace.library.for_task(compiled.profile, suits)
            if max(spec.shot_probabilities):
                shot_split = SHOT_SPLIT
        except TsrError as exc:
            problems += [p for p in exc.problems if p not in problems]
            continue
        counts = workspace.counts(info, spec.split)
        file_lock = workspace.annotation(info)[0].lock
        configs = sorted({p.config or "" for p in compiled.parts})
        revisions = {c: file_lock.configs[c].revision for c in configs if file_lock and c in file_lock.configs}
        taken = selection.taken[name]
        tasks.append(
            MixtureTask(
                info,
                compiled,
                spec.split,
                counts,
                selection.parts[name],
                rate,
                templates,
                shot_split,
                revisions,
                None if taken == counts.rows else taken,
                selection.explained(name),
            )
        )
    problems += _unknown_templates(workspace, spec, tasks)
    problems += _shot_problems(workspace, spec, tasks)
    raise_problems(problems)
    return tuple(tasks)


def _template_filter(spec: MixtureSpec) -> Callable[[Template], bool]:
    """Which templates the mixture lets in."""
    where = None if spec.templates.where is None else query.parse(spec.templates.where, query.TEMPLATE_KEYS)
    wanted = set(spec.templates.choose) if isinstance(spec.templates.choose, dict) else None

    def suits(template: Template) -> bool:
        if spec.shape == "rank_classification" and template.inverted:
            return False
        return (where is None or where.matches(template)) and (wanted is None or template.id in wanted)

    return suits


def _unknown_templates(workspace: Workspace, spec: MixtureSpec, tasks: list[MixtureTask]) -> list[Problem]:
    """Weights of templates that render no task of the mixture."""
    if not isinstance(spec.templates.choose, dict) or spec.shape in UNRENDERED:
        return []
    used = {t.id for task in tasks for t in task.templates}
    problems = []
    for name in spec.templates.choose:
        if name in used:
            continue
        known = [t.id for t in workspace.library.all()]
        if name not in known:
            fix = did_you_mean(name, known)
            problems.append(Problem("TSR-U007", f'templates.choose: there is no template "{name}"', fix))
        else:
            fix = "remove it, or add a task that it fits"
            problems.append(Problem("TSR-T010", f'templates.choose: "{name}" fits no task of the mixture', fix))
    return problems


def kindred(one: MixtureTask, other: MixtureTask) -> bool:
    """Whether rows of one task can be shots of another: of its family and schema, in one of its languages."""
    a, b = one.compiled.profile, other.compiled.profile
    same = (a.family, a.schema) == (b.family, b.schema) and a.family is not None
    return same and bool(set(a.languages) & set(b.languages))


def _shot_problems(workspace: Workspace, spec: MixtureSpec, tasks: list[MixtureTask]) -> list[Problem]:
    """Tasks whose rows can never have as many shots as they may ask for, the row itself not counted."""
    most, family = max(spec.shot_probabilities), spec.shots.from_ == "family"
    if not most:
        return []
    problems = []
    rows: dict[str, int] = {}
    kin: dict[tuple[str | None, str], list[MixtureTask]] = {}
    for task in tasks:
        if SHOT_SPLIT in task.compiled.splits:
            rows[task.info.id] = _shot_rows(workspace, task)
            kin.setdefault((task.compiled.profile.family, task.compiled.profile.schema), []).append(task)
        else:
            message = f"the task has no {SHOT_SPLIT} split to take shots from"
            problems.append(Problem("TSR-M010", message, "exclude it, or ask for no shots", task=task.info.id))
    for task in (member for members in kin.values() for member in members):
        pool, profile = rows[task.info.id], task.compiled.profile
        if family:
            others = kin[profile.family, profile.schema]
            pool += sum(rows[o.info.id] for o in others if o is not task and kindred(task, o))
        if pool - (task.split == SHOT_SPLIT) < most:
            message = f"{pool:,} rows{' of its family' if family else ''} for up to {most} shots"
            problems.append(Problem("TSR-M010", message, task=task.info.id, split=SHOT_SPLIT))
    return problems


def _shot_rows(workspace: Workspace, task: MixtureTask) -> int:
    """How many rows of a task may be shots: those of its subset, where the mixture takes one of that split."""
    if task.split == SHOT_SPLIT and task.taken is not None:
        return task.taken
    return workspace.counts(task.info, SHOT_SPLIT).rows


def _language_notes(spec: MixtureSpec, tasks: tuple[MixtureTask, ...]) -> list[str]:
    """Languages that are asked for, and the tasks for which no template speaks them."""
    notes = []
    for language in spec.templates.language_shares or ():
        silent = [
            t.info.id
            for t in tasks
            if not any(
                template.speaks(tag)
                for template in t.templates
                for tag in (t.compiled.profile.languages if language == DATA else (language,))
            )
        ]
        if silent:
            few = ", ".join(silent[:5]) + (", ..." if len(silent) > 5 else "")
            what = "the data's own language" if language == DATA else language
            notes.append(
                f"templates.language: no template in {what} for {len(silent)} ({few}); others take their place"
            )
    return notes
