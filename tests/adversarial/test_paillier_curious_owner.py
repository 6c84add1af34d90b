"""A key owner that looks past the plaintext: what a returned ciphertext still tells it of its own making."""

from __future__ import annotations

import secrets
from collections import Counter

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpz

from protocols.paillier import CiphertextVector, Encryptor, OwnerEncryptor, PrivateKey, decrypt, rerandomise


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return PrivateKey.generate(512, secrets.token_bytes)


def obfuscators(key: PrivateKey, vector: CiphertextVector) -> list[mpz]:
    """What the owner is left with when it takes the plaintexts off."""
    n, square = key.public_key.modulus, key.public_key.modulus_square
    return [c * gmpy2.powmod(1 + n, -m, square) % square for c, m in zip(vector, decrypt(key, vector), strict=True)]


def test_the_weight_of_a_zero_is_read_from_a_bare_power(key: PrivateKey) -> None:
    """The plaintext is 0 whatever the weight: only the ciphertext can tell, and unless re-randomised it does."""
    sent = OwnerEncryptor(key, secrets.token_bytes).encrypt([0])
    returned = sent.weighted_sums(np.array([[37]]))
    candidates = {next(iter(sent.scale([weight]))): weight for weight in range(128)}
    assert candidates[next(iter(returned))] == 37  # what the owner sees without the defence
    assert next(iter(rerandomise(returned, secrets.token_bytes))) not in candidates


def test_which_rows_fell_into_a_bin_is_read_from_a_bare_product(key: PrivateKey) -> None:
    sent = OwnerEncryptor(key, secrets.token_bytes).encrypt([0] * 8)
    returned = sent.histogram(np.array([0, 1, 0, 0, 1, 1, 0, 1]), 2)
    products = {}
    for subset in range(256):
        rows = np.array([row for row in range(8) if subset >> row & 1], dtype=np.intp)
        products[next(iter(sent.take(rows).total()))] = rows.tolist()
    assert products[next(iter(returned[:1]))] == [0, 2, 3, 6]
    assert not set(rerandomise(returned, secrets.token_bytes)) & set(products)


def test_empty_bins_do_not_stand_out_once_rerandomised(key: PrivateKey) -> None:
    returned = OwnerEncryptor(key, secrets.token_bytes).encrypt([5]).histogram(np.array([1]), 4)
    assert [value == 1 for value in returned] == [True, False, True, True]
    assert 1 not in set(rerandomise(returned, secrets.token_bytes))


def test_rerandomised_obfuscators_have_independent_characters(key: PrivateKey) -> None:
    """Quadratic characters modulo p and q: all four pairs occur, so no bit of a history survives in them."""
    trivial = CiphertextVector(key.public_key, [mpz(1)] * 160)
    seen = characters(key, rerandomise(trivial, secrets.token_bytes))
    assert len(seen) == 4
    assert all(15 <= count <= 70 for count in seen.values())


def test_the_owner_reads_the_parity_of_a_short_exponent(key: PrivateKey) -> None:
    """Why `Encryptor` is not for what returns: its obfuscators are powers of one base, and the owner sees which."""
    seen = characters(key, Encryptor(key.public_key, secrets.token_bytes).encrypt([0] * 160))
    assert len(seen) == 2
    assert (1, 1) in seen


def test_labels_do_not_show_on_the_wire(key: PrivateKey) -> None:
    """An onlooker finds neither two values for a whole cohort, nor the bare form 1 + mn."""
    labels = [0, 1] * 50
    for encryptor in (OwnerEncryptor(key, secrets.token_bytes), Encryptor(key.public_key, secrets.token_bytes)):
        ciphertexts = list(encryptor.encrypt(labels))
        heads = {c % key.public_key.modulus for c in ciphertexts}
        assert len(set(ciphertexts)) == len(heads) == 100
        assert not heads & {mpz(0), mpz(1)}
        assert min(heads).bit_length() > 400


def characters(key: PrivateKey, vector: CiphertextVector) -> Counter[tuple[int, int]]:
    return Counter((gmpy2.jacobi(o, key.p), gmpy2.jacobi(o, key.q)) for o in obfuscators(key, vector))
