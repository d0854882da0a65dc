"""Computed positions: their rows in order, with passports, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tasksource_reg.errors import FindingsError, Problem
from tasksource_reg.mixing.shaping import Group, Piece, in_order, shaped
from tasksource_reg.nested import Ints, dicts_of, python_values
from tasksource_reg.prompting.choose import NONE
from tasksource_reg.provenance.passport import Passports

if TYPE_CHECKING:
    from tasksource_reg.mixing.stream import MixtureData

ROWS_AS_DICTS = 128
"""Rows of a block that are made dicts at once: a row is up to five objects, and Python's collector begins at 700."""


@dataclass(frozen=True)
class TaskRows:
    """The positions of a block that fall to one task: where they stand in the block, and what they are.

    `fixed` are the numbers of their templates where the plan assigns these.
    """

    number: int
    places: Ints
    rows: Ints
    parts: Ints
    epochs: Ints
    fixed: Ints | None
    batch: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A position that yields no row, and why. `row` is the source row number over all pieces of the split."""

    position: int
    task: str
    split: str
    row: int
    part: int
    template: str | None
    code: str
    message: str


@dataclass(frozen=True)
class Block:
    """Computed positions: their rows in order, without the quarantined ones.

    Attributes:
        schema: of the rows; the last field is the passport.
        columns: of the shape, n rows.
        passports: of the same rows.
        quarantined: what is left out.
    """

    schema: pa.Schema
    columns: list[pa.Array]
    passports: Passports
    quarantined: tuple[Quarantined, ...]

    @cached_property
    def rows(self) -> pa.RecordBatch:
        """The rows with the column `provenance`."""
        return pa.RecordBatch.from_arrays([*self.columns, self.passports.column()], schema=self.schema)

    def dicts(self) -> Iterator[dict[str, Any]]:
        """The rows as dicts, a few of which are made at a time; no record batch is."""
        return chain.from_iterable(map(self._some, range(0, len(self.passports), ROWS_AS_DICTS)))

    def _some(self, first: int) -> list[dict[str, Any]]:
        values = [python_values(column.slice(first, ROWS_AS_DICTS)) for column in self.columns]
        return dicts_of(tuple(self.schema.names))(*values, self.passports.dicts(first, first + ROWS_AS_DICTS))


@dataclass(frozen=True)
class Unfinished:
    """A block whose rows are rendered, but not yet shaped and in order: see `MixtureData.begin`.

    Attributes:
        positions, task, row, part, template: int64 [n].
        plain, groups: columns as they are, and rendered rows, each with their places in the block.
        failures: place -> code and message of what is left out.
    """

    data: MixtureData
    positions: Ints
    task: Ints
    row: Ints
    part: Ints
    template: Ints
    plain: list[Piece]
    groups: list[Group]
    failures: dict[int, tuple[str, str]]

    def block(self) -> Block:
        """The block."""
        data, quarantined = self.data, []
        for p in sorted(self.failures, key=lambda place: (self.positions[place], place)):
            entry = data.tasks[int(self.task[p])]
            name = None if self.template[p] == NONE else data.template_ids[self.template[p]]
            where = (entry.info.id, entry.split, int(self.row[p]), int(self.part[p]))
            quarantined.append(Quarantined(int(self.positions[p]), *where, name, *self.failures[p]))
        if quarantined and data.spec.on_error == "raise":
            raise _as_error(quarantined)
        columns, places = in_order(self.plain + shaped(data.spec.shape, self.groups), list(data.schema)[:-1])
        task, row, part = self.task[places], self.row[places], self.part[places]
        template, position = self.template[places], self.positions[places]
        passports = Passports(
            data.passport_records, data.template_ids, task, row, part, template, position, full=data.full_passport
        )
        return Block(data.schema, columns, passports, tuple(quarantined))


def _as_error(quarantined: list[Quarantined]) -> FindingsError:
    """The first rows that failed, as an error."""
    problems = [Problem(q.code, q.message, task=q.task, split=q.split, row=q.row) for q in quarantined[:5]]
    if len(quarantined) > 5:
        more = f" ({len(quarantined):,} rows fail in these positions)"
        problems[0] = replace(problems[0], message=problems[0].message + more)
    return FindingsError(problems)
