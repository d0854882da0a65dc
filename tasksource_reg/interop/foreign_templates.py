"""Templates of other projects, rendered as they were written: `prompt ||| target` with Jinja's own defaults.

The environment is not that of our own templates: undefined names are empty, None prints as a word, and lists that a
template makes may grow. It is closed all the same (`foreign_syntax`), and what a row may ask for is bounded. Texts are
those of plain Jinja; a row that plain Jinja cannot render, or that is over a bound, fails with its reason. Jinja's own
generated code runs over column lists with one context for all rows, which saves most of what a call of `render` costs.

Two filters pick at random in their homes. Here a pick is a draw of (seed, row, how many picks came before).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from itertools import islice, repeat
from typing import Any

import jinja2
import numpy as np
import pyarrow as pa
from jinja2 import Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment, SandboxedFormatter
from jinja2.utils import Namespace

from tasksource_reg.errors import Problem, error, excerpt, raise_problems
from tasksource_reg.interop.foreign_syntax import CALLABLE, CALLED, TESTS, prepared, read
from tasksource_reg.interop.foreign_values import filters, operate, reads_no_attribute
from tasksource_reg.keyed import draw, stream_key
from tasksource_reg.nested import python_values
from tasksource_reg.prompting.environment import MAX_OUTPUT, MAX_STEPS
from tasksource_reg.prompting.filters import BudgetError
from tasksource_reg.prompting.render import Failure

SEPARATOR = "|||"
BLOCK_ROWS = 256

_PARTS = 64
"""Pieces of a text between two looks at its size."""

GUARD = "\ue000\ue001\ue002"
"""Stands for the separator in a row's own text while the rendered text is cut; of the private use area."""

_PLAIN = (
    *(str, int, float, type(None), list, tuple, dict, bytes, Decimal, date, time, timedelta),
    *(range, LoopContext, Undefined),
)
"""Types whose attributes a template may read, those that can be called apart."""

_HIDDEN = frozenset(name for name in dir(dict) if not name.startswith("_"))
"""Keys of records that an attribute does not reach, since records have methods of these names."""

_COUNTERS = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0", "previtem", "nextitem"}
)


class _RowContext(Context):
    """A context for one row after the other.

    Attributes:
        steps: what loops have taken on this row.
        picks: how many draws the row has had.
        row: the index of the row in its block.
        bits: the draws of the block, a list for each pick.
        more: gives the next such list.
    """

    steps = 0
    picks = 0
    row = 0
    bits: list[list[int]]
    more: Callable[[int], list[int]]

    def start(self, values: dict[str, Any], row: int) -> None:
        """Makes the context new for a row."""
        self.parent = values
        self.row = row
        self.picks = 0
        self.clear()

    def clear(self) -> None:
        """Makes the context new for another text of the row, whose picks go on."""
        self.vars.clear()
        self.exported_vars.clear()
        self.steps = 0

    def draw(self, n: int) -> int:
        """A number below n, by the row's next draw."""
        if self.picks == len(self.bits):
            self.bits.append(self.more(self.picks))
        self.picks += 1
        return self.bits[self.picks - 1][self.row] * n >> 64


class RowNamespace(Namespace):
    """Jinja's `namespace`, whose values the environment reads without asking it."""

    __slots__ = ("values",)
    __getattribute__ = object.__getattribute__

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.values = dict(*arguments, **named)

    def __setitem__(self, name: str, value: Any) -> None:
        self.values[name] = value

    def __repr__(self) -> str:
        return f"<Namespace {self.values!r}>"


class _Formatter(SandboxedFormatter):
    """`str.format` by the rules of the environment, without wide fields."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        if any(len(digits) > 4 for digits in "".join(c if c.isdigit() else " " for c in format_spec).split()):
            raise BudgetError("a width of five digits or more in a format")
        return super().format_field(value, format_spec)


@pass_context
def _counters(context: _RowContext, value: Any, weight: int) -> Iterator[tuple[Any, int, int]]:
    """What a loop runs over, each with its number from 1 and the number of all."""
    items = _each(context, value, weight, False)
    return zip(items, range(1, len(items) + 1), repeat(len(items)))


@pass_context
def _each(context: _RowContext, value: Any, weight: int, growing: bool) -> Any:
    """What a loop runs over, counted against the row's budget."""
    if type(value) is not list:
        if not hasattr(value, "__len__"):
            value = list(islice(value, MAX_STEPS + 1))
    elif growing:
        return _counted(context, value, weight)
    context.steps += len(value) * weight
    if context.steps > MAX_STEPS:
        raise BudgetError(_STEPS)
    return value


def _counted(context: _RowContext, value: list[Any], weight: int) -> Iterator[Any]:
    for item in value:
        context.steps += weight
        if context.steps > MAX_STEPS:
            raise BudgetError(_STEPS)
        yield item


_STEPS = f"loops take more than {MAX_STEPS:,} steps"


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN)


class ForeignEnvironment(SandboxedEnvironment):
    """The one environment of imported templates."""

    context_class = _RowContext
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__()
        known = {**self.globals, "namespace": RowNamespace, "zip": zip}
        self.globals = {CALLED + name: known[name] for name in CALLABLE}
        self.filters = {**filters(self.format), ".each": _each, ".counters": _counters}
        self.tests = {name: self.tests[name] for name in TESTS}

    def format(self, pattern: str, *arguments: Any, **named: Any) -> str:
        """The method `format` of text."""
        if reads_no_attribute(pattern):
            return pattern.format(*arguments, **named)
        return _Formatter(self).vformat(pattern, arguments, named)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """An attribute or an item of a plain value, as plain Jinja finds it."""
        kind = type(obj)
        if kind is LoopContext and attribute in _COUNTERS:
            return getattr(obj, attribute)
        if (kind is dict and attribute not in _HIDDEN) or kind is RowNamespace:
            record = obj if kind is dict else obj.values
            return record[attribute] if attribute in record else self.undefined(obj=obj, name=attribute)
        if attribute.startswith("_") or not _is_plain(obj):
            raise SecurityError(f"the part {excerpt(attribute, 30)} of a {type(obj).__name__}")
        try:
            value = getattr(obj, attribute)
        except AttributeError:
            try:
                return obj[attribute]
            except (TypeError, LookupError):
                return self.undefined(obj=obj, name=attribute)
        if callable(value) and not isinstance(value, Undefined):
            raise SecurityError(f"the method {attribute} without a call")
        return value

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item of a plain value, or an attribute, as plain Jinja finds it."""
        try:
            return obj[argument]
        except (AttributeError, TypeError, LookupError):
            if isinstance(argument, str):
                return self.getattr(obj, argument)
        return self.undefined(obj=obj, name=argument)

    def call(self, context: Context, function: Any, /, *arguments: Any, **named: Any) -> Any:
        """Calls one of the few names that may be called."""
        if not any(function is known for known in self.globals.values()):
            raise SecurityError("a call of something that is no function")
        return function(*arguments, **named)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operator that can build more than it is given."""
        return operate(operator, self.binop_table[operator], left, right)


ENVIRONMENT = ForeignEnvironment()


class _Text:
    """One text, compiled."""

    def __init__(self, source: str, name: str) -> None:
        foreign = read(source)
        if foreign.tree is None:
            raise_problems(
                [Problem(f.code, f"{name}, line {f.line}: {f.message}", fix=f.fix) for f in foreign.findings]
            )
        assert foreign.tree is not None
        self.names = foreign.names
        tree = prepared(foreign.tree)
        for node in [tree, *tree.find_all(nodes.Node)]:
            node.environment = ENVIRONMENT
        try:
            code = ENVIRONMENT.compile(tree, name, f"<{name}>")
        except (jinja2.TemplateError, SyntaxError) as exc:  # such as a loop over a name `loop`
            raise error("TSR-T001", f"{name}: Jinja: {excerpt(str(exc))}") from exc
        template = jinja2.Template.from_code(ENVIRONMENT, code, {})
        self._root: Callable[[Context], Iterator[str]] = template.root_render_func

    def render(self, context: _RowContext) -> str:
        """The text for the row that the context was started for."""
        parts = self._root(context)
        out: list[str] = []
        size = 0
        while some := list(islice(parts, _PARTS)):
            out.append("".join(some))
            size += len(out[-1])
            if size > MAX_OUTPUT:
                raise BudgetError(f"more than {MAX_OUTPUT:,} characters")
        return out[0] if len(out) == 1 else "".join(out)


@dataclass(frozen=True, slots=True)
class ForeignTexts:
    """A rendered batch of n rows.

    Attributes:
        texts: for each row its texts, cut at the separator and stripped; None where the row failed.
        failures: one for each row that failed, by row.
    """

    texts: list[tuple[str, ...] | None]
    failures: tuple[Failure, ...]


class ForeignTemplate:
    """A template of another project.

    Args:
        source: its text, in Jinja with Jinja's defaults.
        answer_choices: the text of its answer choices, rendered first and cut into the list `answer_choices`; None
            means that the name is None.
        separator: what cuts a rendered text into parts, each stripped; None leaves it whole and as it is.
        seed: of the picks.

    Raises:
        FindingsError: TSR-T001, TSR-T002, TSR-T004 or TSR-T005 for a text that cannot be rendered here.
    """

    def __init__(
        self, source: str, answer_choices: str | None = None, *, separator: str | None = SEPARATOR, seed: int = 0
    ) -> None:
        self._text = _Text(source, "template")
        self._choices = None if answer_choices is None else _Text(answer_choices, "answer_choices")
        self._separator = separator
        self._key = stream_key(seed, "imported template")
        self.names = self._text.names | (self._choices.names if self._choices else frozenset())
        """Names that the template mentions; those that are no column and are not set are undefined."""

    def render(self, batch: pa.RecordBatch, rows: Sequence[int] | None = None) -> ForeignTexts:
        """Renders a batch; a row never raises.

        Args:
            batch: n rows, a column for each name.
            rows: n numbers that draws are keyed by, such as row numbers in the source; the place in the batch if None.

        Raises:
            ValueError: the batch has a column `answer_choices`, and so has the template.
        """
        if self._choices is not None and "answer_choices" in batch.schema.names:
            raise ValueError("a column answer_choices stands where the template has choices of its own")
        numbers = np.arange(batch.num_rows, dtype=np.int64) if rows is None else np.asarray(rows, dtype=np.int64)
        texts: list[tuple[str, ...] | None] = []
        failures: list[Failure] = []
        for start in range(0, batch.num_rows, BLOCK_ROWS):
            block = batch.slice(start, BLOCK_ROWS)
            for done in self._block(block, numbers[start : start + BLOCK_ROWS]):
                if isinstance(done, tuple):
                    texts.append(done)
                else:
                    code = "TSR-T005" if isinstance(done, BudgetError) else "TSR-T009"
                    failures.append(Failure(len(texts), code, f"{type(done).__name__}: {excerpt(str(done), 200)}"))
                    texts.append(None)
        return ForeignTexts(texts, tuple(failures))

    def _block(self, batch: pa.RecordBatch, numbers: np.ndarray[Any, np.dtype[np.int64]]) -> Iterator[Any]:
        """The texts of each row, or the exception that it raised."""
        names = [name for name in batch.schema.names if name in self.names]
        columns = [self._guarded(python_values(batch.column(name))) for name in names]
        values: dict[str, Any] = {**ENVIRONMENT.globals, "answer_choices": None}
        context = _RowContext(ENVIRONMENT, values, "template", {})
        context.bits = []
        context.more = lambda pick: draw(self._key, numbers, pick).tolist()
        for row, cells in enumerate(zip(*columns, strict=True) if columns else [()] * batch.num_rows):
            values.update(zip(names, cells, strict=True))
            context.start(values, row)
            try:
                if self._choices is not None:
                    values["answer_choices"] = list(self._cut(self._choices.render(context)))
                    context.clear()
                yield self._cut(self._text.render(context))
            except Exception as exc:
                yield exc.with_traceback(None)

    def _guarded(self, column: list[Any]) -> list[Any]:
        """A column of text whose own separators are not taken for the template's; other columns as they are."""
        if self._separator is None:
            return column
        return [
            cell.replace(self._separator, GUARD) if type(cell) is str and self._separator in cell else cell
            for cell in column
        ]

    def _cut(self, text: str) -> tuple[str, ...]:
        if self._separator is None:
            return (text,)
        parts = [part.strip() for part in text.split(self._separator)]
        if GUARD in text:
            parts = [part.replace(GUARD, self._separator) for part in parts]
        return tuple(parts)
