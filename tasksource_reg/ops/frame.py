"""Frames: where expressions are computed, one batch at a time.

A frame is a table of n rows with names bound to arrays. The root frame's rows are source rows; `explode`, `each` and
`each` open child frames whose rows point back at rows of their parent. An expression is computed once, in the
outermost frame that binds everything it uses, and its value is carried inward by a take. A *restricted* frame holds
the rows that a condition kept. What is computed for a frame never sees (and never fails on) rows that the frame does
not come from: not those that a condition left out, nor those whose list is empty. So values and failures are those of
a row-by-row reading.

Rows on which an op cannot give a value are recorded by `fail`, never raised: the value is null and the row, traced back
to the nearest frame of task rows, goes to quarantine with its reason. Values of a type that an op cannot take at all
(possible only where features are not on record) raise TSR-E008 at the op's place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tasksource_reg.errors import error
from tasksource_reg.nested import Ints, Mask, take
from tasksource_reg.ops.types import TypeMismatch

if TYPE_CHECKING:
    from tasksource_reg.ops.expression import Expression


@dataclass(frozen=True, slots=True)
class Failure:
    """An op that could not give a value on some rows: `rows` of the task frame, with one message a row."""

    code: str
    rows: Ints
    messages: tuple[str, ...]


@dataclass(eq=False)
class Frame:
    """n rows with bound names.

    Args:
        length: n.
        bindings: arrays of n elements by binding name (`column:NAME` or a variable).
        parent: the enclosing frame, None for the root.
        parent_rows: for each row, its row in the parent.
        restricted: the rows are some of the parent's, and mean the same.
        task_rows: the rows are candidates for task rows, so failures are recorded here.
    """

    length: int
    bindings: Mapping[str, pa.Array]
    parent: Frame | None = None
    parent_rows: Ints | None = None
    restricted: bool = False
    task_rows: bool = False
    failures: list[Failure] = field(default_factory=list)
    _cache: dict[str, pa.Array] = field(default_factory=dict)
    _rows_in: dict[int, Ints] = field(default_factory=dict)
    _branches: dict[bytes, Frame] = field(default_factory=dict)

    def restrict(self, keep: Mask) -> Frame:
        """A frame of the rows in `keep`, which takes this frame's place from here on."""
        rows = np.flatnonzero(keep).astype(np.int64)
        return Frame(len(rows), {}, self, rows, restricted=True, task_rows=self.task_rows)

    def branch(self, keep: Mask) -> Frame:
        """A frame of the rows in `keep`, for a value that goes back into this frame; so do its failures.

        The same rows give the same frame, so that what they share is computed once.
        """
        if keep.all():
            return self
        key = np.packbits(keep).tobytes()
        if key not in self._branches:
            rows = np.flatnonzero(keep).astype(np.int64)
            self._branches[key] = Frame(len(rows), {}, self, rows, restricted=True)
        return self._branches[key]

    def forget(self) -> None:
        """Lets go of the branches when the work on this frame is done.

        A branch and its frame hold each other: their arrays would stay until Python looks for cycles.
        """
        left = [self]
        while left:
            frame = left.pop()
            left += frame._branches.values()
            frame._branches.clear()

    def _level(self) -> Frame:
        """The frame that binds the names of these rows: this one, or the one that it restricts."""
        frame = self
        while frame.restricted and frame.parent is not None:
            frame = frame.parent
        return frame

    def _home(self, expression: Expression) -> tuple[Frame, Ints | None]:
        """The frame in which the expression is computed, and for each row of this frame its row there (None: the same).

        Goes outward level by level while the level binds nothing that the expression uses, each time to the rows that
        are needed. On the level found, a value known for more rows serves as well.
        """
        frame: Frame = self
        rows: Ints | None = None
        while True:
            level = frame._level()
            if level.parent is None or level.bindings.keys() & expression.free:
                break
            steps = frame.rows_in(level.parent)
            assert steps is not None
            needed = np.zeros(level.parent.length, dtype=bool)
            needed[steps] = True
            frame = level.parent.branch(needed)
            if frame is not level.parent:
                assert frame.parent_rows is not None
                steps = np.searchsorted(frame.parent_rows, steps)
            rows = steps if rows is None else steps[rows]
        known: Frame | None = frame
        while known is not None and not (expression.leaf and known is level) and expression.digest not in known._cache:
            known = known.parent if known.restricted else None
        if known is not None and known is not frame:
            steps = frame.rows_in(known)
            assert steps is not None
            return known, steps if rows is None else steps[rows]
        return frame, rows

    def rows_in(self, outer: Frame) -> Ints | None:
        """For each row of this frame, its row in an outer frame; None for this frame itself."""
        if outer is self:
            return None
        key = id(outer)
        if key not in self._rows_in:
            assert self.parent is not None and self.parent_rows is not None, "not an outer frame"
            further = self.parent.rows_in(outer)
            self._rows_in[key] = self.parent_rows if further is None else further[self.parent_rows]
        return self._rows_in[key]

    def evaluate(self, expression: Expression) -> pa.Array:
        """The expression's value for each row of this frame, as an Arrow array of `length` elements."""
        digest = expression.digest
        cached = self._cache.get(digest)
        if cached is not None:
            return cached
        value, rows = self.indexed(expression)
        if rows is not None:
            value = take(value, rows)
        self._cache[digest] = value
        return value

    def indexed(self, expression: Expression) -> tuple[pa.Array, Ints | None]:
        """The value in its home frame, and this frame's rows in it (None: the same rows).

        Raises:
            FindingsError: TSR-E008 (or the code of the mismatch) if the value has a type that the op cannot take.
            pa.ArrowCapacityError: a column of the batch outgrows 2 GiB.
        """
        home, rows = self._home(expression)
        digest = expression.digest
        value = home._cache.get(digest)
        if value is None:
            try:
                value = expression.run(home)
            except (TypeMismatch, *_MISMATCHES) as exc:
                raise _mismatch(expression, exc) from exc
            assert len(value) == home.length, f"{expression!r} gave {len(value)} of {home.length} rows"
            home._cache[digest] = value
        return value, rows

    def lookup(self, name: str) -> pa.Array:
        """The array bound to a name here or further out, carried inward."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.bindings:
                rows = self.rows_in(frame)
                return frame.bindings[name] if rows is None else take(frame.bindings[name], rows)
            frame = frame.parent
        raise KeyError(name)

    def fail(self, rows: Ints, code: str, messages: list[str]) -> None:
        """Records that rows of this frame have no value; kept under the nearest frame of task rows."""
        if not len(rows):
            return
        frame: Frame = self
        while not frame.task_rows and frame.parent is not None:
            assert frame.parent_rows is not None
            rows, frame = frame.parent_rows[rows], frame.parent
        unique, first = np.unique(rows, return_index=True)
        frame.failures.append(Failure(code, unique, tuple(messages[i] for i in first)))

    def failed(self) -> dict[int, tuple[str, str]]:
        """First failure of each row of this frame: row -> (code, message); outer frames' failures included."""
        found: dict[int, tuple[str, str]] = {}
        frame: Frame | None = self
        while frame is not None:
            rows = self.rows_in(frame)
            for failure in frame.failures:
                by_row = dict(zip(failure.rows.tolist(), failure.messages, strict=True))
                if rows is None:
                    for row, message in by_row.items():
                        found.setdefault(row, (failure.code, message))
                else:
                    for row in np.flatnonzero(np.isin(rows, failure.rows)).tolist():
                        found.setdefault(row, (failure.code, by_row[int(rows[row])]))
            frame = frame.parent
        return found


_MISMATCHES = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowKeyError)


def _mismatch(expression: Expression, exc: Exception) -> Exception:
    """The error for a value that Arrow's functions (or an op's own check) refuse."""
    place = expression._place
    if isinstance(exc, TypeMismatch):
        return error(exc.code, str(exc), fix=exc.fix, place=place)
    if "overflow" in str(exc):
        return error("TSR-E008", f'"{expression.key}" overflows 64 bits', fix="cast to float64 first", place=place)
    reason = str(exc).strip().split("\n")[0]
    return error("TSR-E008", f'"{expression.key}" cannot take this value: {reason}', place=place)
