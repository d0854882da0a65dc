"""Filters of lists on columns: the same texts as `filters.py` gives value by value.

A list that becomes a text is laid out flat: each item gets what stands before it (a letter, a comma), and the items of
a row, which lie side by side, are joined by lines or made one text without copying them again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasksource_reg.nested import Ints, Mask, child_of, plain, relist, take, unlist, valid_of
from tasksource_reg.prompting.column_text import Kernel
from tasksource_reg.prompting.columns import item_texts, kind, lists, printed, text
from tasksource_reg.prompting.filters import FORMAT_PIECE, MAX_TEXT, letter
from tasksource_reg.prompting.frames import CannotSay, Column, Frame, TooBig, Value
from tasksource_reg.prompting.scope import Constant
from tasksource_reg.text_kernels.assemble import Piece, as_array, byte_sizes, chosen, filled, glued, places, runs_glued

_MOST_ITEMS = 4096
"""Longest list whose marks (A., B., ...) are made beforehand; longer ones go by the row path."""


@lru_cache(maxsize=64)
def _marks(style: str, n: int) -> pa.StringArray:
    """What stands before item 0, 1, ... n - 1 of a list."""
    label: Callable[[int], str] = {"lettered": letter, "numbered": lambda i: str(i + 1)}[style]
    return pa.array([f"{label(i)}. " for i in range(n)], pa.string())


def _lined(offsets: Ints, items: pa.StringArray, sep: str = "\n") -> pa.StringArray:
    """The items of each list in one text, on lines of their own."""
    return plain(pc.binary_join(relist(offsets, items), sep))


def _marked(style: str) -> Kernel:
    def call(frame: Frame, value: Column, arguments: list[Column]) -> Column:
        items, offsets = item_texts(frame, value, style)
        place = places(offsets)
        longest = int(place.max(initial=-1)) + 1
        if longest > _MOST_ITEMS:
            raise TooBig
        marks = take(_marks(style, 1 << max(longest - 1, 0).bit_length()), place)
        return Value(_lined(offsets, as_array(glued([marks, items]), len(items))))

    return call


def _bulleted(frame: Frame, value: Column, arguments: list[Column]) -> Column:
    items, offsets = item_texts(frame, value, "bulleted")
    mark = chosen(np.diff(offsets) > 0, "- ", "")
    return Value(as_array(glued([mark, _lined(offsets, filled(items), "\n- ")]), frame.size))


def _one_of(frame: Frame, value: Column, arguments: list[Column]) -> Column:
    items, offsets = item_texts(frame, value, "one_of")
    place, sizes = places(offsets), np.repeat(np.diff(offsets), np.diff(offsets))
    which = np.where(place == 0, 0, np.where(place + 1 == sizes, 2, 1))
    between = take(pa.array(["", ", ", " or "], pa.string()), which)
    return Value(runs_glued(as_array(glued([between, items]), len(items)), offsets))


def _room(sep: Piece, offsets: Ints) -> None:
    """Refuses separators that alone are more than one filter may build, before they are laid out.

    Raises:
        TooBig: so is a row's.
    """
    sizes = len(sep) if isinstance(sep, str) else byte_sizes(sep)
    if (np.diff(offsets) * sizes).max(initial=0) > MAX_TEXT:
        raise TooBig


def _join(frame: Frame, value: Column, arguments: list[Column]) -> Column:
    items, offsets = item_texts(frame, value, "join")
    sep = text(frame, arguments[0]) if arguments else ""
    _room(sep, offsets)
    if isinstance(sep, str) and not sep:
        return Value(runs_glued(items, offsets))
    return Value(filled(plain(pc.binary_join(relist(offsets, filled(items)), sep))))


def _join_method(frame: Frame, value: Column, arguments: list[Column]) -> Column:
    return _join(frame, arguments[0], [value])


def _lines(frame: Frame, value: Column, arguments: list[Column]) -> Column:
    pattern = arguments[0]
    if not isinstance(pattern, Constant) or not isinstance(pattern.value, str):
        raise CannotSay("lines with a pattern that differs from row to row")
    values, offsets, _ = unlist(lists(frame, value, "lines").array)
    if kind(values.type) != "record":
        raise CannotSay(f"lines of a list of {kind(values.type)}")
    refused = ~valid_of(values)
    known = {field.name for field in values.type}
    parts: list[Piece] = []
    for i, piece in enumerate(FORMAT_PIECE.split(pattern.value)):
        if i % 2 == 0:
            parts.append(piece)
        elif piece not in known:
            refused |= True
        else:
            part = child_of(values, piece)
            refused = refused | ~valid_of(part)
            parts.append(printed(part))
    frame.doubt_rows(_rows_of(offsets, refused))
    return Value(_lined(offsets, as_array(glued(parts), len(values))))


def _rows_of(offsets: Ints, elements: Mask) -> Ints:
    """The rows of the lists that hold these elements."""
    rows: Ints = np.searchsorted(offsets, np.flatnonzero(elements), side="right") - 1
    return rows


def _zip_lines(frame: Frame, value: Column, arguments: list[Column]) -> Column:
    left, offsets = item_texts(frame, value, "zip_lines")
    right, others = item_texts(frame, arguments[0], "zip_lines")
    sep = text(frame, arguments[1])
    _room(sep, offsets)
    uneven = np.diff(offsets) != np.diff(others)
    if uneven.any():
        frame.doubt(uneven)
        fits = np.repeat(~uneven, np.diff(offsets)), np.repeat(~uneven, np.diff(others))
        left, right = left.filter(pa.array(fits[0])), right.filter(pa.array(fits[1]))
        offsets = np.concatenate([[0], np.cumsum(np.where(uneven, 0, np.diff(offsets)))])
    if not isinstance(sep, str):
        sep = take(sep, np.repeat(np.arange(frame.size), np.diff(offsets)))
    return Value(_lined(offsets, as_array(glued([left, sep, right]), len(left))))


def _end(last: bool) -> Kernel:
    def call(frame: Frame, value: Column, arguments: list[Column]) -> Column:
        values, offsets, _ = unlist(lists(frame, value, "last" if last else "first").array)
        held = np.diff(offsets) > 0
        return Value(take(values, np.where(held, offsets[1:] - 1 if last else offsets[:-1], -1)))

    return call


LIST_KERNELS: dict[str, Kernel] = {
    "one_of": _one_of,
    "lettered": _marked("lettered"),
    "numbered": _marked("numbered"),
    "bulleted": _bulleted,
    "lines": _lines,
    "join": _join,
    ".join": _join_method,
    "zip_lines": _zip_lines,
    "first": _end(last=False),
    "last": _end(last=True),
}
