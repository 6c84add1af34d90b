"""Safe primes, and the bound below which a modulus may have no factor.

A prime p is safe when (p - 1) / 2 is prime too. Safe primes are Blum primes (p = 3 mod 4), and they make every
condition of the encryptors' security arguments hold at once: see `keys`.
"""

from __future__ import annotations

import functools

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from protocols.paillier.sampling import Randomness, uniform_bits

SMALL_FACTOR_BOUND = 1 << 16
_SIEVE_BOUND = 1 << 20
_SIEVE_SPAN = 1 << 17
MILLER_RABIN_ROUNDS = 40


@functools.cache
def primes_below(bound: int) -> NDArray[np.int64]:
    """Return all primes below `bound`, ascending."""
    composite = np.zeros(bound, dtype=bool)
    composite[:2] = True
    for candidate in range(2, int(bound**0.5) + 1):
        if not composite[candidate]:
            composite[candidate * candidate :: candidate] = True
    return np.flatnonzero(~composite).astype(np.int64)


def has_small_factor(n: mpz) -> bool:
    """Tell whether a prime below `SMALL_FACTOR_BOUND` divides `n`."""
    return bool(gmpy2.gcd(n, gmpy2.primorial(SMALL_FACTOR_BOUND)) != 1)


def safe_prime(bits: int, randomness: Randomness) -> mpz:
    """Return a random safe prime of exactly `bits` bits whose two top bits are set.

    The two top bits make the product of two such primes exactly `2 * bits` long. Raises: ValueError below 128 bits.
    """
    if bits < 128:
        raise ValueError("a prime of fewer than 128 bits protects nothing")
    while True:
        start = uniform_bits(bits - 3, randomness) | (mpz(3) << (bits - 3))  # q = (p - 1) / 2 has bits - 1 bits
        for q in _sieved(start - start % 2 + 1):
            if q.bit_length() == bits - 1 and _is_safe(q):
                return 2 * q + 1


def _sieved(start: mpz) -> list[mpz]:
    """Return the odd q in a span from `start` for which neither q nor 2q + 1 has a factor below the sieve's bound."""
    alive = np.ones(_SIEVE_SPAN, dtype=bool)  # alive[i] stands for q = start + 2i
    for prime in primes_below(_SIEVE_BOUND)[1:].tolist():
        residue = int(start % prime)
        half = (prime + 1) // 2  # the inverse of 2
        alive[(-residue * half) % prime :: prime] = False  # q = 0 mod prime
        alive[((half * (prime - 1) - residue) * half) % prime :: prime] = False  # 2q + 1 = 0 mod prime
    return [start + 2 * int(offset) for offset in np.flatnonzero(alive)]


def _is_safe(q: mpz) -> bool:
    p = 2 * q + 1
    if gmpy2.powmod(2, q - 1, q) != 1 or gmpy2.powmod(2, p - 1, p) != 1:
        return False
    return bool(gmpy2.is_prime(q, MILLER_RABIN_ROUNDS) and gmpy2.is_prime(p, MILLER_RABIN_ROUNDS))
