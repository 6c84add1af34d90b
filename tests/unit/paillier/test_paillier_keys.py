"""Keys: how they are made, what is accepted, and what they never show."""

from __future__ import annotations

import base64
import pickle
import random
import secrets

import gmpy2
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import ConfigurationError, CreditFederationError, MalformedMessage, VerificationFailed
from protocols.paillier import PrivateKey, PublicKey, Randomness, prove_key, verify_key_proof
from protocols.paillier.key_proof import proof_bytes


def prime(bits: int) -> mpz:
    return gmpy2.next_prime((mpz(3) << (bits - 2)) + secrets.randbits(bits - 3))


@pytest.mark.parametrize("bits", [512, 1024])
def test_generated_primes_are_safe_and_make_exactly_the_length(bits: int) -> None:
    key = PrivateKey.generate(bits, secrets.token_bytes)
    assert key.public_key.n.bit_length() == bits == key.public_key.bits
    for factor in (key.p, key.q):
        assert gmpy2.is_prime(factor)
        assert gmpy2.is_prime((factor - 1) // 2)
    assert key.public_key.ciphertext_bytes * 8 == 2 * bits
    assert key.public_key.n_square == key.public_key.n**2


def test_the_randomness_decides_the_key() -> None:
    def stream(seed: int) -> Randomness:
        return random.Random(seed).randbytes

    assert PrivateKey.generate(512, stream(1)) == PrivateKey.generate(512, stream(1))
    assert PrivateKey.generate(512, stream(1)) != PrivateKey.generate(512, stream(2))


@pytest.mark.parametrize("bits", [256, 511, 520, 0, -64])
def test_lengths_that_are_no_key_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="bits"):
        PrivateKey.generate(bits, secrets.token_bytes)


def test_no_secret_in_repr_of_key_or_error(key: PrivateKey) -> None:
    shown = repr(key) + str(key) + f"{key}"
    for secret in (key.p, key.q, key.hp, key.hq, key.p_inverse):
        assert str(secret) not in shown
        assert hex(secret)[2:] not in shown


def test_public_key_survives_bytes_and_pickle(key: PrivateKey) -> None:
    public = key.public_key
    assert PublicKey.from_bytes(public.to_bytes(), public.bits) == public
    assert pickle.loads(pickle.dumps(public)) == public  # noqa: S301 - our own bytes
    assert len(public.fingerprint) == 64
    assert public.fingerprint == PublicKey.from_bytes(public.to_bytes(), 512).fingerprint


def test_public_key_of_another_length_is_refused(key: PrivateKey) -> None:
    data = key.public_key.to_bytes()
    for wrong in (data[:-1], data + b"\0", b"\0" + data, b""):
        with pytest.raises(MalformedMessage):
            PublicKey.from_bytes(wrong, 512)
    with pytest.raises(MalformedMessage):
        PublicKey.from_bytes(data, 1024)
    with pytest.raises(VerificationFailed):
        PublicKey.from_bytes((int.from_bytes(data, "big") >> 1 | 1).to_bytes(64, "big"), 512)  # 511 bits


def weak_moduli() -> dict[str, mpz]:
    factor = next(x for x in iter(lambda: prime(256), None) if (x * x).bit_length() == 512)
    small = 65521
    cofactor = gmpy2.next_prime(((mpz(1) << 511) + secrets.randbits(510)) // small)
    return {
        "even": (mpz(1) << 511) + 2 * secrets.randbits(500),
        "square": factor * factor,
        "prime": prime(512),
        "small factor": cofactor * small,
        "zero": mpz(0),
    }


@pytest.mark.parametrize("name", ["even", "square", "prime", "small factor", "zero"])
def test_weak_modulus_is_refused(name: str) -> None:
    n = weak_moduli()[name]
    with pytest.raises(VerificationFailed):
        PublicKey.from_bytes(n.to_bytes(64, "big"), 512)


@settings(deadline=None)
@given(st.binary(max_size=80), st.sampled_from([0, 8, 512, 576, 1024]))
def test_hostile_key_bytes_raise_only_our_errors(data: bytes, bits: int) -> None:
    with pytest.raises(CreditFederationError):
        PublicKey.from_bytes(data, bits)


def test_private_key_checks_its_primes(key: PrivateKey, other_key: PrivateKey) -> None:
    with pytest.raises(ValueError, match="primes"):
        PrivateKey(key.public_key, other_key.p, other_key.q)
    with pytest.raises(ValueError, match="primes"):
        PrivateKey(key.public_key, mpz(key.public_key.n), mpz(1))


def test_proof_holds_for_its_key_and_context_only(key: PrivateKey, other_key: PrivateKey) -> None:
    proof = prove_key(key, b"bank-7", secrets.token_bytes)
    assert len(proof) == proof_bytes(512)
    assert verify_key_proof(key.public_key, proof, b"bank-7") is None
    for public, context in ((key.public_key, b"bank-8"), (key.public_key, b""), (other_key.public_key, b"bank-7")):
        with pytest.raises(VerificationFailed):
            verify_key_proof(public, proof, context)


@settings(deadline=None)
@given(st.data())
def test_proof_with_any_bit_changed_fails(key: PrivateKey, data: st.DataObject) -> None:
    proof = bytearray(prove_key(key, b"c", secrets.token_bytes))
    proof[data.draw(st.integers(0, len(proof) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(VerificationFailed):
        verify_key_proof(key.public_key, bytes(proof), b"c")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_hostile_proof_bytes_fail(key: PrivateKey, data: bytes) -> None:
    for proof in (data, data.ljust(proof_bytes(512), b"\xff"), data.ljust(proof_bytes(512), b"\0")):
        with pytest.raises(VerificationFailed):
            verify_key_proof(key.public_key, proof, b"c")


def test_key_file_opens_with_its_password_only(key: PrivateKey) -> None:
    pem = key.to_pem(b"correct horse", secrets.token_bytes)
    assert pem.startswith(b"-----BEGIN CREDIT FEDERATION ENCRYPTED PAILLIER KEY-----\n")
    assert PrivateKey.from_pem(pem, b"correct horse") == key
    with pytest.raises(ConfigurationError):
        PrivateKey.from_pem(pem, b"wrong horse")
    with pytest.raises(ConfigurationError):
        PrivateKey.from_pem(pem, b"")
    with pytest.raises(ValueError, match="password"):
        key.to_pem(b"", secrets.token_bytes)


def test_key_file_hides_the_primes_and_salts_each_copy(key: PrivateKey) -> None:
    first, second = (key.to_pem(b"pw", secrets.token_bytes) for _ in range(2))
    assert first.splitlines()[1] != second.splitlines()[1]
    raw = int(key.p).to_bytes(32, "big")
    body = base64.b64decode(b"".join(first.splitlines()[1:-1]))
    assert raw not in body
    assert raw not in first


@settings(deadline=None, max_examples=20)
@given(st.data())
def test_damaged_key_file_is_refused(key: PrivateKey, data: st.DataObject) -> None:
    pem = _pem(key)
    position = data.draw(st.integers(0, len(pem) - 1))
    changed = bytearray(pem)
    changed[position] = data.draw(st.sampled_from([b for b in b"AZaz09+/\xff\0" if b != pem[position]]))
    try:
        opened = PrivateKey.from_pem(bytes(changed), b"pw")
    except ConfigurationError:
        return
    assert opened == key  # whitespace or unused base64 bits


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_anything_else_is_no_key_file(data: bytes) -> None:
    with pytest.raises(ConfigurationError):
        PrivateKey.from_pem(data, b"pw")


_PEMS: dict[str, bytes] = {}


def _pem(key: PrivateKey) -> bytes:
    return _PEMS.setdefault(key.public_key.fingerprint, key.to_pem(b"pw", secrets.token_bytes))
