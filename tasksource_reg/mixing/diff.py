"""What tells two mixtures apart, whatever each is at hand as: a mixture, a mixture's lock, or an export.

Each is brought to the same facts: its tasks (meaning, source, rows, templates), its plan, and its settings. The plans
are compared as states compare them (`state.py`); what an older lock does not hold is left out of the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasksource_reg.mixing.lock import mixture_lock, read_lock_file, settings
from tasksource_reg.mixing.plan import Plan
from tasksource_reg.mixing.resolve import resolve_mixture
from tasksource_reg.mixing.spec import read_mixture
from tasksource_reg.mixing.state import Change, changes
from tasksource_reg.provenance.manifest import NAME, read_manifest
from tasksource_reg.workspace import Workspace


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """One task: its hash, its source's revisions joined by commas, its source's rows, its templates' hashes by id."""

    hash: str
    revision: str
    source_rows: int
    templates: Mapping[str, str]


@dataclass(frozen=True)
class Side:
    """One of two things that are compared.

    Attributes:
        name: what it is: a mixture, a lock, an export.
        tasks: by id.
        plan, settings: None where an older lock does not hold them.
    """

    name: str
    tasks: Mapping[str, TaskFacts]
    plan: Plan | None
    settings: Mapping[str, Any] | None


def read_side(workspace: Workspace, source: str) -> Side:
    """What a name stands for: an export's folder or manifest, a mixture's lock (`*.lock.json`), or a mixture.

    A mixture is resolved as it is now, whatever its lock says.

    Raises:
        TsrError: as `read_manifest`, `read_lock_file` and `resolve_mixture`.
    """
    path = Path(source)
    if path.is_dir() or path.name == NAME:
        manifest = read_manifest(path if path.is_dir() else path.parent)
        tasks = {t.id: TaskFacts(t.task_hash, t.revision, t.source_rows, t.templates) for t in manifest.tasks}
        spec = read_mixture(dict(manifest.spec))
        return Side(f"export {source}", tasks, Plan.from_json(manifest.plan), settings(spec))
    if path.name.endswith(".lock.json"):
        return locked_side(f"lock {source}", read_lock_file(path))
    return locked_side(f"mixture {source}", mixture_lock(resolve_mixture(workspace, source, locked=False)))


def locked_side(name: str, body: Mapping[str, Any]) -> Side:
    """The side of a lock's body, as `mixture_lock` gives it."""
    tasks = {}
    for task, facts in body["tasks"].items():
        revision = ",".join(dict.fromkeys(r for r in facts.get("revisions", {}).values() if r))
        tasks[task] = TaskFacts(facts["hash"], revision, facts["source_rows"], facts["templates"])
    plan = Plan.from_json(body["positions"]) if "positions" in body else None
    return Side(name, tasks, plan, body.get("settings"))


def compare(one: Side, other: Side) -> list[Change]:
    """Every change from one to the other; empty where both give the same rows in the same order."""
    found = [] if one.plan is None or other.plan is None else changes(one.plan, other.plan)
    if one.plan is None or other.plan is None:
        found += [Change("tasks", f"task {name}: left", name) for name in one.tasks if name not in other.tasks]
        found += [Change("tasks", f"task {name}: new", name) for name in other.tasks if name not in one.tasks]
    for name, old in one.tasks.items():
        if name in other.tasks:
            found += _task_changes(name, old, other.tasks[name])
    if one.settings is not None and other.settings is not None:
        for key in sorted(one.settings.keys() | other.settings.keys()):
            before, after = one.settings.get(key), other.settings.get(key)
            if before != after:
                found.append(Change("settings", f"{key}: {_short(before)} became {_short(after)}"))
    return found


def _task_changes(name: str, old: TaskFacts, new: TaskFacts) -> list[Change]:
    """How the rows of a task that both have are made in another way."""
    found = []
    if old.hash != new.hash:
        text = f"task {name}: means something else now (its hash {old.hash[:12]} became {new.hash[:12]})"
        found.append(Change("meaning", text, name))
    if old.revision and new.revision and old.revision != new.revision:
        text = f"task {name}: reads the revision {new.revision[:40]}, was {old.revision[:40]}"
        found.append(Change("revision", text, name))
    if old.source_rows != new.source_rows:
        text = f"task {name}: {old.source_rows:,} rows of the source became {new.source_rows:,}"
        found.append(Change("rows", text, name))
    for template in sorted(old.templates.keys() | new.templates.keys()):
        before, after = old.templates.get(template), new.templates.get(template)
        if before != after:
            what = "new" if before is None else "left" if after is None else "reads otherwise now"
            found.append(Change("templates", f"task {name}: the template {template} {_is(what)}", name))
    return found


def _is(what: str) -> str:
    return f"is {what}" if what == "new" else what


def _short(value: Any) -> str:
    """A setting on one line, what is not set left out."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key}: {_short(v)}" for key, v in value.items() if v is not None)
        return f"{{{inner}}}"
    return str(value)
