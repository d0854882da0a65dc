"""The sandbox: Jinja's immutable sandbox with our own attribute access, filters, tests and budgets.

A text passes `syntax.inspect` before it is compiled, so its code holds outputs, `if`, `for`, `set` and filters only.
Values are plain: attribute and item access reach parts of records, items of lists and the loop's counters, never an
attribute of a Python object. Nothing is escaped, trimmed or added. Printing null, a list or a record is an error of the
row, and so is everything over a budget: output, loop steps, and what filters and slices build on the way.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any

import jinja2
from jinja2 import StrictUndefined, TemplateError, Undefined, pass_context
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tasksource_reg.prompting.filters import (
    FILTERS,
    METHODS,
    TESTS,
    BudgetError,
    RowError,
    concat,
    kind_of,
    list_of,
    slice_of,
    text_of,
)
from tasksource_reg.prompting.syntax import LOOP_ATTRIBUTES, inspect, normalized

MAX_OUTPUT = 1 << 20
MAX_STEPS = 1_000_000
MAX_WORK = 8 << 20
"""Budgets of one text on one row: characters of output, parts of loop bodies that run, characters and
items that filters, slices, comparisons and `~` build or read."""

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
    "in": lambda left, right: left in right,
    "notin": lambda left, right: left not in right,
}
"""Jinja's names of the comparisons -> functions; as filters they are called `.eq` and so on."""

PLAIN_FILTERS: dict[str, Callable[..., Any]] = {
    **{name: entry.function for name, entry in FILTERS.items()},
    **{f".{name}": entry.function for name, entry in METHODS.items()},
    **{f".{name}": function for name, function in COMPARISONS.items()},
    "~": lambda *parts: concat(parts),
    ".slice": slice_of,
}
"""Every filter of a normalized tree but `.each`, as a function of plain values without budgets."""

ROW_ERRORS = (RowError, TemplateError, TypeError, ValueError, LookupError, ArithmeticError)
"""What rendering a row may raise because of the row: our refusals, undefined values, operands that do not mix."""


class RowContext(Context):
    """A context that is used for one row after the other; `steps` and `work` count against the budgets of a row."""

    steps = 0
    work = 0

    def start(self, values: dict[str, Any]) -> None:
        """Makes the context new for a row."""
        self.parent = values
        self.vars.clear()
        self.exported_vars.clear()
        self.steps = self.work = 0


def _charged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that counts against the row's budget what it builds, or the text that it looks through for less."""

    @pass_context
    def call(context: RowContext, value: Any, *arguments: Any) -> Any:
        out = function(value, *arguments)
        if type(out) is str:
            _spend(context, len(out))
        elif isinstance(out, list):
            _spend(context, len(out) + len(value) if isinstance(value, str) else len(out))
        elif isinstance(out, bool) and isinstance(value, (str, list)):
            _spend(context, len(value))
        return out

    return call


def _spend(context: RowContext, work: int) -> None:
    context.work += work
    if context.work > MAX_WORK:
        raise BudgetError(f"filters and slices build or read more than {MAX_WORK:,} characters and items")


def _compared(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """A comparison, which reads at most the whole of its right side."""

    @pass_context
    def call(context: RowContext, left: Any, right: Any) -> Any:
        if isinstance(right, (str, list)):
            _spend(context, len(right))
        try:
            return function(left, right)
        except TypeError as exc:
            raise RowError(f"a {kind_of(left)} cannot be compared so with a {kind_of(right)}") from exc

    return call


@pass_context
def _each(context: RowContext, value: Any, weight: int) -> Any:
    """The list of a loop, counted before it runs; `weight` is the size of the loop's body in parts."""
    items = list_of(value, "a loop")
    context.steps += len(items) * weight
    if context.steps > MAX_STEPS:
        raise BudgetError(f"loops take more than {MAX_STEPS:,} steps")
    return items


def _finalize(value: Any) -> Any:
    """Refuses what has no text of its own; text and numbers pass."""
    if type(value) is str or isinstance(value, (int, float, Undefined)):
        return value
    if value is None:
        raise RowError("null is printed; guard it with `if`, `or`, `then` or `default`")
    raise RowError(f"a {kind_of(value)} is printed; join it, or take one of its parts")


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """The one environment of all templates."""

    context_class = RowContext

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False, finalize=_finalize)
        self.globals.clear()
        self.filters = {name: _charged(function) for name, function in PLAIN_FILTERS.items()}
        self.filters |= {".each": _each}
        self.filters |= {f".{name}": _compared(function) for name, function in COMPARISONS.items()}
        self.tests = dict(TESTS)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A part of a record, or a counter of the loop."""
        if isinstance(obj, dict):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, LoopContext) and attribute in LOOP_ATTRIBUTES:
            return getattr(obj, attribute)
        if obj is None:
            raise RowError(f'null has no "{attribute}"; guard it with `if`')
        return self.undefined(f'a {kind_of(obj)} has no "{attribute}"', name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item of a list or a character of a text by its index, or a part of a record by its name."""
        if isinstance(obj, (list, str)) and type(argument) is int:
            return obj[argument] if -len(obj) <= argument < len(obj) else self.undefined(f"there is no item {argument}")
        if isinstance(obj, dict) and isinstance(argument, str):
            try:
                return obj[argument]
            except KeyError:
                return self.undefined(obj=obj, name=argument)
        if isinstance(argument, Undefined):
            text_of(argument)  # raises
        return self.undefined(f"a {kind_of(obj)} has no item {argument!r:.80}")

    def call(self, *arguments: Any, **named: Any) -> Any:
        """Nothing can be called; the syntax has no calls."""
        raise jinja2.exceptions.SecurityError("templates call nothing")


ENVIRONMENT = TemplateEnvironment()


class CompiledText:
    """One text, compiled: `render` gives its text for a row; `tree` is what other paths compile, not to be changed."""

    def __init__(self, source: str) -> None:
        inspection = inspect(source)
        if inspection.tree is None:
            raise ValueError(f"a text that did not pass inspection: {inspection.findings[0].message}")
        self.names = inspection.names
        self.tree = normalized(inspection.tree)
        for node in [self.tree, *self.tree.find_all(jinja2.nodes.Node)]:
            node.environment = ENVIRONMENT

    @cached_property
    def _root(self) -> Callable[[RowContext], Iterator[str]]:
        """Jinja's own function, for the rows that no faster path renders."""
        code = ENVIRONMENT.compile(self.tree, "template", "<template>")
        root: Callable[[RowContext], Iterator[str]] = jinja2.Template.from_code(ENVIRONMENT, code, {}).root_render_func
        return root

    def context(self) -> RowContext:
        """A context that `render` may use for any number of rows."""
        return RowContext(ENVIRONMENT, {}, "template", {})

    def render(self, context: RowContext, values: dict[str, Any]) -> str:
        """The text for one row.

        Args:
            context: from `context()`; used for nothing else at the same time.
            values: a value for each of `names`; not changed.

        Raises:
            one of `ROW_ERRORS`: the row cannot be rendered.
        """
        context.start(values)
        parts: list[str] = []
        size = 0
        for part in self._root(context):
            size += len(part)
            if size > MAX_OUTPUT:
                raise BudgetError(f"more than {MAX_OUTPUT:,} characters")
            parts.append(part)
        return "".join(parts)


@lru_cache(maxsize=4096)
def compiled(source: str) -> CompiledText:
    """A text compiled once for the process.

    Args:
        source: a text that passes `syntax.inspect`.

    Raises:
        ValueError: it does not.
    """
    return CompiledText(source)


def render_text(source: str, values: Mapping[str, Any]) -> str:
    """One text for one row; for tests and previews.

    Raises:
        one of `ROW_ERRORS`: the row cannot be rendered.
    """
    text = compiled(source)
    return text.render(text.context(), dict(values))
