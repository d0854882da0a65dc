"""Columns of values as templates treat them: their text, their truth, the choice between two, values by Python.

Everything here takes a `Frame`, puts rows in doubt where Jinja would refuse them or the kernel cannot be sure, and
raises `CannotSay` where the types of the columns already show that no kernel will do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at
from jinja2 import Undefined

from tasksource_reg.nested import Ints, Mask, constant, is_list, mask_of, plain, python_values, unlist, valid_of
from tasksource_reg.prompting.environment import ROW_ERRORS
from tasksource_reg.prompting.filters import text_of
from tasksource_reg.prompting.frames import CannotSay, Column, Frame, Value
from tasksource_reg.prompting.scope import Constant
from tasksource_reg.text_kernels.assemble import Piece, said_by_python, string_array


def kind(data_type: pa.DataType) -> str:
    """What values of an Arrow type are to a template."""
    if at.is_string(data_type):
        return "text"
    if at.is_boolean(data_type):
        return "boolean"
    if at.is_integer(data_type):
        return "whole number"
    if at.is_floating(data_type):
        return "number"
    if at.is_list(data_type):
        return "list"
    if at.is_struct(data_type):
        return "record"
    return "null" if at.is_null(data_type) else str(data_type)


def kind_of_column(column: Column) -> str:
    """What the values of a column are."""
    return kind(_type(column))


def _type(column: Column) -> pa.DataType:
    """The Arrow type of a column.

    Raises:
        CannotSay: a constant that is a record, or a list of anything but text.
    """
    if isinstance(column, Value):
        return column.array.type
    value = column.value
    if isinstance(value, list) and all(type(item) is str for item in value):
        return pa.list_(pa.string())
    known = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64(), type(None): pa.null()}
    if isinstance(value, Undefined):
        return pa.null()
    if type(value) is int and not -(2**63) <= value < 2**63:
        raise CannotSay("a number beyond 64 bits")
    if type(value) not in known:
        raise CannotSay(f"a constant {type(value).__name__}")
    return known[type(value)]


def value_of(column: Column, n: int) -> Value:
    """A column with one value a row.

    Raises:
        CannotSay: a constant that Arrow cannot hold as templates see it.
    """
    if isinstance(column, Value):
        return column
    data_type = _type(column)
    if isinstance(column.value, Undefined):
        return Value(pa.nulls(n), np.ones(n, dtype=bool))
    return Value(constant(column.value, data_type, n))


def printed(array: pa.Array) -> pa.StringArray:
    """Text and numbers as Jinja prints them; null stays null.

    Raises:
        CannotSay: the array holds something else.
    """
    what = kind(array.type)
    if what == "text":
        return array
    if what == "whole number":
        return plain(array.cast(pa.string()))
    if what == "boolean":
        return plain(pc.if_else(array, "True", "False"))
    if what == "number":
        return said_by_python(array, str)
    if what == "null":
        return pa.nulls(len(array), pa.string())
    raise CannotSay(f"a {what} where text is needed")


def text(frame: Frame, column: Column) -> Piece:
    """A column as text; rows of null or undefined values are in doubt.

    Raises:
        CannotSay: a list or a record.
    """
    if isinstance(column, Constant):
        try:
            return text_of(column.value)
        except ROW_ERRORS:
            frame.doubt_all()
            return ""
    frame.doubt_null(column)
    return printed(column.array)


def truth(frame: Frame, column: Column) -> Mask | bool:
    """Which values count as true; rows of undefined values are in doubt."""
    if isinstance(column, Constant):
        try:
            return bool(column.value)
        except ROW_ERRORS:
            frame.doubt_all()
            return False
    frame.doubt_undefined(column)
    array = column.array
    what = kind(array.type)
    if what == "text":
        return mask_of(pc.greater(pc.binary_length(array), 0))
    if what == "list":
        return mask_of(pc.greater(pc.list_value_length(array), 0))
    if what == "boolean":
        return mask_of(array)
    if what in ("number", "whole number"):
        return mask_of(pc.not_equal(array, 0))
    if what == "record" and array.type.num_fields:
        return valid_of(array)
    if what == "null":
        return np.zeros(frame.size, dtype=bool)
    raise CannotSay(f"whether a {what} is true")


def common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The type that holds values of both as templates see them.

    Raises:
        CannotSay: there is none; a whole number is not printed as a float is.
    """
    if one == other or at.is_null(other):
        return one
    if at.is_null(one):
        return other
    if at.is_integer(one) and at.is_integer(other):
        return pa.int64()
    if at.is_floating(one) and at.is_floating(other):
        return pa.float64()
    raise CannotSay(f"{kind(one)} and {kind(other)} in one place")


def choose(frame: Frame, mask: Mask, yes: Column, no: Column) -> Column:
    """`yes` where the mask is set, else `no`.

    Raises:
        CannotSay: they are of two kinds.
    """
    constants = [column.value for column in (yes, no) if isinstance(column, Constant)]
    if len(constants) == 2 and set(map(type, constants)) == {str} and constants[0] == constants[1]:
        return yes
    target = common(_type(yes), _type(no))
    sides = [_side(column, target, frame.size) for column in (yes, no)]
    array = plain(pc.if_else(pa.array(mask), *sides))
    if not isinstance(array, pa.Array) or len(array) != frame.size:  # two scalars give one
        array = constant(array.as_py(), target, frame.size)
    missing = [_undefined(column, frame.size) for column in (yes, no)]
    if missing[0] is None and missing[1] is None:
        return Value(array)
    none = np.zeros(frame.size, dtype=bool)
    undefined = np.where(mask, *[none if m is None else m for m in missing])
    return Value(array, undefined)


def _side(column: Column, target: pa.DataType, n: int) -> pa.Array | pa.Scalar:
    if isinstance(column, Constant) and isinstance(column.value, (str, int, float)):
        return pa.scalar(column.value, target)
    array = value_of(column, n).array
    return array if array.type == target else plain(array.cast(target))


def _undefined(column: Column, n: int) -> Mask | None:
    if isinstance(column, Value):
        return column.undefined
    return np.ones(n, dtype=bool) if isinstance(column.value, Undefined) else None


def lists(frame: Frame, column: Column, what: str) -> Value:
    """A column of lists; rows without one are in doubt.

    Raises:
        CannotSay: it holds no lists.
    """
    value = value_of(column, frame.size)
    if not is_list(value.array):
        raise CannotSay(f"{what} of a {kind(value.array.type)}")
    frame.doubt_null(value)
    return value


def item_texts(frame: Frame, column: Column, what: str) -> tuple[pa.StringArray, Ints]:
    """The items of lists as text, and int64 [n + 1] offsets; rows with a null item are in doubt.

    Raises:
        CannotSay: the column holds no lists, or lists of lists or records.
    """
    values, offsets, _ = unlist(lists(frame, column, what).array)
    if values.null_count:
        rows = np.searchsorted(offsets, np.flatnonzero(~valid_of(values)), side="right") - 1
        frame.doubt_rows(rows)
    return printed(values), offsets


def by_python(
    frame: Frame, name: str, function: Callable[..., Any], result: pa.DataType, columns: Sequence[Column]
) -> Value:
    """A function of plain values row by row; rows that it refuses are in doubt.

    Args:
        frame: the rows.
        name: what the function is called in a template.
        function: takes a value of each column.
        result: the Arrow type of what it gives.
        columns: its arguments.
    """
    frame.run.by_value.add(name)
    for column in columns:
        if isinstance(column, Value):
            frame.doubt_undefined(column)
    given = [repeat(c.value) if isinstance(c, Constant) else python_values(c.array) for c in columns]
    skip = frame.doubtful
    out: list[Any] = []
    refused: list[int] = []
    for row, values in zip(range(frame.size), zip(*given, strict=False), strict=False):
        if skip is not None and skip[row]:
            out.append(None)
            continue
        try:
            out.append(function(*values))
        except ROW_ERRORS:
            refused.append(row)
            out.append(None)
    frame.doubt_rows(np.array(refused, dtype=np.int64))
    return Value(string_array(out) if at.is_string(result) else pa.array(out, result))
