"""Parquet as exports write it: exact row groups, page checksums, plain types, compact passports, a telling footer.

The bytes depend on the rows and nothing else: however the rows come in, they are cut into steps of 1,000, and steps
make row groups of 50,000 rows, or fewer where their text is long. (Where a column is cut shows in its pages.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as at

from tasksource_reg.features import describe, from_arrow
from tasksource_reg.provenance.passport import COLUMN, FULL_FIELDS

ROW_GROUP_ROWS = 50_000
ROW_GROUP_TEXT = 64 << 20  # bytes of text; keeps memory flat where rows are long
STEP_ROWS = 1_000  # row groups are made of steps of so many rows; the last one of a file may be shorter
FOOTER_KEY = "tasksource_reg"

REPEATED = ("task", "split", "template", *FULL_FIELDS)
COUNTED = ("row", "part", "position")


class RowWriter:
    """Writes record batches of one schema to a Parquet file; a context manager.

    Args:
        path: the file.
        schema: of the batches.
        passport: whether there is a column `provenance`.

    On a clean exit, or by `close`, the file is complete, the metadata of `footer` in it.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, passport: bool = True) -> None:
        own = [field.name for field in schema.field(COLUMN).type] if passport else []
        dictionary = [f"{COLUMN}.{name}" for name in own if name in REPEATED]
        counted = [f"{COLUMN}.{name}" for name in own if name in COUNTED]
        self.schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": hf_features(schema)}})})
        self.footer: dict[str, Any] = {}
        self._writer = pq.ParquetWriter(
            path,
            self.schema,
            version="2.6",
            compression="zstd",
            compression_level=3,
            write_page_checksum=True,
            use_dictionary=dictionary,
            column_encoding=dict.fromkeys(counted, "DELTA_BINARY_PACKED"),
            write_statistics=[*dictionary, *counted],
        )
        self._rest: list[pa.RecordBatch] = []
        self._steps: list[pa.RecordBatch] = []
        self._text = 0
        self._closed = False
        self.rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows; row groups that are full are written."""
        self.rows += batch.num_rows
        first = 0
        if self._rest:  # rows that do not make a whole step
            first = min(STEP_ROWS - sum(part.num_rows for part in self._rest), batch.num_rows)
            self._rest.append(batch.slice(0, first))
            if sum(part.num_rows for part in self._rest) == STEP_ROWS:
                self._add_rest()
        for start in range(first, batch.num_rows - STEP_ROWS + 1, STEP_ROWS):
            self._add_step(batch.slice(start, STEP_ROWS))
            first = start + STEP_ROWS
        if first < batch.num_rows:
            self._rest.append(batch.slice(first))

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._writer.close()

    def close(self) -> None:
        """Completes the file; more than once does nothing more."""
        if self._closed:
            return
        try:
            if self._rest:
                self._add_rest()
            if self._steps:
                self._write_group()
            footer = json.dumps(self.footer, ensure_ascii=False, separators=(",", ":"))
            self._writer.add_key_value_metadata({FOOTER_KEY: footer})
        finally:
            self._closed = True
            self._writer.close()

    def _add_rest(self) -> None:
        joined = self._rest[0] if len(self._rest) == 1 else pa.concat_batches(self._rest)
        self._rest = []
        self._add_step(joined)

    def _add_step(self, step: pa.RecordBatch) -> None:
        self._steps.append(step)
        self._text += text_bytes(step)
        if len(self._steps) * STEP_ROWS >= ROW_GROUP_ROWS or self._text >= ROW_GROUP_TEXT:
            self._write_group()

    def _write_group(self) -> None:
        table = pa.Table.from_batches(self._steps, self.schema)
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._steps, self._text = [], 0


def text_bytes(batch: pa.RecordBatch) -> int:
    """Bytes of text in a batch, at any depth; the passport does not count."""
    return sum(_text(column) for name, column in zip(batch.schema.names, batch.columns, strict=True) if name != COLUMN)


def _text(array: pa.Array) -> int:
    if at.is_string(array.type):
        return pc.sum(pc.binary_length(array)).as_py() or 0
    if at.is_struct(array.type):
        return sum(_text(pc.struct_field(array, field.name)) for field in array.type)
    return _text(array.flatten()) if at.is_list(array.type) else 0


def hf_features(schema: pa.Schema) -> dict[str, Any]:
    """The features of a schema as the `huggingface` metadata of a Parquet file writes them (`datasets` 4 and 5)."""
    return {field.name: _feature(field.type) for field in schema}


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if at.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    if at.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    names = {pa.float64(): "float64", pa.float32(): "float32"}
    return {"dtype": names.get(kind, str(kind)), "_type": "Value"}


def read_footer(metadata: pq.FileMetaData) -> dict[str, Any]:
    """What a data file says of itself.

    Raises:
        ValueError, KeyError: it says nothing that this package wrote.
    """
    footer: dict[str, Any] = json.loads((metadata.metadata or {})[FOOTER_KEY.encode()])
    return footer


def row_groups(path: Path, columns: list[str] | None = None, dictionary: Sequence[str] = ()) -> Iterator[pa.Table]:
    """The row groups of a file, one at a time, their pages' checksums verified.

    Args:
        path: the file.
        columns: to read; all by default.
        dictionary: columns of text that are to be read as dictionary arrays.

    Raises:
        OSError, pa.ArrowInvalid: the file is damaged.
    """
    with pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=list(dictionary)) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number, columns=columns, use_threads=False)


def passport_bytes(path: Path) -> int:
    """Bytes that the passports take in a file: the compressed column chunks of `provenance`."""
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    chunks = [group.column(j) for group in groups for j in range(group.num_columns)]
    return sum(c.total_compressed_size for c in chunks if c.path_in_schema.startswith(f"{COLUMN}."))


def column_types(schema: pa.Schema) -> tuple[tuple[str, str], ...]:
    """(name, type in words) of each column; how the elements of lists are called in a file does not show."""
    return tuple((name, describe(feature)) for name, feature in from_arrow(schema).items())


def footer_of(common: Mapping[str, Any], tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """What stands in the footer of a shard: what holds for the whole export, and the task table of the shard's rows."""
    return {**common, "tasks": tasks}
