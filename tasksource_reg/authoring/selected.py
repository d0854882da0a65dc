"""The tasks that a mixture file, a query or ids stand for, before any of them is counted.

Resolving a mixture needs surviving row counts; fetching its data or explaining its licences must not.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tasksource_reg import query
from tasksource_reg.errors import error
from tasksource_reg.mixing.spec import MixtureSpec, read_mixture
from tasksource_reg.registry import Registry, TaskInfo


def mixture_tasks(registry: Registry, path: Path) -> list[TaskInfo]:
    """Every task that the parts of a mixture name, nested mixtures included, sorted by id.

    Tasks without rows in the mixture's split are among them: only their rows can tell.

    Args:
        registry: where tasks and nested mixtures are looked up.
        path: the mixture file.

    Raises:
        FindingsError: TSR-M001, it selects nothing; TSR-M007, mixtures that contain each other; a file's own problems.
        UsageError: TSR-U001 to U004, names and queries that cannot be read; TSR-M008, no such mixture.
    """
    found = _of_mixture(registry, read_mixture(path), (path.resolve(),))
    if not found:
        raise error("TSR-M001", f'the mixture "{path.name}" selects nothing')
    return [found[name] for name in sorted(found)]


def named_tasks(registry: Registry, names: Iterable[str]) -> list[TaskInfo]:
    """The tasks of mixture files or names, queries (with a colon or `*`), ids and aliases; sorted by id.

    A name that is no task is looked for among the mixtures.

    Raises:
        UsageError: TSR-U001, a name or query that finds nothing; and as `mixture_tasks`.
    """
    found: dict[str, TaskInfo] = {}
    for name in names:
        if name.endswith(".yaml"):
            tasks = mixture_tasks(registry, registry.mixture_path(name))
        elif ":" in name or "*" in name:
            tasks = registry.tasks(name if ":" in name or name == "*" else f"id:{name}")
            if not tasks:
                raise error("TSR-U001", f'the query "{name}" finds no task')
        else:
            tasks = [registry.resolve(name)]
        found |= {task.id: task for task in tasks}
    return [found[name] for name in sorted(found)]


def _of_mixture(registry: Registry, spec: MixtureSpec, path: tuple[Path, ...]) -> dict[str, TaskInfo]:
    found: dict[str, TaskInfo] = {}
    for part in spec.every_part:
        if part.mixture is not None:
            file = registry.mixture_path(part.mixture).resolve()
            if file in path:
                raise error("TSR-M007", " -> ".join(p.stem for p in (*path, file)))
            found |= _of_mixture(registry, read_mixture(file), (*path, file))
        elif part.task is not None:
            info = registry.resolve(part.task)
            found[info.id] = info
        else:
            chosen = registry.select(part.select or "", include_evaluation_only=False)
            found |= {info.id: info for info in chosen.tasks}
    if spec.exclude:
        excluded = query.parse(spec.exclude)
        found = {name: info for name, info in found.items() if not excluded.matches(info)}
    return found
