"""Decryption by the Chinese remainder theorem, as the key owner."""

from __future__ import annotations

from gmpy2 import mpz

from protocols.paillier.keys import PrivateKey
from protocols.paillier.modular_power import modular_powers
from protocols.paillier.vector import CiphertextVector


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


def decrypt_signed(private_key: PrivateKey, vector: CiphertextVector) -> list[int]:
    """Return the plaintexts centred in (-n/2, n/2)."""
    n = private_key.public_key.n
    return [value - n if 2 * value > n else value for value in decrypt(private_key, vector)]


def _residues(ciphertexts: list[mpz], prime: mpz, scale: mpz) -> list[mpz]:
    """Return the plaintexts modulo one prime: L(c^(p-1) mod p^2) * scale, L(x) = (x - 1) / p."""
    powers = modular_powers(ciphertexts, prime - 1, prime * prime, secret=True)
    return [(power - 1) // prime * scale % prime for power in powers]
