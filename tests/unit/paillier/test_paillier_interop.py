"""`phe` decrypts ours, we decrypt theirs, and its floats stay out."""

from __future__ import annotations

import secrets
from pathlib import Path

import phe
import pytest

from protocols.errors import CreditFederationError
from protocols.paillier import Encryptor, OwnerEncryptor, PrivateKey, decrypt_signed
from protocols.paillier.phe_interop import (
    private_key_from_phe,
    private_key_to_phe,
    public_key_from_phe,
    public_key_to_phe,
    vector_from_phe,
    vector_to_phe,
)

VALUES = [0, 1, -1, 123456, -(1 << 70)]


def test_phe_decrypts_ours(key: PrivateKey, owner: OwnerEncryptor) -> None:
    theirs = private_key_to_phe(key)
    other = Encryptor(key.public_key, secrets.token_bytes)
    for vector in (owner.encrypt(VALUES), other.encrypt(VALUES), owner.encrypt(VALUES) + other.encrypt([1] * 5)):
        numbers = vector_to_phe(vector)
        assert [theirs.decrypt(number) for number in numbers] == decrypt_signed(key, vector)
    assert theirs.decrypt(numbers[0] + numbers[3]) == 1 + 123457


def test_we_decrypt_theirs(key: PrivateKey) -> None:
    theirs = public_key_to_phe(key.public_key)
    vector = vector_from_phe(key.public_key, [theirs.encrypt(value) for value in VALUES])
    assert decrypt_signed(key, vector) == VALUES
    assert decrypt_signed(key, vector.total()) == [sum(VALUES)]


def test_a_key_made_by_phe_works_here() -> None:
    public, private = phe.generate_paillier_keypair(n_length=1024)
    ours = private_key_from_phe(private)
    assert ours.public_key == public_key_from_phe(public)
    assert decrypt_signed(ours, OwnerEncryptor(ours, secrets.token_bytes).encrypt(VALUES)) == VALUES
    assert [
        private.decrypt(n) for n in vector_to_phe(Encryptor(ours.public_key, secrets.token_bytes).encrypt(VALUES))
    ] == VALUES
    assert decrypt_signed(ours, vector_from_phe(ours.public_key, [public.encrypt(v) for v in VALUES])) == VALUES


def test_keys_come_back_the_same(key: PrivateKey) -> None:
    assert private_key_from_phe(private_key_to_phe(key)).public_key == key.public_key
    assert public_key_from_phe(public_key_to_phe(key.public_key)) == key.public_key


def test_an_encoded_float_is_refused(key: PrivateKey, other_key: PrivateKey) -> None:
    theirs = public_key_to_phe(key.public_key)
    with pytest.raises(ValueError, match="exponent"):
        vector_from_phe(key.public_key, [theirs.encrypt(0.25)])
    with pytest.raises(ValueError, match="another key"):
        vector_from_phe(other_key.public_key, [theirs.encrypt(1)])
    with pytest.raises(CreditFederationError):
        vector_from_phe(key.public_key, [phe.EncryptedNumber(theirs, key.public_key.n, 0)])


def test_phe_never_leaves_unobfuscated(key: PrivateKey) -> None:
    theirs = public_key_to_phe(key.public_key)
    bare = phe.EncryptedNumber(theirs, theirs.raw_encrypt(5, r_value=1), 0)
    vector = vector_from_phe(key.public_key, [bare])
    assert next(iter(vector)) != 1 + 5 * key.public_key.n
    assert decrypt_signed(key, vector) == [5]


def test_one_module_imports_phe() -> None:
    root = Path(__file__).parents[3]
    importers = {
        path.relative_to(root).as_posix()
        for package in ("protocols", "nodes", "federation")
        for path in (root / package).rglob("*.py")
        if any(
            line.split()[:2] in (["import", "phe"], ["from", "phe"]) for line in path.read_text("utf-8").splitlines()
        )
    }
    assert importers == {"protocols/paillier/phe_interop.py"}
