"""One split of a source: its columns, its rows in order, and any rows of it by number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa

from tasksource_reg.errors import did_you_mean, error
from tasksource_reg.features import Features, media_in
from tasksource_reg.sources.arrow_files import Integers
from tasksource_reg.sources.decode import decode_column, decoded_type
from tasksource_reg.sources.spec import Origin

MAX_BLOCK_BYTES = 1 << 30  # half of what 32-bit offsets reach: class names are longer than class numbers


class RowFile(Protocol):
    """Stored rows by number: an Arrow file (`ArrowFile`), or Parquet files that are streamed (`StreamedRows`)."""

    num_rows: int

    @property
    def size(self) -> int:
        """Bytes of the files, all columns."""

    def pieces(self, rows: Integers, columns: list[str]) -> list[pa.RecordBatch]:
        """The rows of ascending numbers as record batches with the stored types, together `len(rows)` in order."""

    def ahead(self, row: int, columns: list[str]) -> None:
        """Told that rows are read in order from a number on."""


class SourceSplit:
    """The rows of one split, on disk or fetched when they are wanted, decoded on the way out.

    Cost and memory of a read follow the rows and columns asked for, not the size of the files. Instances are small
    and can be sent to other processes; the files stay mapped in each process's own bounded pool.

    Attributes:
        dataset, config, name: what was opened; `name` is the split's.
        features: column name to feature, in the source's order.
        num_rows: the number of rows.
        revision: the commit of the hub, or the content digest of a mirror's or folder's data files.
        origin: where the source was found.
        streamed: rows are fetched when they are wanted; those that are read in no order cost whole row groups.
    """

    def __init__(
        self,
        dataset: str,
        config: str,
        name: str,
        features: Features,
        stored: pa.Schema,
        files: Sequence[RowFile],
        revision: str,
        origin: Origin,
        *,
        streamed: bool = False,
    ) -> None:
        self.dataset = dataset
        self.config = config
        self.name = name
        self.features = features
        self.revision = revision
        self.origin = origin
        self.streamed = streamed
        self._stored = stored
        self._types: dict[str, pa.DataType] = {}
        self._files = [file for file in files if file.num_rows]
        self._starts: Integers = np.concatenate(
            [np.zeros(1, np.int64), np.cumsum([f.num_rows for f in self._files], dtype=np.int64)]
        )
        self.num_rows = int(self._starts[-1])

    def __len__(self) -> int:
        return self.num_rows

    @property
    def size(self) -> int:
        """Bytes of the files that hold the rows, all columns; of a streamed split those of the source."""
        return sum(file.size for file in self._files)

    def __repr__(self) -> str:
        return f"SourceSplit({self.dataset}, {self.config}, {self.name}: {self.num_rows} rows, {self.origin})"

    def batches(self, columns: Sequence[str] | None = None, rows: int = 8192) -> Iterator[tuple[int, pa.RecordBatch]]:
        """All rows in order.

        Args:
            columns: the columns wanted; None is all that are not media.
            rows: rows a batch; a batch has fewer at the end, and where its text would pass 1 GiB.

        Yields:
            (row number of the batch's first row, record batch of decoded columns).

        Raises:
            UsageError: TSR-E006, a column that the source does not have.
            SourceError: TSR-N011, a media column; TSR-N007, a prepared file that is damaged.
            FindingsError: TSR-R003, a class number without a name.
        """
        wanted = self._columns(columns)
        start = 0
        while start < self.num_rows:
            size = min(rows, self.num_rows - start)
            self._ahead(start, wanted)
            pieces = self._pieces(np.arange(start, start + size, dtype=np.int64), wanted)
            while size > 1 and sum(piece.nbytes for piece in pieces) > MAX_BLOCK_BYTES:
                size //= 2
                pieces = self._pieces(np.arange(start, start + size, dtype=np.int64), wanted)
            yield start, self._decoded(pieces, wanted, np.arange(start, start + size, dtype=np.int64), None)
            start += size

    def gather(self, rows: Integers, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """Rows by number.

        Args:
            rows: int64 row numbers in any order, duplicates allowed, each in [0, num_rows).
            columns: the columns wanted; None is all that are not media.

        Returns:
            A record batch of decoded columns, one row for each number, in the order asked.

        Raises:
            IndexError: a row number out of range.
            UsageError, SourceError, FindingsError: as `batches`; TSR-R006 where the rows hold more than 1 GiB.
        """
        wanted = self._columns(columns)
        rows = np.asarray(rows, dtype=np.int64)
        if len(rows) and (rows.min() < 0 or rows.max() >= self.num_rows):
            bad = rows.min() if rows.min() < 0 else rows.max()
            raise IndexError(f'row {bad} of {self.dataset} split "{self.name}", which has {self.num_rows} rows')
        ascending = bool(np.all(rows[1:] >= rows[:-1]))
        order = None if ascending else np.argsort(rows, kind="stable")
        ordered = rows if order is None else rows[order]
        pieces = self._pieces(ordered, wanted)
        if sum(piece.nbytes for piece in pieces) > MAX_BLOCK_BYTES:
            raise error(
                "TSR-R006", f"{len(rows)} rows of {self.dataset} hold more than 1 GiB", fix="ask for fewer rows at once"
            )
        return self._decoded(pieces, wanted, ordered, order)

    def schema(self, columns: Sequence[str] | None = None) -> pa.Schema:
        """The Arrow schema of the batches that `batches` and `gather` give for these columns."""
        return pa.schema([pa.field(name, self._type(name)) for name in self._columns(columns)])

    def _type(self, name: str) -> pa.DataType:
        if name not in self._types:
            self._types[name] = decoded_type(self.features[name], self._stored.field(name).type)
        return self._types[name]

    def _columns(self, columns: Sequence[str] | None) -> list[str]:
        if columns is None:
            return [name for name, feature in self.features.items() if media_in(feature) is None]
        for name in columns:
            if name not in self.features:
                raise error(
                    "TSR-E006",
                    f'{self.dataset} has no column "{name}"',
                    fix=did_you_mean(name, self.features),
                    split=self.name,
                )
            if kind := media_in(self.features[name]):
                raise error(
                    "TSR-N011",
                    f'the column "{name}" of {self.dataset} holds {kind} data, which is not decoded',
                    fix="use the columns of text and numbers",
                    split=self.name,
                )
        return list(columns)

    def _ahead(self, row: int, columns: list[str]) -> None:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        self._files[number].ahead(row - int(self._starts[number]), columns)

    def _pieces(self, ordered: Integers, columns: list[str]) -> list[pa.RecordBatch]:
        out: list[pa.RecordBatch] = []
        bounds = np.searchsorted(ordered, self._starts)
        for number, file in enumerate(self._files):
            part = ordered[bounds[number] : bounds[number + 1]]
            if len(part):
                out += file.pieces(part - self._starts[number], columns)
        return out

    def _decoded(
        self, pieces: list[pa.RecordBatch], columns: list[str], rows: Integers, order: Integers | None
    ) -> pa.RecordBatch:
        schema = self.schema(columns)
        if not len(rows):
            return _empty_batch(schema)
        arrays = []
        for name, field in zip(columns, schema, strict=True):
            parts = [piece.column(name) for piece in pieces]
            column = parts[0] if len(parts) == 1 else pa.concat_arrays(parts)
            arrays.append(decode_column(column, self.features[name], name, rows).cast(field.type))
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        if order is None:
            return batch
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order), dtype=np.int64)
        return batch.take(pa.array(place))


def _empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
