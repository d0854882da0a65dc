"""A task over its rows: opened sources, the index of surviving rows, harmonized batches of any rows.

`TaskData` is one task with everything that is needed to compute it. `SplitData` is one of its splits: `batch(numbers)`
gives harmonized rows at any surviving row numbers, in that order, and `address(number)` where one comes from. Nothing
is opened before it is asked for. Choices of tasks with `choice_order: shuffled` are permuted here, by a keyed draw, so
that the gold answer stands in no telling place whoever reads the rows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasksource_reg.annotation.compiled import CompiledTask, Piece
from tasksource_reg.annotation.harmonize import harmonize
from tasksource_reg.annotation.model import TaskModel
from tasksource_reg.errors import FindingsError, Problem, TsrError, error, excerpt
from tasksource_reg.keyed import Bits, draw, keyed_orders, stream_key
from tasksource_reg.nested import Ints, counts_to_offsets, ints_of, parents, relist, take, take_rows, unlist
from tasksource_reg.provenance.locks import SplitCounts
from tasksource_reg.rows import Parts, RowIndex, build_index, cache_path, columns_read, splits_read
from tasksource_reg.sources import Sources, SourceSpec, SourceSplit
from tasksource_reg.sources.spec import digest

BLOCK = 8192


@dataclass(frozen=True, slots=True)
class Address:
    """Where a harmonized row comes from: config and split of the source, row number there, and part."""

    config: str | None
    split: str
    source_row: int
    part: int


def source_spec(task: CompiledTask, config: str | None) -> SourceSpec:
    """What to open for one config of a task."""
    return spec_of(task.dataset, task.former_ids, task.model, config)


def spec_of(dataset: str, former_ids: tuple[str, ...], model: TaskModel, config: str | None) -> SourceSpec:
    """What to open for one config of a task that is not compiled yet."""
    return SourceSpec(dataset=dataset, former_ids=former_ids, config=config, **model.source.model_dump())


class TaskData:
    """A compiled task with its sources.

    Args:
        task: the compiled task.
        sources: opens source splits.
        cache: directory for row indices.
        guard: called with each source split before it is first read, to compare it with the lock.
        pin: what to open in place of a source: the same, at the commit in the lock.
        known: the counts of a split by the lock, if they hold for these very sources.
    """

    def __init__(
        self,
        task: CompiledTask,
        sources: Sources,
        cache: Path,
        guard: Callable[[Piece, SourceSplit], None] | None = None,
        pin: Callable[[SourceSpec], SourceSpec] = lambda spec: spec,
        known: Callable[[str, Sequence[SourceSplit]], SplitCounts | None] = lambda split, sources: None,
    ) -> None:
        self.task, self.sources, self.cache, self._guard, self._pin = task, sources, cache, guard, pin
        self.known = known
        self._splits: dict[str, SplitData] = {}

    def open_pieces(self, split: str) -> list[SourceSplit]:
        """The opened source splits of a task's split, guarded."""
        opened = []
        for piece in self.task.splits[split]:
            source = self.sources.open(self._pin(source_spec(self.task, piece.config)), piece.split)
            if self._guard is not None:
                self._guard(piece, source)
            opened.append(source)
        return opened

    def split(self, name: str) -> SplitData:
        """One split.

        Raises:
            UsageError: TSR-U003, the task has no such split.
        """
        if name not in self._splits:
            if name not in self.task.splits:
                why = (
                    "its labels are withheld"
                    if name in self.task.model.withheld
                    else "it has: " + ", ".join(self.task.splits)
                )
                raise error(
                    "TSR-U003", f'the task "{self.task.model.id}" has no split "{name}": {why}', task=self.task.model.id
                )
            self._splits[name] = SplitData(self, name)
        return self._splits[name]


class SplitData:
    """One split of a task: n surviving rows, numbered from 0."""

    def __init__(self, data: TaskData, name: str) -> None:
        self.data, self.name, self.task = data, name, data.task

    @cached_property
    def pieces(self) -> list[SourceSplit]:
        """The opened source splits, one a piece."""
        return self.data.open_pieces(self.name)

    @cached_property
    def _starts(self) -> Ints:
        return np.cumsum([0, *(p.num_rows for p in self.pieces)])

    @property
    def streamed(self) -> bool:
        """Whether rows are fetched when they are wanted: those that are read in no order cost whole row groups."""
        return any(piece.streamed for piece in self.pieces)

    @property
    def streamed_bytes(self) -> int:
        """Bytes of the files that are streamed, all columns; 0 where none is."""
        return sum(piece.size for piece in self.pieces if piece.streamed)

    @cached_property
    def index(self) -> RowIndex:
        """The surviving rows; computed once for each task hash and source revision, then kept in the cache.

        Of a streamed source of which the lock says that every row survives nothing is read for it.
        """
        if self.streamed and (counts := self._every_row()) is not None:
            return RowIndex.of_every_row(counts)
        return self._counted()

    def _counted(self) -> RowIndex:
        """The index by a pass over the rows, or as one left it in the cache."""
        pieces = {name: self.data.split(name).pieces for name in splits_read(self.task, self.name)}
        revisions = [digest([p.revision, p.features]) for opened in pieces.values() for p in opened]
        path = cache_path(self.data.cache, self.task, self.name, revisions)
        found = RowIndex.load(path)
        if found is None:
            try:
                found = build_index(self.task, pieces, self.name)
            except TsrError as exc:
                raise exc.at(task=self.task.model.id, split=self.name) from exc
            with contextlib.suppress(OSError):  # a cache that cannot be written costs time, nothing else
                found.save(path)
        return found

    def _every_row(self) -> SplitCounts | None:
        """The lock's counts, where each source row is a row of the split; None where it is not so, or not known."""
        counts, rows = self.data.known(self.name, self.pieces), int(self._starts[-1])
        parts = [self.task.parts[piece.part] for piece in self.task.splits[self.name]]
        if counts is None or any(part.stages or part.disjoint is not None for part in parts):
            return None  # rows are exploded, or hang on other splits, whose revisions are not looked at here
        return counts if counts.rows == counts.candidates == counts.source_rows == rows else None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def lengths(self) -> Ints:
        """Characters of the text fields of each surviving row: int64 [n]; read from the rows where none were yet."""
        found = self.index.lengths
        if found is None:
            found = self._counted().lengths
        assert found is not None
        return found

    def check_quarantine(self) -> None:
        """Raises if rows are in quarantine.

        Raises:
            FindingsError: the first such rows, with their addresses.
        """
        shown = self.quarantine_problems(5)
        if shown:
            fix = f"{shown[0].advice}; or pass on_error='quarantine' to leave such rows out"
            raise FindingsError([replace(shown[0], fix=fix), *shown[1:]])

    def quarantine_problems(self, most: int) -> list[Problem]:
        """The first rows in quarantine as problems with their addresses; the first says how many there are in all."""
        out = []
        total = sum(self.index.quarantined.values())
        for number, q in enumerate(self.index.listed[:most]):
            piece, row = self._piece_of(q.row)
            where = self.task.splits[self.name][piece]
            message = q.message
            if len(self.task.splits[self.name]) > 1:
                message += f" (in {where.config + ', ' if where.config else ''}{where.split})"
            if number == 0 and total > 1:
                message += f" ({total} rows in quarantine in all)"
            out.append(Problem(q.code, message, task=self.task.model.id, split=self.name, row=row))
        return out

    def _piece_of(self, row: int) -> tuple[int, int]:
        """The piece that a row over all pieces lies in, and its number there."""
        piece = int(np.searchsorted(self._starts, row, side="right")) - 1
        return piece, row - int(self._starts[piece])

    def address(self, number: int) -> Address:
        """Where surviving row `number` comes from."""
        piece, row = self._piece_of(int(self.index.rows[number]))
        where = self.task.splits[self.name][piece]
        return Address(where.config, where.split, row, int(self.index.parts[number]))

    def source_row(self, number: int) -> pa.RecordBatch:
        """The whole source row (all columns) of a surviving row."""
        piece, row = self._piece_of(int(self.index.rows[number]))
        return self.pieces[piece].gather(np.array([row]), None)

    def batch(self, numbers: Ints, *, seed: int = 0, epochs: Ints | int = 0) -> pa.RecordBatch:
        """Harmonized rows.

        Args:
            numbers: int64 [n], surviving row numbers in [0, len), in any order, repeats allowed.
            seed, epochs: key the order of choices where the task shuffles them; epochs is one number or one a row.

        Returns:
            n rows of the task's Arrow schema (`schema.arrow()`), in the order asked.

        Raises:
            IndexError: a number out of range.
            FindingsError: TSR-R006, the rows hold more than fits into one batch.
        """
        numbers = np.asarray(numbers, dtype=np.int64)
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= len(self)):
            raise IndexError(f'{self.task.model.id} has {len(self)} rows in split "{self.name}"')
        rows, parts = self.index.rows[numbers], self.index.parts[numbers]
        batch = self._harmonized(0, rows, parts) if len(self.pieces) == 1 else self._of_pieces(rows, parts)
        if self.task.model.choice_order == "shuffled":
            key = stream_key(seed, "choices", self.task.model.id, self.name)
            batch = shuffle_choices(batch, draw(key, rows, parts.astype(np.int64), epochs))
        return batch

    def _of_pieces(self, rows: Ints, parts: Parts) -> pa.RecordBatch:
        """Rows of several pieces, in the order asked."""
        of_piece = np.searchsorted(self._starts, rows, side="right") - 1
        order = np.argsort(of_piece, kind="stable")
        bounds = np.searchsorted(of_piece[order], np.arange(len(self.pieces) + 1))
        found = []
        for piece, (first, last) in enumerate(pairwise(bounds.tolist())):
            if first < last:
                here = order[first:last]
                found.append(self._harmonized(piece, rows[here] - self._starts[piece], parts[here]))
        batch = self._joined(found)
        if np.array_equal(order, np.arange(len(order))):
            return batch
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        return take_rows(batch, back)

    def _harmonized(self, piece: int, rows: Ints, parts: Parts) -> pa.RecordBatch:
        """Rows of one piece; in halves where they hold more than a batch can."""
        part = self.task.parts[self.task.splits[self.name][piece].part]
        source = self.pieces[piece]
        if np.all(rows[1:] > rows[:-1]):
            unique, back = rows, np.arange(len(rows))
        else:
            unique, back = np.unique(rows, return_inverse=True)
        try:
            batch = source.gather(unique, columns_read(part, source))
            return harmonize(self.task, part, batch, back, parts)
        except (pa.ArrowCapacityError, OverflowError, FindingsError) as exc:
            if isinstance(exc, FindingsError) and exc.problems[0].code != "TSR-R006":
                raise
            if len(rows) == 1:
                raise self._too_large(excerpt(exc), row=int(rows[0])) from exc
            half = len(rows) // 2
            return self._joined([self._harmonized(piece, rows[s], parts[s]) for s in (slice(half), slice(half, None))])

    def _joined(self, batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
        """Batches as one; never less than all of them."""
        if len(batches) == 1:
            return batches[0]
        table = pa.Table.from_batches(batches, schema=self.task.schema.arrow()).combine_chunks()
        if any(column.num_chunks > 1 for column in table.columns):
            raise self._too_large(f"{table.num_rows} rows hold more than 2 GiB; ask for fewer at once")
        arrays = [c.chunk(0) if c.num_chunks else pa.array([], c.type) for c in table.columns]
        return pa.RecordBatch.from_arrays(arrays, schema=table.schema)

    def _too_large(self, what: str, row: int | None = None) -> TsrError:
        message = what if row is None else f"the row is too large to compute: {what}"
        return error("TSR-R006", message, task=self.task.model.id, split=self.name, row=row)

    def batches(self, start: int = 0, stop: int | None = None, size: int = BLOCK) -> Iterator[pa.RecordBatch]:
        """Harmonized rows [start, stop) in order, in batches of at most `size` rows."""
        stop = len(self) if stop is None else stop
        for first in range(start, stop, size):
            yield self.batch(np.arange(first, min(first + size, stop), dtype=np.int64))


def shuffle_choices(batch: pa.RecordBatch, keys: Bits) -> pa.RecordBatch:
    """Choices in a keyed order, with gold, golds and choice_dist following.

    Args:
        batch: n rows of the schema multiple_choice.
        keys: uint64 [n], one key a row.
    """
    _, offsets, _ = unlist(batch.column("choices"))
    return rearranged(batch, *keyed_orders(keys, np.diff(offsets)))


def rearranged(batch: pa.RecordBatch, order: Ints, bounds: Ints) -> pa.RecordBatch:
    """Choices in another order, or some of them; gold, golds and choice_dist follow.

    Args:
        batch: n rows of the schema multiple_choice.
        order, bounds: int64 values and offsets [n + 1]: which choice stands at each place of a row. The right ones are
            among them.

    Returns:
        n rows; `choice_dist` is null where choices are left out.
    """
    choices, offsets, valid = unlist(batch.column("choices"))
    owner, sizes = parents(bounds), np.diff(offsets)
    flat = order + offsets[:-1][owner]
    place = np.full(len(choices), -1, dtype=np.int64)  # place of each old choice
    place[flat] = np.arange(len(flat)) - bounds[owner]
    columns = {name: batch.column(name) for name in batch.schema.names}
    columns["choices"] = relist(bounds, take(choices, flat), valid)
    gold = ints_of(batch.column("gold"))
    known = gold >= 0
    moved = np.where(known, place[np.where(known, gold + offsets[:-1], 0)] if len(place) else -1, -1)
    columns["gold"] = pa.array(moved, mask=~known)
    golds, gold_offsets, gold_valid = unlist(batch.column("golds"))
    if len(golds):
        new = place[ints_of(golds) + offsets[:-1][parents(gold_offsets)]]
        new = new[np.lexsort((new, parents(gold_offsets)))]
        columns["golds"] = relist(gold_offsets, pa.array(new), gold_valid)
    dist, dist_offsets, dist_valid = unlist(batch.column("choice_dist"))
    if len(dist):
        whole = dist_valid & (np.diff(bounds) == sizes)
        inside = whole[owner]
        shift = dist_offsets[:-1][owner[inside]]
        out = counts_to_offsets(np.where(whole, sizes, 0))
        columns["choice_dist"] = relist(out, take(dist, order[inside] + shift), whole)
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)
