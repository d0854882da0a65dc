"""The facade: `list_tasks`, `resolve`, `load_task`, `mixture`, and tasks, splits and mixtures as users see them.

Thin shells over `workspace`, `views` and `mixing`. Sources are opened when rows are first read. Functions that open
sources take the same options: `mirror` (a directory laid out as the hub, or several), `registry` (extra registry
roots), `offline`, `accept_drift` (open sources that differ from their locks), `streaming` (fetch rows of Parquet
sources when they are wanted, instead of preparing sources whole; docs/sources.md says what that takes).
"""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack, overload

import numpy as np
import pyarrow as pa

from tasksource_reg.adapters.loadable import Loadable
from tasksource_reg.errors import Problem, error
from tasksource_reg.mixing.diff import compare, locked_side, read_side
from tasksource_reg.mixing.iterate import MixtureIterator, batches
from tasksource_reg.mixing.lock import checked_lock, mixture_lock
from tasksource_reg.mixing.planning import reweighted, reweighting
from tasksource_reg.mixing.report import Plan, report
from tasksource_reg.mixing.resolve import resolve_mixture
from tasksource_reg.mixing.sizes import CountTokens
from tasksource_reg.mixing.spec import controlled_spec
from tasksource_reg.mixing.state import Change
from tasksource_reg.mixing.stream import MixtureData
from tasksource_reg.nested import python_rows
from tasksource_reg.registry import Registry, TaskInfo
from tasksource_reg.schemas import Schema
from tasksource_reg.views import RenderedSplit, TaskSplit
from tasksource_reg.workspace import Workspace

if TYPE_CHECKING:
    import datasets
    import pandas as pd

    from tasksource_reg.export.export import ExportResult

Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None

COLUMNS = (
    "id", "dataset", "config", "schema", "family", "languages", "license", "splits", "status", "verified",
    "former_ids", "aliases",
)  # fmt: skip
"""The columns of `list_tasks`."""


class Options(TypedDict, total=False):
    """What functions that open sources take: see the module's docstring."""

    mirror: Paths
    registry: Paths
    offline: bool
    accept_drift: bool
    streaming: bool


def workspace(
    *,
    mirror: Paths = None,
    registry: Paths = None,
    offline: bool = False,
    accept_drift: bool = False,
    streaming: bool = False,
) -> Workspace:
    """A workspace with these options; functions of this module make one for each call.

    What it finds that is no error, it says as a `UserWarning`.
    """
    space = Workspace(
        Registry(_paths(registry)), _paths(mirror), offline=offline, accept_drift=accept_drift, streaming=streaming
    )
    space.on_warning = _warn
    return space


def _warn(problem: Problem) -> None:
    warnings.warn(str(problem), stacklevel=2)


def _paths(value: Paths) -> tuple[Path, ...]:
    if value is None:
        return ()
    return (Path(value),) if isinstance(value, str | os.PathLike) else tuple(Path(v) for v in value)


def list_tasks(query: str = "", *, registry: Paths = None, parked: bool = False) -> pd.DataFrame:
    """The tasks that fit a query, from the index alone.

    Args:
        query: such as "family:nli lang:en license:commercial"; see `tsr list --help`.
        registry: extra registry roots.
        parked: list parked tasks too.

    Returns:
        one row a task, with the columns of `COLUMNS`; those of several values hold lists.
    """
    import pandas as pd

    records = []
    for info in Registry(_paths(registry)).tasks(query, include_parked=parked):
        record = info.to_json()
        record["config"] = ", ".join(info.configs) or None
        records.append([record.get(name) for name in COLUMNS])
    return pd.DataFrame(records, columns=list(COLUMNS))


def resolve(name: str, *, registry: Paths = None) -> TaskInfo:
    """What the index knows of a task; `name` is an id, an alias, a former or upstream id, or `id@version`.

    Raises:
        UsageError: TSR-U001, there is none; TSR-U002, the name stands for several, all of which are listed.
    """
    return Registry(_paths(registry)).resolve(name)


@overload
def load_task(
    name: str, *, split: None = None, on_error: str = ..., parked: bool = ..., **options: Unpack[Options]
) -> Task: ...


@overload
def load_task(
    name: str, *, split: str, on_error: str = ..., parked: bool = ..., **options: Unpack[Options]
) -> TaskSplit: ...


def load_task(
    name: str,
    *,
    split: str | None = None,
    on_error: str = "raise",
    parked: bool = False,
    **options: Unpack[Options],
) -> Task | TaskSplit:
    """A task, or one of its splits. Reads no rows yet; a source whose rows nobody counted is asked what it holds.

    Args:
        name: an id, alias, former or upstream id, or `id@version`.
        split: the split to return; without it the task with all its splits.
        on_error: `raise` stops at rows that cannot be harmonized, naming them; `quarantine` leaves them out.
        parked: load a parked task too.
        options: mirror, registry, offline, accept_drift, streaming.

    Raises:
        UsageError: TSR-U001..U003 for names that are not there, TSR-U006 for a parked task.
        FindingsError: what is wrong with the annotation.

    Example:
        train = load_task("sick/label", split="train", mirror="mirror")
        train[0]["text"]
    """
    if on_error not in ("raise", "quarantine"):
        raise error("TSR-U005", f'on_error is "raise" or "quarantine", not "{on_error}"', fix="use one of the two")
    space = workspace(**options)
    info = space.registry.resolve(name)
    if info.status == "parked" and not parked:
        message = f'"{info.id}" is parked: {info.because}'
        raise error("TSR-U006", message, fix="pass parked=True if you know better", task=info.id)
    task = Task(space, info, on_error)
    return task if split is None else task[split]


def mixture(
    source: str | os.PathLike[str] | Mapping[str, Any],
    *,
    count_tokens: Callable[[str], int | Sized] | None = None,
    **options: Unpack[Options],
) -> Mixture:
    """A mixture, resolved against the registry's locks. Opens no source yet.

    Args:
        source: a path, the name of a mixture under mixtures/, or a dict in the same format.
        count_tokens: gives the tokens of a text, or their number. Where the mixture divides or stops by tokens, it
            counts them now, over all rows of these tasks, in place of the locks; the counts become part of the mixture.
        options: mirror, registry, offline, accept_drift, streaming.

    Raises:
        FindingsError: anything wrong with it that can be known before rows are read.

    Example:
        mix = mixture({"parts": [{"select": "family:nli lang:en"}], "stop": {"rows": 1000}})
        mix[0]["messages"]
    """
    space = workspace(**options)
    given = source if isinstance(source, Mapping) else Path(source)
    return Mixture(MixtureData(space, resolve_mixture(space, given, count_tokens=_counting(space, count_tokens))))


def _counting(space: Workspace, count_tokens: Callable[[str], int | Sized] | None) -> CountTokens | None:
    """A user's way to count the tokens of a text, as one to count those of a task's split."""
    if count_tokens is None:
        return None
    from tasksource_reg.authoring.tokens import counter, tokens_in

    count = counter(count_tokens)
    return lambda info, split: tokens_in(space.data(info).split(split), count)


class Task:
    """A harmonized task: `.info`, `.schema`, `.labels`, `.splits`; `task["train"]` is a split."""

    def __init__(self, space: Workspace, info: TaskInfo, on_error: str) -> None:
        self.info = info
        self._space, self._on_error = space, on_error
        self._data = space.data(info)

    @property
    def schema(self) -> Schema:
        """The unified schema."""
        return self._data.task.schema

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the class ids, in order; empty for schemas without classes."""
        return self._data.task.profile.labels

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits (withheld ones left out)."""
        return tuple(self._data.task.splits)

    @property
    def hash(self) -> str:
        """The task hash: what the rows depend on."""
        return self._data.task.hash

    def __getitem__(self, split: str) -> TaskSplit:
        """A split by name.

        Raises:
            UsageError: TSR-U003, the task has no such split.
        """
        return TaskSplit(self._space, self.info, self._data.split(split), self._on_error)

    def __iter__(self) -> Iterator[str]:
        """The names of the splits, as of a mapping."""
        return iter(self.splits)

    def __len__(self) -> int:
        return len(self.splits)

    def __reduce__(self) -> tuple[Callable[..., Task], tuple[Any, ...]]:
        return Task, (self._space, self.info, self._on_error)

    def __repr__(self) -> str:
        return f"Task({self.info.id!r}, schema={self.schema.name!r}, splits={list(self.splits)})"

    def to_hf(self) -> datasets.DatasetDict:
        """All splits as a `datasets.DatasetDict`, class fields as ClassLabel."""
        import datasets

        return datasets.DatasetDict({name: self[name].to_hf() for name in self.splits})


class Mixture(Loadable):
    """A mixture: `mix[i]`, `iter(mix)`, `mix.batches()`, `mix.iterator(rank, world)`, `mix.plan()`, `mix.export(...)`.

    `to_torch`, `to_hf` and `to_arrow_reader` give it to the loaders of other libraries; docs/training.md says how.
    Pickles as its options and its spec, for the workers of a data loader.
    """

    def __init__(self, data: MixtureData) -> None:
        self._data = data

    def plan(self) -> Plan:
        """Rows, rate, share, epochs and licence of each task; opens no source."""
        return report(self._data.resolved)

    def reweight(self, at: int, rates: Mapping[str, float]) -> Mixture:
        """The same mixture up to a position, with other rates from there on.

        Nothing before `at` changes, so a run that stands there goes on with `reweighted.iterator(start=at)`. It appends
        a segment to the plan and a line to the spec; a state stays as small as it was.

        Args:
            at: a position of the plan, or its length.
            rates: of every task, by id; 0 pauses one.

        Raises:
            FindingsError: TSR-M003, a task without a rate, or rates that are all 0.
            UsageError: TSR-M006, a position outside the plan; TSR-U001, a rate for no task of the mixture.

        Example:
            mix = mix.reweight(at=10_000, rates={"glue/rte": 1.0, "glue/cola": 0.25})
        """
        resolved = self._data.resolved
        entry = reweighting(resolved.plan, at, rates)
        sooner = tuple(known for known in resolved.spec.reweight if known.at < at)  # of what follows nothing is left
        spec = resolved.spec.model_copy(update={"reweight": (*sooner, entry)})
        resolved = replace(resolved, spec=spec, plan=reweighted(resolved.plan, entry))
        return Mixture(MixtureData(self._data.workspace, resolved, full_passport=self._data.full_passport))

    def control(self, task: str | None = None) -> Mixture:
        """A control to train beside this mixture: the same rows without what the mixture does with them.

        Args:
            task: the id of a task, whose rows come alone, in the order that they have in the mixture; without it all
                rows come in an order that nothing but the seed decides: no stages, batches of one task, or curriculum.

        Returns:
            A mixture with a `control`, whose rows have the same templates, shots and choice orders.

        Raises:
            UsageError: TSR-U001, no task of the mixture; TSR-M009, an endless mixture has no unordered control.

        Example:
            baseline = mix.control()
            alone = mix.control("glue/rte")
        """
        resolved = self._data.resolved
        spec = controlled_spec(resolved.spec, task)
        again = resolve_mixture(self._data.workspace, spec, folder=resolved.folder)
        return Mixture(MixtureData(self._data.workspace, again, full_passport=self._data.full_passport))

    def lock(self) -> dict[str, Any]:
        """What it resolved to, as plain JSON values, to be kept with checkpoints: what `tsr mix lock` writes."""
        return mixture_lock(self._data.resolved)

    def diff(self, was: Mixture | str | os.PathLike[str] | Mapping[str, Any]) -> list[Change]:
        """Every change from another mixture to this one; empty where both give the same rows in the same order.

        Args:
            was: a mixture, what `lock` gave, or what `tsr mix diff` takes: a mixture's file or name, a lock, an export.

        Raises:
            TsrError: what is no mixture, lock or export, or is one that cannot be read.

        Example:
            [change.text for change in mix.diff(checkpoint["mixture"])]
        """
        here = locked_side("this mixture", self.lock())
        if isinstance(was, Mixture):
            return compare(locked_side("that mixture", was.lock()), here)
        if isinstance(was, Mapping):
            return compare(locked_side("that lock", checked_lock(was, "what was given")), here)
        return compare(read_side(self._data.workspace, os.fspath(was)), here)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the rows."""
        return self._data.schema

    def __len__(self) -> int:
        """Positions of the plan; positions in quarantine are counted.

        Raises:
            TypeError: the plan is endless.
        """
        if self._data.plan.length is None:
            raise TypeError("an endless mixture has no length")
        return self._data.plan.length

    def __getitem__(self, position: int) -> dict[str, Any]:
        """The row at a position, in a time that does not depend on the position.

        Raises:
            IndexError: past the end.
            FindingsError: the position is in quarantine; the error says why.
        """
        return self.__getitems__([position])[0]

    def __getitems__(self, positions: Sequence[int]) -> list[dict[str, Any]]:
        """The rows at positions, computed together: what torch's loader asks a map-style dataset for.

        Raises:
            IndexError, FindingsError: as for one position.
        """
        at = np.array([self._position(position) for position in positions], dtype=np.int64)
        block = self._data.block(at)
        for q in block.quarantined:
            message = f"position {q.position:,} is in quarantine: {q.message}"
            raise error(q.code, message, task=q.task, split=q.split, row=q.row)
        return python_rows(block.rows)

    def _position(self, position: int) -> int:
        """A position of the plan, counted from its end where it is negative."""
        length = self._data.plan.length
        at = operator.index(position)
        if at < 0 and length is not None:
            at += length
        if at < 0 or (length is not None and at >= length):
            raise IndexError(f"position {position:,} of {'an endless plan' if length is None else f'{length:,}'}")
        return at

    def __iter__(self) -> MixtureIterator:
        return self.iterator()

    def iterator(self, rank: int = 0, world: int = 1, *, start: int = 0, block: int | None = None) -> MixtureIterator:
        """The rows of one rank as dicts; `state_dict()` and `load_state_dict(state)` stop and go on anywhere.

        Args:
            rank, world: this rank takes the positions `start + rank + k * world`.
            start: the first position of all ranks.
            block: positions computed at once, at most.
        """
        return MixtureIterator(self._data, rank, world, start, block)

    def batches(self, size: int | None = None, *, start: int = 0, stop: int | None = None) -> Iterator[pa.RecordBatch]:
        """Record batches of at most `size` rows, in order; positions in quarantine are left out."""
        return batches(self._data, size, start, stop)

    def export(self, out: str | os.PathLike[str], *, workers: int = 1, **options: Any) -> ExportResult:
        """Writes the mixture as sharded Parquet with provenance; see `tasksource_reg.export.export`."""
        from tasksource_reg.export.export import export

        return export(self._data, Path(out), workers=workers, **options)

    def __repr__(self) -> str:
        length, tasks = self._data.plan.length, len(self._data.tasks)
        positions = "endless" if length is None else f"{length:,} positions"
        return f"Mixture({self._data.spec.mixture!r}, {tasks} {'task' if tasks == 1 else 'tasks'}, {positions})"


__all__ = ["Mixture", "Plan", "RenderedSplit", "Task", "TaskSplit", "list_tasks", "load_task", "mixture", "resolve"]
