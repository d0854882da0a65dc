"""Filters, methods and operators of imported templates: Jinja's and Python's own, with bounds on what they build.

Each gives what plain Jinja gives, or raises; those over lists stand in `foreign_lists`. `choice` and `random` pick by a
key of the row where plain Jinja asks a generator that knows nothing of the row.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import Undefined, pass_context
from jinja2.exceptions import SecurityError

from tasksource_reg.interop.foreign_lists import LIST_FILTERS, plain
from tasksource_reg.interop.foreign_syntax import FILTERS, METHODS
from tasksource_reg.prompting.filters import BudgetError, bounded

MOST_BITS = 1 << 16
"""Bits of the largest whole number."""

_WIDE = re.compile(r"\*|\d{5,}")
_PERCENT = re.compile(r"%(?:\([^)]*\))?([-+ #0]*[\d*]*(?:\.[\d*]*)?)")


# Text


def _joined(sep: str, items: Iterable[str], /) -> str:
    items = list(items)
    bounded(len(sep) * (len(items) - 1))
    return sep.join(items)


def concat(*parts: Any) -> str:
    """What `~` does."""
    texts = [str(part) for part in parts]
    bounded(sum(map(len, texts)))
    return "".join(texts)


def replace(s: Any, old: Any, new: Any, count: int | None = None) -> str:
    """Jinja's `replace`."""
    return _str_replace(str(s), str(old), str(new), -1 if count is None else count)


def _str_replace(text: str, old: str, new: str, count: int = -1, /) -> str:
    if len(new) > len(old):
        bounded(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new, count)


@lru_cache(maxsize=1024)
def _narrow(pattern: str) -> str:
    if any(_WIDE.search(width) for width in _PERCENT.findall(pattern)):
        raise BudgetError("a width of five digits or more in a format")
    return pattern


def percent(pattern: Any, *arguments: Any, **named: Any) -> str:
    """Jinja's `format`: what `%` does with text."""
    if arguments and named:
        raise ValueError("format takes arguments by place or by name, not both")
    return _narrow(str(pattern)) % (named or arguments)


@lru_cache(maxsize=1024)
def reads_no_attribute(pattern: str) -> bool:
    """Whether `str.format` of a pattern looks at no attributes, and builds no wide fields."""
    try:
        fields = [(name, spec) for _, name, spec, _ in string.Formatter().parse(pattern) if name is not None]
    except ValueError:
        return False
    return not any(
        "." in name or "{" in name or "{" in (spec or "") or _WIDE.search(spec or "") for name, spec in fields
    )


# Numbers


def rounded(value: Any, precision: int = 0, method: str = "common") -> Any:
    """Jinja's `round`."""
    if abs(precision) > 400:
        raise BudgetError("round takes at most 400 decimals")
    return plain("round")(value, precision, method)


def operate(operator: str, function: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """An operator that can build more than it is given: refused where that is too much.

    Args:
        operator: one of `+ * ** %`.
        function: what it does.
        left, right: its operands.
    """
    sized = (str, list, tuple)
    if operator == "+" and isinstance(left, sized) and isinstance(right, sized):
        bounded(len(left) + len(right))
    elif operator == "%" and isinstance(left, str):
        _narrow(left)
    elif operator == "*" and (isinstance(left, sized) or isinstance(right, sized)):
        items, times = (left, right) if isinstance(left, sized) else (right, left)
        bounded(len(items) * times if isinstance(times, int) else 0)
    elif operator in {"*", "**"} and isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * max(right, 1) if operator == "**" else left.bit_length() + right.bit_length()
        if bits > MOST_BITS:
            raise BudgetError(f"a number of more than {MOST_BITS:,} bits")
    return function(left, right)


# Picks


@pass_context
def choice(context: Any, items: Sequence[Any]) -> Any:
    """One of the items, by the row's next draw."""
    if not items:
        raise IndexError("choice: there is nothing to choose from")
    return items[context.draw(len(items))]


@pass_context
def random(context: Any, seq: Sequence[Any]) -> Any:
    """Jinja's `random`, by the row's next draw."""
    return choice(context, seq) if seq else context.environment.undefined("there is no item to pick")


def most_frequent(items: Any) -> Any:
    """Every value that occurs most often, first seen first; None without items."""
    if not items:
        return None
    counts = Counter(items)
    most = max(counts.values())
    return [item for item, count in counts.items() if count == most]


# Methods


def _method(name: str, str_format: Callable[..., str]) -> Callable[..., Any]:
    """A method as a function of the value and the arguments, by the value's type."""
    functions: dict[type, Any] = {kind: getattr(kind, name) for kind, names in METHODS.items() if name in names}
    bounds: dict[str, Any] = {"format": str_format, "join": _joined, "replace": _str_replace}
    if name in bounds:
        functions[str] = bounds[name]

    def call(value: Any, *arguments: Any, **named: Any) -> Any:
        function = functions.get(type(value))
        if function is not None:
            return function(value, *arguments, **named)
        if isinstance(value, Undefined):
            str(getattr(value, name))  # raises
        raise SecurityError(f"a value of the type {type(value).__name__} has no method {name}")

    return call


def filters(str_format: Callable[..., str]) -> dict[str, Callable[..., Any]]:
    """Every filter of a prepared tree but `.each`.

    Args:
        str_format: the method `format` of text, which walks values by the sandbox's rules.
    """
    own: dict[str, Callable[..., Any]] = {
        "replace": replace,
        "format": percent,
        "round": rounded,
        "choice": choice,
        "random": random,
        "most_frequent": most_frequent,
    }
    own |= LIST_FILTERS
    found: dict[str, Callable[..., Any]] = {name: own.get(name) or plain(name) for name in FILTERS}
    names = {name for methods in METHODS.values() for name in methods}
    return found | {"~": concat} | {f".{name}": _method(name, str_format) for name in names}
