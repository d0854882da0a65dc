"""Counter-based random draws: every random choice is a pure function of a key and counters.

No generator state exists anywhere. A `stream_key` names the purpose (seed, "template", task, split, ...); `draw`
mixes the key with per-row counters (row, part, epoch, ...) into 64 uniform bits a row. The mixing function is the
finalizer of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014),
applied once per counter. Equal arguments give equal bits on every machine and for every batch size.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Bits: TypeAlias = npt.NDArray[np.uint64]
Integers: TypeAlias = npt.NDArray[np.integer] | int

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_LOW32 = np.uint64(0xFFFFFFFF)
_CELLS = 2**20  # draws of a sample at once


@lru_cache(maxsize=4096, typed=True)  # asked for task by task in every block
def stream_key(*parts: str | int) -> int:
    """A 64-bit key for a named stream of draws.

    Args:
        parts: strings and integers, such as `seed, "template", task_id, split`; order and types matter.

    Returns:
        An integer in [0, 2**64).
    """
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def mix(bits: Bits) -> Bits:
    """The finalizer of SplitMix64: a bijection of 64-bit words whose output bits look unrelated to the input.

    Args:
        bits: uint64 array; `mix(key + counter * GOLDEN)` is the counter-th word of the stream of `key`.
    """
    bits = bits ^ (bits >> np.uint64(30))
    bits *= _M1
    bits ^= bits >> np.uint64(27)
    bits *= _M2
    bits ^= bits >> np.uint64(31)
    return bits


def draw(key: int | Bits, *counters: Integers) -> Bits:
    """Uniform 64-bit draws, one for each element of the broadcast counters.

    Args:
        key: a stream key, or an array of keys (one a row).
        counters: int64 arrays or integers; negative numbers are taken modulo 2**64.

    Returns:
        uint64 array of the broadcast shape (0-d when everything is a scalar).
    """
    with np.errstate(over="ignore"):
        bits = mix(np.asarray(key, dtype=np.uint64) + GOLDEN)
        for counter in counters:
            bits = further(bits, np.asarray(counter).astype(np.int64, copy=False).view(np.uint64))
    return bits


def further(bits: Bits, counter: Bits | np.uint64) -> Bits:
    """Draws with one more counter: `draw(key, a, b)` is `further(draw(key, a), b)`."""
    with np.errstate(over="ignore"):
        return mix((bits ^ counter) * GOLDEN + GOLDEN)


def uniform(bits: Bits) -> npt.NDArray[np.float64]:
    """Bits as float64 in [0, 1), from the upper 53 bits."""
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def below(bits: Bits, n: Integers) -> npt.NDArray[np.int64]:
    """Bits as integers in [0, n), by multiplying high (Lemire 2019); n < 2**32, bias below 2**-32.

    Args:
        bits: uint64 draws.
        n: the upper bounds, at least 1, broadcast against the bits.
    """
    bound = np.asarray(n, dtype=np.uint64)
    with np.errstate(over="ignore"):
        high, low = bits >> np.uint64(32), bits & _LOW32
        return ((high * bound + ((low * bound) >> np.uint64(32))) >> np.uint64(32)).astype(np.int64)


def keyed_orders(keys: Bits, sizes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """A uniform permutation of [0, size) for each row, such as the order in which its choices are shown.

    Each element of a row gets a draw of (key of the row, element); the row's order is the order of its draws, so it
    depends on nothing but the row's own key and size.

    Args:
        keys: uint64 [rows], such as `draw(stream, row, part, epoch)`.
        sizes: int64 [rows], at least 0.

    Returns:
        int64 values [sum of sizes] and int64 offsets [rows + 1]: the order of row r stands in
        `values[offsets[r]:offsets[r + 1]]`; its first element is the index of what comes first.
    """
    offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    order = np.empty(offsets[-1], dtype=np.int64)
    keys = np.asarray(keys, dtype=np.uint64)
    for size in np.unique(sizes).tolist():
        rows = np.flatnonzero(sizes == size)
        element = np.arange(size, dtype=np.int64)
        draws = draw(keys[rows][:, None], element[None, :])
        order[offsets[rows][:, None] + element] = np.argsort(draws, axis=1, kind="stable")
    return order, offsets


def keyed_samples(
    keys: Bits,
    sizes: npt.NDArray[np.int64],
    most: int,
    required: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    *,
    in_order: bool = False,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """At most so many elements of [0, size) for each row: those that it must have, and a uniform sample of the others.

    Args:
        keys: uint64 [rows], such as `draw(stream, row, part, epoch)`.
        sizes: int64 [rows], at least 0; rows of at most `most` elements keep all of them, in order.
        most: elements in a sample; a row that must have more gets these.
        required: int64 values and int64 offsets [rows + 1]: the distinct elements that each row must have.
        in_order: samples ascend; otherwise their order is a keyed permutation, uniform over what is required and what
            is not.

    Returns:
        int64 values and int64 offsets [rows + 1].
    """
    needed, bounds = required
    counts = np.minimum(sizes, np.maximum(most, np.diff(bounds)))
    offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    out = np.empty(offsets[-1], dtype=np.int64)
    for size, count in np.unique(np.stack([sizes, counts]), axis=1).T.tolist():
        same = np.flatnonzero((sizes == size) & (counts == count))
        step = max(1, _CELLS // max(size, 1))
        for rows in (same[first : first + step] for first in range(0, len(same), step)):
            element = np.broadcast_to(np.arange(size, dtype=np.int64), (len(rows), size))
            if count < size:
                draws = draw(keys[rows][:, None], element)
                lengths = np.diff(bounds)[rows]
                owner = np.repeat(np.arange(len(rows)), lengths)
                within = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
                draws[owner, needed[bounds[rows][owner] + within]] = 0  # the lowest stay
                element = np.sort(np.argpartition(draws, count - 1, axis=1)[:, :count], axis=1)
                if not in_order:
                    places = draw(keys[rows][:, None], element, 1)
                    element = np.take_along_axis(element, np.argsort(places, axis=1, kind="stable"), axis=1)
            out[offsets[rows][:, None] + np.arange(count)] = element
    return out, offsets
