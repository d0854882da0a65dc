"""Keyed permutations: a full shuffle of n rows without a buffer, a stored permutation or a generator state.

A permutation of [0, n) is named by (key, epoch) and computed one element at a time. Numbers below the next power of
two are split into a high and a low half, which a Feistel network changes in turn, each by a keyed function of the
other; where the result is n or more, the network is applied again until it is not ("cycle walking", Black and
Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). The power of two is below 2n, so fewer than two
applications are needed on average. Everything is vectorised: each row may have its own key, n and epoch.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tasksource_reg import keyed

IntArray: TypeAlias = npt.NDArray[np.int64]

LARGEST = 2**62  # the largest n; halves then have 31 or 32 bits
_ROUNDS = 8
_SMALL_ROUNDS = 24  # a round of a small network has few outcomes, so it takes more of them to come near uniform
_SMALL_BITS = 8
_BLOCK = 16_000  # rows at a time: their arrays fit into the cache of a core, and are not mapped anew (below 128 KiB)
_WITHIN = 1  # tells the keys of windows from those of blocks
_ROUND_BITS = 6  # room for the round number in the counter of a draw; 2**6 is above any number of rounds


def permute(key: keyed.Bits | int, n: keyed.Integers, epoch: keyed.Integers, index: keyed.Integers) -> IntArray:
    """The element that stands at `index` in the permutation of [0, n) named by (key, epoch).

    Args:
        key: a stream key such as `keyed.stream_key(seed, "order", task, split)`, or uint64 keys.
        n: number of elements, 1 to 2**62.
        epoch: which of the key's permutations, at least 0.
        index: in [0, n). All four broadcast against each other.

    Returns:
        int64 array of the broadcast shape; over all indices each number below n comes once.

    Raises:
        ValueError: n or an index is out of range.

    Example:
        >>> sorted(permute(5, 4, 0, np.arange(4)).tolist())
        [0, 1, 2, 3]
    """
    return _walk(key, n, epoch, index, inverse=False)


def invert(key: keyed.Bits | int, n: keyed.Integers, epoch: keyed.Integers, element: keyed.Integers) -> IntArray:
    """The index at which `element` stands: the inverse of `permute` for the same key, n and epoch."""
    return _walk(key, n, epoch, element, inverse=True)


def _walk(
    key: keyed.Bits | int, n: keyed.Integers, epoch: keyed.Integers, value: keyed.Integers, *, inverse: bool
) -> IntArray:
    """Applies the network of each row until its value is below n; rows are flat inside, small networks apart."""
    keys, size, values = np.broadcast_arrays(
        keyed.draw(key, epoch), np.asarray(n, np.int64), np.asarray(value, np.int64)
    )
    shape = values.shape
    keys, size, values = keys.ravel(), size.ravel(), values.ravel()
    if size.size and (size.min() < 1 or size.max() > LARGEST):
        raise ValueError(f"a permutation has 1 to 2**62 elements, not {size.min()} to {size.max()}")
    if np.any((values < 0) | (values >= size)):
        raise ValueError("an index is outside its permutation")
    bits = np.frexp((size - 1).astype(np.float64))[1]
    out = np.empty(values.shape, dtype=np.int64)
    small = bits <= _SMALL_BITS
    for rows, rounds in ((np.flatnonzero(~small), _ROUNDS), (np.flatnonzero(small), _SMALL_ROUNDS)):
        pending, current = rows, values[rows].view(np.uint64)
        while len(pending):  # all blocks go on together: the last rows of each would cost as much as a whole block
            for start in range(0, len(pending), _BLOCK):
                some = pending[start : start + _BLOCK]
                block = current[start : start + _BLOCK]
                block[:] = _network(keys[some], bits[some], block, rounds, inverse)
            found = current.view(np.int64)
            out[pending] = found  # rows that are still outside are written again
            outside = np.flatnonzero(found >= size[pending])
            pending, current = pending[outside], current[outside]
    return out.reshape(shape)


def _network(
    keys: keyed.Bits, bits: npt.NDArray[np.int32], values: keyed.Bits, rounds: int, inverse: bool
) -> keyed.Bits:
    """One application of the network on numbers of `bits` bits: a bijection of [0, 2**bits)."""
    one = np.uint64(1)
    low_bits = (bits >> 1).astype(np.uint64)
    low_mask = (one << low_bits) - one
    high_mask = (one << (bits.astype(np.uint64) - low_bits)) - one
    high, low = values >> low_bits, values & low_mask
    for number in reversed(range(rounds)) if inverse else range(rounds):
        if number % 2:
            low = low ^ (_round(keys, high, number) & low_mask)
        else:
            high = high ^ (_round(keys, low, number) & high_mask)
    return (high << low_bits) | low


def _round(keys: keyed.Bits, half: keyed.Bits, number: int) -> keyed.Bits:
    """Keyed bits of one half: word `half * 64 + number` of the stream of each row's key."""
    with np.errstate(over="ignore"):
        return keyed.mix(keys + ((half << np.uint64(_ROUND_BITS)) | np.uint64(number)) * keyed.GOLDEN)


def permute_blocks(
    key: keyed.Bits | int,
    n: keyed.Integers,
    epoch: keyed.Integers,
    index: keyed.Integers,
    block: int,
    window: int,
) -> IntArray:
    """As `permute`, but neighbours in the order come from few blocks of neighbouring elements.

    Blocks of `block` elements are permuted as wholes; of every `window` blocks in that order, the elements are
    permuted. So a reader of successive indices needs `window` blocks at a time. With at most `window` blocks it is a
    full permutation.

    Args:
        key, n, epoch, index: as for `permute`.
        block: elements of a block (the last one may have fewer), at least 1.
        window: blocks whose elements are mixed, at least 1.

    Returns:
        int64 array of the broadcast shape; over all indices each number below n comes once.

    Raises:
        ValueError: n, an index, a block or a window is out of range.
    """
    if block < 1 or window < 1:
        raise ValueError(f"blocks of {block} elements in windows of {window}")
    keys, size, epochs, at = np.broadcast_arrays(
        np.asarray(key, np.uint64), np.asarray(n, np.int64), np.asarray(epoch, np.int64), np.asarray(index, np.int64)
    )
    if np.any((at < 0) | (at >= size)):
        raise ValueError("an index is outside its permutation")
    blocks = -(-size // block)
    lacking = blocks * block - size  # elements that the last block has not
    short = invert(keys, blocks, epochs, blocks - 1)  # where that block stands in the order

    def start(slot: IntArray) -> IntArray:
        result: IntArray = np.minimum(slot, blocks) * block - np.where(np.minimum(slot, blocks) > short, lacking, 0)
        return result

    number = at // (window * block)
    number = number + (at >= start((number + 1) * window))
    first = start(number * window)
    inner = keyed.further(keyed.draw(keys, _WITHIN), number.view(np.uint64))
    mixed = first + permute(inner, start((number + 1) * window) - first, epochs, at - first)
    slot = mixed // block
    slot = slot + (mixed >= start(slot + 1))
    result: IntArray = permute(keys, blocks, epochs, slot) * block + mixed - start(slot)
    return result
