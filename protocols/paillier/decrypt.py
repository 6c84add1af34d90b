"""Decryption as the key owner: by the Chinese remainder theorem, or modulo one prime where plaintexts must be small."""

from __future__ import annotations

from typing import Final

from gmpy2 import mpz

from protocols.paillier.keys import PrivateKey
from protocols.paillier.modular_power import modular_powers
from protocols.paillier.vector import CiphertextVector

GUARD_BITS: Final = 128
"""How much wider than an honest plaintext a prime must be, for it to tell the others."""


def decrypt(private_key: PrivateKey, vector: CiphertextVector) -> list[int]:
    """Return the plaintexts in [0, n).

    Side channels: the two exponentiations are constant-time with libcrypto, not with gmpy2; the rest never is. Keep
    whoever could time the owner's process away from it.
    Raises: ValueError if the vector is under another key. Source: Paillier, EUROCRYPT 1999, section 7.
    """
    if vector.public_key != private_key.public_key:
        raise ValueError("the ciphertexts are under another key")
    p, q, ciphertexts = private_key.p, private_key.q, list(vector)
    at_p = _residues(ciphertexts, p, private_key.hp)
    at_q = _residues(ciphertexts, q, private_key.hq)
    return [int(a + p * ((b - a) * private_key.p_inverse % q)) for a, b in zip(at_p, at_q, strict=True)]


def decrypt_below(private_key: PrivateKey, vector: CiphertextVector, bits: int) -> list[int]:
    """Return the plaintexts that have at most `bits` bits; in the place of any other, a number that has more.

    At half the price: modulo p alone, where m mod p is m for every m < 2^bits < p. Another plaintext passes for a
    small one only if it differs from one by a multiple of p. A sum that is uniform modulo n, because a mask in it does
    not cancel, does so with probability below 2^(1-GUARD_BITS). Whoever *knows* a plaintext m, or a difference to an
    honest one, with m mod p below 2^bits <= n^(1/4), factors n with it (Coppersmith): to pass takes the key, with
    which nothing need be forged. A key too short for these margins is used in full.
    Raises: ValueError if the vector is under another key. Source: Okamoto, Uchiyama, EUROCRYPT 1998, on m mod p.
    """
    if vector.public_key != private_key.public_key:
        raise ValueError("the ciphertexts are under another key")
    if bits + GUARD_BITS >= private_key.p.bit_length() or 4 * bits > private_key.public_key.bits:
        return decrypt(private_key, vector)
    return [int(m) for m in _residues(list(vector), private_key.p, private_key.hp)]


def decrypt_signed(private_key: PrivateKey, vector: CiphertextVector) -> list[int]:
    """Return the plaintexts centred in (-n/2, n/2)."""
    n = private_key.public_key.n
    return [value - n if 2 * value > n else value for value in decrypt(private_key, vector)]


def _residues(ciphertexts: list[mpz], prime: mpz, scale: mpz) -> list[mpz]:
    """Return the plaintexts modulo one prime: L(c^(p-1) mod p^2) * scale, L(x) = (x - 1) / p."""
    powers = modular_powers(ciphertexts, prime - 1, prime * prime, secret=True)
    return [(power - 1) // prime * scale % prime for power in powers]
