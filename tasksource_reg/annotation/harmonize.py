"""Running a compiled part on batches: which rows survive, and their fields as the unified schema.

`survivors` applies the row steps that look at one row (conditions, explode, nulls, failures) and names what it drops.
`harmonize` computes the fields of given (row, part) pairs. Both are pure functions of a batch of source rows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at

from tasksource_reg.annotation.compiled import CompiledTask, Condition, Part
from tasksource_reg.annotation.model import CLASS_PATHS
from tasksource_reg.annotation.row_checks import check_rows
from tasksource_reg.errors import error, excerpt
from tasksource_reg.nested import (
    Ints,
    Mask,
    cast_to,
    concat,
    constant,
    counts_to_offsets,
    ints_of,
    is_list,
    mask_of,
    parents,
    relist,
    take,
    unlist,
    valid_of,
)
from tasksource_reg.ops.conditions import as_bool
from tasksource_reg.ops.expression import Column, Expression
from tasksource_reg.ops.frame import Frame
from tasksource_reg.ops.lists import Record
from tasksource_reg.ops.text import ToJson
from tasksource_reg.ops.types import ANY, Type, TypeMismatch
from tasksource_reg.schemas import arrow_type

NOTHING_TO_EXPLODE = "nothing to explode"
MESSAGE_ROLES = {"messages": "user", "prompt": "user", "chosen": "assistant", "rejected": "assistant"}
"""Fields of messages, and whose turn a plain text is."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A row that has no value: its number in the batch, its part (-1: the whole source row), and why."""

    row: int
    part: int
    code: str
    message: str


@dataclass(frozen=True)
class Survivors:
    """What the row steps left of a batch.

    Attributes:
        rows: int64, the batch row of each surviving row; parts: int32, its part.
        candidates: rows counted: source rows dropped before explode, source rows with nothing to explode, and all
            exploded rows. candidates = survivors + filtered + quarantined.
        filtered: rows dropped, by reason.
        quarantined: rows without a value.
        frame: the frame of the surviving rows, for group keys.
        fields: the harmonized fields of the surviving rows.
    """

    rows: Ints
    parts: npt.NDArray[np.int32]
    candidates: int
    filtered: Counter[str]
    quarantined: list[Quarantined]
    frame: Frame = field(repr=False)
    fields: pa.RecordBatch = field(repr=False)

    def keys(self, by: tuple[Expression, ...]) -> list[pa.Array]:
        """The group keys of the surviving rows."""
        return [self.frame.evaluate(e) for e in by]


def root_frame(batch: pa.RecordBatch) -> Frame:
    """The frame of a batch of source rows."""
    bindings = {f"column:{name}": batch.column(i) for i, name in enumerate(batch.schema.names)}
    return Frame(batch.num_rows, bindings, task_rows=True)


def explode(part: Part, frame: Frame) -> Frame:
    """The innermost frame after all stages of explode; the frame itself without any."""
    for stage in part.stages:
        listed = frame.evaluate(stage.each)
        if not (is_list(listed) or at.is_null(listed.type)):
            raise error("TSR-E008", f"explode takes a list, this is {listed.type}", place=stage.each.place)
        values, offsets, _ = unlist(listed)
        rows = parents(offsets)
        index = pa.array(np.arange(len(rows)) - offsets[rows])
        bindings = {stage.variable: values, f"{stage.variable}.index": index}
        frame = Frame(len(rows), bindings, frame, rows, task_rows=True)
    return frame


def _source_rows(frame: Frame, root: Frame) -> Ints:
    rows = frame.rows_in(root)
    return np.arange(root.length, dtype=np.int64) if rows is None else rows


def survivors(task: CompiledTask, part: Part, batch: pa.RecordBatch) -> Survivors:
    """Applies conditions, explode and the checks of required fields to a batch of source rows.

    A source row on which a stage of explode fails goes to quarantine whole, since its rows are not known.

    Raises:
        FindingsError: TSR-E008, a value has a type that an op cannot take (only where features were not on record).
        pa.ArrowCapacityError: the batch outgrows Arrow's 2 GiB; try with fewer rows.
    """
    root = root_frame(batch)
    found = _Sieve(root)
    for condition in part.before:
        found.apply(condition)
    candidates = root.length
    if part.stages:
        candidates += found.explode(part)
        for condition in part.after:
            found.apply(condition)
    fields = _fields(task, part, found.frame)
    check_rows(task, fields, found.frame)
    good = found.quarantine()
    keep = good.copy()
    for names in _required(task, part):
        known = np.any([valid_of(fields.column(name)) for name in names], axis=0)
        found.filtered[f"null {names[0]}"] += int((keep & ~known).sum())
        keep &= known
    if not keep.all():
        found.narrow(keep)
        fields = fields.take(pa.array(np.flatnonzero(keep)))
    parts = np.zeros(found.frame.length, dtype=np.int32) if found.parts is None else found.parts.astype(np.int32)
    rows = _source_rows(found.frame, root)
    return Survivors(rows, parts, candidates, +found.filtered, found.quarantined, found.frame, fields)


class _Sieve:
    """The frame of the rows that are left while steps are applied, and what became of the others."""

    def __init__(self, root: Frame) -> None:
        self.root, self.frame = root, root
        self.parts: Ints | None = None  # part of each row of the frame, once exploded
        self.filtered: Counter[str] = Counter()
        self.quarantined: list[Quarantined] = []

    def quarantine(self) -> Mask:
        """Lists the rows that failed; the mask of the others."""
        failed = self.frame.failed()
        rows = _source_rows(self.frame, self.root)
        for row, (code, message) in sorted(failed.items()):
            part = -1 if self.parts is None else int(self.parts[row])
            self.quarantined.append(Quarantined(int(rows[row]), part, code, message))
        keep = np.ones(self.frame.length, dtype=bool)
        keep[list(failed)] = False
        return keep

    def narrow(self, keep: Mask) -> None:
        """Goes on with some of the rows."""
        if keep.all():
            return
        if self.parts is not None:
            self.parts = self.parts[keep]
        self.frame = self.frame.restrict(keep)

    def apply(self, condition: Condition) -> None:
        """Drops the rows on which a condition does not hold."""
        try:
            holds = mask_of(as_bool(self.frame.evaluate(condition.test)))
        except TypeMismatch as exc:
            raise error(exc.code, f'the condition "{condition.because}": {exc}', fix=exc.fix) from exc
        good = self.quarantine()
        self.filtered[condition.because] += int((good & ~holds).sum())
        self.narrow(good & holds)

    def explode(self, part: Part) -> int:
        """Goes on with the exploded rows; by how many there are more of them than of source rows."""
        entering = self.frame
        exploded = explode(part, entering)
        owner = exploded.rows_in(entering)
        assert owner is not None
        stage = exploded.parent
        while stage is not None and stage is not entering:  # failures of inner stages have no row of their own yet
            outer = stage.rows_in(entering)
            assert outer is not None
            for failure in stage.failures:
                entering.fail(outer[failure.rows], failure.code, list(failure.messages))
            stage.failures.clear()
            stage = stage.parent
        good = self.quarantine()
        counts = np.bincount(owner, minlength=entering.length)
        self.filtered[NOTHING_TO_EXPLODE] += int(((counts == 0) & good).sum())
        self.parts = np.arange(len(owner)) - counts_to_offsets(counts.astype(np.int64))[owner]
        self.frame = exploded
        self.narrow(good[owner])
        return int(np.where(good & (counts > 0), counts - 1, 0).sum())


def harmonize(
    task: CompiledTask, part: Part, batch: pa.RecordBatch, rows: Ints, parts: npt.NDArray[np.int32]
) -> pa.RecordBatch:
    """The fields of given rows, which `survivors` has found and checked.

    Args:
        task, part: what to compute.
        batch: source rows with the part's columns.
        rows: int64 [n], numbers of batch rows.
        parts: int32 [n], which of the rows exploded from each.

    Returns:
        n rows of the task's Arrow schema, in the order asked; choices in source order.
    """
    frame = root = root_frame(batch)
    if part.stages:
        exploded = explode(part, root)
        owner = _source_rows(exploded, root)
        first = np.searchsorted(owner, np.arange(batch.num_rows))
        frame = Frame(len(rows), {}, exploded, first[rows] + parts, restricted=True, task_rows=True)
    elif len(rows) != batch.num_rows or not np.array_equal(rows, np.arange(batch.num_rows)):
        frame = Frame(len(rows), {}, root, rows, restricted=True, task_rows=True)
    fields = _fields(task, part, frame)
    outward: Frame | None = frame
    while outward is not None:
        outward.forget()
        outward = outward.parent
    return fields


def _required(task: CompiledTask, part: Part) -> list[list[str]]:
    """Fields whose null drops a row; of gold fields of which one is enough, those that are mapped."""
    names = [[f.name] for f in task.schema.fields if f.required]
    if not any(g in n for n in names for g in task.schema.gold):
        names.append([g for g in task.schema.gold if g in part.fields])
    return names


def _fields(task: CompiledTask, part: Part, frame: Frame) -> pa.RecordBatch:
    """All fields of the schema for the rows of a frame; what cannot be is null and recorded as a failure."""
    columns = []
    for declared in task.schema.all_fields:
        target = arrow_type(declared.type)
        expression = part.fields.get(declared.name)
        if expression is not None:
            columns.append(_field(task, declared.name, expression, target, frame))
        elif declared.name == "carried" and task.model.carry:
            record = Record(of={c: Column(name=c) for c in task.model.carry})
            columns.append(frame.evaluate(ToJson(of=record)))
        else:
            columns.append(pa.nulls(frame.length, target))
    return pa.RecordBatch.from_arrays(columns, schema=task.schema.arrow())


def _field(task: CompiledTask, name: str, expression: Expression, target: pa.DataType, frame: Frame) -> pa.Array:
    """One field in its declared type."""
    try:
        array = frame.evaluate(expression)
        if name in MESSAGE_ROLES and at.is_string(array.type):
            array = _one_message(array, MESSAGE_ROLES[name])
        if name == "label_dist" and expression.type.axis:
            array = _reorder(array, expression.type.axis, task.profile.labels)
        for path, key in CLASS_PATHS.get(task.schema.name, {}).items():
            outer, _, inner = path.partition(".")
            if outer == name:
                positions = _leaf(expression.type, inner).position
                classes = _Classes(task.inventories[key], positions, frame)
                array = classes.ids(array, inner, np.arange(frame.length))
        return _fitted(array, target, name, frame)
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError) as exc:
        message = f'the field "{name}" is {target}, this is {frame.evaluate(expression).type}'
        raise error("TSR-E008", message, place=expression.place) from exc


def _leaf(kind: Type, inner: str) -> Type:
    leaf = kind.leaf()
    return (leaf.field(inner) or ANY) if inner and leaf.kind == "record" else leaf


def _fitted(array: pa.Array, target: pa.DataType, name: str, frame: Frame) -> pa.Array:
    """The array in the declared type; values that it cannot hold are null and recorded as failures."""
    try:
        return cast_to(array, target)
    except pa.ArrowCapacityError:
        raise
    except pa.ArrowInvalid:
        pass
    rows, pieces, bad = np.arange(len(array)), [], []
    for row in rows:  # rare: some value is too large for its type, and Arrow does not say which
        try:
            pieces.append(cast_to(array.slice(row, 1), target))
        except pa.ArrowInvalid:
            pieces.append(pa.nulls(1, target))
            bad.append(row)
    values = [excerpt(array[int(row)].as_py(), 60) for row in bad]
    frame.fail(np.array(bad, dtype=np.int64), "TSR-R003", [f"{name}: {v} does not fit {target}" for v in values])
    return concat(pieces)


def _one_message(array: pa.Array, role: str) -> pa.Array:
    valid = valid_of(array)
    turns = pa.StructArray.from_arrays([constant(role, pa.string(), len(array)), array], names=["role", "content"])
    return relist(counts_to_offsets(valid.astype(np.int64)), take(turns, np.flatnonzero(valid)), valid)


def _reorder(dist: pa.Array, axis: tuple[str, ...], labels: tuple[str, ...]) -> pa.Array:
    """Distributions over `axis` as distributions over the labels; a label without votes has 0."""
    values, _, valid = unlist(dist)
    matrix = values.to_numpy(zero_copy_only=False).reshape(-1, len(axis)) if len(values) else np.zeros((0, len(axis)))
    out = np.zeros((len(matrix), len(labels)), dtype=np.float32)
    for column, name in enumerate(axis):
        out[:, labels.index(name)] = matrix[:, column]
    return relist(counts_to_offsets(valid.astype(np.int64) * len(labels)), pa.array(out.ravel()), valid)


@dataclass(frozen=True, eq=False)
class _Classes:
    """Label names as class ids; of ops that give positions (`argmax`, `position_of`) the positions themselves."""

    labels: tuple[str, ...]
    positions: bool
    frame: Frame

    def ids(self, array: pa.Array, inner: str, rows: Ints) -> pa.Array:
        """Class ids below lists, and in the field `inner` of records; `rows` of the frame own the values."""
        if at.is_list(array.type):
            values, offsets, valid = unlist(array)
            return relist(offsets, self.ids(values, inner, np.repeat(rows, np.diff(offsets))), valid)
        if at.is_struct(array.type):
            children = [pc.struct_field(array, f.name) for f in array.type]
            names = [f.name for f in array.type]
            children = [self.ids(c, "", rows) if n == inner else c for n, c in zip(names, children, strict=True)]
            mask = None if array.null_count == 0 else array.is_null()
            return pa.StructArray.from_arrays(children, names=names, mask=mask)
        if inner or at.is_null(array.type):
            return array
        if at.is_string(array.type):
            ids = ints_of(pc.index_in(array, value_set=pa.array(self.labels, pa.string())))
        elif self.positions:
            ids = ints_of(array)
        else:
            raise pa.ArrowTypeError(f"{array.type} is no label name")
        strange = ((ids < 0) | (ids >= len(self.labels))) & valid_of(array)
        bad = np.flatnonzero(strange)
        shown = array.take(pa.array(bad)).to_pylist()
        self.frame.fail(rows[bad], "TSR-R002", [f'"{excerpt(v, 60)}" is not among the labels' for v in shown])
        return pa.array(ids, mask=(ids < 0) | strange)
