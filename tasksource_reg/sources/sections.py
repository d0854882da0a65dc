"""Parquet files as sections: neighbouring row groups that are fetched together, and the ranges of bytes that hold them.

A file's footer says where its row groups and columns stand. A section is as many row groups as hold about a record
batch of rows, so that files of many small groups are not asked for in a thousand requests, and large groups stand
alone. `read_section` gives the rows of one, projected, in batches of bounded size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from tasksource_reg.files import whole_file
from tasksource_reg.sources.prepare import ROWS_TOGETHER
from tasksource_reg.sources.ranges import DataFile, RangeFile, Span, joined

if TYPE_CHECKING:
    import pyarrow.parquet as pq

SECTION_BYTES = 1 << 24
"""Decoded bytes of a section of several row groups, at the most."""
HELD_BYTES = 1 << 25
"""Bytes of a section that are fetched at once; a larger one is read in pieces, column by column."""
BATCH_BYTES = 1 << 25
PIECE_BYTES = 1 << 22


class Section(NamedTuple):
    """Neighbouring row groups of a file: the first one's number, how many there are, their rows."""

    first: int
    groups: int
    rows: int


def read_footer(file: DataFile, token: str | bool | None) -> pq.FileMetaData:
    """The footer of a Parquet file: one request, two where it is larger than 64 KiB.

    Raises:
        Exception: pa.ArrowInvalid where it is no Parquet file; what `ranges.read_range` raises.
    """
    import pyarrow.parquet as pq

    return pq.read_metadata(RangeFile(file, token))


def kept_footer(path: Path, file: DataFile, token: str | bool | None) -> pq.FileMetaData:
    """The footer of a file, from its copy on disk; fetched and kept there where there is none that can be read."""
    import pyarrow.parquet as pq

    try:
        return pq.read_metadata(path)
    except (OSError, pa.ArrowInvalid):
        footer = read_footer(file, token)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, synced=False) as temporary:
        footer.write_metadata_file(temporary)
    return footer


def sections_of(footer: pq.FileMetaData) -> list[Section]:
    """The sections of a file, in order; row groups without rows belong to the section before them."""
    out: list[Section] = []
    size = 0
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        rows, more = group.num_rows, group.total_byte_size
        last = out[-1] if out else None
        if last is not None and last.rows + rows <= ROWS_TOGETHER and size + more <= SECTION_BYTES:
            out[-1], size = Section(last.first, last.groups + 1, last.rows + rows), size + more
        else:
            out.append(Section(number, 1, rows))
            size = more
    return [section for section in out if section.rows]


def spans_of(footer: pq.FileMetaData, section: Section, columns: Sequence[str]) -> tuple[list[Span], int]:
    """Where some columns of a section stand in the file, and how many bytes they have when they are unpacked."""
    spans, unpacked = [], 0
    for number in range(section.first, section.first + section.groups):
        group = footer.row_group(number)
        for column in (group.column(i) for i in range(group.num_columns)):
            if any(column.path_in_schema == name or column.path_in_schema.startswith(f"{name}.") for name in columns):
                dictionary = column.dictionary_page_offset or column.data_page_offset
                start = min(dictionary, column.data_page_offset)
                spans.append((start, start + column.total_compressed_size))
                unpacked += column.total_uncompressed_size
    return spans, unpacked


def read_section(
    file: DataFile, footer: pq.FileMetaData, section: Section, schema: pa.Schema, token: str | bool | None
) -> Iterator[pa.Table]:
    """The rows of a section, with the types that preparing the whole source would give them.

    Args:
        file, footer, section: what is read.
        schema: the wanted columns; its metadata names their features.
        token: the hub token.

    Yields:
        Tables of at most `ROWS_TOGETHER` rows, and of about BATCH_BYTES: bytes on disk are few, those of one cell may
        be many. A column that the file does not have is null.

    Raises:
        Exception: what pyarrow raises for a damaged file, `datasets` for types that cannot be converted, and
            `ranges.read_range` for bytes that cannot be had.
    """
    import pyarrow.parquet as pq

    there = [name for name in schema.names if name in set(footer.schema.to_arrow_schema().names)]
    if not there:
        yield pa.Table.from_arrays([pa.nulls(section.rows, field.type) for field in schema], schema=schema)
        return
    spans, unpacked = spans_of(footer, section, there)
    ranges = joined(spans)
    small = sum(stop - start for start, stop in ranges) <= HELD_BYTES
    reader = pq.ParquetFile(
        RangeFile(file, token, ranges if small else ()),
        metadata=footer,
        pre_buffer=False,
        buffer_size=0 if small else PIECE_BYTES,
        page_checksum_verification=True,
    )
    rows = max(1, min(ROWS_TOGETHER, section.rows * BATCH_BYTES // max(unpacked, 1)))
    groups = list(range(section.first, section.first + section.groups))
    for batch in reader.iter_batches(rows, row_groups=groups, columns=there, use_threads=False):
        yield _typed(pa.Table.from_batches([batch]).select(there), schema)


def _typed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table with the types of a schema, as `datasets` converts them; without it where there is nothing to convert."""
    if table.schema.equals(schema):
        return table
    from datasets.table import table_cast

    return table_cast(table, schema)
