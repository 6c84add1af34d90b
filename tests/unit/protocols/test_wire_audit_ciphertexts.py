"""What anyone can see of ciphertexts under a key: each form that tells something is found, and no other."""

from __future__ import annotations

import secrets
from functools import cache

import gmpy2
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, make_card
from protocols.channel.pins import paillier_proof
from protocols.paillier import CiphertextVector, OwnerEncryptor, PrivateKey, PublicKey
from protocols.wire_audit import Code, Terms, audit
from protocols.wire_audit.ciphertexts import KeyTrail
from protocols.wire_audit.residues import fold, take_apart

BITS = 512


@cache
def private_key() -> PrivateKey:
    return PrivateKey.generate(BITS, secrets.token_bytes)


def key() -> PublicKey:
    return private_key().public_key


def encrypt(*values: int) -> list[mpz]:
    return list(OwnerEncryptor(private_key(), secrets.token_bytes).encrypt(values))


def judge(*vectors: list[mpz]) -> list[tuple[Code, int]]:
    """Return code and place of everything found in the last of some vectors of one run."""
    trail = KeyTrail(key())
    hits: list[tuple[Code, int]] = []
    for record, vector in enumerate(vectors):
        data = b"".join(value.to_bytes(key().ciphertext_bytes, "big") for value in vector)
        hits = [(code, index) for code, index, _ in trail.judge(data, record)]
    return hits


def add(value: mpz, plain: int) -> mpz:
    return value * (1 + plain * key().modulus) % key().modulus_square


# ---- the split


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 1 << 2 * BITS), max_size=8))
def test_the_parts_of_a_unit_give_it_back_up_to_its_sign(numbers: list[int]) -> None:
    n, square = key().modulus, key().modulus_square
    residues, bad = take_apart([mpz(number) for number in numbers], n)
    assert sorted([r.index for r in residues] + bad) == list(range(len(numbers)))
    assert bad == [i for i, c in enumerate(numbers) if not 0 < c < square or gmpy2.gcd(c, n) != 1]
    for part in residues:
        signs = {part.head * (1 + part.tail * n) % square, (n - part.head) * (1 + part.mirrored * n) % square}
        c = mpz(numbers[part.index])
        assert c in signs | {square - value for value in signs}
        assert c in {part.head * (1 + part.tail * n) % square, (n - part.head) * (1 + part.mirrored * n) % square}
        assert part.inverse == fold(gmpy2.invert(c, n), n)


# ---- what passes


def test_honest_encryptions_pass_whatever_they_hold() -> None:
    assert judge(encrypt(*[0] * 64, *[1] * 64), encrypt(*range(64))) == []


def test_sums_masked_and_sent_on_pass() -> None:
    vector = CiphertextVector(key(), encrypt(1, 2, 3, 4))
    assert judge(list(vector), list(vector.total())) == []


# ---- what does not


@pytest.mark.parametrize("plain", [0, 1, 12345, -1])
def test_a_ciphertext_without_obfuscator_is_found_under_either_sign(plain: int) -> None:
    bare = add(mpz(1), plain)
    assert (Code.OBFUSCATOR_MISSING, 1) in judge([encrypt(5)[0], bare])
    assert (Code.OBFUSCATOR_MISSING, 0) in judge([key().modulus_square - bare])


def test_a_small_head_is_found() -> None:
    assert (Code.OBFUSCATOR_MISSING, 0) in judge(
        [add(mpz(secrets.randbits(BITS // 4)) | 1, secrets.randbelow(key().n))]
    )


@pytest.mark.parametrize("r", [2, 3, 97, 126, -5])
def test_a_small_base_of_the_obfuscator_is_found(r: int) -> None:
    obfuscator = gmpy2.powmod(r, key().modulus, key().modulus_square)
    assert judge([add(obfuscator, 7)]) == [(Code.OBFUSCATOR_MISSING, 0)]


def test_a_repeated_ciphertext_is_found_within_and_across_messages_and_under_either_sign() -> None:
    first, second = encrypt(1, 1)
    assert judge([first, second, first]) == [(Code.CIPHERTEXT_REPEATED, 2)]
    assert judge([first], [second, first]) == [(Code.CIPHERTEXT_REPEATED, 1)]
    assert judge([first], [key().modulus_square - first]) == [(Code.CIPHERTEXT_REPEATED, 0)]


@pytest.mark.parametrize("difference", [1, -1, 1 << 40, 1 << 300])
def test_one_obfuscator_for_two_plaintexts_is_found(difference: int) -> None:
    (first,) = encrypt(9)
    assert judge([first], [add(first, difference)]) == [(Code.OBFUSCATOR_REUSED, 0)]


def test_a_complement_without_fresh_obfuscator_is_found() -> None:
    """Enc(1 − y) made as g·Enc(y)⁻¹ and sent on as it is."""
    (label,) = encrypt(1)
    complement = add(gmpy2.invert(label, key().modulus_square), 1)
    assert judge([label], [complement]) == [(Code.OBFUSCATOR_REUSED, 0)]


@pytest.mark.parametrize("plain", [0, 1, -3, 1 << 100])
def test_an_obfuscator_that_is_no_residue_leaves_a_small_plaintext_in_the_tail(plain: int) -> None:
    unit = mpz(encrypt(0)[0] % key().modulus)
    assert judge([add(unit, plain)]) == [(Code.PLAINTEXT_VISIBLE, 0)]
    assert judge([key().modulus_square - add(unit, plain)]) == [(Code.PLAINTEXT_VISIBLE, 0)]


def test_an_obfuscator_that_is_no_residue_shows_equal_large_plaintexts() -> None:
    plain = secrets.randbits(BITS - 2)
    units = [value % key().modulus for value in encrypt(0, 0)]
    assert judge([add(unit, plain) for unit in units]) == [(Code.PLAINTEXT_VISIBLE, 1)]


def test_values_that_are_no_ciphertexts_are_found_each_in_its_place() -> None:
    n, square = key().modulus, key().modulus_square
    good = encrypt(1, 2)
    wrong = [mpz(0), n, 5 * n, private_key().p, private_key().q * 3, square, (mpz(1) << 2 * BITS) - 1]
    hits = [hit for hit in judge([good[0], *wrong, good[1]]) if hit[0] is Code.CIPHERTEXT_RANGE]
    assert hits == [(Code.CIPHERTEXT_RANGE, place) for place in range(1, 8)]


def test_a_vector_that_is_cut_is_found() -> None:
    data = encrypt(1)[0].to_bytes(key().ciphertext_bytes, "big")
    assert [code for code, _, _ in KeyTrail(key()).judge(data + data[:7], 0)] == [Code.CIPHERTEXT_RANGE]


def test_defects_in_later_blocks_keep_their_places() -> None:
    many = OwnerEncryptor(private_key(), secrets.token_bytes).encrypt([1] * 5000)
    values = list(many)
    values[4999] = values[17]
    assert judge(values) == [(Code.CIPHERTEXT_REPEATED, 4999)]


# ---- keys


def card(modulus: int, bits: int, proof: bytes | None = None) -> PartyCard:
    keys = PartyKeys.generate(PartyId("bank"), secrets.token_bytes)
    honest = paillier_proof(PartyId("bank"), private_key(), secrets.token_bytes)
    return make_card(keys, PartyRole.BANK, modulus.to_bytes(bits // 8, "big"), honest if proof is None else proof)


def codes(entry: PartyCard, minimum: int = 0) -> list[Code]:
    return [finding.code for finding in audit([entry], [], Terms(minimum)).findings]


def test_an_honest_key_passes_at_its_length_and_not_above() -> None:
    assert codes(card(key().n, BITS)) == []
    assert codes(card(key().n, BITS), BITS + 1) == [Code.KEY_SHORT]
    assert codes(card(key().n, 2048), 2048) == [Code.KEY_SHORT, Code.KEY_INVALID], "zeros do not lengthen a key"


@pytest.mark.parametrize("kind", ["even", "square", "small factor", "prime", "empty proof"])
def test_a_modulus_that_keeps_no_secret_is_found(kind: str) -> None:
    prime = gmpy2.next_prime(mpz(secrets.randbits(BITS // 2 - 2)) | mpz(3) << (BITS // 2 - 2))
    rest = gmpy2.next_prime((mpz(1) << BITS - 1) // 65521 + secrets.randbits(200))
    moduli = {
        "even": key().n - 1,
        "square": prime * prime,
        "small factor": rest * 65521,
        "prime": gmpy2.next_prime(key().modulus),
        "empty proof": key().n,
    }
    found = codes(card(int(moduli[kind]), BITS, b"" if kind == "empty proof" else None))
    assert found == [Code.KEY_UNPROVEN if kind == "empty proof" else Code.KEY_INVALID]


def test_a_card_that_its_key_did_not_sign_is_found() -> None:
    signed = card(key().n, BITS)
    other = PartyCard(
        signed.party, PartyRole.DATA_NODE, *(getattr(signed, name) for name in signed.__struct_fields__[2:])
    )
    assert codes(other) == [Code.CARD_INVALID, Code.KEY_UNPROVEN], "nor does its key count as proven"
    assert Code.CARD_INVALID in {f.code for f in audit([signed, signed], [], Terms(0)).findings}
