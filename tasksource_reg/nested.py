"""Lists of lists as flat arrays and offsets: the few moves from which all list ops are made.

Every function is vectorised and keeps nulls. Offsets are zero-based int64 numpy arrays of length n + 1; a null list has
no elements. Arrays are plain `ListArray`s; sources convert large and fixed-size lists before they come here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at

Ints: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]


def is_list(array: pa.Array) -> bool:
    """Whether the array holds lists."""
    return bool(at.is_list(array.type))


def plain(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One contiguous array."""
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def take(array: pa.Array, rows: Ints) -> pa.Array:
    """Elements at `rows`; a negative row gives null."""
    indices = pa.array(rows, mask=rows < 0) if len(rows) and rows.min() < 0 else pa.array(rows)
    try:
        return plain(array.take(indices))
    except pa.ArrowInvalid as exc:
        raise _capacity(exc) from exc


def take_rows(batch: pa.RecordBatch, rows: Ints) -> pa.RecordBatch:
    """Rows of a batch, such as `batch.take`; columns that are null throughout cost nothing."""
    indices = pa.array(rows)
    columns = [
        pa.nulls(len(rows), column.type) if column.null_count == len(column) else column.take(indices)
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def concat(arrays: Sequence[pa.Array]) -> pa.Array:
    """Arrays of one type, one after the other.

    Raises:
        pa.ArrowCapacityError: more than 2**31 - 1 bytes of text or list elements.
    """
    try:
        return plain(pa.concat_arrays(arrays))
    except pa.ArrowInvalid as exc:
        raise _capacity(exc) from exc


def _capacity(exc: Exception) -> Exception:
    """Arrow calls some overflows invalid and some a matter of capacity; here they are all the latter."""
    return pa.ArrowCapacityError(str(exc)) if "overflow" in str(exc) else exc


def mask_of(array: pa.Array) -> Mask:
    """A boolean array as numpy, nulls as False."""
    if at.is_null(array.type):
        return np.zeros(len(array), dtype=bool)
    return np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), dtype=bool)


def valid_of(array: pa.Array) -> Mask:
    """Which elements are not null."""
    if array.null_count == 0:
        return np.ones(len(array), dtype=bool)
    return np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=bool)


def ints_of(array: pa.Array, missing: int = -1) -> Ints:
    """An integer or boolean array as int64 numpy, nulls as `missing`."""
    if at.is_null(array.type):
        return np.full(len(array), missing, dtype=np.int64)
    return np.asarray(pc.fill_null(array.cast(pa.int64()), missing).to_numpy(zero_copy_only=False), dtype=np.int64)


def unlist(array: pa.Array) -> tuple[pa.Array, Ints, Mask]:
    """A list array as (flat values, offsets, which lists are not null).

    Args:
        array: list array of n lists, or a null array (n null lists).

    Returns:
        values of all lists in order, int64 offsets of length n + 1, boolean mask of length n.

    Raises:
        pa.ArrowTypeError: the array holds something else.
    """
    if at.is_null(array.type):
        return pa.nulls(0), np.zeros(len(array) + 1, dtype=np.int64), np.zeros(len(array), dtype=bool)
    if not is_list(array):
        raise pa.ArrowTypeError(f"a list is needed, this is {array.type}")
    lengths = ints_of(pc.list_value_length(array), 0)
    offsets = np.zeros(len(array) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return array.flatten(), offsets, valid_of(array)


def relist(offsets: Ints, values: pa.Array, valid: Mask | None = None) -> pa.Array:
    """The inverse of `unlist`.

    Raises:
        pa.ArrowCapacityError: more than 2**31 - 1 elements.
    """
    if len(values) > 2**31 - 1:
        raise pa.ArrowCapacityError("more than 2**31 - 1 list elements in a batch")
    mask = None if valid is None or valid.all() else pa.array(~valid)
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values, mask=mask)


def parents(offsets: Ints) -> Ints:
    """For each element, the number of its list."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def lift(array: pa.Array, kernel: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Applies a kernel for scalars below any number of list levels."""
    if not is_list(array):
        return plain(kernel(array))
    values, offsets, valid = unlist(array)
    return relist(offsets, lift(values, kernel), valid)


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """The concatenation of `range(start, start + length)` for each pair."""
    total = int(lengths.sum())
    if not total:
        return np.zeros(0, dtype=np.int64)
    ends = np.cumsum(lengths)
    result: Ints = np.arange(total, dtype=np.int64) + np.repeat(starts - (ends - lengths), lengths)
    return result


def counts_to_offsets(counts: Ints) -> Ints:
    """Lengths as zero-based offsets."""
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def filter_lists(offsets: Ints, keep: Mask) -> Ints:
    """Offsets after the elements outside `keep` (one flag an element) are gone."""
    kept = np.zeros(len(keep) + 1, dtype=np.int64)
    np.cumsum(keep, out=kept[1:])
    return np.asarray(kept[offsets])


def interleave(columns: Sequence[pa.Array]) -> pa.Array:
    """K arrays of n elements as one array of n * k: row 0 of each, row 1 of each, ..."""
    n, k = len(columns[0]), len(columns)
    order = (np.arange(n)[:, None] + n * np.arange(k)[None, :]).ravel()
    return take(concat(columns), order)


def constant(value: Any, data_type: pa.DataType | None, n: int) -> pa.Array:
    """A literal n times."""
    one = pa.array([value], type=data_type)
    return take(one, np.zeros(n, dtype=np.int64)) if n != 1 else one


def scalar_to_list(array: pa.Array) -> pa.Array:
    """Each value as a list of one; null stays null."""
    valid = valid_of(array)
    return relist(counts_to_offsets(valid.astype(np.int64)), take(array, np.flatnonzero(valid)), valid)


def child_of(array: pa.Array, name: str) -> pa.Array:
    """A field of a record array, null where the record is null (`StructArray.field` shows what lies beneath)."""
    return plain(pc.struct_field(array, name))


def unmap(array: pa.Array) -> tuple[pa.Array, pa.Array, Ints, Mask]:
    """A map array as (flat keys, flat values, offsets, which maps are not null)."""
    absolute = array.offsets.to_numpy().astype(np.int64)
    valid = valid_of(array)
    counts = np.where(valid, np.diff(absolute), 0)
    order = ranges(absolute[:-1], counts)
    return take(array.keys, order), take(array.items, order), counts_to_offsets(counts), valid


def common_type(types: Sequence[pa.DataType]) -> pa.DataType:
    """The Arrow type that holds all of these (null gives way, numbers widen, records join their fields).

    Raises:
        pa.ArrowInvalid: there is none.
    """
    result = pa.null()
    for t in types:
        if at.is_null(result) or result == t:
            result = t
        elif at.is_null(t):
            continue
        elif at.is_struct(result) and at.is_struct(t):
            names = dict.fromkeys([f.name for f in result] + [f.name for f in t])
            pick = [[s.field(n).type for s in (result, t) if s.get_field_index(n) >= 0] for n in names]
            result = pa.struct([pa.field(n, common_type(ts)) for n, ts in zip(names, pick, strict=True)])
        elif at.is_list(result) and at.is_list(t):
            result = pa.list_(common_type([result.value_type, t.value_type]))
        elif _is_number(result) and _is_number(t):
            result = pa.int64() if at.is_integer(result) and at.is_integer(t) else pa.float64()
        else:
            raise pa.ArrowInvalid(f"{result} and {t} do not go together")
    return result


def _is_number(t: pa.DataType) -> bool:
    return bool(at.is_integer(t) or at.is_floating(t) or at.is_decimal(t))


def unified(columns: Sequence[pa.Array]) -> list[pa.Array]:
    """The columns in the one type that holds them all."""
    target = common_type([c.type for c in columns])
    return [cast_to(c, target) for c in columns]


def cast_to(array: pa.Array, target: pa.DataType) -> pa.Array:
    """The array as `target`, where only the nesting's leaf types, list flavours and missing record fields differ.

    Numbers convert when no value is lost (a fraction never becomes an integer); text stays text.

    Raises:
        pa.ArrowInvalid: a value does not fit.
        pa.ArrowNotImplementedError: the types do not go together.
    """
    if array.type == target:
        return array
    if at.is_null(array.type):
        return pa.nulls(len(array), target)
    if at.is_list(target) and is_list(array):
        values, offsets, valid = unlist(array)
        return relist(offsets, cast_to(values, target.value_type), valid)
    if at.is_struct(target) and at.is_struct(array.type):
        have = {f.name for f in array.type}
        children = [
            cast_to(child_of(array, f.name), f.type) if f.name in have else pa.nulls(len(array), f.type) for f in target
        ]
        if not children:
            return pa.array([{} if given else None for given in valid_of(array).tolist()], target)
        mask = None if array.null_count == 0 else array.is_null()
        return pa.StructArray.from_arrays(children, fields=list(target), mask=mask)
    numeric = at.is_integer(array.type) or at.is_floating(array.type) or at.is_boolean(array.type)
    if at.is_string(target) and numeric:
        raise pa.ArrowNotImplementedError(f"{array.type} is not text")
    if at.is_boolean(array.type) or (at.is_string(array.type) and not at.is_string(target)):
        raise pa.ArrowNotImplementedError(f"{array.type} is not {target}")
    if at.is_floating(target) and (at.is_floating(array.type) or at.is_integer(array.type)):
        return plain(array.cast(target, safe=False))  # to the nearest number that the type has
    return plain(array.cast(target))


def python_values(column: pa.Array) -> list[Any]:
    """A column as a list of plain Python values, one a row; null is None."""
    if pa.types.is_string(column.type):
        return column.to_numpy(zero_copy_only=False).tolist()  # type: ignore[no-any-return]
    out: list[Any]
    if pa.types.is_list(column.type):
        values, offsets, _ = unlist(column)
        flat, bounds = python_values(values), offsets.tolist()
        out = [flat[start:stop] for start, stop in pairwise(bounds)]
    elif pa.types.is_struct(column.type) and column.type.num_fields:
        children = [python_values(child_of(column, field.name)) for field in column.type]
        out = dicts_of(tuple(field.name for field in column.type))(*children)
    elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        out = pc.fill_null(column, 0).to_numpy(zero_copy_only=False).tolist()
    else:
        return column.to_pylist()  # type: ignore[no-any-return]
    if column.null_count:
        for row in np.flatnonzero(~valid_of(column)).tolist():
            out[row] = None
    return out


@lru_cache(maxsize=256)
def dicts_of(names: tuple[str, ...]) -> Callable[..., list[Any]]:
    """A function from lists of n values, one for each name, to n dicts.

    Its body is a dict display, written out for so many names as `namedtuple` writes its own: Python builds one four
    times as fast as `dict(zip(names, row))`. The names themselves go in as values, never as code.

    Args:
        names: at least one.

    Example:
        >>> dicts_of(("a", "b"))([1, 2], ["x", "y"])
        [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'y'}]
    """
    numbers = range(len(names))
    keys, values = ", ".join(f"k{n}" for n in numbers), "".join(f"v{n}, " for n in numbers)
    display = "{" + ", ".join(f"k{n}: v{n}" for n in numbers) + "}"
    body = f"lambda {keys}: lambda *columns: [{display} for {values}in zip(*columns, strict=True)]"
    return eval(compile(body, "<dicts>", "eval"))(*names)  # type: ignore[no-any-return]


def python_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of a batch as dicts: what `to_pylist` gives, several times as fast."""
    return dicts_of(tuple(batch.schema.names))(*map(python_values, batch.columns))
