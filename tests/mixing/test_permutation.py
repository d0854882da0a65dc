"""Keyed permutations: bijections, uniform over keys, independent of how rows are batched."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasksource_reg import keyed
from tasksource_reg.mixing.permutation import LARGEST, invert, permute, permute_blocks

SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 32, 33, 64, 100, 255, 256, 257, 1000, 1024, 1025, 4097, 9_999, 10_000]


def chi_square_z(counts: np.ndarray) -> float:
    """How many standard deviations the chi-square statistic of equal cells lies above its mean."""
    expected = counts.mean()
    freedom = counts.size - 1
    return float((((counts - expected) ** 2 / expected).sum() - freedom) / math.sqrt(2 * freedom))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("epoch", [0, 1, 10**9])
def test_every_element_comes_once(n: int, epoch: int) -> None:
    order = permute(42, n, epoch, np.arange(n))
    assert sorted(order.tolist()) == list(range(n))
    assert (invert(42, n, epoch, order) == np.arange(n)).all()


@given(st.integers(1, 10_000), st.integers(0, 2**64 - 1), st.integers(0, 2**40))
def test_every_element_comes_once_for_any_key(n: int, key: int, epoch: int) -> None:
    assert len(set(permute(key, n, epoch, np.arange(n)).tolist())) == n


@given(st.integers(10**4, LARGEST), st.integers(0, 2**64 - 1), st.data())
def test_large_permutations_invert(n: int, key: int, data: st.DataObject) -> None:
    index = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=50, unique=True)), dtype=np.int64)
    element = permute(key, n, 3, index)
    assert element.min() >= 0 and element.max() < n
    assert len(set(element.tolist())) == len(index)
    assert (invert(key, n, 3, element) == index).all()


@pytest.mark.parametrize("n", [10**6, 10**9, 10**12, LARGEST])
def test_large_permutations_spread_neighbours_evenly(n: int) -> None:
    element = permute(7, n, 0, np.arange(100_000))
    assert len(np.unique(element)) == 100_000
    assert abs(chi_square_z(np.bincount((element / n * 64).astype(int), minlength=64))) < 5


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7, 8, 9, 10, 17, 40, 300])
def test_each_index_is_uniform_over_keys(n: int) -> None:
    keys = keyed.draw(1, np.arange(60_000))
    for index in {0, 1, n // 2, n - 1}:
        assert chi_square_z(np.bincount(permute(keys, n, 0, index), minlength=n)) < 5


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_small_permutations_are_uniform_as_wholes_over_keys_and_epochs(n: int) -> None:
    epochs = np.arange(60_000)
    code = sum(permute(9, n, epochs, index) * n**index for index in range(n))
    _, counts = np.unique(code, return_counts=True)
    assert len(counts) == math.factorial(n)
    assert chi_square_z(counts) < 5


@pytest.mark.parametrize("n", [6, 10, 33, 70])
def test_pairs_of_indices_are_uniform(n: int) -> None:
    keys = keyed.draw(2, np.arange(100_000))
    columns = [permute(keys, n, 0, index) for index in (0, 1, n - 1)]
    for one, other in itertools.combinations(columns, 2):
        assert chi_square_z(np.bincount((one - other) % n, minlength=n)[1:]) < 5


def test_rows_of_different_permutations_in_one_block_equal_each_alone() -> None:
    keys = keyed.draw(3, np.arange(40_000))
    n = np.array([1, 2, 9, 200, 300, 10**6, 10**12, LARGEST])[np.arange(40_000) % 8]
    epoch = np.arange(40_000) % 5
    index = np.arange(40_000) * 7919 % n
    together = permute(keys, n, epoch, index)
    for row in range(0, 40_000, 1999):
        assert together[row] == permute(int(keys[row]), int(n[row]), int(epoch[row]), int(index[row]))
    assert (invert(keys, n, epoch, together) == index).all()


def test_keys_and_epochs_give_different_orders() -> None:
    orders = {tuple(permute(key, 50, epoch, np.arange(50)).tolist()) for key in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_the_order_is_pinned() -> None:
    """A released order never changes: exports and states of older versions depend on it."""
    assert permute(1, 12, 0, np.arange(12)).tolist() == [9, 6, 10, 7, 11, 0, 2, 4, 3, 8, 1, 5]
    assert permute(1, 1000, 2, np.arange(5)).tolist() == [810, 69, 292, 348, 167]


@pytest.mark.parametrize(("n", "index"), [(0, 0), (LARGEST + 1, 0), (3, 3), (3, -1)])
def test_numbers_out_of_range_are_refused(n: int, index: int) -> None:
    with pytest.raises(ValueError, match="permutation"):
        permute(1, n, 0, index)


def test_no_rows_give_no_rows() -> None:
    assert permute(1, 5, 0, np.zeros(0, dtype=np.int64)).tolist() == []


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 600), st.integers(1, 50), st.integers(1, 12), st.integers(0, 3), st.integers(0, 2**62))
def test_blocks_in_windows_are_a_bijection_and_keep_together(
    n: int, block: int, window: int, epoch: int, key: int
) -> None:
    element = permute_blocks(key, n, epoch, np.arange(n), block, window)
    assert sorted(element.tolist()) == list(range(n))
    seen: list[set[int]] = []
    at = 0
    while at < n:  # windows one after the other, each of whole blocks that no other has
        blocks = set((element[at : at + min(window * block, n - at)] // block).tolist())
        if len(blocks) > window:  # the short block stands in this window: it ends sooner
            lacking = -(-n // block) * block - n
            blocks = set((element[at : at + window * block - lacking] // block).tolist())
        size = sum(min(block, n - b * block) for b in blocks)
        assert len(blocks) <= window and not any(blocks & before for before in seen)
        assert set((element[at : at + size] // block).tolist()) == blocks
        seen.append(blocks)
        at += size
    one = np.array([permute_blocks(key, n, epoch, i, block, window) for i in range(0, n, 37)])
    assert one.tolist() == element[::37].tolist()


def test_few_blocks_are_a_full_permutation_and_epochs_differ() -> None:
    counts = np.zeros((40, 40), dtype=np.int64)
    for epoch in range(4000):
        counts[np.arange(40), permute_blocks(5, 40, epoch, np.arange(40), 4, 10)] += 1
    assert chi_square_z(counts.ravel()) < 5


def test_the_order_of_blocks_is_pinned() -> None:
    assert permute_blocks(1, 12, 0, np.arange(12), 4, 2).tolist() == [3, 5, 4, 6, 1, 0, 7, 2, 9, 10, 11, 8]
    far = permute_blocks(1, 10**12, 1, np.array([0, 1, 10**12 - 1]), 16_384, 64)
    assert far.tolist() == [726456600920, 846389385292, 359027497525]


@pytest.mark.parametrize(("n", "index", "block", "window"), [(3, 3, 1, 1), (3, -1, 1, 1), (3, 0, 0, 1), (3, 0, 1, 0)])
def test_blocks_that_cannot_be_are_refused(n: int, index: int, block: int, window: int) -> None:
    with pytest.raises(ValueError):
        permute_blocks(1, n, 0, index, block, window)
