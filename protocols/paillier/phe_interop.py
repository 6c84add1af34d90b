"""Keys and ciphertexts to and from `phe`, the one module that imports it.

Ciphertexts cross as raw integers. `phe`'s encoded floats carry their exponent in clear and are refused: an exponent
tells the magnitude of a plaintext to everyone.
"""

from __future__ import annotations

from collections.abc import Sequence

import phe
from gmpy2 import mpz

from protocols.paillier.keys import PrivateKey, PublicKey
from protocols.paillier.vector import CiphertextVector


def public_key_to_phe(key: PublicKey) -> phe.PaillierPublicKey:
    """Return `phe`'s form of a public key."""
    return phe.PaillierPublicKey(key.n)


def public_key_from_phe(key: phe.PaillierPublicKey) -> PublicKey:
    """Return our form of `phe`'s public key. Raises: ValueError if its length is none that we use."""
    return PublicKey(int(key.n), int(key.n).bit_length())


def private_key_to_phe(key: PrivateKey) -> phe.PaillierPrivateKey:
    """Return `phe`'s form of a private key."""
    return phe.PaillierPrivateKey(public_key_to_phe(key.public_key), int(key.p), int(key.q))


def private_key_from_phe(key: phe.PaillierPrivateKey) -> PrivateKey:
    """Return our form of `phe`'s private key.

    Raises: ValueError unless its primes are Blum primes: `phe` takes any, our encryptors' arguments do not.
    """
    return PrivateKey(public_key_from_phe(key.public_key), mpz(key.p), mpz(key.q))


def vector_to_phe(vector: CiphertextVector) -> list[phe.EncryptedNumber]:
    """Return `phe`'s encrypted integers. They are as obfuscated as the vector is: `phe` adds nothing."""
    key = public_key_to_phe(vector.public_key)
    numbers = [phe.EncryptedNumber(key, int(value), exponent=0) for value in vector]
    for number in numbers:
        number._EncryptedNumber__is_obfuscated = True
    return numbers


def vector_from_phe(public_key: PublicKey, numbers: Sequence[phe.EncryptedNumber]) -> CiphertextVector:
    """Return the vector of `phe`'s encrypted integers, each obfuscated and validated.

    Raises: ValueError for another key or an encoded float, VerificationFailed for an invalid ciphertext.
    """
    if any(number.public_key.n != public_key.n for number in numbers):
        raise ValueError("an encrypted number is under another key")
    if any(number.exponent != 0 for number in numbers):
        raise ValueError("an encoded float carries its exponent in clear; encrypt integers only")
    width = public_key.ciphertext_bytes
    raw = b"".join(number.ciphertext(be_secure=True).to_bytes(width, "big") for number in numbers)
    return CiphertextVector.from_bytes(public_key, raw)
