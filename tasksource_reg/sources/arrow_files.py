"""Random access to Arrow IPC stream files, memory-mapped, record batch by record batch.

Taking rows from a chunked table over a mapped file copies the whole table, so nothing here builds one. A file is
scanned once for the byte offset and row count of each record batch (only message headers are touched); after that a
batch is parsed in place whenever rows of it are wanted, and only those rows are copied. Mapped files stand in one
bounded pool per process; an `ArrowFile` itself is a path and two small arrays, so it can be pickled.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasksource_reg.errors import error

Integers: TypeAlias = npt.NDArray[np.int64]
T = TypeVar("T")

MAX_OPEN_MAPS = 56


@dataclass(frozen=True)
class _Mapped:
    """A mapped file: its bytes, its schema, and its batches where dictionaries forbid reading them one by one."""

    data: pa.Buffer
    schema: pa.Schema
    batches: tuple[pa.RecordBatch, ...] | None


class MapPool:
    """The open memory maps of this process, least recently used first, at most `limit` of them."""

    def __init__(self, limit: int = MAX_OPEN_MAPS) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _Mapped] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def get(self, path: str) -> _Mapped:
        """The mapped file; opened if it is not, closing another where the pool is full.

        A closed map lives on as long as arrays taken from it as slices do.
        """
        with self._lock:
            if path in self._open:
                self._open.move_to_end(path)
                return self._open[path]
            mapped = _guarded(path, lambda: _map(path))
            self._open[path] = mapped
            while len(self._open) > self.limit:
                self._open.popitem(last=False)
            return mapped

    def forget(self, path: str) -> None:
        """Drops a file from the pool, because it was replaced or removed."""
        with self._lock:
            self._open.pop(path, None)


POOL = MapPool()


def _map(path: str) -> _Mapped:
    with pa.memory_map(path) as mapped:
        data = mapped.read_buffer()
    schema = pa.ipc.read_schema(pa.BufferReader(data))
    if any(_has_dictionary(field.type) for field in schema):
        return _Mapped(data, schema, tuple(pa.ipc.open_stream(pa.BufferReader(data))))
    return _Mapped(data, storage_schema(schema), None)


def storage_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with every extension type, at any depth, replaced by its storage type, and without metadata.

    A batch parsed with it has plain arrays, which every Arrow kernel accepts.
    """
    return pa.schema([pa.field(field.name, _storage_type(field.type)) for field in schema])


def _storage_type(dtype: pa.DataType) -> pa.DataType:
    if isinstance(dtype, pa.BaseExtensionType):
        return _storage_type(dtype.storage_type)
    if pa.types.is_struct(dtype):
        return pa.struct([pa.field(child.name, _storage_type(child.type)) for child in dtype])
    if pa.types.is_fixed_size_list(dtype):
        return pa.list_(_storage_type(dtype.value_type), dtype.list_size)
    if pa.types.is_list(dtype):
        return pa.list_(_storage_type(dtype.value_type))
    if pa.types.is_large_list(dtype):
        return pa.large_list(_storage_type(dtype.value_type))
    return dtype


def _has_dictionary(dtype: pa.DataType) -> bool:
    if pa.types.is_dictionary(dtype):
        return True
    return any(_has_dictionary(dtype.field(i).type) for i in range(dtype.num_fields))


def _guarded(path: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except (OSError, pa.ArrowInvalid) as exc:
        raise error(
            "TSR-N007", f'the prepared file "{path}" cannot be read', fix="remove it; it is prepared again"
        ) from exc


class ArrowFile:
    """One Arrow IPC stream file.

    Args:
        path: the file.
        num_rows: the rows that it holds by its record; another number is an error (TSR-N007).
    """

    def __init__(self, path: str, num_rows: int) -> None:
        self.path = path
        self.num_rows = num_rows
        self._starts: Integers | None = None
        self._offsets: Integers | None = None

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return os.path.getsize(self.path)

    def ahead(self, row: int, columns: list[str]) -> None:
        """Told that rows are read in order from here on; the file is there, so there is nothing to fetch."""

    @property
    def schema(self) -> pa.Schema:
        """The schema as it is on disk."""
        return POOL.get(self.path).schema

    @property
    def starts(self) -> Integers:
        """First row of each non-empty record batch, and the row count at the end: int64, batches + 1."""
        if self._starts is None:
            self.scan()
        assert self._starts is not None
        return self._starts

    def scan(self) -> None:
        """Finds the record batches; done by itself when rows are first wanted.

        Raises:
            SourceError: TSR-N007, the file is damaged or holds another number of rows than recorded.
        """
        self._starts, self._offsets = _guarded(self.path, self._batches)

    def _batches(self) -> tuple[Integers, Integers]:
        mapped = POOL.get(self.path)
        offsets: list[int] = []
        lengths: list[int] = []
        if mapped.batches is not None:
            numbered = [(i, b.num_rows) for i, b in enumerate(mapped.batches) if b.num_rows]
            offsets, lengths = [i for i, _ in numbered], [n for _, n in numbered]
        else:
            reader = pa.BufferReader(mapped.data)
            pa.ipc.read_schema(reader)
            while True:
                offset = reader.tell()
                try:
                    message = pa.ipc.read_message(reader)
                except EOFError:
                    break
                if rows := pa.ipc.read_record_batch(message, mapped.schema).num_rows:
                    offsets.append(offset)
                    lengths.append(rows)
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        if starts[-1] != self.num_rows:
            raise pa.ArrowInvalid(f"{starts[-1]} rows where {self.num_rows} are on record")
        return starts, np.asarray(offsets, dtype=np.int64)

    def batch(self, number: int) -> pa.RecordBatch:
        """The record batch of this number (in the order of `starts`), in place: no data is copied."""
        if self._offsets is None:
            self.scan()
        assert self._offsets is not None
        mapped = POOL.get(self.path)
        offset = int(self._offsets[number])
        if mapped.batches is not None:
            return mapped.batches[offset]

        def parse() -> pa.RecordBatch:
            message = pa.ipc.read_message(pa.BufferReader(mapped.data.slice(offset)))
            return pa.ipc.read_record_batch(message, mapped.schema)

        return _guarded(self.path, parse)

    def pieces(self, rows: Integers, columns: list[str]) -> list[pa.RecordBatch]:
        """The rows of ascending numbers, one piece for each record batch that holds some of them.

        Args:
            rows: int64, ascending, duplicates allowed, in [0, num_rows).
            columns: the columns of the pieces, in this order.

        Returns:
            Record batches with the on-disk types, together `len(rows)` rows in order. A run of neighbouring rows is a
            slice of the map, everything else is copied.
        """
        bounds = np.searchsorted(rows, self.starts)
        out = []
        for number in np.flatnonzero(np.diff(bounds)).tolist():
            batch = self.batch(number).select(columns)
            local = rows[bounds[number] : bounds[number + 1]] - self.starts[number]
            if local[-1] - local[0] + 1 == len(local) and bool(np.all(np.diff(local) == 1)):
                out.append(batch.slice(int(local[0]), len(local)))
            else:
                out.append(batch.take(pa.array(local)))
        return out
