"""The workspace of a command line (its registry, mirrors, offline flag), and the tasks that its arguments name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tasksource_reg.cli.settings import Settings
from tasksource_reg.errors import TsrError, error
from tasksource_reg.registry import Registry, TaskInfo

if TYPE_CHECKING:
    from tasksource_reg.views import TaskSplit
    from tasksource_reg.workspace import Workspace


def workspace_of(settings: Settings, *, accept_drift: bool = False) -> Workspace:
    """The workspace that the global options ask for; what it finds that is no error is noted at once."""
    from tasksource_reg.workspace import Workspace

    space = Workspace(
        settings.registry,
        settings.mirrors,
        offline=settings.offline,
        accept_drift=accept_drift,
        streaming=settings.streaming,
    )
    space.on_warning = lambda problem: settings.note(str(problem))
    return space


def split_of(settings: Settings, id: str, split: str | None, *, accept_drift: bool) -> TaskSplit:
    """A split of the task of an id, the first one unless it is named; says so if the task is not for training.

    Raises:
        UsageError: TSR-U001 no such task, TSR-U003 no such split.
    """
    from tasksource_reg.api import Task

    space = workspace_of(settings, accept_drift=accept_drift)
    info = space.registry.resolve(id)
    task = Task(space, info, "quarantine")
    name = split or next(iter(task.splits), None)
    if name is None:
        raise error("TSR-U003", f'"{info.id}" has no split', task=info.id)
    if info.status != "train":
        settings.note(f"note: {info.id} is {info.status}: {info.because}")
    return task[name]


def row_error(data: TaskSplit, row: int) -> TsrError:
    """What to say of a row that a split does not have; of a split without rows, where they went."""
    if len(data):
        return error("TSR-U005", f"row {row} of {len(data):,} in {data.name}", fix=f"use a row below {len(data)}")
    where = "; ".join(f"{n:,} {reason}" for reason, n in data.left_out.items()) or "its source has none"
    return error(
        "TSR-U005",
        f"no rows in {data.name}: {where}",
        fix="look at the source, and at the conditions and maps of the annotation",
    )


def chosen_tasks(registry: Registry, names: Iterable[str]) -> list[TaskInfo]:
    """The tasks that arguments name: ids and aliases, queries (with a colon), `*` for all; all without arguments.

    Raises:
        UsageError: TSR-U001, a name or query that finds nothing.
    """
    names = list(names)
    if not names or names == ["*"]:
        return registry.tasks(include_parked=True)
    found: dict[str, TaskInfo] = {}
    for name in names:
        if ":" in name or "*" in name:
            tasks = registry.tasks(name if ":" in name else f"id:{name}", include_parked=True)
            if not tasks:
                raise error("TSR-U001", f'the query "{name}" finds no task')
        else:
            tasks = [registry.resolve(name)]
        found |= {t.id: t for t in tasks}
    return list(found.values())


def yaml_files(path: Path) -> list[Path]:
    """The files that a path argument stands for: itself, or all YAML files of a folder.

    Raises:
        UsageError: TSR-Y012, there is nothing at the path.
    """
    if path.is_dir():
        return sorted(path.rglob("*.yaml"))
    if not path.exists():
        raise error("TSR-Y012", f'there is no file "{path}"')
    return [path]
