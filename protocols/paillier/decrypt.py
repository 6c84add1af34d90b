"""Decryption by CRT, as the key owner."""

from __future__ import annotations

import gmpy2

from protocols.paillier.keys import PrivateKey
from protocols.paillier.vector import CiphertextVector


def decrypt(private_key: PrivateKey, vector: CiphertextVector) -> list[int]:
    """Return the plaintexts in [0, n).

    Side channels: gmpy2's exponentiation is not constant-time; keep who can time the owner's process away from it.
    Raises: ValueError if the vector is under another key. Source: Paillier, EUROCRYPT 1999, section 7.
    """
    if vector.public_key != private_key.public_key:
        raise ValueError("the ciphertexts are under another key")
    p, q, hp, hq = private_key.p, private_key.q, private_key.hp, private_key.hq
    p_square, q_square = p * p, q * q
    plaintexts = []
    for value in vector:
        at_p = (gmpy2.powmod(value, p - 1, p_square) - 1) // p * hp % p
        at_q = (gmpy2.powmod(value, q - 1, q_square) - 1) // q * hq % q
        plaintexts.append(int(at_p + p * ((at_q - at_p) * private_key.p_inverse % q)))
    return plaintexts


def decrypt_signed(private_key: PrivateKey, vector: CiphertextVector) -> list[int]:
    """Return the plaintexts centred in (-n/2, n/2)."""
    n = private_key.public_key.n
    return [value - n if 2 * value > n else value for value in decrypt(private_key, vector)]
