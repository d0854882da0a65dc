"""`tsr cache`: what the cache holds, and clearing it."""

from __future__ import annotations

import time

import click

from tasksource_reg.cli.output import count, echo_json, echo_table
from tasksource_reg.cli.settings import Settings, json_option, pass_settings

DAY = 86_400.0
MEGABYTE = 1_000_000


@click.group(short_help="List what the cache holds, or clear it.")
def command() -> None:
    """List what the cache holds, or clear it.

    The cache (TSR_CACHE) holds the prepared data of mirrors and folders, what was fetched of streamed sources, and the
    row indices of tasks; all of it can be made again. TSR_CACHE_SIZE, such as 20GB, bounds it: what is longest unused
    goes when something new is prepared. What is streamed has a bound of its own, TSR_STREAM_SIZE. Data from the hub
    that is prepared whole stands in the cache of `datasets`.

    \b
    Examples:
      tsr cache list
      tsr cache clear --older-than 30
      tsr cache clear --keep 5GB
    """


@command.command("list", short_help="Entries with size and age, the longest unused first.")
@json_option
@pass_settings
def list_(settings: Settings, as_json: bool) -> None:
    """List the entries with size and age, the longest unused first.

    \b
    Examples:
      tsr cache list
      tsr cache list --json
    """
    from tasksource_reg.cache import entries
    from tasksource_reg.paths import cache_dir

    found, now = entries(), time.time()
    total = sum(entry.size for entry in found)
    if as_json:
        items = [{"kind": e.kind, "name": e.name, "path": str(e.path), "bytes": e.size, "used": e.used} for e in found]
        echo_json({"cache": str(cache_dir()), "bytes": total, "entries": items})
        return
    rows = [(e.kind, e.name, f"{e.size / MEGABYTE:,.1f}", f"{(now - e.used) / DAY:.1f}") for e in found]
    echo_table(("kind", "name", "MB", "days unused"), rows)
    settings.note(f"{count(len(found), 'entry', 'entries')}, {total / MEGABYTE:,.1f} MB in {cache_dir()}")


@command.command("clear", short_help="Remove entries.")
@click.option("--older-than", "days", type=click.FloatRange(0), help="Only what was not used for so many days.")
@click.option("--keep", "size", help="Only until so much is left, such as 5GB; the longest unused goes first.")
@click.option("--dry-run", is_flag=True, help="Say what would go.")
@json_option
@pass_settings
def clear(settings: Settings, days: float | None, size: str | None, dry_run: bool, as_json: bool) -> None:
    """Remove entries: all, those unused for some days, or the longest unused until a size is kept.

    \b
    Examples:
      tsr cache clear --dry-run
      tsr cache clear --older-than 30
      tsr cache clear --keep 5GB
    """
    from tasksource_reg.cache import size_in, trim

    gone = trim(0 if size is None else size_in(size), unused_for=(days or 0.0) * DAY, dry_run=dry_run)
    freed = sum(entry.size for entry in gone)
    if as_json:
        echo_json({"removed": [str(entry.path) for entry in gone], "bytes": freed, "dry_run": dry_run})
        return
    verb = "would go" if dry_run else "removed"
    click.echo(f"{count(len(gone), 'entry', 'entries')} {verb}, {freed / MEGABYTE:,.1f} MB")
