"""Encryption, decryption and re-randomisation, in all their ways, against plain integers."""

from __future__ import annotations

import secrets

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.paillier import (
    CiphertextVector,
    Encryptor,
    OwnerEncryptor,
    PrivateKey,
    PublicKey,
    decrypt,
    decrypt_below,
    decrypt_signed,
    decrypt_together,
    rerandomise,
)
from protocols.paillier import modular_power as modular_power_module
from protocols.paillier.decrypt import CHECK_BITS
from protocols.paillier.fixed_base import FixedBase
from protocols.paillier.modular_power import _powers_by_gmpy2, _powers_by_libcrypto, libcrypto, modular_powers
from protocols.paillier.obfuscators import OwnerResidues


@pytest.fixture(scope="module", params=["owner", "other"])
def encryptor(request: pytest.FixtureRequest, key: PrivateKey) -> OwnerEncryptor | Encryptor:
    if request.param == "owner":
        return OwnerEncryptor(key, secrets.token_bytes)
    return Encryptor(key.public_key, secrets.token_bytes)


@settings(deadline=None)
@given(st.data())
def test_what_is_encrypted_decrypts(
    key: PrivateKey, encryptor: OwnerEncryptor | Encryptor, data: st.DataObject
) -> None:
    n = key.public_key.n
    value = st.one_of(
        st.integers(-(n // 2), n - 1), st.integers(-1000, 1000), st.sampled_from([0, 1, -1, n - 1, -(n // 2), n // 2])
    )
    values = data.draw(st.lists(value, max_size=5))
    vector = encryptor.encrypt(values)
    assert decrypt(key, vector) == [value % n for value in values]
    centred = [value % n if 2 * (value % n) <= n else value % n - n for value in values]
    assert decrypt_signed(key, vector) == centred


def test_long_runs_use_the_table_and_stay_exact(key: PrivateKey, encryptor: OwnerEncryptor | Encryptor) -> None:
    values = list(range(-100, 101))
    assert decrypt_signed(key, encryptor.encrypt(values)) == values
    assert decrypt_signed(key, encryptor.encrypt(np.arange(5) - 2)) == [-2, -1, 0, 1, 2]


def test_values_outside_the_plaintext_space_are_refused(key: PrivateKey, encryptor: OwnerEncryptor | Encryptor) -> None:
    n = key.public_key.n
    for value in (n, n + 1, -(n // 2) - 1, -n, 10 * n):
        with pytest.raises(ValueError, match="outside") as caught:
            encryptor.encrypt([0, value])
        assert str(value) not in str(caught.value)
    with pytest.raises(TypeError):
        encryptor.encrypt([0.5])  # type: ignore[list-item]


def test_equal_values_never_encrypt_equally(encryptor: OwnerEncryptor | Encryptor) -> None:
    first, second = encryptor.encrypt([1] * 60), encryptor.encrypt([1] * 60)
    assert len(set(first) | set(second)) == 120


def test_owner_obfuscators_are_nth_residues_of_full_order(key: PrivateKey) -> None:
    n, square = key.public_key.modulus, key.public_key.modulus_square
    order = (key.p - 1) * (key.q - 1)
    residues = [obfuscator.residue for obfuscator in OwnerResidues(key, secrets.token_bytes).take(60)]
    assert all(gmpy2.powmod(residue, order, square) == 1 for residue in residues)  # n-th residues, all of them
    assert any(gmpy2.jacobi(residue % key.p, key.p) == -1 for residue in residues)  # not only squares
    assert any(gmpy2.jacobi(residue % key.q, key.q) == -1 for residue in residues)
    assert all(residue % n != 1 for residue in residues)


def test_each_encryptor_draws_its_own_base(key: PrivateKey) -> None:
    def constant(size: int) -> bytes:
        return b"\x07" * size

    one, two = (Encryptor(key.public_key, secrets.token_bytes) for _ in range(2))
    bases = {encryptor._source._base._base for encryptor in (one, two)}  # type: ignore[attr-defined]
    assert len(bases) == 2
    assert decrypt(key, Encryptor(key.public_key, constant).encrypt([5])) == [5]


def test_a_key_whose_primes_are_not_safe_still_encrypts_exactly() -> None:
    p, q = (_ordinary_prime(256) for _ in range(2))
    key = PrivateKey(PublicKey(int(p * q), 512), p, q)
    owner = OwnerEncryptor(key, secrets.token_bytes)
    values = list(range(-30, 30))
    assert decrypt_signed(key, owner.encrypt(values)) == values


def test_rerandomise_keeps_plaintexts_and_nothing_else(key: PrivateKey, owner: OwnerEncryptor) -> None:
    vector = owner.encrypt([5, -5, 0])
    trivial = CiphertextVector(key.public_key, [mpz(1)] * 3)
    again = rerandomise(vector, secrets.token_bytes)
    assert decrypt_signed(key, again) == [5, -5, 0]
    assert not set(again) & set(vector)
    assert decrypt(key, rerandomise(trivial, secrets.token_bytes)) == [0, 0, 0]
    assert len(set(rerandomise(trivial, secrets.token_bytes))) == 3


def test_another_key_decrypts_nothing(other_key: PrivateKey, owner: OwnerEncryptor) -> None:
    with pytest.raises(ValueError, match="another key"):
        decrypt(other_key, owner.encrypt([1]))


SMALL_BITS = 200


def test_small_plaintexts_open_modulo_one_prime_and_others_come_out_too_wide(kilobit_key: PrivateKey) -> None:
    n, p = kilobit_key.public_key.n, int(kilobit_key.p)
    small = [0, 1, (1 << SMALL_BITS) - 1, *(secrets.randbits(SMALL_BITS) for _ in range(8))]
    wide = [1 << SMALL_BITS, p - 1, n - 1, *(secrets.randbelow(n) for _ in range(8))]
    vector = OwnerEncryptor(kilobit_key, secrets.token_bytes).encrypt([*small, *wide])
    opened = decrypt_below(kilobit_key, vector, SMALL_BITS)
    assert opened[: len(small)] == small
    assert all(value >> SMALL_BITS for value in opened[len(small) :])


def test_what_passes_for_small_differs_from_it_by_a_factor_of_the_modulus(kilobit_key: PrivateKey) -> None:
    p = int(kilobit_key.p)
    vector = OwnerEncryptor(kilobit_key, secrets.token_bytes).encrypt([p + 5, 3 * p])
    assert decrypt_below(kilobit_key, vector, SMALL_BITS) == [5, 0]


TINY_BITS = 20
"""So narrow that a test's key has room for two of them and their random factors."""


def test_small_plaintexts_open_together_and_wrong_ones_spoil_no_others(kilobit_key: PrivateKey) -> None:
    n, p, top = kilobit_key.public_key.n, int(kilobit_key.p), (1 << TINY_BITS) - 1
    owner = OwnerEncryptor(kilobit_key, secrets.token_bytes)
    for values in ([0, top], [1, 2, 3], [7], [top, 0, top, 5, top]):
        assert decrypt_together(kilobit_key, owner.encrypt(values), TINY_BITS, secrets.token_bytes) == values
    for wrong in (top + 1, p - 1, n - 1, secrets.randbelow(n) | 1 << 1000):
        opened = decrypt_together(kilobit_key, owner.encrypt([5, wrong, 6, 7]), TINY_BITS, secrets.token_bytes)
        assert opened[0] == 5
        assert opened[2:] == [6, 7]
        assert opened[1] >> TINY_BITS


def test_what_is_added_above_one_plaintext_does_not_reach_the_next(kilobit_key: PrivateKey) -> None:
    owner, width = OwnerEncryptor(kilobit_key, secrets.token_bytes), TINY_BITS + CHECK_BITS
    for carried in (1 << width, 3 << width, (1 << width) * ((1 << CHECK_BITS) - 1), -1 << width):
        vector = owner.encrypt([5 + carried, 6])
        opened = decrypt_together(kilobit_key, vector, TINY_BITS, secrets.token_bytes)
        assert opened[1] == 6
        assert opened[0] >> TINY_BITS


def test_with_factors_that_are_known_a_plaintext_does_reach_the_next(kilobit_key: PrivateKey) -> None:
    vector = OwnerEncryptor(kilobit_key, secrets.token_bytes).encrypt([5 + (1 << TINY_BITS + CHECK_BITS), 6])
    assert decrypt_together(kilobit_key, vector, TINY_BITS, bytes) == [5, 7]


@pytest.mark.parametrize("bits", [257, 384, 1024])
def test_a_prime_too_short_to_tell_them_apart_is_not_used_alone(kilobit_key: PrivateKey, bits: int) -> None:
    p = int(kilobit_key.p)
    vector = OwnerEncryptor(kilobit_key, secrets.token_bytes).encrypt([p + 5])
    assert decrypt_below(kilobit_key, vector, bits) == [p + 5]


def test_decryption_is_the_same_with_and_without_libcrypto(
    key: PrivateKey, owner: OwnerEncryptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    vector = owner.encrypt([3, -4, 0])
    assert decrypt_signed(key, vector) == [3, -4, 0]
    monkeypatch.setattr(modular_power_module, "libcrypto", lambda: None)
    assert decrypt_signed(key, vector) == [3, -4, 0]
    assert decrypt_signed(key, rerandomise(vector, secrets.token_bytes)) == [3, -4, 0]


@pytest.mark.skipif(libcrypto() is None, reason="no libcrypto on this machine")
@settings(deadline=None)
@given(st.lists(st.integers(0, 1 << 2000), max_size=4), st.integers(1, 1 << 600), st.integers(1, 1 << 1200))
def test_libcrypto_agrees_with_gmpy2(bases: list[int], exponent: int, half: int) -> None:
    library = libcrypto()
    assert library is not None
    arguments = [mpz(base) for base in bases], mpz(exponent), mpz(2 * half + 1)
    expected = _powers_by_gmpy2(*arguments)
    for secret in (False, True):
        assert _powers_by_libcrypto(library, *arguments, secret=secret) == expected
        assert modular_powers(*arguments, secret=secret) == expected


def test_a_libcrypto_that_computes_wrongly_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modular_power_module._Exponentiation, "power", lambda _self, base: base)
    libcrypto.cache_clear()
    try:
        assert libcrypto() is None
    finally:
        monkeypatch.undo()
        libcrypto.cache_clear()


def test_a_missing_libcrypto_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modular_power_module.ctypes.util, "find_library", lambda _name: "libnothing.so.0")
    libcrypto.cache_clear()
    try:
        assert libcrypto() is None
    finally:
        monkeypatch.undo()
        libcrypto.cache_clear()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.binary(min_size=4, max_size=4), min_size=1, max_size=150))
def test_fixed_base_powers_are_exact_before_and_after_the_table(exponents: list[bytes]) -> None:
    modulus = mpz((1 << 127) - 1)
    base = FixedBase(mpz(3), modulus, 4)
    expected = [gmpy2.powmod(3, int.from_bytes(exponent, "big"), modulus**2) for exponent in exponents]
    for _ in range(2):
        assert base.powers(exponents) == expected
    with pytest.raises(ValueError, match="4 bytes"):
        base.powers([b"abc"])


@pytest.mark.parametrize("digits", [1, 18, 19, 36, 37, 55])
def test_fixed_base_powers_are_exact_for_exponents_of_any_length(digits: int) -> None:
    modulus, count = mpz((1 << 127) - 1), 60  # enough for the table; 18 bytes fill a group of columns
    exponents = [bytes(digits), b"\xff" * digits, *(secrets.token_bytes(digits) for _ in range(count))]
    expected = [gmpy2.powmod(5, int.from_bytes(exponent, "big"), modulus**2) for exponent in exponents]
    assert FixedBase(mpz(5), modulus, digits).powers(exponents) == expected


def _ordinary_prime(bits: int) -> mpz:
    while True:
        candidate = gmpy2.next_prime((mpz(3) << (bits - 2)) + secrets.randbits(bits - 3))
        if not gmpy2.is_prime((candidate - 1) // 2):
            return candidate
