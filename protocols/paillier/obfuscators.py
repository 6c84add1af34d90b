"""Where encryptions take their randomness from: n-th residues modulo n^2.

==================  ==========================================  ===================================
source              an obfuscator is                            for
==================  ==========================================  ===================================
`OwnerResidues`     uniform among all n-th residues             the key owner, who knows p and q
`OthersResidues`    h_s^x, x of |n|/2 bits                      values the key owner sees only summed
==================  ==========================================  ===================================

Side channels: none of this is constant-time; table accesses and reductions depend on the secret exponents.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import gmpy2
from gmpy2 import mpz

from protocols.paillier.fixed_base import FixedBase
from protocols.paillier.keys import PrivateKey, PublicKey
from protocols.paillier.modular_power import modular_powers
from protocols.paillier.primes import MILLER_RABIN_ROUNDS
from protocols.paillier.sampling import Randomness, uniform_below, uniform_unit


class Obfuscator(NamedTuple):
    """An n-th residue modulo n^2 and, as every encryption with it needs that, its head modulo n."""

    residue: mpz
    head: mpz


class ObfuscatorSource(Protocol):
    """Anything that hands out fresh obfuscators, each once."""

    @property
    def public_key(self) -> PublicKey:
        """The key they are for."""

    def take(self, count: int) -> list[Obfuscator]:
        """Return `count` of them."""


class OthersResidues:
    """Obfuscators h_s^x, where h_s = h^n, h = -y^2 for a y drawn here and kept, and x is uniform of |n|/2 bits.

    Many at once are made on the cores in use, to whose processes the exponents go.
    Source: Damgard, Jurik, Nielsen, Int. J. Inf. Security 9 (2010), section 4.2.
    """

    __slots__ = ("_base", "_randomness", "public_key")

    def __init__(self, public_key: PublicKey, randomness: Randomness) -> None:
        self.public_key = public_key
        self._randomness = randomness
        y = uniform_unit(public_key.modulus, randomness)
        base = gmpy2.powmod(-y * y, public_key.modulus, public_key.modulus_square)
        self._base = FixedBase(base, public_key.modulus, public_key.bits // 16, secret=False)

    def take(self, count: int) -> list[Obfuscator]:
        """Return `count` fresh obfuscators."""
        exponents = [_exact(self._randomness, self._base.digits) for _ in range(count)]
        n = self.public_key.modulus
        return [Obfuscator(power, power % n) for power in self._base.powers(exponents)]


class OwnerResidues:
    """Obfuscators uniform among all n-th residues, which only the key owner can make this cheaply.

    Modulo p^2 the n-th residues are the cyclic group of order p - 1, likewise modulo q^2; an element of each is drawn
    and the two are joined by the Chinese remainder theorem.
    """

    __slots__ = ("_at_p", "_at_q", "_p_square", "_q_square", "_recombine", "public_key")

    def __init__(self, private_key: PrivateKey, randomness: Randomness) -> None:
        p, q = private_key.p, private_key.q
        self.public_key = private_key.public_key
        self._at_p, self._at_q = _roots_of_unity(p, randomness), _roots_of_unity(q, randomness)
        self._p_square, self._q_square = p * p, q * q
        self._recombine = gmpy2.invert(self._p_square, self._q_square)

    def take(self, count: int) -> list[Obfuscator]:
        """Return `count` fresh obfuscators."""
        n, p_square, q_square, recombine = self.public_key.modulus, self._p_square, self._q_square, self._recombine
        pairs = zip(self._at_p.draw(count), self._at_q.draw(count), strict=True)
        residues = [a + (b - a) * recombine % q_square * p_square for a, b in pairs]
        return [Obfuscator(residue, residue % n) for residue in residues]


class _GeneratedRoots:
    """Uniform (p - 1)-th roots of unity modulo p^2 for a safe prime p: a generator to a uniform exponent below p - 1.

    An element is a generator when its order divides neither 2 nor (p - 1) / 2, the two maximal divisors.
    """

    __slots__ = ("_base", "_order", "_randomness")

    def __init__(self, prime: mpz, randomness: Randomness) -> None:
        candidate = uniform_unit(prime, randomness)
        while candidate == prime - 1 or gmpy2.jacobi(candidate, prime) != -1:
            candidate = uniform_unit(prime, randomness)
        generator = gmpy2.powmod(candidate, prime, prime * prime)
        self._base = FixedBase(generator, prime, (prime.bit_length() + 7) // 8)
        self._order, self._randomness = prime - 1, randomness

    def draw(self, count: int) -> list[mpz]:
        exponents = [uniform_below(self._order, self._randomness) for _ in range(count)]
        return self._base.powers([exponent.to_bytes(self._base.digits, "big") for exponent in exponents])


class _LiftedRoots:
    """Uniform (p - 1)-th roots of unity modulo p^2 for any prime p: x^p for a uniform x. Seven times slower."""

    __slots__ = ("_prime", "_randomness")

    def __init__(self, prime: mpz, randomness: Randomness) -> None:
        self._prime, self._randomness = prime, randomness

    def draw(self, count: int) -> list[mpz]:
        units = [uniform_unit(self._prime, self._randomness) for _ in range(count)]
        return modular_powers(units, self._prime, self._prime * self._prime, secret=True)


def _roots_of_unity(prime: mpz, randomness: Randomness) -> _GeneratedRoots | _LiftedRoots:
    safe = gmpy2.is_prime((prime - 1) // 2, MILLER_RABIN_ROUNDS)
    return _GeneratedRoots(prime, randomness) if safe else _LiftedRoots(prime, randomness)


def _exact(randomness: Randomness, size: int) -> bytes:
    data = randomness(size)
    if len(data) != size:
        raise ValueError(f"the source of randomness returned {len(data)} bytes instead of {size}")
    return data
