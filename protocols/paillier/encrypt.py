"""Three ways to encrypt, one for each situation.

==================  =======================================  ================================================
who                 for                                      how
==================  =======================================  ================================================
`OwnerEncryptor`    the key owner's own values               uniform n-th residues by CRT and fixed bases
`Encryptor`         values the key owner sees only in sums   Damgard-Jurik-Nielsen, short exponents, own base
`rerandomise`       whatever goes back to the key owner      textbook r^n, r uniform
==================  =======================================  ================================================

Why three. Short exponents hide from everyone who does not know the factors. The key owner does: it can take a
ciphertext's obfuscator to the subgroups of small order, or solve for a short exponent over several ciphertexts, and so
learn of the plaintext's history. A uniform n-th residue leaves it nothing but the plaintext.

Side channels: none of this is constant-time; table look-ups and reductions depend on the exponents.
"""

from __future__ import annotations

from collections.abc import Sequence

import gmpy2
from gmpy2 import mpz

from protocols.paillier.fixed_base import FixedBaseTable, join
from protocols.paillier.keys import PrivateKey, PublicKey
from protocols.paillier.pool import ObfuscatorPool, ObfuscatorSource
from protocols.paillier.sampling import Randomness, uniform_below, uniform_unit
from protocols.paillier.vector import CiphertextVector


class OwnerEncryptor:
    """Encrypt as the key owner: obfuscators uniform among all n-th residues, at a fraction of the cost of r^n.

    The n-th residues modulo p^2 are the cyclic group of order p - 1; the table holds powers of one of its generators.
    Source: CRT as in Paillier, EUROCRYPT 1999, section 7; fixed bases: Brickell et al., EUROCRYPT 1992.
    """

    def __init__(self, private_key: PrivateKey, randomness: Randomness) -> None:
        self.public_key = private_key.public_key
        self._randomness = randomness
        self._p, self._q = private_key.p, private_key.q
        self._p_square, self._q_square = self._p * self._p, self._q * self._q
        self._p_square_inverse = gmpy2.invert(self._p_square, self._q_square)
        digits = self.public_key.bits // 16
        self._at_p = FixedBaseTable(_residue_generator(self._p, randomness), self._p, digits)
        self._at_q = FixedBaseTable(_residue_generator(self._q, randomness), self._q, digits)

    def encrypt(self, values: Sequence[int]) -> CiphertextVector:
        """Encrypt integers in (-n/2, n). Raises: ValueError for any other."""
        plaintexts = _reduced(values, self.public_key)
        return CiphertextVector(self.public_key, [self._encrypt(value) for value in plaintexts])

    def _encrypt(self, value: mpz) -> mpz:
        # 1 + mn = 1 + (mq)p modulo p^2
        at_p = self._component(self._at_p, self._p, self._p_square, value * self._q)
        at_q = self._component(self._at_q, self._q, self._q_square, value * self._p)
        return at_p + (at_q - at_p) * self._p_square_inverse % self._q_square * self._p_square

    def _component(self, table: FixedBaseTable, prime: mpz, square: mpz, shift: mpz) -> mpz:
        exponent = uniform_below(prime - 1, self._randomness)
        product, tail = table.power(exponent.to_bytes(table.digits, "big"))
        return join(product, tail + shift, prime, square)


class Encryptor:
    """Encrypt as anyone: c = (1 + mn) h_s^x with h_s = h^n, h = -y^2 for this encryptor's own y, and x of |n|/2 bits.

    Reveals: nothing to those who cannot factor n. Not for what returns to the key owner: see the module's text.
    Source: Damgard, Jurik, Nielsen, Int. J. Inf. Security 9 (2010), section 4.2.
    """

    def __init__(self, public_key: PublicKey, randomness: Randomness, pool: ObfuscatorPool | None = None) -> None:
        if pool is not None and pool.public_key != public_key:
            raise ValueError("the pool belongs to another key")
        self.public_key = public_key
        self._source: ObfuscatorPool | ObfuscatorSource = (
            ObfuscatorSource(public_key, randomness) if pool is None else pool
        )

    def encrypt(self, values: Sequence[int]) -> CiphertextVector:
        """Encrypt integers in (-n/2, n). Raises: ValueError for any other."""
        plaintexts = _reduced(values, self.public_key)
        obfuscators = self._source.take(len(plaintexts))
        n, square = self.public_key.modulus, self.public_key.modulus_square
        return CiphertextVector(
            self.public_key, [join(o, m, n, square) for o, m in zip(obfuscators, plaintexts, strict=True)]
        )


def rerandomise(vector: CiphertextVector, randomness: Randomness) -> CiphertextVector:
    """Return encryptions of the same plaintexts that are uniform among all such: multiply by r^n, r uniform.

    Reveals: to the key owner the plaintexts, and nothing of how they were computed.
    """
    key = vector.public_key
    units = [uniform_unit(key.modulus, randomness) for _ in range(len(vector))]
    powers = gmpy2.powmod_base_list(units, key.modulus, key.modulus_square)
    return CiphertextVector(key, [c * power % key.modulus_square for c, power in zip(vector, powers, strict=True)])


def _reduced(values: Sequence[int], key: PublicKey) -> list[mpz]:
    n = key.modulus
    plaintexts = [mpz(value) for value in values]
    if any(2 * value <= -n or value >= n for value in plaintexts):
        raise ValueError("a plaintext is outside (-n/2, n)")
    return [value + n if value < 0 else value for value in plaintexts]


def _residue_generator(prime: mpz, randomness: Randomness) -> mpz:
    """Return a generator of the (p - 1)-th roots of unity modulo p^2, which are its n-th residues; p is safe."""
    while True:
        candidate = uniform_unit(prime, randomness)
        if candidate != prime - 1 and gmpy2.jacobi(candidate, prime) == -1:
            return gmpy2.powmod(candidate, prime, prime * prime)
