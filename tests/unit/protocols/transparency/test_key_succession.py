"""Keys of a log and of witnesses follow one another: forwards, backwards, each in its time, and nobody slips one in."""

from __future__ import annotations

from dataclasses import replace as with_field

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from protocols.channel.wire import decode, encode
from protocols.errors import VerificationFailed
from protocols.transparency.checkpoints import (
    CosignatureSigner,
    LogKeys,
    sign_checkpoint,
    verify_checkpoint,
    verify_cosignatures,
    verify_log_signature,
)
from protocols.transparency.notes import NoteSigner, SignatureType, SignedNote, VerifierKey
from protocols.transparency.succession import KeySuccession, follow, name_successor, take_over, verify_succession

NAME = "coordinator.test/log"
ROOT = b"r" * 32


def key(seed: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed.encode().ljust(32))


FIRST, SECOND, THIRD, THIEF = key("first"), key("second"), key("third"), key("thief")
NOTE, COSIGNATURE = SignatureType.NOTE, SignatureType.COSIGNATURE
WORDS = (name_successor(NAME, NOTE, FIRST, SECOND, 10), name_successor(NAME, NOTE, SECOND, THIRD, 20))


def public(private: Ed25519PrivateKey, kind: SignatureType = NOTE) -> VerifierKey:
    return VerifierKey(NAME, private.public_key().public_bytes_raw(), kind)


def signed(private: Ed25519PrivateKey, size: int) -> SignedNote:
    return sign_checkpoint(NoteSigner(NAME, private), size, ROOT)


@pytest.mark.parametrize("pinned", [FIRST, SECOND, THIRD], ids=["first", "middle", "last"])
def test_whichever_key_is_pinned_leads_to_all_of_them(pinned: Ed25519PrivateKey) -> None:
    found = follow(public(pinned), WORDS)
    assert found.vkey() == public(THIRD).vkey()
    assert [(old.key, old.size) for old in found.earlier] == [
        (SECOND.public_key().public_bytes_raw(), 20),
        (FIRST.public_key().public_bytes_raw(), 10),
    ]
    for private, size in ((FIRST, 10), (SECOND, 11), (SECOND, 20), (THIRD, 5), (THIRD, 10_000)):
        assert verify_log_signature(signed(private, size), found).size == size


@pytest.mark.parametrize(("private", "size"), [(FIRST, 11), (SECOND, 21)])
def test_a_replaced_key_that_was_stolen_signs_nothing_new(private: Ed25519PrivateKey, size: int) -> None:
    with pytest.raises(VerificationFailed) as refused:
        verify_log_signature(signed(private, size), follow(public(FIRST), WORDS))
    assert refused.value.code == "KEY_REPLACED"


def test_without_the_words_the_next_key_is_a_stranger() -> None:
    with pytest.raises(VerificationFailed):
        verify_log_signature(signed(SECOND, 11), public(FIRST))
    assert follow(public(FIRST), WORDS[1:]) == public(FIRST)


def test_while_a_word_is_open_both_keys_count_and_the_later_one_closes_it() -> None:
    opened = name_successor(NAME, NOTE, FIRST, SECOND)
    assert opened.open
    both = follow(public(FIRST), (opened,))
    for private in (FIRST, SECOND):
        verify_log_signature(signed(private, 1 << 40), both)
    closed = take_over(opened, SECOND, 10)
    assert not closed.open
    for words in ((opened, closed), (closed, opened)):  # the one that closes sooner counts, wherever it stands
        assert follow(public(FIRST), words).earlier[0].size == 10


FORGED = {
    "named by a thief": replace(WORDS[0], named=name_successor(NAME, NOTE, THIEF, SECOND, 10).named),
    "taken over by a thief": take_over(WORDS[0], THIEF, 10),
    "closed later than was said": replace(WORDS[0], size=11),
    "of another log": replace(WORDS[0], name="other.test/log"),
    "of a witness": replace(WORDS[0], type=int(COSIGNATURE)),
    "of an unknown type": replace(WORDS[0], type=99),
    "to another key": replace(WORDS[0], later=THIEF.public_key().public_bytes_raw()),
    "unsigned": replace(WORDS[0], named=bytes(64), taken=bytes(64)),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_word_is_refused_and_leads_nowhere(how: str) -> None:
    with pytest.raises(VerificationFailed) as refused:
        verify_succession(FORGED[how])
    assert refused.value.code == "KEY_CHANGED"
    assert follow(public(FIRST), (FORGED[how],)) == public(FIRST)


def test_a_key_that_names_two_successors_is_believed_in_neither() -> None:
    with pytest.raises(VerificationFailed) as refused:
        follow(public(FIRST), (WORDS[0], name_successor(NAME, NOTE, FIRST, THIEF, 10)))
    assert refused.value.code == "KEY_CHANGED"


def test_keys_that_name_one_another_in_a_circle_end_somewhere() -> None:
    circle = (name_successor(NAME, NOTE, FIRST, SECOND, 1), name_successor(NAME, NOTE, SECOND, FIRST, 2))
    assert len(follow(public(FIRST), circle).earlier) <= len(circle)


def test_a_word_travels_and_stands_as_it_was_written() -> None:
    assert decode(encode(WORDS[0]), KeySuccession) == WORDS[0]
    verify_succession(decode(encode(WORDS[0]), KeySuccession))


def test_a_witness_is_one_witness_under_any_of_its_keys() -> None:
    word = name_successor("w", COSIGNATURE, FIRST, SECOND, 10)
    old, new = CosignatureSigner("w", FIRST), CosignatureSigner("w", SECOND)
    witness = follow(old.verifier, (word,))
    log = NoteSigner(NAME, THIRD)
    for cosigner, size in ((old, 10), (new, 11)):
        note = sign_checkpoint(log, size, ROOT)
        note = note.with_signatures([cosigner.cosign(note.text, 1)])
        assert len(verify_checkpoint(note.encode(), log.verifier, [witness]).cosignatures) == 1
    note = sign_checkpoint(log, 10, ROOT)
    note = note.with_signatures([old.cosign(note.text, 1), new.cosign(note.text, 2)])
    assert len(verify_cosignatures(note, [witness])) == 1  # not two towards a quorum
    late = sign_checkpoint(log, 11, ROOT)
    with pytest.raises(VerificationFailed, match="replaced at 10"):
        verify_cosignatures(late.with_signatures([old.cosign(late.text, 1)]), [witness])


def test_no_key_counts_for_two_witnesses_or_for_log_and_witness() -> None:
    log = follow(public(FIRST), WORDS)
    witness = VerifierKey("w", FIRST.public_key().public_bytes_raw(), COSIGNATURE)
    with pytest.raises(ValueError, match="shares a key"):
        LogKeys(log, (witness,))
    other = follow(with_field(witness, name="v"), (name_successor("v", COSIGNATURE, FIRST, THIEF, 1),))
    with pytest.raises(ValueError, match="shares a key"):
        LogKeys(public(THIRD), (witness, other))
