"""Expressions: columns, variables, literals, paths, lists, and the base class of all ops.

An `Expression` is an immutable tree. `type` is what is known of its value, `free` the names it uses, `digest` a hash of
its meaning (Merkle: the op, its version, its arguments), by which equal subexpressions are computed once and the task
hash is formed. `let` names and fields are gone by then: the parser puts their expressions in their place.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at
from pydantic import BaseModel, ConfigDict, PrivateAttr

from tasksource_reg.errors import Place, did_you_mean
from tasksource_reg.nested import (
    child_of,
    concat,
    constant,
    counts_to_offsets,
    filter_lists,
    interleave,
    is_list,
    mask_of,
    parents,
    ranges,
    relist,
    take,
    unified,
    unlist,
)
from tasksource_reg.ops.checks import as_bool, require_condition
from tasksource_reg.ops.frame import Frame
from tasksource_reg.ops.types import ANY, Type, TypeMismatch, from_value, list_of, unify

Step: TypeAlias = str | int
EACH: Step = "*"


class Expression(BaseModel):
    """Base of everything that has a value for each row."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)

    key: ClassVar[str] = ""
    version: ClassVar[int] = 1
    leaf: ClassVar[bool] = False
    _type: Type = PrivateAttr(default_factory=lambda: ANY)  # as a default it would be copied deeply
    _free: frozenset[str] = PrivateAttr(default=frozenset())
    _digest: str = PrivateAttr(default="")
    _place: Place | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        """Fills in the free names and the digest from the arguments."""
        self._free = self._free_names()
        text = json.dumps(self.canonical(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        self._digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def type(self) -> Type:
        """What is known of the value."""
        return self._type

    @property
    def free(self) -> frozenset[str]:
        """The bindings that the value depends on: `column:NAME` and variables."""
        return self._free

    @property
    def digest(self) -> str:
        """A hash of the meaning."""
        return self._digest

    @property
    def place(self) -> Place | None:
        """Where it is written; None for what no file says."""
        return self._place

    def arguments(self) -> dict[str, Any]:
        """The arguments by name."""
        return {name: getattr(self, name) for name in type(self).model_fields}

    def canonical(self) -> list[Any]:
        """The meaning as JSON: key, version and arguments, subexpressions by their digests."""
        return [self.key, self.version, {k: _canonical(v) for k, v in self.arguments().items()}]

    def binds(self) -> frozenset[str]:
        """Names that the op binds for its own arguments."""
        return frozenset()

    def _free_names(self) -> frozenset[str]:
        names: frozenset[str] = frozenset()
        for value in self.arguments().values():
            for sub in subexpressions(value):
                names |= sub.free
        return names - self.binds()

    def infer(self) -> Type:
        """The type of the value from the types of the arguments.

        Raises:
            TypeMismatch: an argument has a type that the op cannot take.
        """
        raise NotImplementedError

    def run(self, frame: Frame) -> pa.Array:
        """The value for each row of the frame."""
        raise NotImplementedError


def subexpressions(value: Any) -> list[Expression]:
    """The expressions directly inside an argument."""
    if isinstance(value, Expression):
        return [value]
    if isinstance(value, tuple | list):
        return [e for item in value for e in subexpressions(item)]
    if isinstance(value, dict):
        return [e for item in value.values() for e in subexpressions(item)]
    return []


def _canonical(value: Any) -> Any:
    if isinstance(value, Expression):
        return {"expression": value.digest}
    if isinstance(value, tuple | list):
        return [_canonical(v) for v in value]
    if isinstance(value, dict):
        return [[_canonical(k), _canonical(v)] for k, v in value.items()]
    if isinstance(value, bool | int | float | str) or value is None:
        return [type(value).__name__, value]  # 1, 1.0 and true are three values
    if isinstance(value, BaseModel):
        return [type(value).__name__, {k: _canonical(getattr(value, k)) for k in type(value).model_fields}]
    raise TypeError(f"{type(value)} has no canonical form")


class Column(Expression):
    """A column of the source."""

    key: ClassVar[str] = "column"
    leaf: ClassVar[bool] = True
    name: str

    def _free_names(self) -> frozenset[str]:
        return frozenset({f"column:{self.name}"})

    def run(self, frame: Frame) -> pa.Array:
        """The bound column."""
        return frame.lookup(f"column:{self.name}")


class Variable(Expression):
    """A name bound by `each`, `explode` or `format`."""

    key: ClassVar[str] = "variable"
    leaf: ClassVar[bool] = True
    name: str

    def _free_names(self) -> frozenset[str]:
        return frozenset({self.name})

    def run(self, frame: Frame) -> pa.Array:
        """The bound array."""
        return frame.lookup(self.name)


class Literal(Expression):
    """A literal value: text, number, boolean, null, list or record.

    Null: only `{const: null}` is null.

    Example:
        {const: entailment}
        {const: [A, B, C]}
    """

    key: ClassVar[str] = "const"
    leaf: ClassVar[bool] = True
    value: Any = None

    def infer(self) -> Type:
        """The type of the value itself."""
        try:
            pa.array([self.value])
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as exc:
            raise TypeMismatch("the elements of one literal list must go together", None, "TSR-E004") from exc
        return from_value(self.value)

    def run(self, frame: Frame) -> pa.Array:
        """The constant, once a row."""
        return constant(self.value, None, frame.length)


class PathSteps(Expression):
    """Steps into a value: a record's field, a list's index, or `*` (each element)."""

    key: ClassVar[str] = "path"
    of: Expression
    steps: tuple[Step, ...]

    def infer(self) -> Type:
        """Follows the steps through records and lists; a name on a list of records goes to each record."""
        return _follow(self.of.type, self.steps)

    def run(self, frame: Frame) -> pa.Array:
        """Null where a record or list on the way is null, or a list is too short."""
        return _walk(frame.evaluate(self.of), self.steps)


def _follow(value: Type, steps: tuple[Step, ...]) -> Type:
    if not steps or value.kind in ("any", "null"):
        return value
    step, rest = steps[0], steps[1:]
    if value.kind == "list" and value.item:
        if step == EACH:
            return list_of(_follow(value.item, rest))
        if isinstance(step, int):
            return _follow(value.item, rest)
        if value.item.kind in ("record", "list", "any"):
            return list_of(_follow(value.item, steps))
        raise TypeMismatch(f'"{step}" is not a step into {value.named}', 'use an index, or "*" for each', "TSR-E007")
    if value.kind == "record":
        inner = value.field(str(step))
        if inner is None:
            names = [n for n, _ in value.fields]
            raise TypeMismatch(f'the record has no field "{step}"', did_you_mean(str(step), names), "TSR-E007")
        return _follow(inner, rest)
    if value.kind == "map" and value.item:
        return _follow(value.item, rest)
    raise TypeMismatch(f'{value.named} has no step "{step}"', None, "TSR-E007")


def _walk(array: pa.Array, steps: tuple[Step, ...]) -> pa.Array:
    if not steps or at.is_null(array.type):
        return array
    step, rest = steps[0], steps[1:]
    if is_list(array):
        values, offsets, valid = unlist(array)
        if isinstance(step, int):
            lengths = np.diff(offsets)
            index = step if step >= 0 else lengths + step
            inside = (index >= 0) & (index < lengths)
            return _walk(take(values, np.where(inside, offsets[:-1] + index, -1)), rest)
        return relist(offsets, _walk(values, rest if step == EACH else steps), valid)
    if at.is_struct(array.type):
        name = str(step)
        if array.type.get_field_index(name) < 0:
            return pa.nulls(len(array))
        return _walk(child_of(array, name), rest)
    if at.is_map(array.type):
        return _walk(pc.map_lookup(array, pa.scalar(str(step), array.type.key_type), "first"), rest)
    raise TypeMismatch(f'a value of type {array.type} has no step "{step}"', None, "TSR-E007")


class Spread(Expression):
    """Puts a list's elements in its place inside a list of expressions.

    Null: a null list adds nothing.

    Example:
        [{spread: distractors}, correct_answer]
    """

    key: ClassVar[str] = "spread"
    group: ClassVar[str] = "select"
    of: Expression

    def infer(self) -> Type:
        """The list itself; only `ListOf` looks inside."""
        if self.of.type.kind not in ("list", "any", "null"):
            raise TypeMismatch(f"spread takes a list, this is {self.of.type.named}")
        return self.of.type

    def run(self, frame: Frame) -> pa.Array:
        """The list."""
        return frame.evaluate(self.of)


class ListOf(Expression):
    """A list written out: one element an expression, `spread` adding many."""

    key: ClassVar[str] = "list"
    items: tuple[Expression, ...]

    def infer(self) -> Type:
        """The type that holds all elements."""
        item: Type | None = Type("null")
        for number, element in enumerate(self.items):
            t = element.type
            if isinstance(element, Spread):
                t = t.item or ANY
            item = unify(item, t) if item else None
            if item is None:
                raise TypeMismatch(f"elements of one list must go together; element {number} is {t.named}")
        return list_of(item or ANY)

    def run(self, frame: Frame) -> pa.Array:
        """Elements may be null; the list is not."""
        if not self.items:
            return constant([], None, frame.length)
        columns = [frame.evaluate(e) for e in self.items]
        if not any(isinstance(e, Spread) for e in self.items):
            offsets = np.arange(frame.length + 1, dtype=np.int64) * len(columns)
            return relist(offsets, interleave(unified(columns)))
        one = np.arange(frame.length + 1, dtype=np.int64)
        return concat_lists(
            [c if isinstance(e, Spread) else relist(one, c) for e, c in zip(self.items, columns, strict=True)]
        )


def concat_lists(columns: list[pa.Array]) -> pa.Array:
    """Lists of several columns joined row by row; null lists count as empty. All have one type."""
    parts = [unlist(c) for c in columns]
    counts = np.stack([np.diff(o) for _, o, _ in parts], axis=1)
    base = np.cumsum([0] + [len(v) for v, _, _ in parts[:-1]])
    starts = np.stack([o[:-1] + b for (_, o, _), b in zip(parts, base, strict=True)], axis=1)
    order = ranges(starts.ravel(), counts.ravel())
    return relist(counts_to_offsets(counts.sum(axis=1)), take(concat(unified([v for v, _, _ in parts])), order))


class Each(Expression):
    """Maps a list: `get` for each element, where `where` holds.

    `as` names the element and `index` its position for `where` and `get`. Null: a null list gives null; an element on
    which `where` is null is left out.

    Example:
        {each: answers, as: answer, where: {of: answer.score, above: 0}, get: answer.text}
        {each: turns, as: turn, index: number, get: {format: "{number}. {turn}"}}
    """

    key: ClassVar[str] = "each"
    group: ClassVar[str] = "lists"
    of: Expression
    variable: str
    position: str
    where: Expression | None = None
    get: Expression | None = None

    def binds(self) -> frozenset[str]:
        """The element and its position."""
        return frozenset({self.variable, self.position})

    def _free_names(self) -> frozenset[str]:
        inner = frozenset().union(*(e.free for e in (self.where, self.get) if e is not None))
        return self.of.free | (inner - self.binds())

    def infer(self) -> Type:
        """A list of what `get` gives; of the elements themselves without it."""
        if self.of.type.kind not in ("list", "any", "null"):
            raise TypeMismatch(f"each takes a list, this is {self.of.type.named}")
        if self.where is not None:
            require_condition(self.where)
        item = self.get.type if self.get is not None else self.of.type.item or ANY
        return list_of(item.without_values() if self.where is not None else item)

    def run(self, frame: Frame) -> pa.Array:
        """Computes `where` and `get` once over all elements of the batch."""
        values, offsets, valid = unlist(frame.evaluate(self.of))
        rows = parents(offsets)
        index = pa.array(np.arange(len(rows)) - offsets[rows])
        child = elements = Frame(len(rows), {self.variable: values, self.position: index}, frame, rows)
        if self.where is not None:
            keep = mask_of(as_bool(child.evaluate(self.where)))
            offsets = filter_lists(offsets, keep)
            child = child.branch(keep)
        result = child.evaluate(self.get if self.get is not None else Variable(name=self.variable))
        elements.forget()
        return relist(offsets, result, valid)
