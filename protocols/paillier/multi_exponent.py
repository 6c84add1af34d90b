"""Encrypted weighted sums: bucketed multi-exponentiation.

The weights of a column, less their minimum, are codes of so many bits. Those bits are read a few at a time: a pass
over the rows takes as many bits as its buckets bear, from one column or the end of one and the start of the next, and
returns each such digit's weighted sum (`weighted_product`). The minimum returns at the end, as a power of the product
of all rows; its sign costs one inversion for the whole call.

A column with few distinct weights (WOE values, say) is read whole, as a feature with that many values.

Source: Pippenger, FOCS 1976.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from protocols.paillier.buckets import Feature, pass_cost, plan_passes


@dataclass(frozen=True, slots=True)
class Digit:
    """A part of a column's weights: it stands for the weighted sum of its feature, shifted up by `shift` bits."""

    column: int
    feature: Feature
    shift: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """How a weight matrix is read: digits by pass, and per column the minimum that was taken off."""

    passes: list[list[Digit]]
    minima: list[int]


def read_weights(weights: NDArray[np.integer]) -> Reading:
    """Return the cheapest reading of a (rows, columns) matrix of signed integers."""
    rows = len(weights)
    minima = [int(column.min()) for column in weights.T]
    whole: list[Digit] = []
    streams: list[tuple[int, NDArray[np.uint64], int]] = []
    for index, (column, minimum) in enumerate(zip(weights.T, minima, strict=True)):
        codes = column.astype(np.uint64) - np.uint64(minimum % (1 << 64))  # wraps, and is exact: it fits 64 bits
        bits = int(codes.max()).bit_length()
        distinct, positions = _distinct(codes)
        if len(distinct) == 1:
            continue
        if len(distinct) <= max(2, 1 << (bits // 2)):
            whole.append(Digit(index, Feature(positions, len(distinct), distinct)))
        else:
            streams.append((index, codes, bits))
    planned = plan_passes(rows, [digit.feature.size for digit in whole])
    return Reading([[whole[i] for i in together] for together in planned] + _bit_passes(rows, streams), minima)


def column_products(reading: Reading, sums: Sequence[Sequence[Sequence[mpz]]], total: mpz, square: mpz) -> list[mpz]:
    """Return each column's weighted product, from those of its digits and the product of all rows."""
    products = _powers(total, reading.minima, square)
    for digits, found in zip(reading.passes, sums, strict=True):
        for digit, (_, weighted) in zip(digits, found, strict=True):
            shifted = gmpy2.powmod(weighted, 1 << digit.shift, square)
            products[digit.column] = products[digit.column] * shifted % square
    return products


def _powers(total: mpz, minima: Sequence[int], square: mpz) -> list[mpz]:
    """Return the product of all rows to the power of each minimum."""
    inverse = gmpy2.invert(total, square) if min(minima, default=0) < 0 else total
    return [gmpy2.powmod(inverse if minimum < 0 else total, abs(minimum), square) for minimum in minima]


def _distinct(codes: NDArray[np.uint64]) -> tuple[list[int], NDArray[np.int64]]:
    """Return the values that occur, ascending, and for each entry the position of its value among them."""
    if int(codes.max()) > 4 * len(codes):
        values, positions = np.unique(codes, return_inverse=True)
        return values.tolist(), positions.reshape(-1).astype(np.int64)
    small = codes.astype(np.int64)
    present = np.bincount(small) > 0
    return np.flatnonzero(present).tolist(), (np.cumsum(present) - 1)[small]


def _bit_passes(rows: int, streams: list[tuple[int, NDArray[np.uint64], int]]) -> list[list[Digit]]:
    """Read the streams' bits in passes of equally many, the number that costs least."""
    total = sum(bits for _, _, bits in streams)
    if not total:
        return []
    width = min(range(1, 25), key=lambda bits: -(-total // bits) * pass_cost(rows, [1 << bits - 1, 2]))
    passes: list[list[Digit]] = [[]]
    room = width
    for column, codes, bits in streams:
        low = 0
        while low < bits:
            if not room:
                passes.append([])
                room = width
            taken = min(room, bits - low)
            digit = (codes >> np.uint64(low)) & np.uint64((1 << taken) - 1)
            feature = Feature(digit.astype(np.int64), 1 << taken, range(1 << taken))
            passes[-1].append(Digit(column, feature, low))
            low, room = low + taken, room - taken
    return passes
