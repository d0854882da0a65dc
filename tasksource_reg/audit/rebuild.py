"""The mixture of an export, built again from its manifest, and what is no longer as it was.

The plan is the manifest's own, so that a position means the same task and row even where a query selects more tasks
today.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tasksource_reg.errors import error
from tasksource_reg.export.identity import versions
from tasksource_reg.export.layout import Layout
from tasksource_reg.export.run_record import source_arguments
from tasksource_reg.mixing.plan import Plan
from tasksource_reg.mixing.resolve import resolve_mixture
from tasksource_reg.mixing.stream import MixtureData
from tasksource_reg.provenance.manifest import Manifest
from tasksource_reg.provenance.passport import TaskRecord
from tasksource_reg.workspace import Workspace


@dataclass(frozen=True)
class Rebuilt:
    """A mixture that makes the rows of an export again; `differences` names what has changed since, a line each."""

    data: MixtureData
    differences: tuple[str, ...]


def rebuild(manifest: Manifest, workspace: Workspace, out: Path) -> Rebuilt:
    """Builds the mixture of an export again.

    Args:
        manifest: of the export.
        workspace: where its tasks come from.
        out: the export's folder, whose RUN.json says what the mixture's paths were relative to.

    Raises:
        FindingsError: TSR-X006, a task of the export is not in the mixture any more; whatever resolving raises.
    """
    resolved = resolve_mixture(workspace, dict(manifest.spec), folder=source_arguments(out).folder)
    by_name = {(task.info.id, task.split): task for task in resolved.tasks}
    plan = Plan.from_json(manifest.plan)
    gone = [task.id for task in plan.tasks if (task.id, task.split) not in by_name]
    if gone:
        message = f"no longer in the mixture: {', '.join(gone)}"
        raise error("TSR-X006", message, fix="use the registry that the export was made with")
    tasks = tuple(by_name[task.id, task.split] for task in plan.tasks)
    data = MixtureData(workspace, replace(resolved, tasks=tasks, plan=plan), full_passport=manifest.passport == "full")
    return Rebuilt(data, (*_order_differences(plan, resolved.plan), *_differences(manifest, data)))


def position_of_row(manifest: Manifest, row: int) -> tuple[int, int]:
    """(shard, row in the shard) of row `row` of an export, counted over all shards.

    Raises:
        UsageError: TSR-X005, there is no such row.
    """
    if not 0 <= row < manifest.rows:
        raise error("TSR-X005", f"row {row:,} of an export of {manifest.rows:,} rows")
    for shard in manifest.shards:
        if row < shard.rows:
            return shard.number, row
        row -= shard.rows
    raise AssertionError("the shards hold as many rows as the manifest counts")


def layout_of(manifest: Manifest) -> Layout:
    """The layout of an export."""
    return Layout(manifest.split, manifest.plan["length"], manifest.shard_rows)


def _order_differences(before: Plan, now: Plan) -> Iterator[str]:
    """Scores that are others now: the plan keeps the digest of their file, not the scores."""
    if before.curriculum is not None and now.curriculum is not None and before.curriculum.by != now.curriculum.by:
        yield f"rows are ordered by {before.curriculum.by}, now by {now.curriculum.by}"


def _differences(manifest: Manifest, data: MixtureData) -> Iterator[str]:
    """What may give other rows: versions, annotations, sources, templates."""
    now = versions()
    for name, version in manifest.versions.items():
        if now.get(name) != version:
            yield f"{name} {version} is now {now.get(name, 'unknown')}"
    for before, after in zip(manifest.tasks, data.records, strict=True):
        yield from _task_differences(before, after)


def _task_differences(before: TaskRecord, now: TaskRecord) -> Iterator[str]:
    if before.task_hash != now.task_hash:
        yield f"task {before.id}: hash {before.task_hash} is now {now.task_hash}"
    if before.revision != now.revision:
        yield f"task {before.id}: revision {before.revision} is now {now.revision}"
    if before.rows != now.rows:
        yield f"task {before.id}: {before.rows:,} rows are now {now.rows:,}"
    for name in sorted({*before.templates, *now.templates}):
        old, new = before.templates.get(name), now.templates.get(name)
        if old != new:
            what = "is new" if old is None else "is gone" if new is None else f"{old} is now {new}"
            yield f"task {before.id}: template {name} {what}"
