"""Conditions: `{of: expression, verb: value}`, `all`, `any`, `not`.

A condition is true, false or null; null (an input is null) counts as not met wherever a decision is taken. On the right
of a verb a scalar or list is a literal, a mapping is an expression. Several verbs in one condition must all hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at
from pydantic import BaseModel, ConfigDict

from tasksource_reg.errors import did_you_mean
from tasksource_reg.nested import (
    Ints,
    ints_of,
    is_list,
    mask_of,
    parents,
    plain,
    take,
    unified,
    unlist,
    valid_of,
)
from tasksource_reg.ops.checks import as_bool as as_bool
from tasksource_reg.ops.checks import as_string, require_condition
from tasksource_reg.ops.expression import Expression, Literal
from tasksource_reg.ops.frame import Frame
from tasksource_reg.ops.members import codes_of, find_members, lists_equal, literal_like, same_type
from tasksource_reg.ops.types import ANY, BOOL, INT, Type, TypeMismatch, from_value, unify
from tasksource_reg.text_kernels.codepoints import lengths, slice_text


class VerbUse(BaseModel):
    """One verb with its right-hand side: a literal, an expression, or verbs again."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)
    name: str
    value: Any


class Verb(NamedTuple):
    """A verb: what it means, what stands on its right, and how it is computed (left array, right, frame)."""

    doc: str
    right: str  # "value", "list", "text", "pattern", "flag" or "verbs"
    run: Callable[[pa.Array, Any, Frame], pa.Array]


def _right(value: Any, frame: Frame, like: pa.Array) -> pa.Array:
    """The right-hand side as an array of the frame's length."""
    if isinstance(value, Expression):
        return frame.evaluate(value)
    return take(literal_like(value, like), np.zeros(frame.length, dtype=np.int64))


def _compare(name: str) -> Callable[[pa.Array, Any, Frame], pa.Array]:
    def run(left: pa.Array, value: Any, frame: Frame) -> pa.Array:
        right = _right(value, frame, left)
        if at.is_null(left.type) or at.is_null(right.type):
            return pa.nulls(len(left), pa.bool_())
        if is_list(left) or is_list(right):
            if name not in ("equal", "not_equal"):
                raise TypeMismatch("lists have no order")
            same = lists_equal(left, right)
            return pc.invert(same) if name == "not_equal" else same
        return pc.call_function(name, list(same_type(left, right)))

    return run


def _in(left: pa.Array, value: Any, frame: Frame) -> pa.Array:
    if isinstance(value, Expression):
        lists = frame.evaluate(value)
        return pa.array(find_members(left, lists) >= 0, mask=~(valid_of(left) & valid_of(lists)))
    if at.is_null(left.type):
        return pa.nulls(len(left), pa.bool_())
    values = pa.array(value)
    left, values = (left, values.cast(left.type, safe=False)) if at.is_floating(left.type) else unified([left, values])
    return _keep_null(pc.is_in(left, value_set=values), left)


def _keep_null(result: pa.Array, left: pa.Array) -> pa.Array:
    return result if left.null_count == 0 else pc.if_else(left.is_valid(), result, pa.scalar(None, pa.bool_()))


def _has(left: pa.Array, value: Any, frame: Frame) -> pa.Array:
    values, _, valid = unlist(left)
    needle = _right(value, frame, values)
    return pa.array(find_members(needle, left) >= 0, mask=~(valid_of(needle) & valid))


def _contains(left: pa.Array, value: Any, frame: Frame) -> pa.Array:
    left = as_string(left)
    if not isinstance(value, Expression):
        return pc.match_substring(left, pattern=value)
    right = as_string(frame.evaluate(value))
    out = np.zeros(len(left), dtype=bool)
    # One kernel call for each distinct needle: there is no kernel with a needle a row.
    codes = right.dictionary_encode()
    numbers = ints_of(codes.indices)
    order = np.argsort(numbers, kind="stable")
    bounds = np.searchsorted(numbers[order], np.arange(len(codes.dictionary) + 1))
    for i, needle in enumerate(codes.dictionary.to_pylist()):
        rows = order[bounds[i] : bounds[i + 1]]
        out[rows] = mask_of(pc.match_substring(take(left, rows), pattern=needle))
    return pa.array(out, mask=~(valid_of(left) & valid_of(right)))


def _starts_with(left: pa.Array, value: Any, frame: Frame) -> pa.Array:
    left = as_string(left)
    if not isinstance(value, Expression):
        return pc.starts_with(left, pattern=value)
    right = as_string(frame.evaluate(value))
    return pc.equal(slice_text(left, np.zeros(len(left), dtype=np.int64), lengths(right)), right)


def _matches(left: pa.Array, value: Any, frame: Frame) -> pa.Array:
    return pc.match_substring_regex(as_string(left), pattern=value)


def _is_null(left: pa.Array, value: Any, frame: Frame) -> pa.Array:
    return left.is_null() if value else left.is_valid()


def blank(array: pa.Array) -> pa.Array:
    """True for null, text of white space only, and empty lists."""
    if at.is_null(array.type):
        return pa.array(np.ones(len(array), dtype=bool))
    if is_list(array):
        return pc.equal(pc.fill_null(pc.list_value_length(array), 0), 0)
    if not at.is_string(array.type):
        return array.is_null()
    return pc.fill_null(pc.equal(pc.utf8_trim_whitespace(array), ""), True)


def _is_blank(left: pa.Array, value: Any, frame: Frame) -> pa.Array:
    result = blank(left)
    return result if value else pc.invert(result)


def _length(left: pa.Array, value: Any, frame: Frame) -> pa.Array:
    size = pc.list_value_length(left) if is_list(left) else pc.utf8_length(as_string(left))
    return run_verbs(size.cast(pa.int64()), value, frame)


def _all_different(left: pa.Array, value: Any, frame: Frame) -> pa.Array:
    values, offsets, valid = unlist(left)
    codes = codes_of(values)
    keys = np.unique(parents(offsets) * (len(codes) + 1) + codes + 1)
    distinct = np.bincount(keys // (len(codes) + 1), minlength=len(left)) == np.diff(offsets)
    return pa.array(distinct == value, mask=~valid)


def _elements(require_all: bool) -> Callable[[pa.Array, Any, Frame], pa.Array]:
    def run(left: pa.Array, value: Any, frame: Frame) -> pa.Array:
        values, offsets, valid = unlist(left)
        rows = parents(offsets)
        child = Frame(len(rows), {}, frame, rows)
        holds = mask_of(run_verbs(values, value, child))
        child.forget()
        count = np.bincount(rows[holds], minlength=len(left))
        result = count == np.diff(offsets) if require_all else count > 0
        return pa.array(result, mask=~valid)

    return run


def _not(left: pa.Array, value: Any, frame: Frame) -> pa.Array:
    return pc.invert(as_bool(run_verbs(left, value, frame)))


def run_verbs(left: pa.Array, verbs: tuple[VerbUse, ...], frame: Frame) -> pa.Array:
    """All verbs on one array, joined by `and` (three-valued)."""
    result: pa.Array | None = None
    for use in verbs:
        one = plain(VERBS[use.name].run(left, use.value, frame))
        result = one if result is None else pc.and_kleene(result, one)
    assert result is not None
    return result


VERBS: dict[str, Verb] = {
    "equals": Verb("the same value (lists: the same elements in order)", "value", _compare("equal")),
    "differs": Verb("another value", "value", _compare("not_equal")),
    "in": Verb("one of a list", "list", _in),
    "above": Verb("greater than", "value", _compare("greater")),
    "at_least": Verb("greater than or equal", "value", _compare("greater_equal")),
    "below": Verb("less than", "value", _compare("less")),
    "at_most": Verb("less than or equal", "value", _compare("less_equal")),
    "has": Verb("the list has this member", "value", _has),
    "contains": Verb("the text has this substring", "text", _contains),
    "starts_with": Verb("the text starts with this", "text", _starts_with),
    "matches": Verb("a part of the text matches this RE2 pattern", "pattern", _matches),
    "is_null": Verb("true: the value is null; false: it is not", "flag", _is_null),
    "is_blank": Verb("true: null, white space only, or an empty list; false: something else", "flag", _is_blank),
    "length": Verb("a number, or verbs for the length (code points or elements)", "verbs", _length),
    "all_different": Verb("true: no member stands twice in the list; false: one does", "flag", _all_different),
    "every": Verb("verbs that hold for each element (true for an empty list)", "verbs", _elements(True)),
    "some": Verb("verbs that hold for at least one element", "verbs", _elements(False)),
    "not": Verb("verbs that do not hold together", "verbs", _not),
}


class Condition(Expression):
    """Verbs about one value: `{of: expression, verb: value, ...}`; all of them must hold.

    Null: null (which counts as not met) for a null value, except with `is_null` and `is_blank`.

    Example:
        {of: rating, at_least: 3, differs: 5}
    """

    key: ClassVar[str] = "of"
    group: ClassVar[str] = "conditions"
    of: Expression
    verbs: tuple[VerbUse, ...]

    def _free_names(self) -> frozenset[str]:
        return self.of.free.union(*(_verb_names(v) for v in self.verbs))

    def infer(self) -> Type:
        """A boolean."""
        for verb in self.verbs:
            _check_verb(verb, self.of.type)
        return BOOL

    def run(self, frame: Frame) -> pa.Array:
        """The verbs, joined by `and`."""
        return run_verbs(frame.evaluate(self.of), self.verbs, frame)


def _verb_names(use: VerbUse) -> frozenset[str]:
    if isinstance(use.value, Expression):
        return use.value.free
    if isinstance(use.value, tuple) and VERBS[use.name].right == "verbs":
        return frozenset().union(*(_verb_names(v) for v in use.value))
    return frozenset()


def _check_verb(use: VerbUse, left: Type) -> None:
    right, name = VERBS[use.name].right, use.name
    if right in ("value", "list") and not isinstance(use.value, Expression):
        Literal(value=use.value).infer()
    if left.kind in ("any", "null"):
        return
    if name in ("has", "all_different", "every", "some") and left.kind != "list":
        hint = 'for a part of a text use "contains"' if name == "has" and left.kind == "text" else None
        raise TypeMismatch(f'"{name}" takes a list, this is {left.named}', hint)
    if name in ("has", "all_different") and left.item and not left.item.scalar:
        raise TypeMismatch(f'"{name}" takes a list of texts, numbers or booleans, this is {left.named}')
    if name in ("contains", "starts_with", "matches"):
        if left.kind != "text":
            hint = 'for members of a list use "has", for texts in it {some: {...}}' if left.kind == "list" else None
            raise TypeMismatch(f'"{name}" takes text, this is {left.named}', hint)
        if isinstance(use.value, Expression) and use.value.type.kind not in ("text", "any", "null"):
            raise TypeMismatch(f'"{name}" compares text with {use.value.type.named}')
    if name == "length" and left.kind not in ("text", "list"):
        raise TypeMismatch(f'"length" takes text or a list, this is {left.named}')
    if name in ("above", "at_least", "below", "at_most") and left.kind not in ("int", "float", "text"):
        hint = "for its length write {length: {at_least: 1}}" if left.kind == "list" else None
        raise TypeMismatch(f'"{name}" takes a number, this is {left.named}', hint)
    if name in ("equals", "differs", "in") and left.leaf().kind in ("record", "map"):
        raise TypeMismatch(f'"{name}" takes no {left.leaf().kind}', "compare one of its fields")
    if name == "in" and left.kind == "list":
        hint = "write {every: {in: [...]}} or {some: {in: [...]}}"
        raise TypeMismatch(f'"in" takes one value, this is {left.named}', hint)
    if right == "verbs":
        inner = {"length": INT, "every": left.item, "some": left.item}.get(name, left)
        for verb in use.value:
            _check_verb(verb, inner or ANY)
        return
    if right in ("value", "list"):
        other = use.value.type if isinstance(use.value, Expression) else from_value(use.value)
        if right == "list" and other.kind not in ("list", "any", "null"):
            raise TypeMismatch(f'"in" takes a list, this is {other.named}')
        a, b = (left.item, other) if name == "has" else (left, other.item if right == "list" else other)
        if a is not None and b is not None:
            _comparable(a, b, name, use.value)


def _comparable(left: Type, right: Type, name: str, value: Any) -> None:
    if unify(left, right) is None:
        hint = None
        if not isinstance(value, Expression):
            hint = 'quote it: "1"' if left.kind == "text" and right.number else None
            hint = "write the number without quotes" if left.number and right.kind == "text" else hint
            hint = "write true or false" if left.kind == "bool" else hint
        raise TypeMismatch(f'"{name}" compares {left.named} with {right.named}', hint)
    if isinstance(value, Expression) or left.values is None or right.values is None:
        return
    strange = [v for v in right.values if v not in left.values]
    if strange:
        raise TypeMismatch(
            f'"{strange[0]}" is not among the values on record', did_you_mean(strange[0], left.values), "TSR-E013"
        )


class All(Expression):
    """True if all conditions hold; each is computed only where none before it is false.

    Null: as in SQL, null unless one is false. An empty list of conditions holds.

    Example:
        {all: [{of: label, in: [yes_no, span]}, {of: text, is_blank: false}]}
    """

    key: ClassVar[str] = "all"
    group: ClassVar[str] = "conditions"
    of: tuple[Expression, ...]

    def infer(self) -> Type:
        """A boolean."""
        for condition in self.of:
            require_condition(condition)
        return BOOL

    def run(self, frame: Frame) -> pa.Array:
        """Three-valued `and`."""
        return _decide(self.of, frame, decided_by=False)


class Any_(Expression):
    """True if any condition holds; each is computed only where none before it is true.

    Null: as in SQL, null unless one is true. An empty list of conditions does not hold.

    Example:
        {any: [{of: score, above: 3}, {of: votes, has: gold}]}
    """

    key: ClassVar[str] = "any"
    group: ClassVar[str] = "conditions"
    of: tuple[Expression, ...]

    def infer(self) -> Type:
        """A boolean."""
        for condition in self.of:
            require_condition(condition)
        return BOOL

    def run(self, frame: Frame) -> pa.Array:
        """Three-valued `or`."""
        return _decide(self.of, frame, decided_by=True)


class Not(Expression):
    """True if the condition is false. Null in, null out.

    Example:
        {not: {of: answer, starts_with: "http"}}
    """

    key: ClassVar[str] = "not"
    group: ClassVar[str] = "conditions"
    of: Expression

    def infer(self) -> Type:
        """A boolean."""
        require_condition(self.of)
        return BOOL

    def run(self, frame: Frame) -> pa.Array:
        """Three-valued `not`."""
        return pc.invert(as_bool(frame.evaluate(self.of)))


def _decide(conditions: tuple[Expression, ...], frame: Frame, *, decided_by: bool) -> pa.Array:
    """Conditions in turn, each on the rows that none before has decided."""
    undecided = np.ones(frame.length, dtype=bool)
    unknown = np.zeros(frame.length, dtype=bool)
    for condition in conditions:
        value = as_bool(frame.branch(undecided).evaluate(condition))
        rows = np.flatnonzero(undecided)
        unknown[rows[~valid_of(value)]] = True
        undecided[rows[mask_of(pc.equal(value, decided_by))]] = False
    return pa.array(np.where(undecided, not decided_by, decided_by), mask=undecided & unknown)


def rows_where(frame: Frame, condition: Expression) -> Ints:
    """The rows on which a condition holds; null does not."""
    return np.flatnonzero(mask_of(as_bool(frame.evaluate(condition))))


CONDITION_OPS: dict[str, type[Expression]] = {"all": All, "any": Any_, "not": Not}
