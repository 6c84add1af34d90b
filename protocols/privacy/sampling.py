"""Discrete Laplace and discrete Gaussian numbers, exactly: by uniform integers and comparisons, never a float.

Source: Canonne, Kamath, Steinke, The Discrete Gaussian for Differential Privacy, NeurIPS 2020, algorithms 1 to 3.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

Randomness = Callable[[int], bytes]


def uniform_below(bound: int, randomness: Randomness) -> int:
    """Return an integer uniform in [0, bound), by rejection. Raises: ValueError if `bound` is not positive."""
    if bound < 1:
        raise ValueError("a uniform integer needs a positive bound")
    bits = (bound - 1).bit_length()
    size = (bits + 7) // 8
    while True:
        candidate = int.from_bytes(randomness(size)) >> (8 * size - bits)
        if candidate < bound:
            return candidate


def bernoulli_exp(numerator: int, denominator: int, randomness: Randomness) -> bool:
    """Return True with probability exp(−numerator/denominator), exactly. Shapes: numerator ≥ 0, denominator > 0."""
    whole, rest = divmod(numerator, denominator)
    for _ in range(whole):
        if not _bernoulli_exp_fraction(1, 1, randomness):
            return False
    return _bernoulli_exp_fraction(rest, denominator, randomness)


def _bernoulli_exp_fraction(numerator: int, denominator: int, randomness: Randomness) -> bool:
    """Return True with probability exp(−γ) for γ in [0, 1]: the parity of when a product of chances first fails."""
    k = 1
    while uniform_below(denominator * k, randomness) < numerator:
        k += 1
    return k % 2 == 1


def discrete_laplace(scale: int, randomness: Randomness) -> int:
    """Return x with probability proportional to exp(−|x|/scale). Raises: ValueError if `scale` is not positive."""
    while True:
        low = uniform_below(scale, randomness)
        if not bernoulli_exp(low, scale, randomness):
            continue
        high = 0
        while bernoulli_exp(1, 1, randomness):
            high += 1
        magnitude = low + scale * high
        negative = uniform_below(2, randomness) == 1
        if not (negative and magnitude == 0):
            return -magnitude if negative else magnitude


def discrete_gaussian(numerator: int, denominator: int, randomness: Randomness) -> int:
    """Return x with probability proportional to exp(−x²/2σ²), σ² = numerator/denominator.

    Raises: ValueError if either is not positive.
    """
    if numerator < 1 or denominator < 1:
        raise ValueError("a variance is positive")
    scale = isqrt(numerator // denominator) + 1
    centre, spread = numerator, 2 * numerator * denominator * scale * scale
    while True:
        candidate = discrete_laplace(scale, randomness)
        distance = abs(candidate) * scale * denominator - centre
        if bernoulli_exp(distance * distance, spread, randomness):
            return candidate
