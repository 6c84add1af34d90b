"""Three ways to encrypt, one for each situation.

==================  =======================================  ================================================
who                 for                                      how
==================  =======================================  ================================================
`OwnerEncryptor`    the key owner's own values               obfuscators uniform among n-th residues, by CRT
`Encryptor`         values the key owner sees only in sums   Damgard-Jurik-Nielsen: short exponents, own base
`rerandomise`       whatever goes back to the key owner      textbook r^n, r uniform
==================  =======================================  ================================================

Why three. Short exponents hide plaintexts from everyone who cannot factor n. The key owner can: it sees the obfuscator
that is left once the plaintext is taken off, solves for a short exponent modulo its own primes, and so learns how the
plaintext came about. A uniform n-th residue leaves it the plaintext and nothing else, given gcd(n, phi(n)) = 1, which
`verify_key_proof` establishes.

Side channels: none of this is constant-time.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

from gmpy2 import mpz

from protocols.paillier.cores import cores_in_use
from protocols.paillier.fixed_base import SPREAD_FROM
from protocols.paillier.keys import PrivateKey, PublicKey
from protocols.paillier.modular_power import modular_powers
from protocols.paillier.obfuscators import ObfuscatorSource, OthersResidues, OwnerResidues
from protocols.paillier.sampling import Randomness, uniform_unit
from protocols.paillier.vector import CiphertextVector


class OwnerEncryptor:
    """Encrypt as the key owner: obfuscators uniform among all n-th residues, from a pool where one is given.

    With several cores in use, a long vector is encrypted as `Encryptor` does it: that takes no private key, which
    never leaves its process, and so can be spread.
    Source: Paillier, EUROCRYPT 1999, section 7 (CRT).
    """

    def __init__(self, private_key: PrivateKey, randomness: Randomness, pool: ObfuscatorSource | None = None) -> None:
        self.public_key = private_key.public_key
        self._source = OwnerResidues(private_key, randomness) if pool is None else _of_key(pool, self.public_key)
        self._spread = functools.cache(lambda: OthersResidues(self.public_key, randomness)) if pool is None else None

    def encrypt(self, values: Sequence[int]) -> CiphertextVector:
        """Encrypt integers in (-n/2, n). Raises: ValueError for any other."""
        many = cores_in_use() is not None and len(values) >= SPREAD_FROM
        source = self._spread() if many and self._spread is not None else self._source
        return _encrypt(values, self.public_key, source)


class Encryptor:
    """Encrypt as anyone, c = (1 + mn) h_s^x. Not for what returns to the key owner: see the module's text.

    Reveals: nothing to those who cannot factor n.
    """

    def __init__(self, public_key: PublicKey, randomness: Randomness, pool: ObfuscatorSource | None = None) -> None:
        self.public_key = public_key
        self._source = OthersResidues(public_key, randomness) if pool is None else _of_key(pool, public_key)

    def encrypt(self, values: Sequence[int]) -> CiphertextVector:
        """Encrypt integers in (-n/2, n). Raises: ValueError for any other."""
        return _encrypt(values, self.public_key, self._source)


def rerandomise(vector: CiphertextVector, randomness: Randomness) -> CiphertextVector:
    """Return encryptions of the same plaintexts, uniform among all such: multiply by r^n, r a uniform unit.

    Reveals: to the key owner the plaintexts, and nothing of how they were computed.
    """
    key = vector.public_key
    units = [uniform_unit(key.modulus, randomness) for _ in range(len(vector))]
    powers = modular_powers(units, key.modulus, key.modulus_square, secret=False)
    return CiphertextVector(key, [c * power % key.modulus_square for c, power in zip(vector, powers, strict=True)])


def _encrypt(values: Sequence[int], key: PublicKey, source: ObfuscatorSource) -> CiphertextVector:
    n, square = key.modulus, key.modulus_square
    plaintexts = [mpz(operator.index(value)) for value in values]
    if plaintexts and (2 * min(plaintexts) <= -n or max(plaintexts) >= n):
        raise ValueError("a plaintext is outside (-n/2, n)")
    ciphertexts = []
    for (residue, head), value in zip(source.take(len(plaintexts)), plaintexts, strict=True):
        c = residue + head * value % n * n  # residue * (1 + value * n); cheap when value is small
        ciphertexts.append(c - square if c >= square else c)
    return CiphertextVector(key, ciphertexts)


def _of_key(pool: ObfuscatorSource, key: PublicKey) -> ObfuscatorSource:
    if pool.public_key != key:
        raise ValueError("the pool belongs to another key")
    return pool
