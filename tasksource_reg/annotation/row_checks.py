"""What a harmonized row must be beyond its Arrow types: each check records the rows that fail it.

Indices lie within their lists, lists that go together have one length, spans lie within the text, names that refer to
something find it, nothing inside a list is null, numbers are finite, no class stands twice where order has no meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at

from tasksource_reg.annotation.compiled import CompiledTask
from tasksource_reg.nested import Ints, Mask, ints_of, mask_of, parents, unlist, valid_of
from tasksource_reg.ops.frame import Frame

Fail: TypeAlias = Callable[[Mask, str, str], None]

NULLABLE_INSIDE = {"answers.start"}
SAME_LENGTH = {
    "token_tags": ("tokens", "tags"),
    "ranking": ("documents", "relevance"),
    "multiple_choice": ("choices", "choice_dist"),
}
SPANS = {"spans": "spans", "relations": "entities"}
SETS = {"multi_label": "labels", "multiple_choice": "golds"}


def check_rows(task: CompiledTask, batch: pa.RecordBatch, frame: Frame) -> None:
    """Records on the frame the rows that are not as the schema says.

    Args:
        task: the task.
        batch: n harmonized rows.
        frame: the frame of the same n rows.
    """

    def fail(bad: Mask, code: str, message: str) -> None:
        rows = np.flatnonzero(bad)
        frame.fail(rows, code, [message] * len(rows))

    name = task.schema.name
    for declared in task.schema.fields:
        column = batch.column(declared.name)
        if column.null_count < len(column):
            _check_inside(column, declared.name, fail, len(column))
    if name == "multiple_choice":
        _check_gold(batch, fail)
    if name in SAME_LENGTH:
        one, other = SAME_LENGTH[name]
        both = valid_of(batch.column(one)) & valid_of(batch.column(other))
        fail(both & (_sizes(batch, one) != _sizes(batch, other)), "TSR-R005", f"{one} and {other} differ in number")
    if name == "classification":
        other_length = _sizes(batch, "label_dist") != len(task.profile.labels)
        wrong = valid_of(batch.column("label_dist")) & other_length
        fail(wrong, "TSR-R005", "label_dist has another length than labels")
    if name == "score" and task.model.range is not None:
        low, high = task.model.range
        score = batch.column("score")
        outside = mask_of(pc.or_(pc.less(score, low), pc.greater(score, high)))
        fail(outside, "TSR-R003", f"the score is outside [{low:g}, {high:g}]")
    if name in SPANS:
        _check_spans(batch, SPANS[name], fail)
    if name == "relations":
        _check_references(batch, fail)
    if name == "extractive_qa":
        _check_answers(batch, fail)
    if name in SETS:
        fail(_repeats(batch.column(SETS[name])), "TSR-R003", f"one of {SETS[name]} stands twice")


def _sizes(batch: pa.RecordBatch, name: str) -> Ints:
    return ints_of(pc.list_value_length(batch.column(name)))


def _any(owner: Ints, bad: Mask, length: int) -> Mask:
    """Which of `length` rows own a bad element."""
    return np.bincount(owner[bad], minlength=length) > 0


def _check_inside(
    values: pa.Array, name: str, fail: Fail, length: int, owner: Callable[[], Ints] | None = None
) -> None:
    """Nulls and numbers that are not finite, at any depth of a field.

    A function of its own and not a closure that calls itself: that is a cycle, which would keep the rows of a block
    until Python looks for garbage.

    Args:
        values: of the field, or below it.
        name: of the field, with its path.
        fail: records rows.
        length: rows.
        owner: the row of each value; the rows themselves by default.
    """

    def owners() -> Ints:
        return np.arange(length, dtype=np.int64) if owner is None else owner()

    def report(bad: Mask, message: str) -> None:
        if bad.any():
            fail(_any(owners(), bad, length), "TSR-R003", message)

    if at.is_floating(values.type):
        finite = pc.is_finite(pc.fill_null(values, 0))
        report(~mask_of(finite), f"{name} is not a number")
    elif at.is_list(values.type):
        items, offsets, _ = unlist(values)

        def inside() -> Ints:
            return owners()[parents(offsets)]

        if items.null_count:
            fail(_any(inside(), ~valid_of(items), length), "TSR-R003", f"a null inside {name}")
        _check_inside(items, name, fail, length, inside)
    elif at.is_struct(values.type):
        for child in values.type:
            inner = pc.struct_field(values, child.name)
            if f"{name}.{child.name}" not in NULLABLE_INSIDE and inner.null_count:
                report(valid_of(values) & ~valid_of(inner), f"a null {child.name} inside {name}")
            _check_inside(inner, f"{name}.{child.name}", fail, length, owners)


def _check_gold(batch: pa.RecordBatch, fail: Fail) -> None:
    size = _sizes(batch, "choices")
    gold, golds = batch.column("gold"), batch.column("golds")
    numbers = ints_of(gold)
    fail(valid_of(gold) & ((numbers < 0) | (numbers >= size)), "TSR-R005", "gold is outside the choices")
    values, offsets, _ = unlist(golds)
    owner, numbers = parents(offsets), ints_of(values)
    outside = valid_of(values) & ((numbers < 0) | (numbers >= size[owner]))
    fail(_any(owner, outside, len(size)), "TSR-R005", "one of golds is outside the choices")
    fail(valid_of(golds) & (_sizes(batch, "golds") == 0), "TSR-R005", "no right choice")


def _check_spans(batch: pa.RecordBatch, name: str, fail: Fail) -> None:
    values, offsets, _ = unlist(batch.column(name))
    owner = parents(offsets)
    start, end = ints_of(pc.struct_field(values, "start")), ints_of(pc.struct_field(values, "end"))
    size = ints_of(pc.utf8_length(batch.column("text")), 0)[owner]
    outside = (start < 0) | (end <= start) | (end > size)
    fail(_any(owner, outside, batch.num_rows), "TSR-R005", f"a span of {name} lies outside the text")


def _check_references(batch: pa.RecordBatch, fail: Fail) -> None:
    """Heads and tails of relations are ids of the row's entities, each of which has its own."""
    entities, entity_offsets, _ = unlist(batch.column("entities"))
    relations, relation_offsets, _ = unlist(batch.column("relations"))
    ids = pc.struct_field(entities, "id")
    fail(_repeats_in(ids, parents(entity_offsets), batch.num_rows), "TSR-R003", "two entities have one id")
    known = set(zip(parents(entity_offsets).tolist(), ids.to_pylist(), strict=True))
    owner = parents(relation_offsets)
    for end in ("head", "tail"):
        names = pc.struct_field(relations, end).to_pylist()
        lost = [pair not in known for pair in zip(owner.tolist(), names, strict=True)]
        fail(
            _any(owner, np.array(lost, dtype=bool), batch.num_rows), "TSR-R005", f"the {end} of a relation is no entity"
        )


def _check_answers(batch: pa.RecordBatch, fail: Fail) -> None:
    """An answer that says where it starts lies within the context."""
    values, offsets, _ = unlist(batch.column("answers"))
    owner = parents(offsets)
    start = pc.struct_field(values, "start")
    first = ints_of(start)
    last = first + ints_of(pc.utf8_length(pc.struct_field(values, "text")), 0)
    size = ints_of(pc.utf8_length(batch.column("context")), 0)[owner]
    outside = valid_of(start) & ((first < 0) | (last > size))
    fail(_any(owner, outside, batch.num_rows), "TSR-R005", "an answer lies outside the context")


def _repeats(column: pa.Array) -> Mask:
    values, offsets, _ = unlist(column)
    return _repeats_in(values, parents(offsets), len(column))


def _repeats_in(values: pa.Array, owner: Ints, rows: int) -> Mask:
    """Which rows own one value twice."""
    if at.is_null(values.type) or not len(values):
        return np.zeros(rows, dtype=bool)
    codes = ints_of(values.dictionary_encode().indices)
    order = np.lexsort((codes, owner))
    same = (np.diff(codes[order]) == 0) & (np.diff(owner[order]) == 0) & (codes[order][1:] >= 0)
    return _any(owner[order][1:], same, rows)
