"""`tsr lock`: opens sources, counts, and writes what is known beside the annotations."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tasksource_reg.cli.output import count, echo_json, echo_table, problem_lines
from tasksource_reg.cli.settings import Settings, json_option, pass_settings
from tasksource_reg.error_codes import CODES
from tasksource_reg.errors import EXIT_CLEAN, Problem

if TYPE_CHECKING:
    from tasksource_reg.annotation.load import AnnotationFile
    from tasksource_reg.authoring.lock_facts import Lookup
    from tasksource_reg.provenance.locks import Lock
    from tasksource_reg.workspace import Workspace

HEADER = ("task", "split", "source rows", "candidates", "rows", "left out")
NAMES = ("task", "split", "source_rows", "candidates", "rows", "left_out")


@click.command(short_help="Record features, revisions and row counts of tasks.")
@click.argument("ids", nargs=-1, required=True)
@click.option(
    "--features-only", is_flag=True, help="Read no rows: record what the source says of its columns and splits."
)
@click.option(
    "--facts",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Take columns and splits from this record.",
)
@click.option("--origin", help="With --facts: what the record is called; its file name by default.")
@click.option("--date", help="The day of which the facts are, YYYY-MM-DD.")
@click.option("--declared", is_flag=True, help="Record that only the annotation vouches for the task.")
@click.option(
    "--tokenizer",
    metavar="[NAME=]FILE",
    help="Count the tokens of this tokenizer too (a file of the tokenizers library), for mixtures by tokens.",
)
@click.option("--dry-run", is_flag=True, help="Count and report, but write nothing.")
@json_option
@pass_settings
def command(
    settings: Settings,
    ids: tuple[str, ...],
    features_only: bool,
    facts: Path | None,
    origin: str | None,
    date: str | None,
    declared: bool,
    tokenizer: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Open the sources of the tasks IDS (ids, aliases or queries), count their rows, and write the lock files.

    A lock holds the source's features and class names, its revision, source and surviving rows of each split, why
    the others left, and label counts. `tsr lock '*'` locks everything that a mirror or the hub has.

    Where rows are not at hand, --features-only, --facts and --declared write locks of whole files that say less:
    `tsr list` shows how each task is verified. What was counted before stays, and counting later takes their place.

    \b
    Examples:
      tsr lock sick/label --mirror ../mirror
      tsr lock 'dataset:tasksource/*'
      tsr lock '*' --mirror ../mirror --dry-run
      tsr lock 'family:nli' --tokenizer my-model=models/mine/tokenizer.json
      tsr lock glue/rte --facts recorded.jsonl --origin dataset_infos.json --date 2023-06-01
    """
    from tasksource_reg.annotation.load import read_annotation
    from tasksource_reg.authoring.lock import lock_file, write
    from tasksource_reg.authoring.tokens import read_tokenizer
    from tasksource_reg.cli.workspace import chosen_tasks, workspace_of

    without_rows = sum((features_only, facts is not None, declared))
    if without_rows > 1:
        raise click.UsageError("--features-only, --facts and --declared are three ways; choose one")
    if (origin and facts is None) or (date and not (facts or features_only)):
        raise click.UsageError("--origin belongs to --facts, --date to --facts or --features-only")
    if tokenizer is not None and without_rows:
        raise click.UsageError("--tokenizer counts tokens in rows; --features-only, --facts and --declared read none")
    counting = read_tokenizer(tokenizer) if tokenizer is not None else None
    space = workspace_of(settings)
    by_file: dict[Path, list[str]] = {}
    for info in chosen_tasks(space.registry, ids):
        by_file.setdefault(info.file, []).append(info.id)
    lookups = _lookups(space, features_only, facts, origin, date) if without_rows else None
    problems: list[Problem] = []
    rows: list[tuple[object, ...]] = []
    for path, wanted in by_file.items():
        file = read_annotation(path)
        if lookups is not None:
            from tasksource_reg.authoring.lock_facts import lock_without_rows

            result = lock_without_rows(file, space.vocabularies, lookups(file))
        else:
            every = {t.text("id") for t in file.tasks}
            only = None if every <= set(wanted) else wanted
            result = lock_file(
                file,
                space.vocabularies,
                space.sources,
                space.cache,
                lambda name: settings.note(f"counting {name}"),
                only,
                counting,
            )
        problems += result.problems
        if result.lock is None:
            continue
        if not dry_run:
            write(result)
        rows += _lines(result.lock, wanted)
    if as_json:
        echo_json(
            {"splits": [dict(zip(NAMES, r, strict=True)) for r in rows], "problems": [p.to_json() for p in problems]}
        )
    else:
        echo_table(HEADER, rows)
        for line in problem_lines(problems):
            click.echo(line, err=True)
        settings.note(f"{count(len(by_file), 'file')}, {count(len(rows), 'split')}")
    return max((CODES[p.code].exit for p in problems if p.severity == "error"), default=EXIT_CLEAN)


def _lookups(
    space: Workspace, features_only: bool, facts: Path | None, origin: str | None, date: str | None
) -> Callable[[AnnotationFile], Lookup]:
    """Where the facts of each file come from, when no rows are counted."""
    from tasksource_reg.authoring import lock_facts

    if facts is not None:
        records, name = lock_facts.read_records(facts), origin or facts.name
        return lambda file: lock_facts.recorded(records, file, name, date)
    if features_only:
        day = date or time.strftime("%Y-%m-%d", time.gmtime())
        return lambda file: lock_facts.described(space.sources, file, day)
    return lambda file: lock_facts.declared


def _lines(lock: Lock, wanted: list[str]) -> Iterator[tuple[object, ...]]:
    """What a lock says of tasks: a line for each split that was counted, else one for the task."""
    for name in wanted:
        task = lock.tasks.get(name)
        for split, c in task.splits.items() if task is not None else ():
            left = {**c.filtered, **{f"quarantined {k}": n for k, n in c.quarantined.items()}}
            text = "; ".join(f"{n} {r}" for r, n in left.items())
            yield name, split, c.source_rows, c.candidates, c.rows, text
        if task is not None and not task.splits:
            yield name, None, None, None, None, f"not counted; known as {lock.known}"
