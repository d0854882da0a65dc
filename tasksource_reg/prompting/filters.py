"""The closed lists of filters, methods and tests that templates may use, each a pure function of plain values.

Values are what the scope holds: text, numbers, booleans, None, lists, records (dicts). None is refused by every filter
but `then`, `default` and `json`, so that a missing field never turns into the word "None". Filters that Jinja has too
(`join`, `trim`, `lower`, `upper`, `capitalize`, `replace`, `length`) give Jinja's text. What a filter builds is
bounded: sizes are computed before the text is, so that no template can ask for more than `MAX_TEXT` characters at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice, product, repeat
from string import ascii_uppercase
from typing import Any

from jinja2 import Undefined

_TEXT_ONLY = {str}

MAX_TEXT = 1 << 20
"""Most characters that one filter, method or `~` may build."""

FORMAT_PIECE = re.compile(r"\{(\w+)\}")


class RowError(Exception):
    """A template that cannot be rendered for a row: what is wrong, in one sentence."""


class BudgetError(RowError):
    """A template that asks for too much on a row."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One entry of a closed list.

    Attributes:
        function: takes the value and the arguments.
        least, most: how many arguments it takes beside the value.
        doc: one line; what it does with None is said where it is not an error.
    """

    function: Callable[..., Any]
    least: int
    most: int
    doc: str


def text_of(value: Any, name: str = "a value") -> str:
    """A scalar as Jinja prints it.

    Raises:
        RowError: None, an undefined value, a list or a record.
    """
    if type(value) is str:
        return value
    if isinstance(value, (int, float)):
        return str(value)
    if value is None:
        raise RowError(f"{name} is null where text is needed; guard it with `if`, `or`, `then` or `default`")
    if isinstance(value, Undefined):
        return str(value)  # raises UndefinedError with Jinja's own words
    raise RowError(f"{name} is a {kind_of(value)} where text is needed; join it, or take one of its parts")


def kind_of(value: Any) -> str:
    """What a value is, in the words of the format."""
    if isinstance(value, dict):
        return "record"
    if isinstance(value, (list, tuple)):
        return "list"
    return {str: "text", bool: "boolean", int: "number", float: "number", type(None): "null"}.get(type(value), "value")


def list_of(value: Any, name: str) -> Sequence[Any]:
    """A list, as it is.

    Raises:
        RowError: anything else, null included.
    """
    if isinstance(value, list):
        return value
    if isinstance(value, Undefined):
        return list(value)  # raises
    raise RowError(f"{name} needs a list, and got {'null' if value is None else 'a ' + kind_of(value)}")


def bounded(size: int) -> None:
    """Refuses a size in characters.

    Raises:
        BudgetError: more than `MAX_TEXT`.
    """
    if size > MAX_TEXT:
        raise BudgetError(f"a text of {size:,} characters; at most {MAX_TEXT:,} are allowed")


def joined(parts: Sequence[str], sep: str) -> str:
    """Texts with a separator between them, refused before they are built if the sum is over the budget."""
    bounded(sum(map(len, parts)) + len(sep) * max(0, len(parts) - 1))
    return sep.join(parts)


def _texts(value: Any, name: str) -> Sequence[str]:
    items = list_of(value, name)
    if set(map(type, items)) <= _TEXT_ONLY:
        return items
    return [text_of(item, f"an item of {name}") for item in items]


def letter(index: int) -> str:
    """A, B, ... Z, AA, AB, ...: the letter of the option with this 0-based index."""
    out = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        out = chr(65 + rest) + out
    return out


def _letters() -> Iterator[str]:
    """A, B, ... without end."""
    for size in count(1):
        yield from map("".join, product(ascii_uppercase, repeat=size))


_MARKS: dict[str, Callable[[], Iterable[str]]] = {
    "lettered": lambda: (f"{mark}. " for mark in _letters()),
    "numbered": lambda: (f"{number}. " for number in count(1)),
    "bulleted": lambda: repeat("- "),
}


def _marks(name: str, n: int) -> list[str]:
    """What stands before each of n items, and room for the item: ["A. ", "", "\\nB. ", "", ...]."""
    marks = [piece for mark in islice(_MARKS[name](), n) for piece in (f"\n{mark}", "")]
    if marks:
        marks[0] = marks[0][1:]
    return marks


_FIRST_MARKS = {name: _marks(name, 64) for name in _MARKS}


def _marked(value: Any, name: str) -> str:
    """A line for each item, with its mark; the items are texts already or become such."""
    items = list_of(value, name)
    bounded(3 * len(items) - 1)
    known = _FIRST_MARKS[name]
    parts = known[: 2 * len(items)] if 2 * len(items) <= len(known) else _marks(name, len(items))
    parts[1::2] = items
    try:
        text = "".join(parts)
    except TypeError:
        return _marked(_texts(items, name), name)
    bounded(len(text))
    return text


def _one_of(value: Any) -> str:
    items = _texts(value, "one_of")
    if len(items) < 2:
        return "".join(items)
    return joined([joined(items[:-1], ", "), items[-1]], " or ")


def _then(value: Any, sep: Any) -> str:
    if value is None or value == "" or value == []:
        return ""
    if type(value) is not str or type(sep) is not str:
        value, sep = text_of(value, "then"), text_of(sep, "then's separator")
    bounded(len(value) + len(sep))
    return value + sep  # type: ignore[no-any-return]


def _lines(value: Any, template: Any) -> str:
    """`template` holds `{name}` for a part of each record; other braces stand for themselves."""
    pieces = FORMAT_PIECE.split(text_of(template, "lines' pattern"))  # text, name, text, name, ..., text
    rows, size = [], 0
    for item in list_of(value, "lines"):
        if not isinstance(item, dict):
            raise RowError(f"lines needs a list of records, and got a list that holds a {kind_of(item)}")
        parts = []
        for i, piece in enumerate(pieces):
            if i % 2 and piece not in item:
                raise RowError(f'lines: the records have no "{piece}"; they have {", ".join(map(str, item))}')
            parts.append(text_of(item[piece], f'"{piece}"') if i % 2 else piece)
            size += len(parts[-1])
            bounded(size)
        rows.append("".join(parts))
    return joined(rows, "\n")


def _json(value: Any) -> str:
    if isinstance(value, Undefined):
        str(value)  # raises
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    bounded(len(text))
    return text


def _join(value: Any, sep: Any = "") -> str:
    items = list_of(value, "join")
    between = text_of(sep, "join's separator")
    bounded(len(between) * (len(items) - 1))
    try:
        text = between.join(items)
    except TypeError:
        return joined(_texts(items, "join"), between)
    bounded(len(text))
    return text


def _replace(value: Any, old: Any, new: Any) -> str:
    text, old, new = (text_of(part, "replace") for part in (value, old, new))
    if len(new) > len(old):
        bounded(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def _length(value: Any) -> int:
    if isinstance(value, (str, list)):
        return len(value)
    if isinstance(value, Undefined):
        return len(value)  # raises
    raise RowError(f"length needs a list or text, and got {'null' if value is None else 'a ' + kind_of(value)}")


def _default(value: Any, fallback: Any) -> Any:
    return fallback if value is None or isinstance(value, Undefined) else value


def _first(value: Any) -> Any:
    items = list_of(value, "first")
    return items[0] if items else None


def _last(value: Any) -> Any:
    items = list_of(value, "last")
    return items[-1] if items else None


def _rounded(value: Any, digits: Any = 0) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        text_of(value, "rounded")
        raise RowError(f"rounded needs a number, and got a {kind_of(value)}")
    if not isinstance(digits, int) or not 0 <= digits <= 15:
        raise RowError("rounded takes 0 to 15 decimals")
    text = f"{value:.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _bracketed(value: Any, entities: Any) -> str:
    """Tokens (joined by spaces) or text with `[...: type]` around each entity; entities may not overlap."""
    parts: Sequence[str] = [value] if isinstance(value, str) else _texts(value, "bracketed")
    whole, sep = (value, "") if isinstance(value, str) else (parts, " ")
    out: list[str] = []
    at = 0
    for entity in sorted(list_of(entities, "bracketed's entities"), key=lambda e: (e["start"], e["end"])):
        start, end = entity["start"], entity["end"]
        if not at <= start < end <= len(whole):
            raise RowError("bracketed: entities that overlap, are empty, or reach beyond the text")
        kind = text_of(entity["type"] if "type" in entity else entity.get("label"), "the entity's type")
        out += whole[at:start]
        out.append(f"[{sep.join(whole[start:end])}: {kind}]")
        at = end
    return joined([*out, *whole[at:]], sep)


def _zip_lines(value: Any, other: Any, sep: Any) -> str:
    left, right = list_of(value, "zip_lines"), list_of(other, "zip_lines")
    if len(left) != len(right):
        raise RowError(f"zip_lines: lists of {len(left)} and {len(right)} items")
    between = text_of(sep, "zip_lines' separator")
    bounded(len(left) * (len(between) + 1))
    parts = ["", between, "", "\n"] * len(left)
    parts[::4], parts[2::4] = left, right
    try:
        text = "".join(parts[:-1])
    except TypeError:
        return _zip_lines(_texts(left, "zip_lines"), _texts(right, "zip_lines"), between)
    bounded(len(text))
    return text


def _text_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A method of str as a function of text and text arguments."""

    def call(value: Any, *arguments: Any) -> Any:
        out = function(text_of(value, name), *(text_of(a, f"{name}'s argument") for a in arguments))
        if type(out) is str:
            bounded(len(out))
        return out

    return call


def _split(value: Any, sep: Any = None, most: Any = -1) -> list[str]:
    if sep is not None and not text_of(sep, "split's separator"):
        raise RowError("split: the separator is empty")
    if not isinstance(most, int):
        raise RowError("split: the second argument is a number")
    return text_of(value, "split").split(sep, most)


FILTERS: dict[str, Filter] = {
    "one_of": Filter(_one_of, 0, 0, '"a, b or c"'),
    "lettered": Filter(
        lambda value: _marked(value, "lettered"), 0, 0, 'a line "A. item" for each item; after Z come AA, AB, ...'
    ),
    "numbered": Filter(lambda value: _marked(value, "numbered"), 0, 0, 'a line "1. item" for each item'),
    "bulleted": Filter(lambda value: _marked(value, "bulleted"), 0, 0, 'a line "- item" for each item'),
    "then": Filter(_then, 1, 1, 'the value and the separator; "" when the value is null or empty'),
    "lines": Filter(_lines, 1, 1, "the pattern, such as '{text}: {type}', filled in for each record, one a line"),
    "json": Filter(_json, 0, 0, "the value as JSON on one line, characters outside ASCII as they are; null is null"),
    "join": Filter(_join, 0, 1, "the items in one text, with the separator between them"),
    "trim": Filter(
        _text_filter("trim", str.strip), 0, 1, "the text without white space (or these characters) at its ends"
    ),
    "lower": Filter(_text_filter("lower", str.lower), 0, 0, "in lower case"),
    "upper": Filter(_text_filter("upper", str.upper), 0, 0, "in upper case"),
    "capitalize": Filter(
        _text_filter("capitalize", str.capitalize), 0, 0, "first letter upper case, the rest lower case"
    ),
    "lower_first": Filter(
        _text_filter("lower_first", lambda text: text[:1].lower() + text[1:]), 0, 0, "the first letter in lower case"
    ),
    "replace": Filter(_replace, 2, 2, "every occurrence of the first text replaced by the second"),
    "length": Filter(_length, 0, 0, "how many items, or characters"),
    "default": Filter(_default, 1, 1, "the argument when the value is null or undefined, else the value"),
    "first": Filter(_first, 0, 0, "the first item; null when there is none"),
    "last": Filter(_last, 0, 0, "the last item; null when there is none"),
    "rounded": Filter(_rounded, 0, 1, "a number with at most so many decimals (0 unless told), without trailing zeros"),
    "bracketed": Filter(_bracketed, 1, 1, "tokens or text with [...: type] around each entity"),
    "zip_lines": Filter(
        _zip_lines, 2, 2, "items of two lists side by side, with the separator between, one pair a line"
    ),
}

METHODS: dict[str, Filter] = {
    "strip": Filter(_text_filter("strip", str.strip), 0, 1, "without white space (or these characters) at both ends"),
    "lstrip": Filter(_text_filter("lstrip", str.lstrip), 0, 1, "the same at the start"),
    "rstrip": Filter(_text_filter("rstrip", str.rstrip), 0, 1, "the same at the end"),
    "split": Filter(_split, 0, 2, "the parts between a separator (white space unless told), at most so many cuts"),
    "startswith": Filter(_text_filter("startswith", str.startswith), 1, 1, "whether the text starts so"),
    "endswith": Filter(_text_filter("endswith", str.endswith), 1, 1, "whether the text ends so"),
    "upper": Filter(_text_filter("upper", str.upper), 0, 0, "in upper case"),
    "lower": Filter(_text_filter("lower", str.lower), 0, 0, "in lower case"),
    "title": Filter(_text_filter("title", str.title), 0, 0, "each word with an upper case letter first"),
    "replace": Filter(_replace, 2, 2, "every occurrence of the first text replaced by the second"),
    "join": Filter(lambda sep, value: _join(value, sep), 1, 1, "the items of a list with this text between them"),
}

TESTS: dict[str, Callable[[Any], bool]] = {
    "defined": lambda value: not isinstance(value, Undefined),
    "none": lambda value: value is None,
}


def slice_of(value: Any, start: Any, stop: Any, step: Any) -> Any:
    """What `value[start:stop:step]` does, for lists and text."""
    if isinstance(value, Undefined):
        str(value)  # raises
    if not isinstance(value, (str, list)):
        raise RowError(f"a slice needs a list or text, and got {'null' if value is None else 'a ' + kind_of(value)}")
    if not all(bound is None or type(bound) is int for bound in (start, stop, step)) or step == 0:
        raise RowError("the bounds of a slice are whole numbers, and its step is not 0")
    return value[start:stop:step]


def concat(parts: Iterable[Any]) -> str:
    """What `~` does: the values as text, one after the other."""
    return joined([text_of(part, "a part of ~") for part in parts], "")
