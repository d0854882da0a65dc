"""`tsr render`: rows of a task as prompts and responses, in any shape."""

from __future__ import annotations

import json

import click

from tasksource_reg.cli.output import echo_json
from tasksource_reg.cli.settings import Settings, json_option, pass_settings


@click.command(short_help="Render rows of a task as prompts and responses.")
@click.argument("id")
@click.option("--template", help="Render with this template; by default each row takes one that fits.")
@click.option("-n", "number", default=5, show_default=True, type=click.IntRange(1, 100_000), help="How many rows.")
@click.option("--shape", default="messages", show_default=True, help="messages, text, inputs_targets, ...")
@click.option("--split", help="The split; the first one by default.")
@click.option("--row", default=0, show_default=True, type=click.IntRange(0), help="Start at this surviving row.")
@click.option("--seed", default=0, show_default=True, help="Keys the choice of templates and the order of choices.")
@click.option("--max-options", type=click.IntRange(2), help="Show at most so many labels or choices, sampled.")
@click.option("--accept-drift", is_flag=True, help="Open a source that differs from its lock.")
@json_option
@pass_settings
def command(
    settings: Settings,
    id: str,
    template: str | None,
    number: int,
    shape: str,
    split: str | None,
    row: int,
    seed: int,
    max_options: int | None,
    accept_drift: bool,
    as_json: bool,
) -> None:
    """Render rows of the task ID: one JSON object a line, or with --json all of them in one object.

    \b
    Examples:
      tsr render demo/weather-nli -n 2
      tsr render demo/weather-nli --template nli/can-we-infer --shape text
      tsr render sick/label --split test --row 100 --mirror ../mirror
    """
    from tasksource_reg.cli.workspace import row_error, split_of

    data = split_of(settings, id, split, accept_drift=accept_drift)
    if row >= len(data):
        raise row_error(data, row)
    rendered = data[row : row + number].render(template, shape, seed, max_options=max_options)
    if as_json:
        echo_json({"task": data.info.id, "split": data.name, "shape": shape, "rows": list(rendered)})
        return
    for batch in rendered.batches(1024):
        for item in batch.to_pylist():
            click.echo(json.dumps(item, ensure_ascii=False))
