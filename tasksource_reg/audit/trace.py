"""`trace`: where one row of an export came from, from the source row to the text, and whether it still comes out so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasksource_reg.annotation.compile import CLASS_PATHS
from tasksource_reg.annotation.expand import ExpandedTask
from tasksource_reg.audit.rebuild import Rebuilt, position_of_row, rebuild
from tasksource_reg.errors import Problem, error
from tasksource_reg.mixing.fields import with_names
from tasksource_reg.provenance.manifest import read_manifest
from tasksource_reg.provenance.passport import COLUMN
from tasksource_reg.schemas import TaskProfile
from tasksource_reg.workspace import Workspace

MAPPING_KEYS = (
    "view", "ask", "let", "fields", "explode", "labels", "unlabelled", "where", "distinct", "disjoint", "cap",
)  # fmt: skip


@dataclass(frozen=True)
class TemplateRecord:
    """A template as it stands in the registry: its id and hash, and its texts."""

    id: str
    hash: str
    system: str | None
    prompt: str
    response: str


@dataclass(frozen=True)
class Trace:
    """Everything about one exported row.

    Attributes:
        row: its number over all shards; shard: its file; row_in_shard: its number there.
        exported: its columns without the passport; passport: the passport.
        task: the line of the task table; file: the annotation file, with the line of the task.
        source: config, split and row number of the source row; source_row: that row, all columns.
        mapping: the lines of the annotation that map it, as YAML after hoisting.
        harmonized: the row in its schema, class ids as names, null fields left out.
        template: that rendered it, None for the shape `fields`.
        again: the row rendered now; equal: whether it is the exported one.
        differences: what has changed since the export, a line each.
    """

    row: int
    shard: str
    row_in_shard: int
    exported: dict[str, Any]
    passport: dict[str, Any]
    task: dict[str, Any]
    file: str
    source: dict[str, Any]
    source_row: dict[str, Any]
    mapping: str
    harmonized: dict[str, Any]
    template: TemplateRecord | None
    again: dict[str, Any] | None
    equal: bool
    differences: tuple[str, ...]

    def problems(self) -> list[Problem]:
        """TSR-X006 if the row does not come out as it was exported."""
        if self.equal:
            return []
        why = "; ".join(self.differences) or "nothing on record has changed"
        address = {"task": self.passport["task"], "split": self.passport["split"], "row": self.passport["row"]}
        return [Problem("TSR-X006", f"row {self.row:,} is rendered otherwise now ({why})", **address)]


def trace(out: Path, row: int, workspace: Workspace) -> Trace:
    """Traces one row.

    Args:
        out: the export.
        row: its number over all shards, from 0.
        workspace: opens sources as the export did; see `export.run_record.source_arguments`.

    Raises:
        UsageError: TSR-X005, there is no such row; TSR-X007, no such export.
        FindingsError: TSR-X002, TSR-X003: the shard is damaged or missing.
        SourceError: the source cannot be opened.
    """
    manifest = read_manifest(out)
    number, row_in_shard = position_of_row(manifest, row)
    shard = manifest.shards[number].data.path
    found = read_rows(out / shard, [row_in_shard])
    exported = found.to_pylist()[0]
    passport = exported.pop(COLUMN)
    rebuilt = rebuild(manifest, workspace, out)
    data, position = rebuilt.data, passport["position"]
    located = data.located(np.array([position]))
    task = int(located.task[0])
    surviving = int(located.surviving[0])
    entry, split = data.tasks[task], data.split(task)
    if data.spec.templates.choose == "all" and entry.templates:
        surviving //= len(entry.templates)
    address = split.address(surviving)
    again = data.block(np.array([position])).rows
    equal = again.num_rows == 1 and again.equals(found.to_batches()[0])
    _, written = workspace.annotation(entry.info)
    return Trace(
        row=row,
        shard=shard,
        row_in_shard=row_in_shard,
        exported=exported,
        passport=passport,
        task=next(record.to_json() for record in manifest.tasks if record.id == passport["task"]),
        file=f"{entry.info.file.name}:{entry.info.line}",
        source={"dataset": entry.compiled.dataset, "config": address.config, "split": address.split}
        | {"row": address.source_row, "part": address.part},
        source_row=split.source_row(surviving).to_pylist()[0],
        mapping=mapping_lines(written),
        harmonized=_harmonized(rebuilt, task, surviving, int(located.epoch[0])),
        template=_template(rebuilt, task, passport["template"]),
        again=None if not again.num_rows else {k: v for k, v in again.to_pylist()[0].items() if k != COLUMN},
        equal=equal,
        differences=rebuilt.differences,
    )


def read_rows(path: Path, rows: Sequence[int]) -> pa.Table:
    """Rows of a shard by number, ascending; reads only the row groups that hold them, checksums verified.

    Raises:
        FindingsError: TSR-X003, the file is missing; TSR-X002, it is damaged.
    """
    wanted, found, start = np.asarray(rows, dtype=np.int64), [], 0
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                size = file.metadata.row_group(group).num_rows
                here = wanted[(wanted >= start) & (wanted < start + size)] - start
                if len(here):
                    found.append(file.read_row_group(group, use_threads=False).take(pa.array(here)))
                start += size
    except FileNotFoundError as exc:
        raise error("TSR-X003", f"{path.name} is missing") from exc
    except (OSError, pa.ArrowInvalid) as exc:
        raise error("TSR-X002", f"{path.name} cannot be read: {' '.join(str(exc).split())[:200]}") from exc
    return pa.concat_tables(found).replace_schema_metadata(None).combine_chunks()


def mapping_lines(task: ExpandedTask) -> str:
    """The lines of a task that map source columns to fields, as YAML, after hoisting and `for_each`."""
    import yaml

    chosen = {key: node.plain() for key in MAPPING_KEYS if (node := task.node.get(key)) is not None}
    text: str = yaml.safe_dump(chosen, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
    return text.rstrip("\n")


def _harmonized(rebuilt: Rebuilt, task: int, surviving: int, epoch: int) -> dict[str, Any]:
    data = rebuilt.data
    batch = data.split(task).batch(np.array([surviving]), seed=data.spec.seed, epochs=np.array([epoch]))
    row = named(batch, data.tasks[task].compiled.profile).to_pylist()[0]
    return {name: value for name, value in row.items() if value is not None}


def named(batch: pa.RecordBatch, profile: TaskProfile) -> pa.Table:
    """A harmonized batch with class names for class ids."""
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    inventories = {"labels": profile.labels, "entity_labels": profile.entity_labels}
    for path, key in CLASS_PATHS.get(profile.schema, {}).items():
        name, _, inner = path.partition(".")
        columns[name] = with_names(columns[name], inner, inventories[key])
    return pa.table(columns)


def _template(rebuilt: Rebuilt, task: int, name: str | None) -> TemplateRecord | None:
    for template in rebuilt.data.tasks[task].templates:
        if template.id == name:
            return TemplateRecord(template.id, template.hash, template.system, template.prompt, template.response)
    return None


def as_text(value: Any) -> str:
    """A value as people read it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
