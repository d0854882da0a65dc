"""Rendering: a harmonized batch and a template in, system, prompt and response columns out.

A `Renderer` is compiled once for a task and a template, and takes the fastest of three paths that can say it: Arrow
kernels (`columnar`), a generated Python function over column lists (`rowwise`), Jinja's own render function with a
reused context. All give the same texts. A row that a faster path refuses or doubts goes to the next one; that a row
fails, and why, only Jinja says. A row's texts depend on nothing but the row: one batch or many give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasksource_reg.errors import error, excerpt
from tasksource_reg.nested import Mask, concat, ints_of, python_values, valid_of
from tasksource_reg.prompting.columnar import checked, render_slice
from tasksource_reg.prompting.environment import ROW_ERRORS, CompiledText, RowContext, compiled
from tasksource_reg.prompting.filters import BudgetError
from tasksource_reg.prompting.frames import CannotSay, Column, TooBig, Value
from tasksource_reg.prompting.model import Template
from tasksource_reg.prompting.rowwise import RowText
from tasksource_reg.prompting.scope import Constant, Scope, rendered_schema
from tasksource_reg.prompting.syntax import read_before_set
from tasksource_reg.schemas import TaskProfile
from tasksource_reg.text_kernels.assemble import scattered, string_array, total_bytes

Path: TypeAlias = Literal["columnar", "rowwise", "jinja"]

PARTS = ("system", "prompt", "response")
PATHS: tuple[Path, ...] = ("columnar", "rowwise", "jinja")
"""Fastest first."""

SLICE_ROWS = 8192
SLICE_BYTES = 32 << 20
ROWS_AT_ONCE = 1024
"""Rows and bytes of a batch that the kernels take at once, and rows that are turned into Python values at once."""

_FEW_ROWS = 32
"""Batches of fewer rows go by the row path: calling the kernels costs more than they save."""

_TOO_LARGE = "the texts of the batch are larger than 2 GiB; render fewer rows at once"

_SMALLEST_SLICE = 128
"""A slice that is too big for the kernels is halved down to this; what is still too big goes by the row path."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that could not be rendered: its index in the batch, an error code, one sentence."""

    row: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered batch of n rows.

    Attributes:
        system: string array of n, or None where the template has no system line.
        prompt: string array of n.
        response: string array of n.
        failures: one for each row that failed, by row; such rows are null in every column, and no others are.
    """

    system: pa.StringArray | None
    prompt: pa.StringArray
    response: pa.StringArray
    failures: tuple[Failure, ...]


class Renderer:
    """One template for one task, compiled. Pickles as its profile, template and path.

    Args:
        profile: what is known of the task.
        template: a template of the task's schema that passed the checks of its file.
        path: the fastest path to take, for tests and measurements; a template that it cannot say takes a slower one.
        sampled: batches name the labels that each row shows (`scope.SHOWN`).

    Raises:
        FindingsError: TSR-T010 if the template is for another schema.
    """

    def __init__(
        self, profile: TaskProfile, template: Template, path: Path | None = None, *, sampled: bool = False
    ) -> None:
        if template.schema != profile.schema:
            message = f"the template {template.id} is for {template.schema}, the task is {profile.schema}"
            raise error("TSR-T010", message, task=profile.id)
        self.profile = profile
        self.template = template
        sources = {part: getattr(template, part) for part in PARTS}
        self._texts: dict[str, CompiledText] = {p: compiled(s) for p, s in sources.items() if s is not None}
        self._names = sorted(set().union(*(text.names for text in self._texts.values())))
        self._trees = {part: text.tree for part, text in self._texts.items()}
        self._late: frozenset[str] = frozenset().union(*(read_before_set(tree) for tree in self._trees.values()))
        self._fastest, self._sampled = path, sampled
        self._schema = rendered_schema(profile.schema, sampled=sampled)

    def __reduce__(self) -> tuple[Callable[..., Renderer], tuple[Any, ...]]:
        return _renderer, (self.profile, self.template, self._fastest, self._sampled)

    @property
    def path(self) -> Path:
        """How the template is rendered for tasks of this profile; single rows may take a slower path."""
        fastest: Path = "jinja" if self._late else "columnar" if self._obstacle[0] is None else "rowwise"
        return fastest if self._fastest is None else max(fastest, self._fastest, key=PATHS.index)

    def explain(self) -> str:
        """The path in words, with what kept the template off a faster one."""
        obstacle, by_value = self._obstacle
        if self._late:
            obstacle = f"a loop before {{% set %}} mentions {', '.join(sorted(self._late))}"
        if self.path != "columnar":
            return f"{self.path}: {obstacle or 'asked for'}"
        return "columnar" + (f" (value by value: {', '.join(sorted(by_value))})" if by_value else "")

    @cached_property
    def _obstacle(self) -> tuple[str | None, frozenset[str]]:
        """What no kernel can say, and the filters that go value by value; found out on an empty batch."""
        return checked(self._trees, columns_of(self._empty_scope))

    @cached_property
    def _empty_scope(self) -> Scope:
        empty = pa.RecordBatch.from_arrays([pa.array([], field.type) for field in self._schema], schema=self._schema)
        return Scope(empty, self.profile, self.template.answers)

    @cached_property
    def _constants(self) -> dict[str, Any]:
        """The names of the scope that are the same for every row."""
        columns = {name: self._empty_scope.column(name) for name in self._names}
        return {name: column.value for name, column in columns.items() if isinstance(column, Constant)}

    @cached_property
    def _varying(self) -> list[str]:
        return [name for name in self._names if name not in self._constants]

    @cached_property
    def _row_texts(self) -> dict[str, RowText]:
        return {part: RowText(tree, self._varying, self._constants) for part, tree in self._trees.items()}

    def eligible(self, batch: pa.RecordBatch) -> Mask:
        """Which rows have every field that the template needs (neither null nor empty), and a language that it speaks.

        English is understood everywhere; a row that does not say its language has that of its task.

        Args:
            batch: n harmonized rows.

        Returns:
            boolean array of n.
        """
        mask = np.ones(batch.num_rows, dtype=bool)
        for name in self.template.needs:
            mask &= _has_content(batch.column(name))
        if not self.template.speaks("en"):
            coded = pc.dictionary_encode(batch.column("language"))
            of_task = all(self.template.speaks(tag) for tag in self.profile.languages)
            known = [*(self.template.speaks(tag) for tag in coded.dictionary.to_pylist()), of_task]
            mask &= np.array(known)[ints_of(coded.indices, len(known) - 1)]
        return mask

    def render(self, batch: pa.RecordBatch) -> Rendered:
        """Renders a batch; a row never raises.

        Args:
            batch: n harmonized rows with the schema `scope.rendered_schema(profile.schema)`, sampled or not as this
                renderer is; choices in the order to show.

        Raises:
            ValueError: the batch has another schema, or its texts do not fit into one array (2 GiB).
        """
        if batch.schema != self._schema:
            what = f"a batch of {self.profile.schema}"
            raise ValueError(f"{what} has the schema\n{self._schema}\nand not\n{batch.schema}")
        done = list(self._slices(batch))
        columns = {part: _concatenated([d.texts[part] for d in done]) for part in self._texts}
        failures = tuple(Failure(d.start + f.row, f.code, f.message) for d in done for f in d.failures)
        return Rendered(columns.get("system"), columns["prompt"], columns["response"], failures)

    def _slices(self, batch: pa.RecordBatch) -> Iterator[_Done]:
        """The batch slice by slice, in order."""
        n = batch.num_rows
        if self.path != "columnar" or (n < _FEW_ROWS and self._fastest is None):
            for start in range(0, n, ROWS_AT_ONCE):
                yield self._rows(batch.slice(start, ROWS_AT_ONCE), start)
            return
        size = min(SLICE_ROWS, max(_SMALLEST_SLICE, n * SLICE_BYTES // max(batch.nbytes, 1)))
        for start in range(0, n, size):
            yield from self._columnar(batch.slice(start, size), start)

    def _columnar(self, batch: pa.RecordBatch, start: int) -> Iterator[_Done]:
        """A slice by kernels, its rows in doubt by the row path; in halves where it is too big."""
        n = batch.num_rows
        scope = Scope(batch, self.profile, self.template.answers)
        try:
            texts, doubtful, _ = render_slice(self._trees, columns_of(scope), n)
        except (CannotSay, TooBig, BudgetError, pa.ArrowCapacityError):
            if n > _SMALLEST_SLICE:
                yield from self._columnar(batch.slice(0, n // 2), start)
                yield from self._columnar(batch.slice(n // 2), start + n // 2)
            else:
                yield self._rows(batch, start)
            return
        rows = np.flatnonzero(doubtful)
        failures: list[Failure] = []
        for first in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[first : first + ROWS_AT_ONCE]
            again = self._rows(batch.take(pa.array(some)), 0)
            texts = {part: scattered(array, some, again.texts[part]) for part, array in texts.items()}
            failures += [Failure(int(some[f.row]), f.code, f.message) for f in again.failures]
        yield _Done(start, texts, failures)

    def _rows(self, batch: pa.RecordBatch, start: int) -> _Done:
        """Rows as Python values: by generated functions, and by Jinja what these leave, or where that is the path."""
        scope, n = Scope(batch, self.profile, self.template.answers), batch.num_rows
        columns = {name: python_values(scope.column(name)) for name in self._varying}
        out: dict[str, list[str | None]] = {part: [None] * n for part in self._texts}
        if self.path != "jinja":
            out = {part: text.render(columns, n) for part, text in self._row_texts.items()}
        left = [row for row, texts in enumerate(zip(*out.values(), strict=True)) if None in texts]
        values, contexts = dict(self._constants), {part: text.context() for part, text in self._texts.items()}
        failures: list[Failure] = []
        for row in left:
            values.update((name, column[row]) for name, column in columns.items())
            failure = self._row(row, values, contexts, out)
            if failure is not None:
                failures.append(failure)
        try:
            return _Done(start, {part: string_array(texts) for part, texts in out.items()}, failures)
        except pa.ArrowCapacityError as exc:
            raise ValueError(_TOO_LARGE) from exc

    def _row(
        self, index: int, values: dict[str, Any], contexts: dict[str, RowContext], out: dict[str, list[str | None]]
    ) -> Failure | None:
        """Renders one row into `out`; nulls and the failure where it cannot be."""
        texts: list[str | None] = []
        failure = None
        for part, text in self._texts.items():
            try:
                rendered = text.render(contexts[part], values)
            except BudgetError as exc:
                failure = Failure(index, "TSR-T005", f"{self.template.id}, {part}: {exc}")
                break
            except ROW_ERRORS as exc:
                failure = Failure(index, "TSR-T009", f"{self.template.id}, {part}: {excerpt(str(exc), 200)}")
                break
            if not rendered or rendered.isspace():
                failure = Failure(
                    index, "TSR-T008", f"{self.template.id}: the {part} is {'blank' if rendered else 'empty'}"
                )
                break
            texts.append(rendered)
        for part, rendered_or_none in zip(out, texts if failure is None else [None] * len(out), strict=True):
            out[part][index] = rendered_or_none
        return failure


def _renderer(profile: TaskProfile, template: Template, path: Path | None, sampled: bool) -> Renderer:
    return Renderer(profile, template, path, sampled=sampled)


@dataclass(frozen=True, slots=True)
class _Done:
    """A rendered slice: its first row in the batch, the array of each text, its failures by row of the slice."""

    start: int
    texts: dict[str, pa.StringArray]
    failures: list[Failure]


def columns_of(scope: Scope) -> Callable[[str], Column]:
    """The names of a scope as the kernels take them; a column that is null throughout is the same for every row."""

    def column(name: str) -> Column:
        found = scope.column(name)
        if isinstance(found, Constant):
            return found
        return Constant(None) if 0 < len(found) == found.null_count else Value(found)

    return column


def _concatenated(arrays: list[pa.StringArray]) -> pa.StringArray:
    if sum(map(total_bytes, arrays)) >= 2**31:
        raise ValueError(_TOO_LARGE)
    return arrays[0] if len(arrays) == 1 else concat([pa.array([], pa.string()), *arrays])


def _has_content(column: pa.Array) -> Mask:
    mask = valid_of(column)
    if pa.types.is_string(column.type):
        sizes = pc.binary_length(column)
    elif pa.types.is_list(column.type):
        sizes = pc.list_value_length(column)
    else:
        return mask
    return mask & (ints_of(sizes, 0) > 0)
