"""Rows with the same inputs, but for case, punctuation and white space.

What stands in train and in an evaluation split makes that split easier than it looks; counted when rows are at hand
(`tsr lock`), and kept in the lock. A shot that is like the row it stands before gives its answer away. The gold answer
does not count: the same question with another answer is alike too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at

from tasksource_reg.nested import mask_of, unlist
from tasksource_reg.rows import Keys, row_digests
from tasksource_reg.schemas import Schema
from tasksource_reg.task import SplitData

WORDLESS = np.uint64(0)
_BETWEEN_WORDS = r"[\p{P}\p{Z}\p{C}]+"  # symbols and emoji count


def shared_rows(splits: Mapping[str, SplitData], schema: Schema) -> dict[str, dict[str, int]]:
    """How many rows of each split stand in an earlier one.

    Args:
        splits: by name, in the task's order: train first.
        schema: of the task.

    Returns:
        for each split, earlier split -> rows of this one whose inputs a row of that one has; zeros are left out.
    """
    seen: dict[str, Keys] = {}
    out: dict[str, dict[str, int]] = {}
    for name, split in splits.items():
        parts = [fingerprints(batch, schema) for batch in split.batches()] if len(splits) > 1 else []
        own: Keys = np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)
        own = own[own != WORDLESS]
        found = {other: int(np.isin(own, theirs).sum()) for other, theirs in seen.items()}
        out[name] = {other: count for other, count in found.items() if count}
        seen[name] = np.unique(own)
    return out


def fingerprints(batch: pa.RecordBatch, schema: Schema) -> Keys:
    """A digest of the inputs of each row: equal for rows that are alike.

    Args:
        batch: n harmonized rows; schema: theirs.

    Returns:
        uint64 [n]; `WORDLESS` for rows without a word, which are like no other.
    """
    columns = [_words(batch.column(f.name)) for f in schema.fields if f.name not in schema.gold and _is_text(f.type)]
    if not columns:
        return np.full(batch.num_rows, WORDLESS, dtype=np.uint64)
    worded = np.any([mask_of(pc.greater(pc.binary_length(c), 0)) for c in columns], axis=0)
    return np.where(worded, np.maximum(row_digests(columns), 1), WORDLESS)


def _is_text(kind: str) -> bool:
    """Whether a field (its type as `schemas.py` writes it) is text to read, not a number or a position."""
    return kind in ("string", "list<string>") or "content: string" in kind


def _words(column: pa.Array) -> pa.Array:
    """The words of each value in lower case, with single spaces; of a list, of all its members in their order."""
    if at.is_list(column.type):
        values, offsets, _ = unlist(column)
        texts = values if at.is_string(values.type) else pc.struct_field(values, "content")
        column = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pc.fill_null(texts, "")), "\n")
    text = pc.replace_substring_regex(pc.utf8_lower(pc.fill_null(column, "")), _BETWEEN_WORDS, " ")
    return pc.utf8_trim(text, " ")
