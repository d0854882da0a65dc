"""Every answer that a row could have, as the template says it: what `rank_classification` scores against each other.

A candidate is the template's own response for the row with another gold answer, so it says "The answer is B." where the
response does, and the right candidate is the response itself, to the letter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tasksource_reg.errors import error
from tasksource_reg.nested import Ints, counts_to_offsets, ints_of, mask_of, parents, relist, take, unlist
from tasksource_reg.prompting.render import Renderer
from tasksource_reg.prompting.scope import SHOWN


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of n rows.

    Attributes:
        targets: list<string> of n, one text for each option that the row shows, in order; null where one of them cannot
            be rendered.
        correct: list<bool> of n, which of them are right; null where `targets` is.
    """

    targets: pa.ListArray
    correct: pa.ListArray


def candidates(renderer: Renderer, batch: pa.RecordBatch) -> Candidates:
    """Renders the response of each row once for each of its options.

    Args:
        renderer: for a task of the schema classification or multiple_choice, and a template that is not inverted.
        batch: n harmonized rows.

    Raises:
        FindingsError: TSR-M012 if the schema has no options, or the template does not answer with them.
    """
    schema, template = renderer.profile.schema, renderer.template
    if schema not in ("classification", "multiple_choice") or template.inverted:
        message = f"{template.id} ({schema}) does not answer with one of several options"
        raise error(
            "TSR-M012", message, fix="select classification or multiple_choice tasks, and templates not inverted"
        )
    field = "label" if schema == "classification" else "gold"
    if schema != "classification":
        _, offsets, _ = unlist(batch.column("choices"))
    elif SHOWN in batch.schema.names:
        shown, offsets, _ = unlist(batch.column(SHOWN))
    else:
        offsets = np.arange(batch.num_rows + 1, dtype=np.int64) * len(renderer.profile.labels)
    row = parents(offsets)
    index = ints_of(shown) if SHOWN in batch.schema.names else np.arange(len(row)) - offsets[row]
    at = batch.schema.get_field_index(field)
    supposed = _rows(batch, row).set_column(at, batch.schema.field(at), pa.array(index, pa.int64()))
    if schema == "multiple_choice":
        at = batch.schema.get_field_index("golds")
        supposed = supposed.set_column(at, batch.schema.field(at), pa.nulls(len(row), batch.schema.field(at).type))
    targets = renderer.render(supposed).response
    failed = np.bincount(row[mask_of(targets.is_null())], minlength=batch.num_rows) > 0
    valid = ~failed & (np.diff(offsets) > 0)
    kept = np.flatnonzero(valid[row])
    out = counts_to_offsets(np.where(valid, np.diff(offsets), 0))
    right = _is_gold(batch, field, row, index)
    return Candidates(relist(out, take(targets, kept), valid), relist(out, pa.array(right[kept]), valid))


def _rows(batch: pa.RecordBatch, rows: Ints) -> pa.RecordBatch:
    """Rows of a batch, as one batch."""
    return pa.RecordBatch.from_arrays([take(column, rows) for column in batch.columns], schema=batch.schema)


def _is_gold(batch: pa.RecordBatch, field: str, row: Ints, index: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether each (row, index) is a right option of the row."""
    right = ints_of(batch.column(field))[row] == index
    if field == "gold":
        golds, offsets, _ = unlist(batch.column("golds"))
        several = parents(offsets) * 2**31 + ints_of(golds)
        has_several = np.diff(offsets)[row] > 0
        right = np.where(has_several, np.isin(row * 2**31 + index, several), right)
    return np.asarray(right, dtype=bool)
