"""The lock of a mixture: the tasks that its queries resolved to, their hashes, revisions and counts.

While `<name>.lock.json` stands beside a mixture, resolving it gives exactly these tasks in exactly this order, or an
error that names what moved. The plan and the settings stand in it too, so that two locks can be compared (`diff.py`);
locks of older versions lack them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasksource_reg.errors import Place, Problem, error
from tasksource_reg.files import write_whole
from tasksource_reg.mixing.plan import Plan
from tasksource_reg.mixing.spec import MixtureSpec
from tasksource_reg.mixing.state import difference
from tasksource_reg.provenance.locks import short_json

if TYPE_CHECKING:
    from tasksource_reg.mixing.resolve import Resolved

LOCK_FORMAT = 1


def mixture_lock_path(path: Path) -> Path:
    """Where a mixture's lock stands."""
    return path.with_name(path.name.removesuffix(".yaml") + ".lock.json")


def mixture_lock(resolved: Resolved) -> dict[str, Any]:
    """The lock as plain JSON values."""
    return {
        "format": LOCK_FORMAT,
        "mixture": resolved.spec.mixture,
        "plan": resolved.plan.digest,
        "positions": resolved.plan.to_json(),
        "settings": settings(resolved.spec),
        "tasks": {
            t.info.id: {
                "split": t.split,
                "hash": t.compiled.hash,
                "rows": t.counts.rows,
                "source_rows": t.counts.source_rows,
                "revisions": dict(t.revisions),
                "templates": {template.id: template.hash for template in t.templates},
            }
            for t in resolved.tasks
        },
    }


def settings(spec: MixtureSpec) -> dict[str, Any]:
    """What a mixture says beside tasks, rates and order, as plain JSON values: how rows are made of positions."""
    names = {"split", "templates", "shots", "shape", "on_error", "quarantine_limit", "tail"}
    return spec.model_dump(mode="json", by_alias=True, include=names)


def write_mixture_lock(path: Path, resolved: Resolved) -> Path:
    """Writes the lock beside a mixture file; returns its path."""
    target = mixture_lock_path(path)
    write_whole(target, (short_json(mixture_lock(resolved)) + "\n").encode())
    return target


def read_mixture_lock(path: Path) -> dict[str, Any] | None:
    """The lock beside a mixture file, as plain JSON values; None without one.

    Raises:
        FindingsError: TSR-L004, the lock is damaged.
    """
    target = mixture_lock_path(path)
    return read_lock_file(target) if target.exists() else None


def read_lock_file(target: Path) -> dict[str, Any]:
    """A mixture's lock, as plain JSON values.

    Raises:
        FindingsError: TSR-L004, the lock is damaged.
    """
    fix = f"run `tsr mix lock {target.name.removesuffix('.lock.json')}.yaml` to write it again"
    try:
        body = json.loads(target.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise error("TSR-L004", f"{target.name}: {exc}", fix=fix, place=Place(str(target))) from exc
    return checked_lock(body, target.name, fix=fix, place=Place(str(target)))


def checked_lock(body: Any, name: str, *, fix: str | None = None, place: Place | None = None) -> dict[str, Any]:
    """A value as the lock of a mixture.

    Args:
        body: plain JSON values; name: what it is called, where it is no lock.
        fix, place: of that error.

    Raises:
        FindingsError: TSR-L004, it is no lock.
    """
    try:
        if body["format"] != LOCK_FORMAT:
            raise ValueError(f"format {body['format']}")
        if not isinstance(body["plan"], str) or not all(isinstance(t, dict) for t in dict(body["tasks"]).values()):
            raise ValueError("no plan, or no tasks")
        for task in body["tasks"].values():
            _ = task["hash"], task["source_rows"], dict(task["templates"])
    except (ValueError, KeyError, TypeError) as exc:
        raise error("TSR-L004", f"{name} is not a lock of a mixture: {exc}", fix=fix, place=place) from exc
    return dict(body)


def moved(lock: Mapping[str, Any], resolved: Resolved) -> list[Problem]:
    """What is no longer as it was locked, one problem a task (TSR-M013); the plan itself where no task moved.

    Args:
        lock: of `read_mixture_lock`.
        resolved: the mixture as it is now.
    """
    now = mixture_lock(resolved)
    tasks, found = lock["tasks"], now["tasks"]
    problems = []
    for name in sorted(tasks.keys() | found.keys()):
        old, new = tasks.get(name), found.get(name)
        if old is None or new is None:
            what = "is selected now, but was not" if old is None else "was selected, and is no longer"
        elif old != new:
            what = f"has other {', '.join(k for k in new if old.get(k) != new[k])} than when the mixture was locked"
        else:
            continue
        problems.append(Problem("TSR-M013", f'"{name}" {what}', task=name))
    if not problems and lock["plan"] != now["plan"]:
        message = "the tasks are as they were locked, but their order or rates are not: the mixture's file has changed"
        if "positions" in lock:
            message += "".join(f"; {line}" for line in difference(Plan.from_json(lock["positions"]), resolved.plan)[:3])
        problems.append(Problem("TSR-M013", message, fix="run `tsr mix lock`, or undo the change"))
    return problems
