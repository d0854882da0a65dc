"""Filters over lists as Jinja has them, said directly where their arguments are plain.

Jinja looks up a filter, a test or a path of attributes anew for each item. Here that is done once for a list; what is
not plain (several attributes, named arguments of tests, values that do not compare) goes to Jinja's own filter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jinja2 import Environment, UndefinedError, pass_context, pass_environment
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.filters import make_attrgetter

from tasksource_reg.prompting.filters import bounded

DIRECT = frozenset(
    {"abs", "capitalize", "count", "default", "float", "int", "length", "lower", "replace", "round", "string", "title"}
    | {"trim", "upper", "wordcount"}
)
"""Filters that need nothing but their arguments."""


def plain(name: str) -> Callable[..., Any]:
    """A filter of Jinja's without the wrapper that looks for async code at each call."""
    function = JINJA_FILTERS[name]
    found: Callable[..., Any] = getattr(function, "__wrapped__", function)
    return found


def part_of(environment: Environment, attribute: Any) -> Callable[[Any], Any]:
    """A function that looks up an attribute as Jinja's filters do."""
    if not isinstance(attribute, str) or "." in attribute or attribute.isdigit():
        return make_attrgetter(environment, attribute)

    def get(item: Any) -> Any:
        return item[attribute] if type(item) is dict and attribute in item else environment.getitem(item, attribute)

    return get


def folded(value: Any) -> Any:
    """What Jinja compares for a value where case does not count."""
    return value.lower() if isinstance(value, str) else value


@pass_environment
def join(environment: Environment, value: Iterable[Any], d: Any = "", attribute: Any = None) -> str:
    """Jinja's `join`, measured before it is built."""
    if attribute is not None:
        value = map(part_of(environment, attribute), value)
    items, sep = list(value), str(d)
    bounded(len(sep) * (len(items) - 1))
    try:
        return sep.join(items)
    except TypeError:
        return sep.join(map(str, items))


@pass_context
def mapped(context: Any, value: Iterable[Any], *arguments: Any, **named: Any) -> Iterator[Any]:
    """Jinja's `map`."""
    environment = context.environment
    if not value:
        return
    if not arguments and named.keys() == {"attribute"}:
        yield from map(part_of(environment, named["attribute"]), value)
    elif arguments and arguments[0] in DIRECT and not named:
        function, more = environment.filters[arguments[0]], arguments[1:]
        if more:
            yield from (function(item, *more) for item in value)
        else:
            yield from map(function, value)
    else:
        yield from plain("map")(context, value, *arguments, **named)


def _picking(name: str, wanted: bool, by_attribute: bool) -> Callable[..., Iterator[Any]]:
    """Jinja's `select`, `reject`, `selectattr` or `rejectattr`."""

    @pass_context
    def pick(context: Any, value: Iterable[Any], *arguments: Any, **named: Any) -> Iterator[Any]:
        if not value:
            return
        environment = context.environment
        if named or len(arguments) < by_attribute:
            yield from plain(name)(context, value, *arguments, **named)
            return
        read = part_of(environment, arguments[0]) if by_attribute else None
        how = arguments[by_attribute:]
        test, more = (environment.tests[how[0]], how[1:]) if how else (bool, ())
        for item in value:
            if bool(test(item if read is None else read(item), *more)) is wanted:
                yield item

    return pick


@pass_environment
def ordered(
    environment: Environment,
    value: Iterable[Any],
    reverse: bool = False,
    case_sensitive: bool = False,
    attribute: Any = None,
) -> list[Any]:
    """Jinja's `sort`."""
    items = list(value)
    if not case_sensitive and not (isinstance(attribute, str) and "," in attribute):
        try:
            if attribute is None:
                return sorted(items, key=folded, reverse=reverse)
            read = part_of(environment, attribute)
            return sorted(items, key=lambda item: folded(read(item)), reverse=reverse)
        except (TypeError, UndefinedError):  # values that are equal need not compare, where Jinja does it
            pass
    out: list[Any] = plain("sort")(environment, items, reverse, case_sensitive, attribute)
    return out


@pass_environment
def distinct(
    environment: Environment, value: Iterable[Any], case_sensitive: bool = False, attribute: Any = None
) -> Iterator[Any]:
    """Jinja's `unique`."""
    if case_sensitive or attribute is not None:
        yield from plain("unique")(environment, value, case_sensitive, attribute)
        return
    seen = set()
    for item in value:
        key = folded(item)
        if key not in seen:
            seen.add(key)
            yield item


def _extreme(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Jinja's `min` or `max`."""

    @pass_environment
    def find(
        environment: Environment, value: Iterable[Any], case_sensitive: bool = False, attribute: Any = None
    ) -> Any:
        if isinstance(value, list) and value and attribute is None and not case_sensitive:
            return function(value, key=folded)
        return plain(name)(environment, value, case_sensitive, attribute)

    return find


@pass_environment
def total(environment: Environment, iterable: Iterable[Any], attribute: Any = None, start: Any = 0) -> Any:
    """Jinja's `sum`."""
    return sum(iterable if attribute is None else map(part_of(environment, attribute), iterable), start)


LIST_FILTERS: dict[str, Callable[..., Any]] = {
    "join": join,
    "map": mapped,
    "max": _extreme("max", max),
    "min": _extreme("min", min),
    "reject": _picking("reject", False, False),
    "rejectattr": _picking("rejectattr", False, True),
    "select": _picking("select", True, False),
    "selectattr": _picking("selectattr", True, True),
    "sort": ordered,
    "sum": total,
    "unique": distinct,
}
