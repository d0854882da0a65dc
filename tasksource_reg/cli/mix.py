"""`tsr mix`: plan a mixture, look at its first rows, freeze what it resolves to, make its control, compare two."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tasksource_reg.cli.output import count, echo_json, echo_table, table
from tasksource_reg.cli.settings import Settings, json_option, pass_settings
from tasksource_reg.errors import EXIT_CLEAN, EXIT_FINDINGS

if TYPE_CHECKING:
    from tasksource_reg.mixing.report import Plan


DISPENSABLE = ("rate", "templates", "characters", "lang", "split", "commercial", "epochs")
"""Columns of a plan that a narrow terminal goes without, in this order."""


@click.group(short_help="Plan, sample, lock, control or compare mixtures.")
def command() -> None:
    """Plan a mixture, look at its rows, freeze what it resolves to, or compare it with another.

    \b
    Examples:
      tsr mix plan demo
      tsr mix head demo -n 2
      tsr mix lock mixtures/nli-and-exams.yaml
      tsr mix control demo --out demo-unordered.yaml
      tsr mix diff demo out/
    """


@command.command("plan", short_help="Rows, share, epochs and licence of each task, before any source is opened.")
@click.argument("mixture")
@click.option("--why", is_flag=True, help="Say where each task's rate comes from.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the table as CSV, every column of it.")
@json_option
@pass_settings
def plan(settings: Settings, mixture: str, why: bool, as_csv: bool, as_json: bool) -> None:
    """Print the plan of MIXTURE (a path, or a name under mixtures/); opens no source.

    \b
    Examples:
      tsr mix plan demo
      tsr mix plan demo --why
      tsr mix plan mixtures/nli-and-exams.yaml --json
    """
    from tasksource_reg.cli.workspace import workspace_of
    from tasksource_reg.mixing.report import report
    from tasksource_reg.mixing.resolve import resolve_mixture
    from tasksource_reg.mixing.state import order_said

    if as_csv and as_json:
        raise click.UsageError("--csv and --json are two forms of the same; choose one")
    found = report(resolve_mixture(workspace_of(settings), mixture))
    if as_json:
        echo_json(found.to_json())
        return
    if as_csv:
        click.echo(found.to_csv(), nl=False)
        return
    columns = _fitting(_columns(found))
    echo_table(list(columns), list(zip(*columns.values(), strict=True)))
    length = "endless" if found.positions.length is None else f"{found.positions.length:,} positions"
    verdict = found.license
    tasks, digest = count(len(found.tasks), "task"), found.positions.digest
    click.echo(f"\n{found.name}: {tasks}, {length}, seed {found.seed}, plan {digest}")
    if order := order_said(found.positions):
        click.echo(f"order: {order}")
    click.echo(
        f"as a whole: commercial use {verdict.commercial}, sharing adaptations {verdict.share_adapted}, "
        f"share-alike {verdict.share_alike}, attribution {verdict.attribution} (not legal advice)"
    )
    for task in found if why else ():
        click.echo(f"{task.id}: rate {task.rate:.6g} = {task.why}")
    for note in found.notes:
        settings.note(f"note: {note}")


def _columns(plan: Plan) -> dict[str, list[object]]:
    """The table of a plan, column by column."""
    return {
        "task": [t.id for t in plan],
        "split": [t.split for t in plan],
        "rows": [t.taken for t in plan],
        "rate": [f"{t.rate:.4g}" for t in plan],
        "share": [f"{t.share:.2%}" for t in plan],
        "positions": [t.positions for t in plan],
        "epochs": ["" if t.epochs is None else f"{t.epochs:.2f}" for t in plan],
        "characters": [t.characters for t in plan],
        "templates": [t.templates for t in plan],
        "lang": [t.languages for t in plan],
        "license": [t.license for t in plan],
        "commercial": [t.commercial for t in plan],
    }


def _fitting(columns: dict[str, list[object]]) -> dict[str, list[object]]:
    """The columns that fit the terminal, so that ids need not be cut; all of them where stdout is no terminal."""
    if not sys.stdout.isatty():
        return columns
    import shutil

    width = shutil.get_terminal_size().columns
    kept = dict(columns)
    for name in DISPENSABLE:
        if max(map(len, table(list(kept), list(zip(*kept.values(), strict=True))))) > width:
            del kept[name]
    return kept


@command.command("head", short_help="The first rows, as they are exported.")
@click.argument("mixture")
@click.option("-n", "number", default=3, show_default=True, type=click.IntRange(1, 100_000), help="How many positions.")
@click.option("--start", default=0, show_default=True, type=click.IntRange(0), help="The first position.")
@click.option("--accept-drift", is_flag=True, help="Open sources that differ from their locks.")
@json_option
@pass_settings
def head(settings: Settings, mixture: str, number: int, start: int, accept_drift: bool, as_json: bool) -> None:
    """Print rows of MIXTURE from a position on, with their provenance.

    \b
    Examples:
      tsr mix head demo
      tsr mix head demo -n 1 --start 500 --json
    """
    import numpy as np

    from tasksource_reg.cli.workspace import workspace_of
    from tasksource_reg.errors import error
    from tasksource_reg.mixing.resolve import resolve_mixture
    from tasksource_reg.mixing.stream import MixtureData

    space = workspace_of(settings, accept_drift=accept_drift)
    data = MixtureData(space, resolve_mixture(space, mixture))
    length = data.plan.length
    if length is not None and start >= length:
        raise error("TSR-M006", f"position {start:,} of {length:,}", fix=f"use a position below {length}")
    stop = start + number if length is None else min(start + number, length)
    block = data.block(np.arange(start, stop, dtype=np.int64))
    rows = block.rows.to_pylist()
    if as_json:
        echo_json({"rows": rows, "quarantined": [_plain(q) for q in block.quarantined]})
        return
    for row in rows:
        click.echo(row_text(row) + "\n")
    for q in block.quarantined:
        click.echo(
            f"position {q.position} is in quarantine: {q.task} {q.split} row {q.row}: {q.code} {q.message}", err=True
        )


@command.command("lock", short_help="Freeze the tasks, hashes, revisions and counts that a mixture resolves to.")
@click.argument("mixture")
@json_option
@pass_settings
def lock(settings: Settings, mixture: str, as_json: bool) -> None:
    """Write MIXTURE's lock beside its file: an export from a locked mixture cannot drift with the registry.

    \b
    Examples:
      tsr mix lock mixtures/nli-and-exams.yaml
    """
    from tasksource_reg.cli.workspace import workspace_of
    from tasksource_reg.mixing.lock import write_mixture_lock
    from tasksource_reg.mixing.resolve import mixture_file, resolve_mixture

    space = workspace_of(settings)
    path = mixture_file(space, mixture)
    resolved = resolve_mixture(space, path, locked=False)
    written = write_mixture_lock(path, resolved)
    if as_json:
        echo_json({"lock": str(written), "tasks": len(resolved.tasks)})
    else:
        click.echo(f"{written}: {count(len(resolved.tasks), 'task')}")


@command.command("control", short_help="Write the control of a mixture: the same rows unordered, or one task's alone.")
@click.argument("mixture")
@click.option("--task", help="The id of a task whose rows come alone; without it all rows, unordered.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The file to write.")
@pass_settings
def control(settings: Settings, mixture: str, task: str | None, out: Path) -> None:
    """Write a mixture file that is MIXTURE's control, to train beside it.

    Without --task it has the same rows, dressed in the same templates and shots, in an order that nothing but the seed
    decides: without stages, batches of one task, or a curriculum. With --task it has the rows of that task alone, in
    the order that they have in MIXTURE.

    \b
    Examples:
      tsr mix control mixtures/stages.yaml --out mixtures/stages-unordered.yaml
      tsr mix control mixtures/stages.yaml --task glue/rte --out mixtures/rte-alone.yaml
    """
    from tasksource_reg.authoring.control import write_control
    from tasksource_reg.cli.workspace import workspace_of

    written = write_control(workspace_of(settings), mixture, task, out)
    length = "endless" if written.plan.length is None else f"{written.plan.length:,} positions"
    click.echo(f"{out}: {written.spec.mixture}, {length}")


@command.command("diff", short_help="What tells two mixtures, locks or exports apart.")
@click.argument("a")
@click.argument("b")
@json_option
@pass_settings
def diff(settings: Settings, a: str, b: str, as_json: bool) -> int:
    """Print every change from A to B: tasks, rows, rates, shares, templates, revisions, hashes, seed, stop, settings.

    Each is a mixture (a path, or a name), a mixture's lock (*.lock.json), or an export (its folder, or its manifest).
    Ends with 1 where they differ, with 0 where they are the same. A lock that was made of an older registry, against
    the mixture, shows what the registry changed.

    \b
    Examples:
      tsr mix diff mixtures/one.yaml mixtures/two.yaml
      tsr mix diff mixtures/one.lock.json mixtures/one.yaml
      tsr mix diff out/ mixtures/one.yaml --json
    """
    from tasksource_reg.cli.workspace import workspace_of
    from tasksource_reg.mixing.diff import compare, read_side

    space = workspace_of(settings)
    one, other = read_side(space, a), read_side(space, b)
    found = compare(one, other)
    if as_json:
        echo_json({"a": one.name, "b": other.name, "changes": [change._asdict() for change in found]})
    else:
        for change in found:
            click.echo(change.text)
        settings.note(f"{one.name}, {other.name}: {count(len(found), 'difference')}")
        for side in (one, other):
            if side.plan is None:
                settings.note(f"note: the {side.name} is of an older version, and holds neither rates nor settings")
    return EXIT_FINDINGS if found else EXIT_CLEAN


def row_text(row: dict[str, Any]) -> str:
    """A row as people read it: its provenance on one line, then its texts."""
    provenance = row["provenance"]
    where = f"{provenance['task']} {provenance['split']} row {provenance['row']}"
    template = f"  {provenance['template']}" if provenance["template"] else ""
    lines = [f"[{provenance['position']}] {where}{template}"]
    for name, value in row.items():
        if name == "provenance" or value is None:
            continue
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for turn in value:
                who, text = (turn.get("role"), turn.get("content")) if "role" in turn else (None, None)
                lines += [f"  {who}: " + str(text).replace("\n", "\n    ")] if who else [f"  {turn}"]
        else:
            lines.append(f"  {name}: " + str(value).replace("\n", "\n    "))
    return "\n".join(lines)


def _plain(record: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(record)
