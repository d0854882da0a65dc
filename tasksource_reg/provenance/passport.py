"""The passport: where a row comes from, carried by every emitted row as the struct column `provenance`.

It is slim: what is constant for a task (dataset, config, revision, licence, task hash, citation) stands in the task
table of the manifest and of every shard's footer. `full` passports carry it in each row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasksource_reg.nested import Ints, dicts_of, take

COLUMN = "provenance"
SLIM = pa.struct(
    [
        pa.field("task", pa.string()),
        pa.field("split", pa.string()),
        pa.field("row", pa.int64()),
        pa.field("part", pa.int32()),
        pa.field("template", pa.string()),
        pa.field("position", pa.int64()),
    ]
)
FULL_FIELDS = ("dataset", "config", "revision", "license", "task_hash", "template_hash")
FULL = pa.struct([*SLIM, *(pa.field(name, pa.string()) for name in FULL_FIELDS)])


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """One line of the task table: everything about a task of a mixture that its rows share.

    Attributes:
        id, split, task_hash: the task and its meaning; schema, family, languages: what it is.
        dataset, config, revision: the source; `revision` is a commit, or a digest of a mirror's files.
        license, cite, title: as in the annotation.
        rows, source_rows: surviving and source rows of the split; templates: hash by template id.
    """

    id: str
    split: str
    task_hash: str
    schema: str
    family: str | None
    languages: tuple[str, ...]
    dataset: str
    config: str | None
    revision: str
    license: str
    cite: tuple[str, ...]
    title: str | None
    rows: int
    source_rows: int
    templates: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        out = asdict(self)
        out["languages"], out["cite"], out["templates"] = list(self.languages), list(self.cite), dict(self.templates)
        return out

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> TaskRecord:
        """The record that `to_json` gave."""
        known = {k: value[k] for k in TaskRecord.__dataclass_fields__}
        return TaskRecord(**{**known, "languages": tuple(known["languages"]), "cite": tuple(known["cite"])})


@dataclass(frozen=True)
class Passports:
    """The passports of n rows as numbers: texts are looked up when Arrow or Python values are asked for.

    Attributes:
        records: the task table; templates: template ids of the mixture.
        task, template: int64 [n], numbers in these (template -1: none, for the shape `fields`).
        row, part, position: int64 [n].
        full: carry what is constant per task in each row.
    """

    records: Sequence[TaskRecord]
    templates: Sequence[str]
    task: Ints
    row: Ints
    part: Ints
    template: Ints
    position: Ints
    full: bool = False

    def __len__(self) -> int:
        return len(self.position)

    @property
    def _type(self) -> pa.StructType:
        return FULL if self.full else SLIM

    @cached_property
    def _texts(self) -> dict[str, tuple[npt.NDArray[np.object_], Ints]]:
        """Fields that hold texts: the distinct ones, None at the end, and which of them each row has."""
        of_task = {"task": "id", "split": "split"}
        of_template: dict[str, list[str | None]] = {"template": [*self.templates]}
        if self.full:
            of_task |= {name: name for name in ("dataset", "config", "revision", "license", "task_hash")}
            hashes = {k: v for r in self.records for k, v in r.templates.items()}
            of_template["template_hash"] = [hashes.get(t) for t in self.templates]
        found = {name: ([getattr(r, key) for r in self.records], self.task) for name, key in of_task.items()}
        found |= {name: (texts, self.template) for name, texts in of_template.items()}
        return {name: (np.array([*texts, None], dtype=object), which) for name, (texts, which) in found.items()}

    def column(self) -> pa.StructArray:
        """The provenance column."""
        columns = []
        for field in self._type:
            if field.name in self._texts:
                texts, which = self._texts[field.name]
                columns.append(take(pa.array(texts[:-1], pa.string()), which))
            else:
                columns.append(pa.array(getattr(self, field.name)).cast(field.type))
        return pa.StructArray.from_arrays(columns, fields=list(self._type))

    def dicts(self, first: int, last: int) -> list[dict[str, Any]]:
        """The passports of the rows [first, last): what the column's `to_pylist` gives, and no text is made anew."""
        columns = []
        for field in self._type:
            if field.name in self._texts:
                texts, which = self._texts[field.name]
                columns.append(texts[which[first:last]].tolist())
            else:
                columns.append(getattr(self, field.name)[first:last].tolist())
        return dicts_of(tuple(self._type.names))(*columns)
