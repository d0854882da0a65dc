"""Filters and methods of text on columns: the same texts as `filters.py` gives value by value.

`TEXT_KERNELS` maps the names of filters, of methods (`.strip`) and of `~` to functions of a frame, the value and the
arguments. What has no kernel here is in `column_lists.py`, or goes value by value (`BY_PYTHON`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasksource_reg.nested import ints_of, plain, relist, unlist, valid_of
from tasksource_reg.prompting.columns import by_python, choose, kind, printed, text, truth, value_of
from tasksource_reg.prompting.environment import ROW_ERRORS
from tasksource_reg.prompting.filters import FILTERS, METHODS
from tasksource_reg.prompting.frames import CannotSay, Column, Frame, Value
from tasksource_reg.prompting.scope import Constant
from tasksource_reg.text_kernels.assemble import (
    PYTHON_WHITE_SPACE,
    Piece,
    as_array,
    ascii_case,
    glued,
    raw_texts,
    replaced,
    said_by_python,
)

Kernel: TypeAlias = "Callable[[Frame, Column, list[Column]], Column]"


def column_of(piece: Piece) -> Column:
    """A text as a column."""
    return Constant(piece) if isinstance(piece, str) else Value(piece)


def array_of(frame: Frame, column: Column) -> pa.StringArray:
    """The text of a column with one value a row; rows of null values are in doubt."""
    piece = text(frame, column)
    return as_array(piece, frame.size) if isinstance(piece, str) else piece


def _case(name: str, kernel: Callable[[Any], Any], function: Callable[[str], str]) -> Kernel:
    def call(frame: Frame, value: Column, arguments: list[Column]) -> Column:
        return Value(ascii_case(array_of(frame, value), kernel, function))

    return call


def _lower_first(array: pa.StringArray) -> pa.StringArray:
    first = pc.ascii_lower(pc.utf8_slice_codeunits(array, 0, 1))
    return pc.binary_join_element_wise(first, pc.utf8_slice_codeunits(array, 1), "")


def _trimmed(kernel: Callable[..., Any], method: Callable[..., str], name: str) -> Kernel:
    def call(frame: Frame, value: Column, arguments: list[Column]) -> Column:
        characters = arguments[0] if arguments else Constant(PYTHON_WHITE_SPACE)
        if not isinstance(characters, Constant) or not isinstance(characters.value, str):
            return by_python(frame, name, method, pa.string(), [value, *arguments])
        array = array_of(frame, value)
        return Value(plain(kernel(array, characters=characters.value)) if characters.value else array)

    return call


def _affix(kernel: Callable[..., Any], name: str) -> Kernel:
    def call(frame: Frame, value: Column, arguments: list[Column]) -> Column:
        if not isinstance(arguments[0], Constant) or not isinstance(arguments[0].value, str):
            return by_python(frame, name, METHODS[name].function, pa.bool_(), [value, *arguments])
        array = array_of(frame, value)
        return Value(plain(pc.fill_null(kernel(array, pattern=arguments[0].value), False)))

    return call


def _replace(frame: Frame, value: Column, arguments: list[Column]) -> Column:
    old, new = arguments
    literal = isinstance(old, Constant) and isinstance(new, Constant) and type(old.value) is type(new.value) is str
    if not literal or not old.value:  # type: ignore[union-attr]
        return by_python(frame, "replace", FILTERS["replace"].function, pa.string(), [value, *arguments])
    return Value(replaced(array_of(frame, value), old.value, new.value))  # type: ignore[union-attr]


def _then(frame: Frame, value: Column, arguments: list[Column]) -> Column:
    value = value_of(value, frame.size)
    frame.doubt_undefined(value)
    what = kind(value.array.type)
    if what == "null":
        return Constant("")
    if what == "list":  # an empty one gives "", others are refused
        given = truth(frame, value)
        assert not isinstance(given, bool)
        frame.doubt(given)
        return Constant("")
    array = printed(value.array)
    filled = valid_of(array) if what != "text" else truth(frame, value)
    inner = frame.branch()
    sep = text(inner, arguments[0])
    assert not isinstance(filled, bool)
    frame.close(inner, filled)
    return Value(as_array(glued([array, plain(pc.if_else(pa.array(filled), sep, ""))]), frame.size))


def _concat(frame: Frame, value: Column, arguments: list[Column]) -> Column:
    return column_of(glued([text(frame, part) for part in (value, *arguments)]))


def _default(frame: Frame, value: Column, arguments: list[Column]) -> Column:
    value = value_of(value, frame.size)
    return choose(frame, valid_of(value.array), Value(value.array), arguments[0])


def _length(frame: Frame, value: Column, arguments: list[Column]) -> Column:
    value = value_of(value, frame.size)
    what = kind(value.array.type)
    if what not in ("text", "list"):
        raise CannotSay(f"length of a {what}")
    frame.doubt_null(value)
    sizes = pc.utf8_length(value.array) if what == "text" else pc.list_value_length(value.array)
    return Value(pa.array(ints_of(sizes, 0)))


def _rounded(frame: Frame, value: Column, arguments: list[Column]) -> Column:
    digits = arguments[0] if arguments else Constant(0)
    value = value_of(value, frame.size)
    what = kind(value.array.type)
    if what not in ("number", "whole number") or not isinstance(digits, Constant):
        return by_python(frame, "rounded", FILTERS["rounded"].function, pa.string(), [value, digits])
    frame.doubt_null(value)
    try:
        return Value(said_by_python(value.array, lambda number: FILTERS["rounded"].function(number, digits.value)))
    except ROW_ERRORS:  # the number of decimals, whatever the row
        frame.doubt_all()
        return Constant("")


def _split(frame: Frame, value: Column, arguments: list[Column]) -> Column:
    sep = arguments[0] if len(arguments) == 1 else None
    if isinstance(sep, Constant) and isinstance(sep.value, str) and sep.value:
        return Value(plain(pc.split_pattern(array_of(frame, value), pattern=sep.value)))
    return by_python(frame, "split", METHODS["split"].function, pa.list_(pa.string()), [value, *arguments])


def json_texts(array: pa.Array) -> pa.StringArray | None:
    """Text, whole numbers and lists of them as the filter `json` writes them; None for other types."""
    what = kind(array.type)
    if what == "text":
        return plain(pc.fill_null(pc.binary_join_element_wise('"', _json_escaped(array), '"', ""), "null"))
    if what == "whole number":
        return plain(pc.fill_null(array.cast(pa.string()), "null"))
    if what == "list":
        values, offsets, valid = unlist(array)
        inner = json_texts(values)
        if inner is None:
            return None
        joined = pc.binary_join(relist(offsets, inner, valid), ", ")
        return plain(pc.fill_null(pc.binary_join_element_wise("[", joined, "]", ""), "null"))
    return None


def _json_escaped(array: pa.StringArray) -> pa.StringArray:
    """Texts with what JSON escapes, written as `json.dumps` does."""
    offsets, data = raw_texts(array)
    held = data[offsets[0] : offsets[-1]]
    special = [character for character in '\\"' if (held == ord(character)).any()]
    special += [chr(byte) for byte in np.unique(held[held < 0x20]).tolist()]
    for character in special:
        array = replaced(array, character, json.dumps(character)[1:-1])
    return array


def _json(frame: Frame, value: Column, arguments: list[Column]) -> Column:
    if isinstance(value, Value):
        frame.doubt_undefined(value)
        out = json_texts(value.array)
        if out is not None:
            return Value(out)
    return by_python(frame, "json", FILTERS["json"].function, pa.string(), [value])


_UPPER = _case("upper", pc.ascii_upper, str.upper)
_LOWER = _case("lower", pc.ascii_lower, str.lower)

TEXT_KERNELS: dict[str, Kernel] = {
    "~": _concat,
    "then": _then,
    "default": _default,
    "length": _length,
    "rounded": _rounded,
    "replace": _replace,
    "json": _json,
    "upper": _UPPER,
    "lower": _LOWER,
    "capitalize": _case("capitalize", pc.ascii_capitalize, str.capitalize),
    "lower_first": _case("lower_first", _lower_first, lambda text: text[:1].lower() + text[1:]),
    "trim": _trimmed(pc.utf8_trim, FILTERS["trim"].function, "trim"),
    ".strip": _trimmed(pc.utf8_trim, METHODS["strip"].function, "strip"),
    ".lstrip": _trimmed(pc.utf8_ltrim, METHODS["lstrip"].function, "lstrip"),
    ".rstrip": _trimmed(pc.utf8_rtrim, METHODS["rstrip"].function, "rstrip"),
    ".startswith": _affix(pc.starts_with, "startswith"),
    ".endswith": _affix(pc.ends_with, "endswith"),
    ".split": _split,
    ".upper": _UPPER,
    ".lower": _LOWER,
    ".replace": _replace,
}

BY_PYTHON: dict[str, tuple[Callable[..., Any], pa.DataType]] = {
    "bracketed": (FILTERS["bracketed"].function, pa.string()),
    ".title": (METHODS["title"].function, pa.string()),
}
"""Filters that go value by value, with the Arrow type of what they give."""
