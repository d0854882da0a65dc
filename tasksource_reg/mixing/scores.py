"""Scores of rows, kept beside the mixture: a table that says how hard (or long, or good) each row is.

A table is Parquet, CSV or JSON Lines, with a column of scores and the address of each row as passports give it: the
columns `task` and `row`, and where they tell rows apart `split` and `part`; or the struct column `provenance` of an
export, so that an export with one more column will do. Rows that are scored several times (in several epochs, say) have
the mean of their scores.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasksource_reg.errors import did_you_mean, error
from tasksource_reg.nested import Ints
from tasksource_reg.provenance.passport import COLUMN

if TYPE_CHECKING:
    from tasksource_reg.rows import Parts

Floats: TypeAlias = npt.NDArray[np.float64]

_ADDRESS = ("task", "split", "row", "part")
_CHUNK = 2**20


class ScoreTable:
    """A table of scores. Read when the first score is asked for.

    Args:
        path: the file; its ending says what it is (.parquet, .csv, .jsonl).
        column: of the scores.

    Raises:
        FindingsError: TSR-M019, there is no such file.
    """

    def __init__(self, path: Path, column: str) -> None:
        self.path, self.column = path, column
        if not path.is_file():
            raise error("TSR-M019", f'there is no file "{path}"', fix="paths are relative to the mixture's file")

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits over the bytes of the file."""
        total = hashlib.blake2b(digest_size=8)
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                total.update(chunk)
        return total.hexdigest()

    def of(self, task: str, split: str, rows: Ints, parts: Parts) -> Floats:
        """The scores of some rows of a task.

        Args:
            task, split: whose rows they are.
            rows, parts: int64 and int32 [n], source rows over all pieces of the split, and parts, as in passports.

        Returns:
            float64 [n], finite.

        Raises:
            FindingsError: TSR-M019, a row has no score, or one that is no number; the file is no table of scores.
        """
        table = self._table.slice(*self._places.get(task, (0, 0)))
        if "split" in table.column_names:
            table = table.filter(pc.equal(table.column("split"), split))
        scores = np.asarray(table.column(self.column).to_numpy(), dtype=np.float64)
        row = table.column("row").to_numpy()
        part = table.column("part").to_numpy() if "part" in table.column_names else np.zeros(len(row), dtype=np.int64)
        most = int(rows.max(initial=0)), int(parts.max(initial=0))
        asked = (row >= 0) & (row <= most[0]) & (part >= 0) & (part <= most[1])  # others are no rows of the run
        row, part, scores = row[asked], part[asked], scores[asked]
        if not np.all(np.isfinite(scores)):
            bad = int(row[np.flatnonzero(~np.isfinite(scores))[0]])
            raise self._error("a score that is no finite number", task, split, bad)
        width = 1 + most[1]
        known, inverse = np.unique(row * width + part, return_inverse=True)
        wanted = rows * width + parts
        place = np.minimum(np.searchsorted(known, wanted), max(len(known) - 1, 0))
        lacking = np.flatnonzero(known[place] != wanted) if len(known) else np.arange(len(wanted))
        if len(lacking):
            what = f"no score for {len(lacking):,} of {len(wanted):,} rows"
            raise self._error(what, task, split, int(rows[lacking[0]]))
        means = np.bincount(inverse, scores, len(known)) / np.maximum(np.bincount(inverse, minlength=len(known)), 1)
        result: Floats = means[place]
        return result

    @cached_property
    def _table(self) -> pa.Table:
        """The address columns that there are, and the scores as float64; sorted by task."""
        table = self._read()
        if COLUMN in table.column_names and pa.types.is_struct(table.schema.field(COLUMN).type):
            address = table.column(COLUMN).combine_chunks()
            for field in address.type if isinstance(address, pa.StructArray) else ():
                if field.name in _ADDRESS and field.name not in table.column_names:
                    table = table.append_column(field.name, address.field(field.name))
        for name in ("task", "row", self.column):
            if name not in table.column_names:
                fix = did_you_mean(name, table.column_names) or f"it has: {', '.join(table.column_names)}"
                raise error("TSR-M019", f'{self.path.name} has no column "{name}"', fix=fix)
        types = {"task": pa.string(), "split": pa.string(), "row": pa.int64(), "part": pa.int64()}
        kept = {name: dtype for name, dtype in types.items() if name in table.column_names}
        kept[self.column] = pa.float64()
        table = table.select(list(kept))
        try:
            table = table.cast(pa.schema(kept))
        except pa.ArrowException as exc:
            raise error("TSR-M019", f"{self.path.name}: {exc}", fix="rows are whole numbers, scores numbers") from exc
        for name in kept:
            if table.column(name).null_count:
                raise error("TSR-M019", f'{self.path.name}: "{name}" is null in {table.column(name).null_count:,} rows')
        return table.sort_by("task")

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """Where the rows of each task stand in the table: the first of them, and how many they are."""
        counts = self._table.group_by("task").aggregate([([], "count_all")]).sort_by("task")
        sizes = counts.column("count_all").to_numpy()
        starts = np.cumsum(sizes) - sizes
        names = counts.column("task").to_pylist()
        return dict(zip(names, zip(starts.tolist(), sizes.tolist(), strict=True), strict=True))

    def _read(self) -> pa.Table:
        kind = self.path.suffix.lower()
        try:
            if kind == ".parquet":
                import pyarrow.parquet as pq

                names = set(pq.read_schema(self.path).names) & {*_ADDRESS, COLUMN, self.column}
                return pq.read_table(self.path, columns=sorted(names))
            if kind == ".csv":
                from pyarrow import csv

                return csv.read_csv(self.path)
            if kind in (".jsonl", ".ndjson"):
                from pyarrow import json

                return json.read_json(self.path)
        except (pa.ArrowException, OSError) as exc:
            raise error("TSR-M019", f'"{self.path}" cannot be read: {exc}') from exc
        raise error("TSR-M019", f'"{self.path.name}" is no table of scores', fix="give .parquet, .csv or .jsonl")

    def _error(self, what: str, task: str, split: str, row: int) -> Exception:
        fix = "score every row that the run has"
        return error("TSR-M019", f"{self.path.name}: {what}", fix=fix, task=task, split=split, row=row)
