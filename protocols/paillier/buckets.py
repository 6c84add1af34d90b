"""Encrypted sums over buckets: several features in one pass over the rows, then marginalised.

A feature with B values sorts the rows into B buckets, and its histogram is the product of the ciphertexts in each. Two
features together have B1 * B2 joint buckets; one pass over the rows fills those, and multiplying joint buckets together
yields both histograms. A pass costs half a multiplication per row (see `split_form`), marginalising one per occupied
joint bucket and side, so features share a pass for as long as the joint buckets stay few beside the rows.

A feature that wants a weighted sum gets it from its histogram, by running products.

Source: the bucket method of Pippenger, FOCS 1976, as a trade between passes and buckets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from protocols.paillier.split_form import Rows, join

ROW_COST = 0.58  # of multiplying a row's head into a bucket, where a product of two buckets costs 1


@dataclass(frozen=True, slots=True)
class Feature:
    """One code in [0, size) per row; where a weighted sum is all one wants, `weights` by code: ascending, from 0 up."""

    codes: NDArray[np.int64]
    size: int
    weights: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class _Buckets:
    """The occupied buckets, by ascending code: each holds products[i] * (1 + tails[i] * n)."""

    codes: NDArray[np.int64]
    products: list[mpz]
    tails: list[mpz]


def pass_cost(rows: int, sizes: Sequence[int]) -> float:
    """Return the cost, in multiplications, of a pass that the features of these sizes share."""
    buckets = min(rows, math.prod(sizes))
    return rows * ROW_COST + (2.2 * buckets if len(sizes) > 1 else 0)


def plan_passes(rows: int, sizes: Sequence[int]) -> list[list[int]]:
    """Return which features share a pass: the cheapest first-fit over limits on the number of joint buckets."""
    by_size = sorted(range(len(sizes)), key=lambda feature: -sizes[feature])
    plans = [_first_fit(by_size, sizes, 1 << bits) for bits in range(max(rows, 1).bit_length() + 1)]
    return min(plans, key=lambda plan: sum(pass_cost(rows, [sizes[f] for f in together]) for together in plan))


def bucket_sums(
    rows: Rows, joint: NDArray[np.int64], chosen: list[int] | None, sizes: Sequence[int], modulus: mpz
) -> list[list[mpz]]:
    """Return, for each feature of one pass, the ciphertext of the sum in each of its buckets.

    Shapes: `joint` has a joint code, the first feature's part lowest, for each row or for each of the `chosen` ones;
    the results have `size` entries, 1 for an empty bucket.
    """
    occupied, dense = _dense(joint, math.prod(sizes))
    buckets = _Buckets(occupied, *rows.sweep(dense, len(occupied), modulus * modulus, chosen))
    return _marginals(buckets, list(sizes), modulus)


def weighted_product(histogram: Sequence[mpz], weights: Sequence[int], square: mpz) -> list[mpz]:
    """Return the product of a histogram, which is that of all rows, and the product of histogram[code]^weights[code].

    From the heaviest code down, the running product of the histogram enters once per unit by which the weight falls.
    Source: running products as in Bernstein, "Pippenger's exponentiation algorithm", 2002.
    """
    running, result = mpz(1), mpz(1)
    for code in range(len(weights) - 1, -1, -1):
        running = running * histogram[code] % square
        step = weights[code] - (weights[code - 1] if code else 0)
        if step:
            result = result * (running if step == 1 else gmpy2.powmod(running, step, square)) % square
    return [running, result]


def _first_fit(by_size: list[int], sizes: Sequence[int], limit: int) -> list[list[int]]:
    plan: list[list[int]] = []
    filled: list[int] = []
    for feature in by_size:
        for index, occupied in enumerate(filled):
            if occupied * sizes[feature] <= limit:
                plan[index].append(feature)
                filled[index] *= sizes[feature]
                break
        else:
            plan.append([feature])
            filled.append(sizes[feature])
    return plan


def _fold(buckets: _Buckets, codes: NDArray[np.int64], size: int, square: mpz) -> _Buckets:
    """Join the buckets that share one of the new codes."""
    occupied, dense = _dense(codes, size)
    products, tails = [mpz(1)] * len(occupied), [mpz(0)] * len(occupied)
    for code, product, tail in zip(dense, buckets.products, buckets.tails, strict=True):
        products[code] = products[code] * product % square
        tails[code] += tail
    return _Buckets(occupied, products, tails)


def _dense(codes: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], list[int]]:
    """Return the codes below `size` that occur, ascending, and for each entry the position of its code among them."""
    present = np.bincount(codes, minlength=size) > 0
    return np.flatnonzero(present), (np.cumsum(present) - 1)[codes].tolist()


def _marginals(buckets: _Buckets, sizes: list[int], modulus: mpz) -> list[list[mpz]]:
    """Return the dense histogram of each feature of the joint buckets, by halving the list of features."""
    square = modulus * modulus
    if len(sizes) == 1:
        histogram = [mpz(1)] * sizes[0]
        for code, product, tail in zip(buckets.codes.tolist(), buckets.products, buckets.tails, strict=True):
            histogram[code] = join(product, tail, modulus, square)
        return [histogram]
    middle = (len(sizes) + 1) // 2
    lower, upper = math.prod(sizes[:middle]), math.prod(sizes[middle:])
    low = _fold(buckets, buckets.codes % lower, lower, square)
    high = _fold(buckets, buckets.codes // lower, upper, square)
    return _marginals(low, sizes[:middle], modulus) + _marginals(high, sizes[middle:], modulus)
