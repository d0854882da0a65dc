"""The index of surviving rows: for each split of a task, which (source row, part) pairs are its rows.

All row steps compile to this one index: conditions, explode, nulls and failures batch by batch (`harmonize.survivors`),
then the steps that look across rows: distinct, disjoint, cap, max_examples. It is computed once for each task hash and
source revision and kept as an Arrow file in the cache. Every source row is accounted for:
candidates = rows + filtered (by reason) + quarantined (by code).
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at

from tasksource_reg.annotation.compiled import CompiledTask, Groups, Part, Piece
from tasksource_reg.annotation.harmonize import Quarantined, Survivors, survivors
from tasksource_reg.annotation.model import CLASS_PATHS
from tasksource_reg.cache import touch
from tasksource_reg.errors import excerpt
from tasksource_reg.files import whole_file
from tasksource_reg.keyed import draw, stream_key, uniform
from tasksource_reg.nested import Ints, Mask, counts_to_offsets, ints_of, unlist, valid_of

if TYPE_CHECKING:
    from tasksource_reg.provenance.locks import SplitCounts
    from tasksource_reg.sources import SourceSplit

Keys: TypeAlias = npt.NDArray[np.uint64]
Parts: TypeAlias = npt.NDArray[np.int32]

INDEX_VERSION = 4
LISTED_QUARANTINE = 1000
STEPS = ("distinct", "disjoint", "cap")
NO_GROUP = np.uint64(0)


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row without a value, by its address in the split."""

    row: int
    part: int
    code: str
    message: str


class EveryRow:
    """The numbers 0 to n - 1 as an array of them would be read, without the memory: row i is source row i."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, numbers: Any) -> Any:
        """The numbers themselves: int64, an array or one number."""
        return np.asarray(numbers, dtype=np.int64)[()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Ints:
        """All of them, for functions that want an array; this takes the memory."""
        return np.arange(self._count, dtype=np.int64)


@dataclass(frozen=True)
class RowIndex:
    """The surviving rows of one split.

    Attributes:
        rows: int64 [n], source row over all pieces of the split; parts: int32 [n].
        lengths: int64 [n], code points of the text fields of each row; None where no row was read for the index.
        source_rows, candidates: what there was; filtered: rows dropped by reason; quarantined: by code.
        listed: the first quarantined rows with their messages.
        labels: how often each class name occurs; characters: code points of all text fields.
        gold: how often the right choice stands at each position ("0", "1", ...) in the order of the source.
    """

    rows: Ints | EveryRow = field(repr=False)
    parts: Parts = field(repr=False)
    lengths: Ints | None = field(repr=False)
    source_rows: int = 0
    candidates: int = 0
    filtered: Mapping[str, int] = field(default_factory=dict)
    quarantined: Mapping[str, int] = field(default_factory=dict)
    listed: tuple[QuarantinedRow, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)
    characters: int = 0
    gold: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @staticmethod
    def of_every_row(counts: SplitCounts) -> RowIndex:
        """The index of a split of which a lock says that every source row survives, as one row; nothing is read.

        Args:
            counts: of the split: as many rows as source rows.
        """
        return RowIndex(
            EveryRow(counts.rows),
            np.broadcast_to(np.zeros(1, dtype=np.int32), (counts.rows,)),
            None,
            counts.source_rows,
            counts.candidates,
            labels=counts.labels,
            characters=counts.characters,
            gold=counts.gold,
        )

    def save(self, path: Path) -> None:
        """Writes the index as an Arrow file, whole or not at all."""
        facts = {k: v for k, v in asdict(self).items() if k not in ("rows", "parts", "lengths")}
        rows: Ints = np.asarray(self.rows, dtype=np.int64)
        arrays: list[npt.NDArray[Any]] = [rows, self.parts, np.asarray(self.lengths, dtype=np.int64)]
        facts["checksum"] = _checksum(*arrays)
        columns = [("row", pa.int64()), ("part", pa.int32()), ("length", pa.int64())]
        schema = pa.schema(columns, metadata={"index": json.dumps(facts)})
        table = pa.Table.from_arrays([pa.array(values) for values in arrays], schema=schema)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary, pa.ipc.new_file(temporary, schema) as writer:
            writer.write_table(table, max_chunksize=max(len(self.rows), 1))

    @staticmethod
    def load(path: Path) -> RowIndex | None:
        """Maps a saved index; None if there is none, or it is damaged."""
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
            facts = json.loads(table.schema.metadata[b"index"])
            facts["listed"] = tuple(QuarantinedRow(**q) for q in facts["listed"])
            checksum = facts.pop("checksum")
            rows: Ints = np.asarray(table.column(0).combine_chunks(), dtype=np.int64)
            parts: Parts = np.asarray(table.column(1).combine_chunks(), dtype=np.int32)
            lengths: Ints = np.asarray(table.column(2).combine_chunks(), dtype=np.int64)
            index = RowIndex(rows, parts, lengths, **facts)
        except (OSError, pa.ArrowException, LookupError, TypeError, ValueError):
            return None
        if _checksum(rows, parts, lengths) != checksum:
            return None
        touch(path)
        return index


def _checksum(*columns: npt.NDArray[Any]) -> int:
    total = 0
    for column in columns:
        total = zlib.crc32(np.ascontiguousarray(column).data, total)
    return total


@dataclass
class _Scan:
    """What one pass over a split's source rows found."""

    rows: list[Ints] = field(default_factory=list)
    parts: list[Parts] = field(default_factory=list)
    keys: dict[str, list[Keys]] = field(default_factory=dict)
    source_rows: int = 0
    candidates: int = 0
    surviving: int = 0
    filtered: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    listed: list[QuarantinedRow] = field(default_factory=list)
    labels: list[Ints] = field(default_factory=list)
    characters: list[Ints] = field(default_factory=list)
    gold: list[Ints] = field(default_factory=list)


def splits_read(task: CompiledTask, split: str) -> list[str]:
    """The splits whose rows decide which rows of a split survive: itself, then those that keep their groups from it."""
    disjoint = task.parts[0].disjoint
    return [split, *(_stronger(split, disjoint.keep, task.splits) if disjoint is not None else ())]


def build_index(task: CompiledTask, sources: Mapping[str, Sequence[SourceSplit]], split: str) -> RowIndex:
    """The index of one split.

    Args:
        task: the task.
        sources: for each split of `splits_read`, its opened source splits, one a piece, in order.
        split: which split.

    Raises:
        FindingsError: TSR-E008, a column has a type that the mapping cannot take.
    """
    scan = _scan(task, task.splits[split], sources[split])
    rows: Ints = _concat(scan.rows, np.int64)
    parts: Parts = _concat(scan.parts, np.int32)
    keep = np.ones(len(rows), dtype=bool)
    keys: dict[str, Keys] = {step: _concat(scan.keys.get(step, ()), np.uint64) for step in (*STEPS, "gold")}

    def drop(mask: Mask, because: str) -> None:
        scan.filtered[because] += int((keep & mask).sum())
        np.logical_and(keep, ~mask, out=keep)

    first = task.parts[0]  # settings are the same in all parts; only the expressions of the keys may differ
    if first.distinct is not None:
        _distinct(first.distinct, keys["distinct"], keys["gold"], keep, drop)
    if first.disjoint is not None:
        for other in splits_read(task, split)[1:]:
            theirs = _scan(task, task.splits[other], sources[other])
            seen: Keys = _concat(theirs.keys.get("disjoint", ()), np.uint64)
            drop(np.isin(keys["disjoint"], seen) & (keys["disjoint"] != NO_GROUP), first.disjoint.because)
    if first.cap is not None:
        drop(_over_cap(keys["cap"], keep, first.cap.at), first.cap.because)
    most = task.model.max_examples
    if most is not None and split == "train" and keep.sum() > most:
        alive = np.flatnonzero(keep)
        lot = draw(stream_key("max_examples", task.dataset, split), rows[alive], parts[alive].astype(np.int64))
        over = np.ones(len(rows), dtype=bool)
        over[alive[np.argsort(lot, kind="stable")[:most]]] = False
        drop(over, "over max_examples")
    characters: Ints = _concat(scan.characters, np.int64)
    return RowIndex(
        rows[keep],
        parts[keep],
        characters[keep],
        scan.source_rows,
        scan.candidates,
        {k: n for k, n in sorted(scan.filtered.items()) if n},
        dict(sorted(scan.quarantined.items())),
        tuple(scan.listed),
        _label_counts(task, keep, scan),
        int(characters[keep].sum()),
        _gold_counts(keep, scan),
    )


def _scan(task: CompiledTask, pieces: Sequence[Piece], sources: Sequence[SourceSplit]) -> _Scan:
    scan = _Scan()
    for piece, source in zip(pieces, sources, strict=True):
        part = task.parts[piece.part]
        for offset, batch in source.batches(columns_read(part, source)):
            numbers = np.arange(offset, offset + batch.num_rows, dtype=np.int64)
            if piece.carve_key is not None:
                share = uniform(draw(piece.carve_key, numbers))
                inside = (share >= piece.low) & (share < piece.high)
                scan.filtered["not carved" if piece.carved else "carved"] += int((~inside).sum())
                scan.candidates += int((~inside).sum())
                numbers, batch = numbers[inside], batch.filter(pa.array(inside))
            _add(scan, task, part, batch, scan.source_rows + numbers)
        scan.source_rows += source.num_rows
    return scan


def columns_read(part: Part, source: SourceSplit) -> list[str]:
    """The columns to read for a part: at least one, since rows are counted by columns."""
    return list(part.columns) or source.schema().names[:1]


def _add(scan: _Scan, task: CompiledTask, part: Part, batch: pa.RecordBatch, numbers: Ints) -> None:
    """Adds what the row steps leave of a batch; halves a batch that outgrows Arrow's 2 GiB.

    Args:
        numbers: int64, the row number of each row of the batch over all pieces.
    """
    try:
        found = survivors(task, part, batch)
    except (pa.ArrowCapacityError, OverflowError) as exc:
        if batch.num_rows > 1:
            half = batch.num_rows // 2
            _add(scan, task, part, batch.slice(0, half), numbers[:half])
            _add(scan, task, part, batch.slice(half), numbers[half:])
            return
        found = replace(survivors(task, part, batch.slice(0, 0)), candidates=1)
        found.quarantined.append(Quarantined(0, -1, "TSR-R006", f"the row is too large to compute: {excerpt(exc)}"))
    scan.candidates += found.candidates
    scan.filtered.update(found.filtered)
    for q in found.quarantined:
        scan.quarantined[q.code] += 1
        if len(scan.listed) < LISTED_QUARANTINE:
            scan.listed.append(QuarantinedRow(int(numbers[q.row]), q.part, q.code, q.message))
    scan.rows.append(numbers[found.rows])
    scan.parts.append(found.parts)
    for step in STEPS:
        groups: Groups | None = getattr(part, step)
        if groups is not None:
            scan.keys.setdefault(step, []).append(_group_keys(found.keys(groups.by)))
    if part.distinct is not None:
        gold = [found.fields.column(g) for g in task.schema.gold]
        scan.keys.setdefault("gold", []).append(row_digests(gold))
    _count(task, found, scan)


def _count(task: CompiledTask, found: Survivors, scan: _Scan) -> None:
    """Characters and class ids of each surviving row; the ids wait until the last rows are dropped."""
    total = np.zeros(found.fields.num_rows, dtype=np.int64)
    for column in found.fields.columns[: len(task.schema.fields)]:
        total += _characters(column)
    scan.characters.append(total)
    if task.schema.name == "multiple_choice":
        scan.gold.append(ints_of(found.fields.column("gold")))
    for path, key in CLASS_PATHS.get(task.schema.name, {}).items():
        if key != "labels":
            continue
        name, _, inner = path.partition(".")
        column = found.fields.column(name)
        rows = np.arange(scan.surviving, scan.surviving + len(column), dtype=np.int64)
        while at.is_list(column.type):
            column, offsets, _ = unlist(column)
            rows = np.repeat(rows, np.diff(offsets))
        if inner:
            column = pc.struct_field(column, inner)
        scan.labels.append(np.stack([rows, ints_of(column)]))
    scan.surviving += len(found.rows)


def _characters(column: pa.Array) -> Ints:
    if at.is_string(column.type):
        return ints_of(pc.utf8_length(column), 0)
    if at.is_list(column.type):
        values, offsets, _ = unlist(column)
        ends = counts_to_offsets(_characters(values))
        inside: Ints = ends[offsets[1:]] - ends[offsets[:-1]]
        return inside
    if at.is_struct(column.type):
        total = np.zeros(len(column), dtype=np.int64)
        for child in column.type:
            total += _characters(pc.struct_field(column, child.name))
        return total
    return np.zeros(len(column), dtype=np.int64)


def _label_counts(task: CompiledTask, keep: Mask, scan: _Scan) -> dict[str, int]:
    if not scan.labels or not task.profile.labels:
        return {}
    rows, ids = np.concatenate(scan.labels, axis=1)
    counts = np.bincount(ids[keep[rows] & (ids >= 0)], minlength=len(task.profile.labels))
    return {name: int(n) for name, n in zip(task.profile.labels, counts, strict=True)}


def _gold_counts(keep: Mask, scan: _Scan) -> dict[str, int]:
    """Rows by the position of their one right choice; empty for tasks without choices, or with several right ones."""
    if not scan.gold:
        return {}
    gold: Ints = _concat(scan.gold, np.int64)
    positions, counts = np.unique(gold[keep & (gold >= 0)], return_counts=True)
    return {str(p): int(n) for p, n in zip(positions, counts, strict=True)}


def _distinct(groups: Groups, keys: Keys, gold: Keys, keep: Mask, drop: Callable[[Mask, str], None]) -> None:
    """Keeps the first row of each group; with `conflicts: drop` none of a group whose gold answers differ."""
    import pandas as pd  # only where an index is built

    alive = np.flatnonzero(keep & (keys != NO_GROUP))
    if groups.conflicts == "drop":
        frame = pd.DataFrame({"key": keys[alive], "gold": gold[alive]})
        several = np.asarray(frame.groupby("key")["gold"].transform("nunique") > 1, dtype=bool)
        mask = np.zeros(len(keep), dtype=bool)
        mask[alive] = several
        drop(mask, f"{groups.because}: conflicting answers")
        alive = alive[~several]
    repeated = np.zeros(len(keep), dtype=bool)
    repeated[alive] = pd.Series(keys[alive]).duplicated().to_numpy()
    drop(repeated, groups.because)


def _over_cap(keys: Keys, keep: Mask, most: int) -> Mask:
    """Rows that come after `most` others of their group."""
    import pandas as pd  # only where an index is built

    alive = np.flatnonzero(keep & (keys != NO_GROUP))
    group = pd.Series(keys[alive])
    over = np.zeros(len(keep), dtype=bool)
    over[alive] = group.groupby(group).cumcount().to_numpy() >= most
    return over


def _stronger(split: str, keep: Sequence[str], splits: Mapping[str, Any]) -> list[str]:
    """The splits whose groups this one gives up: kept splits before it, all of them for a split that is not kept."""
    before = keep[: keep.index(split)] if split in keep else keep
    return [s for s in before if s in splits]


def _group_keys(columns: Sequence[pa.Array]) -> Keys:
    """The digest of each row's group; NO_GROUP where all columns are null: rows are not alike for want of a value."""
    keys = row_digests(columns)
    keys[keys == NO_GROUP] = np.uint64(1)
    keys[~np.any([valid_of(c) for c in columns], axis=0)] = NO_GROUP
    return keys


def row_digests(columns: Sequence[pa.Array]) -> Keys:
    """64-bit digests of the values of several columns, row by row.

    Args:
        columns: Arrow arrays of n values; nested ones are digested as JSON.

    Returns:
        uint64 [n]. Equal rows have equal digests on every machine; in a split of ten million rows the chance that two
        different ones share a digest is 3 in a million.
    """
    import pandas as pd  # only where an index is built

    out = np.zeros(len(columns[0]), dtype=np.uint64)
    for number, column in enumerate(columns):
        if at.is_nested(column.type):
            values = column.to_pylist()
            texts = [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in values]
            column = pa.array(texts, pa.string())
        column = column.cast(pa.string())
        words = np.asarray(pc.fill_null(column, "").to_pandas(), dtype=object)
        bits = pd.util.hash_array(words, hash_key="tasksource_reg/1", categorize=False)
        bits[~valid_of(column)] = np.uint64(1)
        out = draw(out, bits.view(np.int64), number)
    return out


def _concat(arrays: Sequence[Any], kind: Any) -> Any:
    return np.concatenate(arrays).astype(kind) if len(arrays) else np.zeros(0, dtype=kind)


def cache_path(root: Path, task: CompiledTask, split: str, revisions: Sequence[str]) -> Path:
    """Where the index of a split is cached: keyed by task hash, reasons, source revisions and this module's version."""
    reasons = [list(part.reasons) for part in task.parts]
    key = json.dumps([INDEX_VERSION, task.hash, reasons, split, _read_from(task, split), list(revisions)])
    return root / "rows" / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.arrow"


def _read_from(task: CompiledTask, split: str) -> list[list[str | None]]:
    """What the pieces of the splits that are read are: the same mapping reads other splits of a source that grew."""
    return [[p.config, p.split] for s in splits_read(task, split) for p in task.splits[s]]
