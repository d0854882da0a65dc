"""From finished shards to the manifest: what became of each task's rows, and which sources were read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from tasksource_reg.errors import error
from tasksource_reg.export.attribution import licence_roll_up
from tasksource_reg.export.identity import versions
from tasksource_reg.export.layout import Layout
from tasksource_reg.export.parquet import column_types, row_groups
from tasksource_reg.export.recipe import spec_json
from tasksource_reg.export.shards import task_rows
from tasksource_reg.mixing.stream import MixtureData
from tasksource_reg.provenance.manifest import InputRecord, Manifest, ShardRecord, TaskCounts


def manifest_of(data: MixtureData, layout: Layout, shards: Sequence[ShardRecord], out: Path) -> Manifest:
    """The manifest of a finished export, without its documents. Counts are read from the files.

    Raises:
        FindingsError: TSR-X002, the files do not hold what the plan says.
    """
    counts = task_counts(data, shards, out)
    return Manifest(
        mixture=data.spec.mixture,
        split=data.spec.split,
        shape=data.spec.shape,
        passport="full" if data.full_passport else "slim",
        spec=spec_json(data.spec),
        plan=data.plan.to_json(),
        plan_digest=data.plan.digest,
        shard_rows=layout.shard_rows,
        columns=column_types(data.schema),
        tasks=data.records,
        counts=counts,
        inputs=inputs_of(data),
        licences=licence_roll_up(data, counts),
        versions=versions(),
        shards=tuple(sorted(shards, key=lambda s: s.number)),
        documents=(),
    )


def task_counts(data: MixtureData, shards: Sequence[ShardRecord], out: Path) -> dict[str, TaskCounts]:
    """What became of each task's rows, by task id.

    Raises:
        FindingsError: TSR-X002, a task has other rows in the files than the plan has positions for it.
    """
    rows: Counter[tuple[str, str | None]] = Counter()
    quarantined: Counter[tuple[str, str]] = Counter()
    for shard in shards:
        columns = ["provenance.task", "provenance.template"]
        rows.update(task_rows(row_groups(out / shard.data.path, columns, dictionary=columns)))
        if shard.quarantine is not None:
            table = pa.concat_tables(row_groups(out / shard.quarantine.path, ["task", "code"]))
            quarantined.update((r["task"], r["code"]) for r in table.to_pylist())
    templates: dict[str, dict[str, int]] = {}
    for (task, template), number in rows.items():
        templates.setdefault(task, {})[template or ""] = number
    codes: dict[str, dict[str, int]] = {}
    for (task, code), number in quarantined.items():
        codes.setdefault(task, {})[code] = number
    expected = data.plan.occurrences_before(layout_length(data))
    found = {}
    for number, record in enumerate(data.records):
        index = data.split(number).index
        by_template = dict(sorted(templates.get(record.id, {}).items()))
        by_code = dict(sorted(codes.get(record.id, {}).items()))
        positions, written, away = int(expected[number]), sum(by_template.values()), sum(by_code.values())
        if positions != written + away:
            message = f"{written:,} rows and {away:,} in quarantine for {positions:,} positions"
            raise error("TSR-X002", message, task=record.id)
        found[record.id] = TaskCounts(
            source_rows=index.source_rows,
            candidates=index.candidates,
            surviving=len(index),
            filtered=dict(index.filtered),
            rejected=dict(index.quarantined),
            positions=positions,
            rows=written,
            quarantined=by_code,
            templates=by_template,
        )
    return found


def inputs_of(data: MixtureData) -> tuple[InputRecord, ...]:
    """The source splits that rows and shots come from, each once, by name."""
    found = set()
    for number, task in enumerate(data.tasks):
        for split in {task.split, task.shot_split or task.split}:
            for piece in data.split(number, split).pieces:
                origin = piece.origin.kind
                found.add(InputRecord(piece.dataset, piece.config, piece.name, piece.revision, origin, piece.num_rows))
    return tuple(sorted(found, key=lambda i: (i.dataset, i.config, i.split, i.revision)))


def layout_length(data: MixtureData) -> int:
    """Positions of the plan.

    Raises:
        UsageError: TSR-M009, it has no end.
    """
    if data.plan.length is None:
        raise error("TSR-M009", f'the mixture "{data.spec.mixture}" never ends')
    return data.plan.length
