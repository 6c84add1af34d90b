"""Encrypted weighted sums: bucketed multi-exponentiation.

The weights of a column, less their minimum, are codes of so many bits. Those bits are read a few at a time: a pass
over the rows takes as many bits as its buckets bear, from one column or the end of one and the start of the next, and
returns a histogram for each such digit. The digit's weighted sum is a product of running products over it. The minimum
returns at the end, as a power of the product of all rows; its sign costs one inversion for the whole call.

A column with few distinct weights (WOE values, say) is read whole, as a feature with that many values.

Source: Pippenger, FOCS 1976; running products as in Bernstein, "Pippenger's exponentiation algorithm", 2002.
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
    """A part of a column's weights: it stands for the sum of (weights[code] << shift) * (what has that code)."""

    column: int
    feature: Feature
    weights: tuple[int, ...]  # by code, ascending, not negative
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
        distinct, inverse = np.unique(codes, return_inverse=True)
        if len(distinct) == 1:
            continue
        if len(distinct) <= max(2, 1 << (bits // 2)):
            feature = Feature(inverse.reshape(-1).astype(np.int64), len(distinct))
            whole.append(Digit(index, feature, tuple(distinct.tolist())))
        else:
            streams.append((index, codes, bits))
    planned = plan_passes(rows, [digit.feature.size for digit in whole])
    return Reading([[whole[i] for i in together] for together in planned] + _bit_passes(rows, streams), minima)


def digit_product(digit: Digit, histogram: Sequence[mpz], square: mpz) -> mpz:
    """Return the product of histogram[code]^(weights[code] << shift): the digit's share of its column.

    From the heaviest code down, the running product of the histogram enters once per unit by which the weight falls.
    """
    running, result, weights = mpz(1), mpz(1), digit.weights
    for code in range(len(weights) - 1, -1, -1):
        running = running * histogram[code] % square
        step = weights[code] - (weights[code - 1] if code else 0)
        if step:
            result = result * (running if step == 1 else gmpy2.powmod(running, step, square)) % square
    return gmpy2.powmod(result, 1 << digit.shift, square)


def histogram_product(histogram: Sequence[mpz], square: mpz) -> mpz:
    """Return the product of a histogram, which is that of all rows."""
    product = mpz(1)
    for value in histogram:
        product = product * value % square
    return product


def powers_of_total(total: mpz, minima: Sequence[int], square: mpz) -> list[mpz]:
    """Return the product of all rows to the power of each minimum."""
    inverse = gmpy2.invert(total, square) if min(minima, default=0) < 0 else total
    return [gmpy2.powmod(inverse if minimum < 0 else total, abs(minimum), square) for minimum in minima]


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
            feature = Feature(digit.astype(np.int64), 1 << taken)
            passes[-1].append(Digit(column, feature, tuple(range(1 << taken)), low))
            low, room = low + taken, room - taken
    return passes
