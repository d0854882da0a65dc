"""Option sampling: of many labels or choices a row shows a few, its right answers always among them.

Where a task has hundreds of labels, a prompt that lists them all is mostly list. The sample and its order are keyed
draws of the row, so that the right answer's place is uniform; where the order of the options means something, it stays.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tasksource_reg.annotation.compiled import CompiledTask
from tasksource_reg.keyed import Bits, keyed_samples
from tasksource_reg.nested import Ints, ints_of, parents, relist, unlist
from tasksource_reg.prompting.scope import SHOWN, SHOWN_SCHEMAS
from tasksource_reg.task import rearranged


def shows_some(task: CompiledTask, most: int | None) -> bool:
    """Whether the rows of a task name the labels that they show, because it has more than `most`."""
    return most is not None and task.schema.name in SHOWN_SCHEMAS and len(task.profile.labels) > most


def with_options(task: CompiledTask, batch: pa.RecordBatch, most: int | None, keys: Bits) -> pa.RecordBatch:
    """Harmonized rows that show at most so many options.

    Args:
        task: of the rows.
        batch: n of its rows.
        most: options a row; None for all.
        keys: uint64 [n], one key a row.

    Returns:
        of multiple_choice with `choices` sampled; of schemas with labels, where there are more than `most`, with the
        column `shown` (list<int64>: class ids in the order to show); the batch itself otherwise.
    """
    in_order = task.model.ordered or task.model.choice_order == "fixed"
    if shows_some(task, most):
        assert most is not None
        sizes = np.full(batch.num_rows, len(task.profile.labels), dtype=np.int64)
        golds = _golds(task.schema.name, batch)
        ids, offsets = keyed_samples(keys, sizes, most, golds, in_order=in_order)
        return batch.append_column(SHOWN, relist(offsets, pa.array(ids)))
    if most is None or task.schema.name != "multiple_choice":
        return batch
    _, offsets, _ = unlist(batch.column("choices"))
    sizes = np.diff(offsets)
    if sizes.max(initial=0) <= most:
        return batch
    golds = _golds(task.schema.name, batch)
    return rearranged(batch, *keyed_samples(keys, sizes, most, golds, in_order=in_order))


_GOLD: dict[str, tuple[str | None, str | None]] = {
    "classification": ("label", None),
    "multi_label": (None, "labels"),
    "multiple_choice": ("gold", "golds"),
}
"""Where the right option of a row stands, and where several do."""


def _golds(schema: str, batch: pa.RecordBatch) -> tuple[Ints, Ints]:
    """The right class ids or choices of each row, and their offsets."""
    one, several = _GOLD[schema]
    ids, offsets = np.zeros(0, dtype=np.int64), np.zeros(batch.num_rows + 1, dtype=np.int64)
    if several is not None:
        values, offsets, _ = unlist(batch.column(several))
        ids = ints_of(values)
    if one is None:
        return ids, offsets
    first = ints_of(batch.column(one))
    known = np.flatnonzero(first >= 0)
    named = np.isin(known * 2**31 + first[known], parents(offsets) * 2**31 + ids)  # among the several, too
    alone = np.zeros(len(first), dtype=bool)
    alone[known[~named]] = True
    return np.insert(ids, offsets[:-1][alone], first[alone]), offsets + np.concatenate([[0], np.cumsum(alone)])
