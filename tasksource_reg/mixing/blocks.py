"""Computed positions: their rows in order, with passports, and what is left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from tasksource_reg.errors import FindingsError, Problem
from tasksource_reg.mixing.shaping import Group, Piece, in_order, shaped
from tasksource_reg.nested import Ints
from tasksource_reg.prompting.choose import NONE
from tasksource_reg.provenance.passport import passports

if TYPE_CHECKING:
    from tasksource_reg.mixing.stream import MixtureData


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
    """Computed positions: `rows` in their order (without the quarantined ones) with the column `provenance`."""

    rows: pa.RecordBatch
    quarantined: tuple[Quarantined, ...]


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
        numbers = (numbers[places] for numbers in (self.task, self.row, self.part, self.template, self.positions))
        provenance = passports(data.passport_records, data.template_ids, *numbers, full=data.full_passport)
        return Block(pa.RecordBatch.from_arrays([*columns, provenance], schema=data.schema), tuple(quarantined))


def _as_error(quarantined: list[Quarantined]) -> FindingsError:
    """The first rows that failed, as an error."""
    problems = [Problem(q.code, q.message, task=q.task, split=q.split, row=q.row) for q in quarantined[:5]]
    if len(quarantined) > 5:
        more = f" ({len(quarantined):,} rows fail in these positions)"
        problems[0] = replace(problems[0], message=problems[0].message + more)
    return FindingsError(problems)
