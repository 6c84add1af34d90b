"""Decryption as the key owner: by the Chinese remainder theorem, or modulo one prime where plaintexts must be small.

Several small ones open together, by one exponentiation with the secret exponent.
"""

from __future__ import annotations

from typing import Final

import gmpy2
from gmpy2 import mpz

from protocols.paillier.keys import PrivateKey
from protocols.paillier.modular_power import modular_powers
from protocols.paillier.sampling import Randomness, uniform_bits
from protocols.paillier.vector import CiphertextVector

GUARD_BITS: Final = 128
"""How much wider than an honest plaintext a prime must be, for it to tell the others."""

CHECK_BITS: Final = 96
"""Width of the random factors that keep plaintexts apart which are opened together."""


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


def decrypt_together(private_key: PrivateKey, vector: CiphertextVector, bits: int, randomness: Randomness) -> list[int]:
    """Return what `decrypt_below` does, by one exponentiation for as many as the margins of that allow.

    Plaintexts m_i are opened as one number, the sum of r_i * m_i * 2^(i * width), for fresh random odd r_i of
    CHECK_BITS. It counts only if every slot is a multiple of its r_i and small enough, and nothing stands above;
    otherwise each is opened alone, so that a wrong one spoils no other. Were it to pass for other y_i, p would divide
    D, the sum of r_i * (m_i - y_i) * 2^(i * width). If D is not 0, whoever knows the m_i factors n with it, as in
    `decrypt_below`. If D is 0, the lowest m_i that is not y_i is off by a multiple h of 2^width, and r_i * h must be
    made up for by multiples of the other factors: whoever chose the m_i did not know these.
    Raises: ValueError if the vector is under another key.
    """
    if vector.public_key != private_key.public_key:
        raise ValueError("the ciphertexts are under another key")
    most = private_key.public_key.bits // (4 * (bits + CHECK_BITS))
    if most < 2 or len(vector) < 2:
        return decrypt_below(private_key, vector, bits)
    parts = (vector[start : start + most] for start in range(0, len(vector), most))
    return [value for part in parts for value in _opened_together(private_key, part, bits, randomness)]


def _opened_together(private_key: PrivateKey, vector: CiphertextVector, bits: int, randomness: Randomness) -> list[int]:
    width, square = bits + CHECK_BITS, private_key.p * private_key.p
    factors = [uniform_bits(CHECK_BITS, randomness) | 1 for _ in vector]
    joint, shift = mpz(1), mpz(1) << width
    for ciphertext, factor in zip(reversed(list(vector)), reversed(factors), strict=True):
        joint = gmpy2.powmod(joint, shift, square) * gmpy2.powmod(ciphertext, factor, square) % square
    (left,), found = _residues([joint], private_key.p, private_key.hp), []
    for factor in factors:
        left, slot = gmpy2.f_divmod_2exp(left, width)
        value, rest = gmpy2.f_divmod(slot, factor)
        found.append(int(value))
        if rest or value >> bits:
            return decrypt_below(private_key, vector, bits)
    return decrypt_below(private_key, vector, bits) if left else found


def decrypt_signed(private_key: PrivateKey, vector: CiphertextVector) -> list[int]:
    """Return the plaintexts centred in (-n/2, n/2)."""
    n = private_key.public_key.n
    return [value - n if 2 * value > n else value for value in decrypt(private_key, vector)]


def _residues(ciphertexts: list[mpz], prime: mpz, scale: mpz) -> list[mpz]:
    """Return the plaintexts modulo one prime: L(c^(p-1) mod p^2) * scale, L(x) = (x - 1) / p."""
    powers = modular_powers(ciphertexts, prime - 1, prime * prime, secret=True)
    return [(power - 1) // prime * scale % prime for power in powers]
