"""The moves on lists of lists: nulls, slices, hidden elements, types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasksource_reg.nested import (
    cast_to,
    child_of,
    common_type,
    concat,
    constant,
    filter_lists,
    interleave,
    lift,
    python_rows,
    ranges,
    relist,
    scalar_to_list,
    take,
    unified,
    unlist,
    unmap,
)

lists = st.lists(st.none() | st.lists(st.none() | st.integers(-3, 3), max_size=4), max_size=6)


@given(lists, st.integers(0, 6), st.integers(0, 6))
def test_relist_undoes_unlist_on_any_slice(values: list[Any], start: int, length: int) -> None:
    array = pa.array(values, pa.list_(pa.int64())).slice(start, length)
    flat, offsets, valid = unlist(array)
    assert offsets[0] == 0 and offsets[-1] == len(flat) and len(valid) == len(array)
    assert relist(offsets, flat, valid).equals(array)


def hidden() -> pa.Array:
    """Three lists; the null one has elements beneath."""
    return pa.ListArray.from_arrays(
        pa.array([0, 1, 3, 4], pa.int32()), pa.array([1, 2, 3, 4]), mask=pa.array([False, True, False])
    )


def test_elements_beneath_a_null_list_are_gone() -> None:
    for array, values in ((hidden(), [1, 4]), (hidden().slice(1), [4])):
        flat, offsets, _ = unlist(array)
        assert flat.to_pylist() == values and offsets[-1] == len(values)


def test_values_beneath_a_null_map_or_record_are_gone() -> None:
    kind = pa.map_(pa.string(), pa.int64())
    maps = pa.array([[("a", 1)], None, [], [("b", 2), ("c", None)]], kind)
    keys, values, offsets, valid = unmap(maps.slice(1))
    assert keys.to_pylist() == ["b", "c"] and values.to_pylist() == [2, None]
    assert offsets.tolist() == [0, 0, 0, 2] and valid.tolist() == [False, True, True]
    beneath = pa.MapArray.from_arrays([0, 1, 2], ["a", "b"], [1, 2], mask=pa.array([True, False]))
    assert [part.to_pylist() for part in unmap(beneath)[:2]] == [["b"], [2]]
    record = pa.StructArray.from_arrays([pa.array([1, 2, 3])], names=["x"], mask=pa.array([False, True, False]))
    assert child_of(record.slice(1), "x").to_pylist() == [None, 3]
    assert child_of(cast_to(record, pa.struct([pa.field("x", pa.float64())])), "x").to_pylist() == [1.0, None, 3.0]


def test_unlist_refuses_what_is_no_list() -> None:
    with pytest.raises(pa.ArrowTypeError, match="a list is needed"):
        unlist(pa.array(["a"]))


def test_small_moves() -> None:
    assert take(pa.array(["a", "b"]), np.array([1, -1, 0])).to_pylist() == ["b", None, "a"]
    assert interleave([pa.array([1, 2]), pa.array([3, None])]).to_pylist() == [1, 3, 2, None]
    assert ranges(np.array([5, 0, 2]), np.array([2, 0, 1])).tolist() == [5, 6, 2]
    assert filter_lists(np.array([0, 2, 2, 3]), np.array([True, False, True])).tolist() == [0, 1, 1, 2]
    assert scalar_to_list(pa.array([1, None])).to_pylist() == [[1], None]
    assert constant({"a": [1]}, None, 2).to_pylist() == [{"a": [1]}] * 2
    assert constant(None, None, 0).to_pylist() == []
    assert lift(pa.array([[[1], None], None]), lambda a: pa.array([v * 2 for v in a.to_pylist()])).to_pylist() == [
        [[2], None],
        None,
    ]


def test_too_much_text_for_one_column_is_a_matter_of_capacity() -> None:
    data = pa.py_buffer(np.zeros(1200 * 2**20, dtype=np.uint8))  # pages that are never written take no memory
    offsets = pa.py_buffer(np.array([0, 1200 * 2**20], dtype=np.int32))
    big = pa.StringArray.from_buffers(1, offsets, data)
    with pytest.raises(pa.ArrowCapacityError):
        concat([big, big])


@pytest.mark.parametrize(
    ("types", "common"),
    [
        ([pa.null(), pa.string()], pa.string()),
        ([pa.int8(), pa.int32()], pa.int64()),
        ([pa.int64(), pa.float32()], pa.float64()),
        ([pa.list_(pa.null()), pa.list_(pa.int8())], pa.list_(pa.int8())),
        ([pa.struct({"a": pa.int8()}), pa.struct({"b": pa.string(), "a": pa.int64()})],
         pa.struct({"a": pa.int64(), "b": pa.string()})),
        ([pa.date32(), pa.date32()], pa.date32()),
    ],
)  # fmt: skip
def test_common_type(types: list[pa.DataType], common: pa.DataType) -> None:
    assert common_type(types) == common
    assert {a.type for a in unified([pa.nulls(1, t) for t in types])} == {common}


@pytest.mark.parametrize("types", [[pa.string(), pa.int64()], [pa.bool_(), pa.int64()], [pa.date32(), pa.float64()],
                                   [pa.list_(pa.string()), pa.string()]])  # fmt: skip
def test_types_that_do_not_go_together(types: list[pa.DataType]) -> None:
    with pytest.raises(pa.ArrowInvalid, match="do not go together"):
        common_type(types)


def test_cast_keeps_nothing_but_what_fits() -> None:
    assert cast_to(pa.array([1.0, None]), pa.int64()).to_pylist() == [1, None]
    assert cast_to(pa.array([2**53 + 1]), pa.float64()).to_pylist() == [float(2**53)]
    assert cast_to(pa.array([[1], None]), pa.list_(pa.float32())).to_pylist() == [[1.0], None]
    assert cast_to(pa.nulls(2), pa.list_(pa.string())).to_pylist() == [None, None]
    assert cast_to(pa.array([{"a": 1}, None]), pa.struct([])).to_pylist() == [{}, None]
    for array, target in ((pa.array([1.5]), pa.int64()), (pa.array([2**40]), pa.int32()), (pa.array(["1"]), pa.int64()),
                          (pa.array([1]), pa.string()), (pa.array([True]), pa.int64())):  # fmt: skip
        with pytest.raises((pa.ArrowInvalid, pa.ArrowNotImplementedError)):
            cast_to(array, target)


names = st.sampled_from(["a", "_0", "columns", "it's", 'say "x"', "a\nb", "{", "", "class", "\\", "é", "lambda"])
records = st.none() | st.fixed_dictionaries(
    {"x y": st.none() | st.text(max_size=3), "n": st.none() | st.integers(-9, 9)}
)


@given(st.lists(names, min_size=1, unique=True), st.lists(records, max_size=5))
def test_rows_are_those_of_arrow_whatever_the_names(columns: list[str], values: list[Any]) -> None:
    record = pa.struct([("x y", pa.string()), ("n", pa.int64())])
    batch = pa.RecordBatch.from_arrays([pa.array(values, record) for _ in columns], names=columns)
    assert python_rows(batch) == batch.to_pylist()
    assert [[*row] for row in python_rows(batch)] == [columns] * len(values)
