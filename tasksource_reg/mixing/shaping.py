"""From rendered rows of many tasks and templates to the columns of a shape, in the order of a block.

Rows of one task and template are a `Group`. Groups whose templates have the same joints are shaped together, and so the
cost of a shape hangs on the number of rows, not on the number of templates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from tasksource_reg.nested import Ints, concat, take
from tasksource_reg.prompting.candidates import Candidates
from tasksource_reg.prompting.model import Template
from tasksource_reg.prompting.shapes import Rows, Shots, shape

Piece: TypeAlias = tuple[list[pa.Array], Ints]
"""Columns of n rows, and the places of the rows in the block (int64 [n])."""


@dataclass(frozen=True)
class Group:
    """Rendered rows of one task and template.

    Attributes:
        places: int64 [n], where the rows stand in the block.
        template: rendered them.
        prompt, response, system: string arrays of n without nulls; `system` None where the template has none.
        shots, candidates: of the rows; None where the mixture has none.
    """

    places: Ints
    template: Template
    prompt: pa.Array
    response: pa.Array
    system: pa.Array | None
    shots: Shots | None
    candidates: Candidates | None

    def rows(self, which: Ints) -> Group:
        """Some of the rows."""
        return Group(
            self.places[which],
            self.template,
            take(self.prompt, which),
            take(self.response, which),
            None if self.system is None else take(self.system, which),
            None if self.shots is None else Shots(take(self.shots.prompts, which), take(self.shots.responses, which)),
            None
            if self.candidates is None
            else Candidates(take(self.candidates.targets, which), take(self.candidates.correct, which)),
        )

    @property
    def joints(self) -> tuple[str, str, bool]:
        """Groups that agree in this are shaped together."""
        return self.template.joint, self.template.shot_joint, self.system is not None


def shaped(name: str, groups: Sequence[Group]) -> list[Piece]:
    """The columns of a shape, one piece for each kind of joints.

    Args:
        name: of the shape.
        groups: rendered rows; all of them have shots, or none has, and the same for candidates.
    """
    together: dict[tuple[str, str, bool], list[Group]] = {}
    for group in groups:
        if len(group.places):
            together.setdefault(group.joints, []).append(group)
    pieces: list[Piece] = []
    for (joint, shot_joint, _), members in together.items():
        shots = [g.shots for g in members if g.shots is not None]
        options = [g.candidates for g in members if g.candidates is not None]
        systems = [g.system for g in members if g.system is not None]
        rows = Rows(
            concat([g.prompt for g in members]),
            concat([g.response for g in members]),
            concat(systems) if systems else None,
            joint,
            shot_joint,
            Shots(concat([s.prompts for s in shots]), concat([s.responses for s in shots])) if shots else None,
            candidates=Candidates(concat([c.targets for c in options]), concat([c.correct for c in options]))
            if options
            else None,
        )
        pieces.append((list(shape(name, rows).columns), np.concatenate([g.places for g in members])))
    return pieces


def in_order(pieces: Sequence[Piece], fields: Sequence[pa.Field]) -> Piece:
    """The rows of all pieces as one, in the order of the block.

    Args:
        pieces: with the columns of `fields`; none at all gives no rows.
        fields: of the output, without the passport.
    """
    if not pieces:
        return [pa.nulls(0, field.type) for field in fields], np.zeros(0, dtype=np.int64)
    if len(pieces) == 1 and (np.diff(pieces[0][1]) > 0).all():
        return pieces[0]
    places = np.concatenate([p for _, p in pieces])
    at = np.full(places.max(initial=-1) + 1, -1, dtype=np.int64)
    at[places] = np.arange(len(places))
    order = at[at >= 0]
    columns = pieces[0][0] if len(pieces) == 1 else [concat(c) for c in zip(*(c for c, _ in pieces), strict=True)]
    return [take(column, order) for column in columns], places[order]
