"""Shots: solved examples before a row, drawn from a split by keyed permutations.

The candidates of a row are the first elements of a permutation of the pool that is keyed by the row alone, so a row's
shots hang on nothing but the row, its template and the pool. Rows of the same source row (its own parts too) and rows
that the template cannot render are passed over. Everything is computed for many rows at once; a candidate that several
rows draw is rendered once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tasksource_reg.keyed import Bits
from tasksource_reg.mixing.permutation import permute
from tasksource_reg.nested import Ints, Mask, concat, counts_to_offsets, ranges, relist, take, valid_of
from tasksource_reg.prompting.render import Renderer
from tasksource_reg.prompting.shapes import Shots
from tasksource_reg.task import SplitData

LOOKED_AT = 1024
"""How many candidates of a row are looked at, at most: a template that fits fewer rows of the pool has too few."""
_GROWTH = 4  # each round looks at so many times the candidates that are still missing


def origins(split: SplitData, rows: Ints) -> Ints:
    """Which row of which source split each row is, as one number, comparable between the splits of a task.

    Args:
        split: a split of the task.
        rows: int64 [n], source row numbers over all pieces of the split.
    """
    pieces = [(piece.config or "", piece.split) for piece in split.task.splits[split.name]]
    every = sorted({(p.config or "", p.split) for some in split.task.splits.values() for p in some})
    starts = np.cumsum([0, *(source.num_rows for source in split.pieces)])[:-1]
    piece = np.searchsorted(starts, rows, side="right") - 1
    number = np.array([every.index(p) for p in pieces], dtype=np.int64)
    result: Ints = (number[piece] << 40) + rows - starts[piece]
    return result


@dataclass(frozen=True)
class DrawnShots:
    """Shots of n rows.

    Attributes:
        counts: int64 [n], how many each row got.
        prompts, responses: string arrays of sum(counts): those of row 0, of row 1, ...
        short: which rows got fewer than they were to have.
    """

    counts: Ints
    prompts: pa.StringArray
    responses: pa.StringArray
    short: Mask

    def of(self, which: Ints) -> Shots:
        """The shots of some of the rows, in this order."""
        offsets = counts_to_offsets(self.counts)
        counts = self.counts[which]
        flat = ranges(offsets[which], counts)
        out = counts_to_offsets(counts)
        return Shots(relist(out, take(self.prompts, flat)), relist(out, take(self.responses, flat)))


def draw_shots(
    size: int,
    batch: Callable[[Ints], pa.RecordBatch],
    renderers: Mapping[int, Renderer],
    wanted: Ints,
    template: Ints,
    keys: Bits,
    is_own: Callable[[Ints, Ints], Mask],
) -> DrawnShots:
    """Draws and renders the shots of n rows of one task.

    Args:
        size: rows of the pool, the split that shots come from.
        batch: pool rows by number, as they are rendered.
        renderers: by template number.
        wanted: int64 [n], how many shots each row is to have.
        template: int64 [n], the template number of each row.
        keys: uint64 [n], one key a row.
        is_own: (row numbers in [0, n), pool row numbers) -> whether both stem from the same source row.
    """
    rendered = _Rendered(size, batch, renderers)
    have, looked = np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=np.int64)
    limit = min(size, LOOKED_AT)
    found: list[tuple[Ints, Ints]] = []  # (row, text) of the candidates taken
    factor = 1
    while len(pending := np.flatnonzero((have < wanted) & (looked < limit))):
        missing = wanted[pending] - have[pending]
        steps = np.minimum(missing * factor, limit - looked[pending])
        row = np.repeat(pending, steps)
        candidate = permute(keys[row], size, 0, ranges(looked[pending], steps))
        text = rendered.texts(template[row], candidate)
        good = (text >= 0) & ~is_own(row, candidate)
        rank = np.cumsum(good) - 1  # among the good ones of the row: those of earlier rows taken off
        before = np.concatenate([[0], np.cumsum(good)])[counts_to_offsets(steps)[:-1]]
        taken = good & (rank - np.repeat(before, steps) < np.repeat(missing, steps))
        found.append((row[taken], text[taken]))
        have += np.bincount(row[taken], minlength=len(wanted))
        looked[pending] += steps
        factor *= _GROWTH
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *(r for r, _ in found)])
    texts = np.concatenate([np.zeros(0, dtype=np.int64), *(t for _, t in found)])
    texts = texts[np.argsort(rows, kind="stable")]
    prompts, responses = rendered.columns()
    return DrawnShots(have, take(prompts, texts), take(responses, texts), have < wanted)


class _Rendered:
    """Candidates that have been rendered, each (template, pool row) once."""

    def __init__(self, size: int, batch: Callable[[Ints], pa.RecordBatch], renderers: Mapping[int, Renderer]) -> None:
        self._size, self._batch, self._renderers = size, batch, renderers
        self._known = np.zeros(0, dtype=np.int64)  # template * size + pool row, sorted
        self._text = np.zeros(0, dtype=np.int64)  # its number among the texts; -1 where it cannot be a shot
        self._prompts: list[pa.Array] = []
        self._responses: list[pa.Array] = []
        self._count = 0

    def texts(self, template: Ints, candidate: Ints) -> Ints:
        """The number of each candidate's text; -1 where the template cannot render it."""
        key = template * self._size + candidate
        new = np.setdiff1d(key, self._known)
        if len(new):
            self._render(new)
        result: Ints = self._text[np.searchsorted(self._known, key)]
        return result

    def columns(self) -> tuple[pa.Array, pa.Array]:
        """Prompts and responses of all texts."""
        empty = pa.array([], pa.string())
        return concat([empty, *self._prompts]), concat([empty, *self._responses])

    def _render(self, new: Ints) -> None:
        template, candidate = np.divmod(new, self._size)
        rows, at = np.unique(candidate, return_inverse=True)
        batch = self._batch(rows)
        text = np.full(len(new), -1, dtype=np.int64)
        for number in np.unique(template).tolist():
            renderer = self._renderers[number]
            here = np.flatnonzero(template == number)
            group = batch.take(pa.array(at[here]))
            if renderer.template.selective:
                fitting = np.flatnonzero(renderer.eligible(group))
                here, group = here[fitting], group.take(pa.array(fitting))
            done = renderer.render(group)
            good = np.flatnonzero(valid_of(done.prompt))
            text[here[good]] = self._count + np.arange(len(good))
            self._prompts.append(take(done.prompt, good))
            self._responses.append(take(done.response, good))
            self._count += len(good)
        known = np.concatenate([self._known, new])
        order = np.argsort(known)
        self._known, self._text = known[order], np.concatenate([self._text, text])[order]
