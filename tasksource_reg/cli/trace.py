"""`tsr trace`: where a row of an export came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tasksource_reg.cli.output import echo_json, facts, problem_lines
from tasksource_reg.cli.settings import Settings, json_option, pass_settings
from tasksource_reg.errors import EXIT_CLEAN, EXIT_FINDINGS

if TYPE_CHECKING:
    from tasksource_reg.audit.trace import Trace
    from tasksource_reg.workspace import Workspace


@click.command(short_help="Show where a row of an export came from.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--row", required=True, type=click.IntRange(0), help="The row's number over all shards, from 0.")
@json_option
@pass_settings
def command(settings: Settings, folder: Path, row: int, as_json: bool) -> int:
    """Show row --row of the export in FOLDER: its passport, source row, mapping, template; and render it again.

    Sources are opened as the export opened them (RUN.json), after the folders of --mirror. Exit code 1 if the row does
    not come out as it was exported.

    \b
    Examples:
      tsr trace out/ --row 81203
      tsr trace out/ --row 0 --mirror ../mirror --json
    """
    from dataclasses import asdict

    from tasksource_reg.audit.trace import trace

    found = trace(folder, row, workspace_of_export(settings, folder))
    problems = found.problems()
    if as_json:
        plain = json.loads(json.dumps(asdict(found), default=str))  # source rows may hold dates
        echo_json(plain | {"problems": [problem.to_json() for problem in problems]})
    else:
        click.echo("\n".join(_lines(found)))
        for line in problem_lines(problems):
            click.echo(line, err=True)
    return EXIT_FINDINGS if problems else EXIT_CLEAN


def workspace_of_export(settings: Settings, folder: Path) -> Workspace:
    """A workspace that opens sources as an export did, the command line's own options first."""
    from tasksource_reg.export.run_record import source_arguments
    from tasksource_reg.registry import Registry
    from tasksource_reg.workspace import Workspace

    before = source_arguments(folder)
    registry = settings.registry if settings.registries else Registry(before.registries)
    mirrors = tuple(dict.fromkeys((*settings.mirrors, *before.mirrors)))
    offline = settings.offline or before.offline
    streaming = settings.streaming or before.streaming
    return Workspace(registry, mirrors, offline=offline, accept_drift=before.accept_drift, streaming=streaming)


def _lines(found: Trace) -> list[str]:
    from tasksource_reg.cli.mix import row_text

    task, source = found.task, found.source
    config = f" ({source['config']})" if source["config"] else ""
    lines = [f"row {found.row:,}: {found.shard}, row {found.row_in_shard:,} there", ""]
    lines += [*_section("exported"), row_text({**found.exported, "provenance": found.passport}), ""]
    lines += _section("task")
    lines += facts(
        [
            ("id", task["id"]),
            ("schema", task["schema"]),
            ("license", task["license"]),
            ("task hash", task["task_hash"]),
            ("revision", task["revision"]),
            ("cite", task["cite"]),
            ("written in", found.file),
        ]
    )
    part = f", part {source['part']}" if source["part"] else ""
    where = f"{source['dataset']}{config}, {source['split']}, row {source['row']:,}{part}"
    lines += ["", *_section(f"source row: {where}"), *facts(_cells(found.source_row))]
    lines += ["", *_section("mapping"), found.mapping]
    lines += ["", *_section("harmonized"), *facts(_cells(found.harmonized))]
    if found.template is not None:
        lines += ["", *_section(f"template: {found.template.id} ({found.template.hash})")]
        for name in ("system", "prompt", "response"):
            if (text := getattr(found.template, name)) is not None:
                lines.append(f"{name}: " + text.replace("\n", "\n  "))
    lines += ["", "rendered again: " + ("identical" if found.equal else "it differs")]
    if not found.equal and found.again is not None:
        lines.append(row_text({**found.again, "provenance": found.passport}))
    return lines + [f"since the export: {line}" for line in found.differences]


def _section(title: str) -> list[str]:
    return [f"== {title}"]


def _cells(row: dict[str, Any]) -> list[tuple[str, object]]:
    from tasksource_reg.audit.trace import as_text

    return [(name, as_text(value)) for name, value in row.items()]
