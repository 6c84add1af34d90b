"""Uniform integers from a source of random bytes that the caller supplies."""

from __future__ import annotations

from collections.abc import Callable

import gmpy2
from gmpy2 import mpz

Randomness = Callable[[int], bytes]


def uniform_bits(bits: int, randomness: Randomness) -> mpz:
    """Return an integer uniform in [0, 2**bits)."""
    size = (bits + 7) // 8
    data = randomness(size)
    if len(data) != size:
        raise ValueError(f"the source of randomness returned {len(data)} bytes instead of {size}")
    return mpz(int.from_bytes(data, "big") >> (8 * size - bits))


def uniform_below(bound: mpz, randomness: Randomness) -> mpz:
    """Return an integer uniform in [0, bound), by rejection, hence without bias."""
    bits = (bound - 1).bit_length()
    while True:
        candidate = uniform_bits(bits, randomness)
        if candidate < bound:
            return candidate


def uniform_unit(modulus: mpz, randomness: Randomness) -> mpz:
    """Return an element uniform in the group of units modulo `modulus`."""
    while True:
        candidate = uniform_below(modulus, randomness)
        if candidate > 0 and gmpy2.gcd(candidate, modulus) == 1:
            return candidate
