"""The tasks of a mixture and their rates: what its queries, ids and nested mixtures stand for.

Surviving rows come from the locks; nothing is opened, but to count tokens where that is asked for. What a query finds
but a mixture leaves out (parked, for evaluation, of unknown licence, not counted yet, without rows in the split) is
noted, never passed over in silence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from tasksource_reg import query
from tasksource_reg.errors import FindingsError, Problem, error, raise_problems
from tasksource_reg.mixing import rates as rate_rules
from tasksource_reg.mixing.rates import Part, Rates
from tasksource_reg.mixing.sizes import Taken, TokenCounts, part_rates
from tasksource_reg.mixing.spec import MixtureSpec, PartSpec, read_mixture
from tasksource_reg.mixing.subset import subset_rows
from tasksource_reg.registry import TaskInfo
from tasksource_reg.workspace import Workspace


@dataclass
class Selection:
    """What a mixture's parts stand for.

    Attributes:
        stages: for each stage the tasks in the order met, and the rate of each; names: what each stage is called, None
            for that of a mixture without stages.
        infos: the tasks by id; parts: the part that first brought each; caps: the least `max_epochs` that a part gives.
        taken: how many of its surviving rows each task gives.
        why: for each stage, by task id, why the rate is what it is.
        tokens: the token counts that were used.
        notes: what was left out, and why.
    """

    stages: list[Rates] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    infos: dict[str, TaskInfo] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    caps: dict[str, float] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    why: list[dict[str, str]] = field(default_factory=list)
    tokens: TokenCounts = field(default_factory=TokenCounts)
    notes: list[str] = field(default_factory=list)

    @property
    def rates(self) -> dict[str, float]:
        """The rate of each task; with stages, the sum of its shares of them."""
        if self.names == [None]:
            return dict(zip(self.stages[0].tasks, self.stages[0].rates, strict=True))
        total: dict[str, list[float]] = {}
        for stage in self.stages:
            whole = math.fsum(stage.rates)
            for name, rate in zip(stage.tasks, stage.rates, strict=True):
                total.setdefault(name, []).append(rate / whole)
        return {name: math.fsum(shares) for name, shares in total.items()}

    def explained(self, task: str) -> str:
        """Where a task's rate comes from, stage by stage."""
        found = [(name, why[task]) for name, why in zip(self.names, self.why, strict=True) if task in why]
        return "; ".join(why if name is None else f"stage {name}: {why}" for name, why in found)

    def note(self, line: str) -> None:
        """Adds a note, once."""
        if line not in self.notes:
            self.notes.append(line)


@dataclass(frozen=True)
class _Context:
    """What holds for a spec and everything nested in it.

    Attributes:
        split: of every task; path: the mixtures that lead here, by name and file.
        outer: the parts that this mixture is nested in.
        templates: how many templates render a task.
    """

    workspace: Workspace
    split: str
    selection: Selection
    templates: Callable[[TaskInfo], int]
    path: tuple[tuple[str, Path | None], ...] = ()
    outer: tuple[PartSpec, ...] = ()


def select(
    workspace: Workspace,
    spec: MixtureSpec,
    file: Path | None,
    templates: Callable[[TaskInfo], int] = lambda _: 1,
    tokens: TokenCounts | None = None,
) -> Selection:
    """The tasks of a mixture.

    Args:
        workspace: where tasks come from.
        spec: the mixture.
        file: where it stands, if in a file.
        templates: how many templates render a task.
        tokens: where token counts come from; the locks by default.

    Raises:
        FindingsError: TSR-M001 a part that selects nothing, TSR-M004 a task without rows, TSR-M007 mixtures in a
            circle, TSR-M002 and M003 shares and rates that do not do, TSR-L002 and L003 tasks that need `tsr lock`,
            TSR-M017 tokens that nobody has counted, TSR-A003 parts that take other subsets of the same task.
            UsageError: TSR-U001 to U004, names and queries that cannot be read; TSR-M008, no such mixture.
    """
    selection = Selection(tokens=tokens if tokens is not None else TokenCounts(spec.tokens))
    path = ((spec.mixture, file.resolve() if file is not None else None),)
    context = _Context(workspace, spec.split, selection, templates, path)
    for number, stage in enumerate(spec.every_stage, start=1):
        rated = _combined(context, spec, stage.parts)
        selection.names.append((stage.name or str(number)) if spec.stages else None)
        selection.stages.append(Rates(tuple(rated), tuple(task.rate for task in rated.values())))
        selection.why.append({name: task.why for name, task in rated.items()})
        for name, task in rated.items():
            selection.taken[name] = _one_subset(name, [selection.taken.get(name, task.rows), task.rows])
    return selection


def mixture_file(workspace: Workspace, source: str | Path) -> Path:
    """The file of a mixture: a path as it is, else a name under mixtures/.

    Raises:
        UsageError: TSR-M008, there is none.
    """
    path = Path(source)
    return path if path.is_file() else workspace.registry.mixture_path(str(source))


class _Rated(NamedTuple):
    """A task as a part has it: its rate there, why it is so, and how many of its rows the part takes."""

    rate: float
    why: str
    rows: int


def _combined(context: _Context, spec: MixtureSpec, specs: Sequence[PartSpec]) -> dict[str, _Rated]:
    """The tasks of parts, nested mixtures included, with their rates; fills in what is met."""
    exclude = query.parse(spec.exclude) if spec.exclude else None
    selection = context.selection
    parts: list[Part] = []
    met: dict[str, list[_Rated]] = {}
    for part in specs:
        if part.mixture is not None:
            rated = _nested(context, part, exclude)
        else:
            chosen = _chosen(context.workspace, part, context.split, exclude, selection)
            tasks = [_taken(context, part, info) for info in chosen]
            for task in tasks:
                name = task.info.id
                selection.infos.setdefault(name, task.info)
                selection.parts.setdefault(name, part.name)
                if part.within.max_epochs is not None:
                    known = selection.caps.get(name, part.within.max_epochs)
                    selection.caps[name] = min(known, part.within.max_epochs)
            of_part = part_rates(part.within, tasks, selection.tokens, context.templates)
            rated = {t.info.id: _Rated(rate, why, t.rows) for t, (rate, why) in zip(tasks, of_part, strict=True)}
        if not rated:
            raise error("TSR-M001", f'the part "{part.name}" selects nothing')
        again = [name for name in rated if name in met] if spec.dedupe else []
        for name in again:
            del rated[name]
        if again:
            few = _few([selection.infos[name] for name in again])
            selection.note(f"{part.name}: {len(again)} left out that an earlier part has ({few})")
        if not rated:
            fix = "remove the part, or `dedupe`"
            raise error("TSR-M001", f'all tasks of the part "{part.name}" stand in earlier parts', fix=fix)
        for name, found in rated.items():
            met.setdefault(name, []).append(found._replace(why=_with_share(part, specs, found.why)))
        parts.append(Part(tuple(rated), tuple(found.rate for found in rated.values()), part.share, part.name))
    mixed = rate_rules.combine(parts)
    return {
        name: _Rated(rate, " + ".join(t.why for t in met[name]), _one_subset(name, [t.rows for t in met[name]]))
        for name, rate in zip(mixed.tasks, mixed.rates, strict=True)
    }


def _one_subset(name: str, rows: Sequence[int]) -> int:
    """How many of its rows a task gives, where all that take it agree.

    Raises:
        FindingsError: TSR-A003, they do not.
    """
    if len(set(rows)) > 1:
        message = f'parts take {" and ".join(f"{n:,}" for n in dict.fromkeys(rows))} rows of "{name}"'
        fix = "a task gives one subset of its rows: take the same everywhere"
        raise error("TSR-A003", message, fix=fix, task=name)
    return rows[0]


def _nested(context: _Context, part: PartSpec, exclude: query.Query | None) -> dict[str, _Rated]:
    """The tasks of a part that is a mixture, with their rates in it."""
    assert part.mixture is not None
    file = mixture_file(context.workspace, part.mixture)
    path = (*context.path, (part.mixture, file.resolve()))
    if file.resolve() in {known for _, known in context.path}:
        raise error("TSR-M007", " -> ".join(name for name, _ in path))
    spec = read_mixture(file)
    if spec.stages:
        message = f'the mixture "{part.mixture}" has stages, and cannot be a part of another'
        raise error("TSR-A003", message, fix="take its parts into this one")
    nested = _combined(replace(context, path=path, outer=(*context.outer, part)), spec, spec.parts)
    kept = _kept([context.selection.infos[name] for name in nested], exclude, context.selection)
    return {info.id: nested[info.id] for info in kept}


def _taken(context: _Context, part: PartSpec, info: TaskInfo) -> Taken:
    """A task with the rows that a part, and the parts around it, leave of it."""
    counts = context.workspace.counts(info, context.split)
    rows = min(subset_rows(counts.rows, p.fraction, p.rows_per_task) for p in (*context.outer, part))
    return Taken(info, context.split, counts, rows)


def _with_share(part: PartSpec, parts: Sequence[PartSpec], why: str) -> str:
    """Why a task's rate is what it is, with the part and its claim."""
    text = f"{part.name}: {why}"
    if part.share is not None:
        return f"{text}, of the share {part.share:g}"
    return f"{text}, of what the shares leave" if any(p.share is not None for p in parts) else text


def _kept(infos: Sequence[TaskInfo], exclude: query.Query | None, selection: Selection) -> list[TaskInfo]:
    """The tasks that are not excluded; where nobody knows (a licence), a task counts as excluded."""
    if exclude is None:
        return list(infos)
    unsure = [i for i in infos if exclude.verdict(i) is None]
    if unsure:
        selection.note(f"exclude {exclude.text}: nobody knows of {_few(unsure)}; left out")
    return [i for i in infos if exclude.verdict(i) is False]


def _chosen(
    workspace: Workspace, part: PartSpec, split: str, exclude: query.Query | None, selection: Selection
) -> list[TaskInfo]:
    """The tasks of a part that is no mixture."""
    if part.task is not None:
        info = workspace.registry.resolve(part.task)
        if not _kept([info], exclude, selection):
            raise error("TSR-M001", f'the task "{info.id}" is asked for and excluded', fix="remove one of the two")
        if info.verified != "rows":
            workspace.counts(info, split)  # refuses what nobody counted, before its source is opened
        splits = workspace.compiled(info).splits
        if split not in splits:
            has = f"it has: {', '.join(splits)}"
            raise error("TSR-U003", f'the task "{info.id}" has no split "{split}"', fix=has, task=info.id)
        if workspace.counts(info, split).rows == 0:
            raise error("TSR-M004", "the task has no rows in this split", task=info.id, split=split)
        return [info]
    found = workspace.registry.select(part.select or "", include_evaluation_only=False)
    fitting = _kept(found.tasks, exclude, selection)
    uncounted = [i for i in fitting if i.verified != "rows"]
    for kind, left in (
        ("parked", found.parked),
        ("for evaluation only", found.evaluation_only),
        ("of unknown licence", found.unknown),
        ("not counted yet (see `tsr lock`)", uncounted),
    ):
        if left:
            selection.note(f"{part.name}: {len(left)} {kind} left out ({_few(left)})")
    kept: list[TaskInfo] = []
    lacking: list[TaskInfo] = []
    problems: list[Problem] = []
    for info in fitting:
        if info in uncounted:
            continue
        try:
            has_rows = split in workspace.compiled(info).splits and workspace.counts(info, split).rows > 0
        except FindingsError as exc:  # an annotation with problems, no lock, a stale one: all are named together
            problems += exc.problems
            continue
        (kept if has_rows else lacking).append(info)
    raise_problems(problems)
    if lacking:
        selection.note(f"{part.name}: {len(lacking)} without rows in {split} left out ({_few(lacking)})")
    if not kept and uncounted:
        message = f'the part "{part.name}" selects only tasks that nobody has counted: {_few(uncounted)}'
        raise error("TSR-L002", message, fix=f"run `tsr lock {uncounted[0].id}`, with a mirror or online")
    if not kept:
        hints = "; ".join(found.hints)
        why = f' with rows in the split "{split}"' if lacking else ""
        raise error(
            "TSR-M001", f'the part "{part.name}" selects nothing{why}', fix=hints or _why_nothing(found.unknown)
        )
    return kept


def _why_nothing(unknown: Sequence[TaskInfo]) -> str | None:
    return f"nobody knows of {_few(unknown)}; ask for them by id if you know better" if unknown else None


def _few(tasks: Sequence[TaskInfo]) -> str:
    """Some ids, for a note."""
    return ", ".join(t.id for t in tasks[:5]) + (", ..." if len(tasks) > 5 else "")
