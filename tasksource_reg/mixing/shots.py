"""Shots: solved examples before a row, drawn from a pool by keyed permutations.

The candidates of a row are the first elements of a permutation of the pool that is keyed by the row alone, so a row's
shots hang on nothing but the row, its template and the pool. Passed over are rows of the same source row (its own parts
too), rows whose inputs are like its own (`likeness`), and rows that the template cannot render. A pool is the train
split of the row's task, or its subset of it, or those of several tasks, one after the other. Balanced shots are drawn
label by label. Everything is computed for many rows at once; a candidate that several rows draw is rendered once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasksource_reg.keyed import Bits, draw, further, keyed_orders
from tasksource_reg.likeness import WORDLESS, fingerprints
from tasksource_reg.mixing.permutation import permute
from tasksource_reg.nested import (
    Ints,
    Mask,
    concat,
    counts_to_offsets,
    filter_lists,
    ints_of,
    parents,
    ranges,
    relist,
    take,
    take_rows,
    unlist,
    valid_of,
)
from tasksource_reg.prompting.render import Renderer
from tasksource_reg.prompting.shapes import Shots
from tasksource_reg.rows import Keys
from tasksource_reg.task import BLOCK, SplitData

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


@dataclass(frozen=True)
class ShotSource:
    """A split that shots come from, as it is rendered.

    Attributes:
        split: its rows.
        batch: harmonized rows by surviving row number, as they are rendered.
        renderer: by the number of the row's template; None where that does not fit this task.
        subset: int64, the surviving rows that may be shots; None: all.
    """

    split: SplitData
    batch: Callable[[Ints], pa.RecordBatch]
    renderer: Callable[[int], Renderer | None]
    subset: Ints | None = None

    def __len__(self) -> int:
        return len(self.split) if self.subset is None else len(self.subset)

    def surviving(self, numbers: Ints) -> Ints:
        """The surviving rows of numbers among those that may be shots."""
        return numbers if self.subset is None else self.subset[numbers]

    def column(self, field: str) -> list[int]:
        """An integer field of all rows that may be shots; -1 where it is null."""
        rows = self.surviving(np.arange(len(self), dtype=np.int64))
        blocks = (self.split.batch(rows[first : first + BLOCK]) for first in range(0, len(rows), BLOCK))
        return [value for batch in blocks for value in ints_of(batch.column(field)).tolist()]


class ShotPool:
    """The rows that may be shots: those of its sources, numbered one after the other.

    Args:
        sources: at least one.
    """

    def __init__(self, sources: Sequence[ShotSource]) -> None:
        self.sources = sources
        self.starts: Ints = np.cumsum([0, *(len(source) for source in sources)])
        self.size = int(self.starts[-1])

    def located(self, candidate: Ints) -> tuple[Ints, Ints]:
        """The source of each candidate, and its number among the source's rows."""
        source = np.searchsorted(self.starts, candidate, side="right") - 1
        return source, candidate - self.starts[source]

    @cached_property
    def strata(self) -> list[Ints]:
        """The candidates of each label (of choices: of each gold position), the labels in order; reads all rows once.

        One stratum with all of them where rows have no such label.
        """
        names: list[str] = []
        for source in self.sources:
            profile, field = source.split.task.profile, _STRATA.get(source.split.task.schema.name)
            if field is None:
                return [np.arange(self.size, dtype=np.int64)]
            said = profile.labels if field == "label" else ()
            names += [said[i] if i < len(said) else str(i) for i in source.column(field)]
        labels, code = np.unique(np.array(names), return_inverse=True)
        return [np.flatnonzero(code == number) for number in range(len(labels))]


_STRATA = {"classification": "label", "multiple_choice": "gold"}


@dataclass(frozen=True)
class Wanting:
    """n rows that are to have shots.

    Attributes:
        counts: int64 [n], how many each is to have.
        template: int64 [n], the number of each row's template.
        keys: uint64 [n], one key a row.
        source: which of the pool's sources is of the rows' own task; -1 for none.
        origins: int64 [n], of `origins`; prints: uint64 [n], of `likeness.fingerprints`.
    """

    counts: Ints
    template: Ints
    keys: Bits
    source: int
    origins: Ints
    prints: Keys


def draw_shots(pool: ShotPool, rows: Wanting, *, balanced: bool = False) -> DrawnShots:
    """Draws and renders the shots of n rows.

    Args:
        pool: where they come from.
        rows: what they are to have.
        balanced: as many of each label as can be, where the rows of the pool have labels; what a label has too few of
            is drawn from all.
    """
    rendered = _Rendered(pool)
    n, every = len(rows.counts), np.arange(pool.size, dtype=np.int64)
    row = text = candidate = np.zeros(0, dtype=np.int64)
    balanced = balanced and len(pool.strata) > 1
    if balanced:
        draws = _balanced(rows, len(pool.strata))
        row, text, candidate = _drawn(rendered, rows, pool.strata, *draws, (row, candidate))
        have = np.bincount(row, minlength=n)
    else:
        have = np.zeros(n, dtype=np.int64)
    left = rows.counts - have
    more = _drawn(rendered, rows, [every], np.arange(n), np.zeros(n, np.int64), left, rows.keys, (row, candidate))
    row, text, candidate = (np.concatenate(pair) for pair in zip((row, text, candidate), more, strict=True))
    # by row; balanced ones in an order that does not tell the labels
    order = np.lexsort((draw(rows.keys[row], candidate), row)) if balanced else np.argsort(row, kind="stable")
    prompts, responses = rendered.columns()
    have = np.bincount(row, minlength=n)
    return DrawnShots(have, take(prompts, text[order]), take(responses, text[order]), have < rows.counts)


def _balanced(rows: Wanting, strata: int) -> tuple[Ints, Ints, Ints, Bits]:
    """How many shots of each stratum a row is to have: (row, stratum, count, key); the odd ones by a keyed draw."""
    orders, bounds = keyed_orders(rows.keys, np.full(len(rows.counts), strata))
    row = parents(bounds)
    turn = np.arange(len(row)) - bounds[row]
    count = (rows.counts[row] - turn + strata - 1) // strata
    some = count > 0
    return row[some], orders[some], count[some], further(rows.keys[row[some]], orders[some].view(np.uint64))


def _drawn(
    rendered: _Rendered,
    rows: Wanting,
    strata: Sequence[Ints],
    row: Ints,
    stratum: Ints,
    wanted: Ints,
    keys: Bits,
    taken: tuple[Ints, Ints],
) -> tuple[Ints, Ints, Ints]:
    """Shots for requests: row `row[i]` wants `wanted[i]` candidates of a stratum.

    Args:
        rendered: the candidates that are rendered so far.
        rows: of the rows; strata: candidates.
        row, stratum, wanted: int64 [requests]; keys: uint64 [requests].
        taken: (row, candidate) that are shots already.

    Returns:
        (row, text, candidate) of each shot, request by request, in the order of the request's permutation.
    """
    pool = rendered.pool
    members = np.concatenate(strata)
    starts = counts_to_offsets(np.array([len(s) for s in strata], dtype=np.int64))
    size = np.diff(starts)[stratum]
    had = taken[0] * pool.size + taken[1]
    have, looked = np.zeros(len(row), dtype=np.int64), np.zeros(len(row), dtype=np.int64)
    limit = np.minimum(size, LOOKED_AT)
    found: list[tuple[Ints, Ints, Ints]] = []  # (request, text, candidate) of those taken
    factor = 1
    while len(pending := np.flatnonzero((have < wanted) & (looked < limit))):
        missing = wanted[pending] - have[pending]
        steps = np.minimum(missing * factor, limit[pending] - looked[pending])
        request = np.repeat(pending, steps)
        at = permute(keys[request], size[request], 0, ranges(looked[pending], steps))
        candidate = members[starts[stratum[request]] + at]
        text = rendered.texts(rows.template[row[request]], candidate)
        good = (text >= 0) & ~rendered.alike(rows, row[request], candidate, text)
        good &= ~np.isin(row[request] * pool.size + candidate, had)
        rank = np.cumsum(good) - 1  # among the good ones of the request: those of earlier requests taken off
        before = np.concatenate([[0], np.cumsum(good)])[counts_to_offsets(steps)[:-1]]
        chosen = good & (rank - np.repeat(before, steps) < np.repeat(missing, steps))
        found.append((request[chosen], text[chosen], candidate[chosen]))
        have += np.bincount(request[chosen], minlength=len(row))
        looked[pending] += steps
        factor *= _GROWTH
    nothing = np.zeros(0, dtype=np.int64)
    requests, texts, candidates = (
        (np.concatenate([nothing, *some]) for some in zip(*found, strict=True)) if found else (nothing,) * 3
    )
    order = np.argsort(requests, kind="stable")
    return row[requests[order]], texts[order], candidates[order]


class _Rendered:
    """Candidates that have been rendered, each (template, pool row) once."""

    def __init__(self, pool: ShotPool) -> None:
        self.pool = pool
        self._known = np.zeros(0, dtype=np.int64)  # template * size + pool row, sorted
        self._text = np.zeros(0, dtype=np.int64)  # its number among the texts; -1 where it cannot be a shot
        self._prompts: list[pa.Array] = []
        self._responses: list[pa.Array] = []
        self._origins: list[Ints] = []
        self._prints: list[Keys] = []
        self._count = 0

    def texts(self, template: Ints, candidate: Ints) -> Ints:
        """The number of each candidate's text; -1 where the template cannot render it."""
        key = template * self.pool.size + candidate
        new = np.setdiff1d(key, self._known)
        if len(new):
            self._render(new)
        result: Ints = self._text[np.searchsorted(self._known, key)]
        return result

    def alike(self, rows: Wanting, row: Ints, candidate: Ints, text: Ints) -> Mask:
        """Which candidates are of the row's own source row, or like it; any answer where the text is -1."""
        if not self._count:
            return np.ones(len(row), dtype=bool)
        source, _ = self.pool.located(candidate)
        own = (source == rows.source) & (np.concatenate(self._origins)[text] == rows.origins[row])
        prints = np.concatenate(self._prints)[text]
        result: Mask = own | ((prints == rows.prints[row]) & (prints != WORDLESS))
        return result

    def columns(self) -> tuple[pa.Array, pa.Array]:
        """Prompts and responses of all texts."""
        empty = pa.array([], pa.string())
        return concat([empty, *self._prompts]), concat([empty, *self._responses])

    def _render(self, new: Ints) -> None:
        template, candidate = np.divmod(new, self.pool.size)
        of_source, number = self.pool.located(candidate)
        text = np.full(len(new), -1, dtype=np.int64)
        for source_number in np.flatnonzero(np.bincount(of_source)).tolist():
            here = np.flatnonzero(of_source == source_number)
            source = self.pool.sources[source_number]
            rows, at = np.unique(source.surviving(number[here]), return_inverse=True)
            batch = source.batch(rows)
            prints = fingerprints(batch, source.split.task.schema)
            origin = origins(source.split, source.split.index.rows[rows])
            for choice in np.flatnonzero(np.bincount(template[here])).tolist():
                renderer = source.renderer(choice)
                if renderer is None:
                    continue
                which = np.flatnonzero(template[here] == choice)
                group = take_rows(batch, at[which])
                if renderer.template.selective:
                    fitting = np.flatnonzero(renderer.eligible(group))
                    which, group = which[fitting], take_rows(group, fitting)
                done = renderer.render(group)
                good = np.flatnonzero(valid_of(done.prompt))
                text[here[which[good]]] = self._count + np.arange(len(good))
                self._prompts.append(take(done.prompt, good))
                self._responses.append(take(done.response, good))
                self._origins.append(origin[at[which[good]]])
                self._prints.append(prints[at[which[good]]])
                self._count += len(good)
        known = np.concatenate([self._known, new])
        order = np.argsort(known)
        self._known, self._text = known[order], np.concatenate([self._text, text])[order]


def pruned(shots: Shots, prompts: pa.Array, joint: str, shot_joint: str, own: Sequence[pa.Array], most: int) -> Shots:
    """Shots of n rows without the last ones of those rows that would be longer than `most` characters with them.

    Args:
        shots: of the rows.
        prompts: string array of n, the rows' own; joint, shot_joint: of the template.
        own: further string arrays of n that count: responses, system lines.
        most: characters of the whole row in the shape `text`.
    """
    flat, offsets, valid = unlist(shots.prompts)
    answers, _, _ = unlist(shots.responses)
    fixed = np.sum([ints_of(pc.utf8_length(part), 0) for part in (prompts, *own)], axis=0) + len(joint)
    sizes = ints_of(pc.utf8_length(flat)) + ints_of(pc.utf8_length(answers)) + len(joint) + len(shot_joint)
    total = np.concatenate([[0], np.cumsum(sizes)])
    row = parents(offsets)
    fits = total[1:] - total[offsets[:-1]][row] + fixed[row] <= most
    kept = np.flatnonzero(fits)
    out = filter_lists(offsets, fits)
    return Shots(relist(out, take(flat, kept), valid), relist(out, take(answers, kept), valid))
