"""A split of a task as users see it: a sequence of harmonized rows, with adapters to Arrow, pandas and `datasets`.

Rows are computed when they are read; slices are views. `render` gives the same rows as prompts and responses, lazily.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pyarrow as pa

from tasksource_reg.annotation.compile import CLASS_PATHS, CompiledTask
from tasksource_reg.error_codes import CODES
from tasksource_reg.errors import error
from tasksource_reg.mixing.fields import fields_schema, named_fields
from tasksource_reg.mixing.single import single
from tasksource_reg.nested import Ints, python_rows
from tasksource_reg.provenance.passport import COLUMN
from tasksource_reg.registry import TaskInfo
from tasksource_reg.task import BLOCK, Address, SplitData
from tasksource_reg.upstream import upstream_columns
from tasksource_reg.workspace import Workspace

if TYPE_CHECKING:
    import datasets
    import pandas as pd


class TaskSplit(Sequence[dict[str, Any]]):
    """The harmonized rows of one split, computed when they are read. Slices are views; pickles without its rows.

    `split[i]` is a dict of the mapped fields, class fields as integers (`.labels` and `.features` name them).
    """

    def __init__(
        self, space: Workspace, info: TaskInfo, data: SplitData, on_error: str = "raise", rows: range | None = None
    ) -> None:
        self.info, self.name = info, data.name
        self._space, self._split, self._on_error, self._range = space, data, on_error, rows
        self._checked = False

    def __reduce__(self) -> tuple[Callable[..., TaskSplit], tuple[Any, ...]]:
        return _again, (self._space, self.info.id, self.name, self._on_error, self._split.task.hash, self._range)

    @property
    def _rows(self) -> range:
        """Numbers among the surviving rows; the first use opens the source."""
        if not self._checked:
            if self._on_error == "raise":
                self._split.check_quarantine()
            self._checked = True
        if self._range is None:
            self._range = range(len(self._split))
        return self._range

    @property
    def left_out(self) -> dict[str, int]:
        """Rows of the source that are not rows here, by reason: in a condition's words, or by code in quarantine."""
        index = self._split.index
        quarantined = {f"in quarantine, {code}: {CODES[code].title}": n for code, n in index.quarantined.items()}
        return {**index.filtered, **quarantined}

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the class ids, in order."""
        return self._split.task.profile.labels

    @property
    def columns(self) -> tuple[str, ...]:
        """The mapped fields: those of the schema that this task fills, and the required ones."""
        return task_columns(self._split.task)

    @property
    def features(self) -> datasets.Features:
        """The `datasets.Features` of the rows, class fields as ClassLabel."""
        return task_features(self._split.task)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        """Says how many rows there are only if they have been counted: looking at a name opens nothing."""
        rows = "not opened" if self._range is None else f"{len(self._range):,} rows"
        return f"TaskSplit({self.info.id!r}, {self.name!r}, {rows}, columns={list(self.columns)})"

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> TaskSplit: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | TaskSplit:
        if isinstance(index, slice):
            return TaskSplit(self._space, self.info, self._split, self._on_error, self._rows[index])
        row: dict[str, Any] = self._batch(np.array([self._number(index)])).to_pylist()[0]
        return row

    def _number(self, index: int) -> int:
        """The surviving row of an index.

        Raises:
            IndexError: past the end, as for any sequence.
        """
        try:
            return self._rows[index]
        except IndexError:
            raise IndexError(f"row {index} of {len(self):,} ({self.info.id}, {self.name})") from None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.batches(1024):
            yield from python_rows(batch)

    def _batch(self, numbers: Ints) -> pa.RecordBatch:
        return self._split.batch(numbers).select(list(self.columns))

    def _blocks(self, size: int) -> Iterator[Ints]:
        """The surviving rows, so many at a time."""
        if size < 1:
            raise error("TSR-U005", f"batches of {size} rows", fix="give a size of at least 1")
        rows = self._rows
        for first in range(0, len(rows), size):
            part = rows[first : first + size]
            yield np.arange(part.start, part.stop, part.step, dtype=np.int64)

    def batches(self, size: int = BLOCK) -> Iterator[pa.RecordBatch]:
        """Record batches of at most `size` rows, in order; class fields as int64."""
        for numbers in self._blocks(size):
            yield self._batch(numbers)

    def address(self, index: int) -> Address:
        """Where row `index` comes from: config and split of the source, row number there, part."""
        return self._split.address(self._number(index))

    def source(self, index: int) -> dict[str, Any]:
        """The source row of row `index`, all its columns."""
        row: dict[str, Any] = self._split.source_row(self._number(index)).to_pylist()[0]
        return row

    def named(self, index: int) -> dict[str, Any]:
        """Row `index` with label names in the place of class ids, for people to read."""
        batch = self._split.batch(np.array([self._number(index)]))
        fields = [field for field in fields_schema([self._split.task.schema]) if field.name in self.columns]
        columns = named_fields(batch, self._split.task.profile, fields)
        return {field.name: column.to_pylist()[0] for field, column in zip(fields, columns, strict=True)}

    def to_arrow(self) -> pa.Table:
        """All rows as one table; class fields as int64."""
        schema = pa.schema([self._split.task.schema.arrow().field(name) for name in self.columns])
        return pa.Table.from_batches(self.batches(), schema)

    def to_pandas(self) -> pd.DataFrame:
        """All rows as a DataFrame, class fields as integers."""
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_hf(self) -> datasets.Dataset:
        """All rows as a `datasets.Dataset`, class fields as ClassLabel."""
        import datasets

        return datasets.Dataset(self.to_arrow().cast(self.features.arrow_schema))

    def to_upstream(self) -> pa.Table:
        """All rows with the column names of upstream tasksource (sentence1, sentence2, labels; inputs, choice0, ...).

        Raises:
            FindingsError: TSR-M012, upstream has no such kind of task.
        """
        return upstream_columns(self.to_arrow(), self._split.task.schema.name)

    def render(
        self, template: str | None = None, shape: str = "messages", seed: int = 0, *, max_options: int | None = None
    ) -> RenderedSplit:
        """The rows as prompts and responses, lazily, as a mixture of this one task renders them.

        Args:
            template: a template id; without one each row takes one of those that fit, by a keyed draw.
            shape: text, inputs_targets, prompt_completion, messages, ...
            seed: keys the choice of templates, the order of shuffled choices and what options are sampled.
            max_options: show at most so many labels or choices a row, sampled, the right ones among them.

        Raises:
            UsageError: TSR-U007, no such template; TSR-U005, fewer than two options.
            FindingsError: TSR-T010 the template does not fit, TSR-M012 a shape that the task cannot take.
        """
        return RenderedSplit(self, template, shape, seed, max_options)


class RenderedSplit:
    """Rendered rows of a split: iterate for dicts, `.batches()` for record batches, `.to_arrow()` for all.

    Each row carries `template`. Rows that cannot be rendered raise, naming the row.
    """

    def __init__(
        self, split: TaskSplit, template: str | None, shape: str, seed: int, max_options: int | None = None
    ) -> None:
        self._of, self._how = split, (template, shape, seed, max_options)
        self._data = single(split._space, split.info, split._split, *self._how)

    def __reduce__(self) -> tuple[Callable[..., RenderedSplit], tuple[Any, ...]]:
        return RenderedSplit, (self._of, *self._how)

    def __len__(self) -> int:
        return len(self._of)

    def __repr__(self) -> str:
        return f"RenderedSplit({self._of!r}, shape={self._data.spec.shape!r})"

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.batches(1024):
            yield from python_rows(batch)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row: dict[str, Any] = self._render(np.array([self._of._number(index)])).to_pylist()[0]
        return row

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the rows: the shape's columns, and `template`."""
        shape = self._data.schema.remove(self._data.schema.get_field_index(COLUMN))
        return shape.append(pa.field("template", pa.string()))

    def batches(self, size: int = BLOCK) -> Iterator[pa.RecordBatch]:
        """Rendered record batches of at most `size` rows, in order."""
        for numbers in self._of._blocks(size):
            yield self._render(numbers)

    def to_arrow(self) -> pa.Table:
        """All rows as one table."""
        return pa.Table.from_batches(self.batches(), self.schema)

    def explain(self) -> dict[str, str]:
        """For each template that rows may take, how it is rendered, and what keeps it off a faster path."""
        templates = self._data.tasks[0].templates
        return {t.id: self._data.renderer(0, i).explain() for i, t in enumerate(templates)}

    def _render(self, numbers: Ints) -> pa.RecordBatch:
        rows = self._data.block(numbers).rows
        columns = [*rows.columns[:-1], rows.column(COLUMN).field("template")]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def task_columns(task: CompiledTask) -> tuple[str, ...]:
    """The fields that a task fills: the mapped ones of its schema, and the required ones."""
    mapped = {name for part in task.parts for name in part.fields} | ({"carried"} if task.model.carry else set())
    return tuple(f.name for f in task.schema.all_fields if f.required or f.name in mapped)


def task_features(task: CompiledTask) -> datasets.Features:
    """The `datasets.Features` of a task's rows, class fields as ClassLabel."""
    import datasets

    features = datasets.Features.from_arrow_schema(task.schema.arrow())
    out = datasets.Features({name: features[name] for name in task_columns(task)})
    inventories = {"labels": task.profile.labels, "entity_labels": task.profile.entity_labels}
    for path, key in CLASS_PATHS.get(task.schema.name, {}).items():
        name, _, inner = path.partition(".")
        label = datasets.ClassLabel(names=list(inventories[key]))
        if inner:
            out[name] = datasets.List({**out[name].feature, inner: label})
        else:
            out[name] = datasets.List(label) if isinstance(out[name], datasets.List) else label
    return out


def _again(space: Workspace, name: str, split: str, on_error: str, digest: str, rows: range | None) -> TaskSplit:
    """A split in another process."""
    info = space.registry.resolve(name)
    data = space.data(info).split(split)
    if data.task.hash != digest:
        message = f'the annotation of "{info.id}" has changed between two processes of one run'
        raise error("TSR-L003", message, fix="start the run again", task=info.id)
    return TaskSplit(space, info, data, on_error, rows)
