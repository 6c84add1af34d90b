"""Envelopes and cards: sealed bodies open for one receiver in one run; what is changed no longer verifies."""

from __future__ import annotations

import secrets
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.channel.envelope import EVERYONE, Channel, Envelope, _header_of, _signed_bytes, seal, unseal
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, make_card, sealing_key, verify_card
from protocols.channel.wire import decode, encode
from protocols.errors import CreditFederationError, MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.scorecard import messages as m
from tests.protocol.fuzzing import damaged

A, B, C = map(PartyId, ("a", "b", "c"))
KEYS = {name: PartyKeys.generate(name, secrets.token_bytes) for name in (A, B, C)}
CARDS = {name: make_card(keys, PartyRole.DATA_NODE) for name, keys in KEYS.items()}
RUN = bytes(range(32))
COHORT = m.Cohort(("91999999MA0DEM013K",), "consent")
LABELS = m.EncryptedLabels(b"ciphertexts")


def channel(party: PartyId, run: bytes = RUN) -> Channel:
    return Channel(KEYS[party], CARDS, run)


def test_a_private_message_is_sealed_and_opens_for_its_receiver() -> None:
    envelope = channel(A).wrap(B, COHORT)
    assert envelope.sealed
    assert b"91999999MA0DEM013K" not in envelope.body
    assert channel(B).unwrap(decode(encode(envelope), Envelope), m.Cohort) == COHORT


def test_a_private_message_that_travelled_unsealed_is_refused() -> None:
    for envelope in (channel(A).wrap(B, COHORT, sealed=False), channel(A).wrap(EVERYONE, COHORT)):
        assert b"91999999MA0DEM013K" in envelope.body
        with pytest.raises(VerificationFailed) as refused:
            channel(B).unwrap(envelope, m.Cohort)
        assert refused.value.code == "NOT_SEALED"


def test_a_broadcast_is_open_to_all_and_two_seals_differ() -> None:
    envelope = channel(A).wrap(EVERYONE, LABELS)
    assert not envelope.sealed
    assert [channel(party).unwrap(envelope, m.EncryptedLabels) for party in (B, C)] == [LABELS, LABELS]
    assert channel(A).wrap(B, COHORT).body != channel(A).wrap(B, COHORT).body


def test_the_wrong_kind_reader_run_or_sender_is_refused() -> None:
    envelope = channel(A).wrap(B, COHORT)
    with pytest.raises(UnexpectedMessage):
        channel(B).unwrap(envelope, m.WoeTables)
    with pytest.raises(UnexpectedMessage):
        channel(C).unwrap(envelope, m.Cohort)
    with pytest.raises(UnexpectedMessage):
        channel(B, bytes(32)).unwrap(envelope, m.Cohort)
    with pytest.raises(UnexpectedMessage):
        channel(C).read_open(envelope, m.Cohort)
    with pytest.raises(VerificationFailed):
        Channel(KEYS[B], {B: CARDS[B]}, RUN).unwrap(envelope, m.Cohort)


@settings(max_examples=80, deadline=None)
@given(st.data(), st.booleans())
def test_a_damaged_envelope_raises_only_our_errors(data: st.DataObject, sealed: bool) -> None:
    envelope = channel(A).wrap(B, COHORT, sealed=sealed)
    raw = encode(envelope)
    changed = data.draw(damaged(raw))
    if changed == raw:
        return
    with pytest.raises(CreditFederationError):
        channel(B).unwrap(decode(changed, Envelope), m.Cohort)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_well_signed_nonsense_raises_only_our_errors(body: bytes) -> None:
    """The sender's signature is good; the body is not a sealed message, or seals something else."""
    for sealed in (body, seal(body, sealing_key(CARDS[B]), b"another header")):
        envelope = channel(A).wrap(B, COHORT)
        signed = _resigned(msgspec.structs.replace(envelope, body=sealed))
        with pytest.raises(VerificationFailed):
            channel(B).unwrap(signed, m.Cohort)


def _resigned(envelope: Envelope) -> Envelope:
    signature = KEYS[A].signing.sign(_signed_bytes(_header_of(envelope), envelope.policy, envelope.body))
    return msgspec.structs.replace(envelope, signature=signature)


def test_a_body_that_is_no_message_is_malformed_even_when_it_opens() -> None:
    envelope = msgspec.structs.replace(channel(A).wrap(B, LABELS, sealed=False), body=b"\x00")
    with pytest.raises(MalformedMessage):
        channel(B).unwrap(_resigned(envelope), m.EncryptedLabels)


@given(st.binary(max_size=120))
def test_unsealing_anything_raises_only_verification_failed(data: bytes) -> None:
    with pytest.raises(VerificationFailed):
        unseal(data, KEYS[B].sealing, b"info")


def test_a_card_is_believed_only_under_its_own_signature() -> None:
    verify_card(CARDS[A])
    for change in ({"party": "b"}, {"role": PartyRole.BANK}, {"mask_key": CARDS[B].mask_key}, {"paillier_key": b"k"}):
        changed = msgspec.structs.replace(CARDS[A], **change)
        assert changed.fingerprint() != CARDS[A].fingerprint()
        with pytest.raises(VerificationFailed):
            verify_card(changed)


SMALL_ORDER = [bytes(32), b"\1" + bytes(31), bytes.fromhex("ec" + "ff" * 30 + "7f")]


@pytest.mark.parametrize("point", SMALL_ORDER, ids=lambda p: p.hex()[:4])
@pytest.mark.parametrize("field", ["sealing_key", "mask_key"])
def test_a_card_with_a_degenerate_agreement_key_is_refused(field: str, point: bytes) -> None:
    false = msgspec.structs.replace(CARDS[A], signature=b"", **{field: point})
    signed = msgspec.structs.replace(false, signature=KEYS[A].signing.sign(false.unsigned()))
    with pytest.raises(VerificationFailed) as caught:
        verify_card(signed)
    assert caught.value.code == "CARD_KEY"


@settings(max_examples=50)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80))
def test_any_card_is_verified_or_refused(key: bytes, signature: bytes) -> None:
    with pytest.raises(VerificationFailed):
        verify_card(PartyCard("x", PartyRole.BANK, key, key, key, signature=signature))


def test_keys_come_back_from_their_bytes_and_never_show() -> None:
    again = PartyKeys.from_bytes(A, KEYS[A].to_bytes())
    assert make_card(again, PartyRole.DATA_NODE) == CARDS[A]
    assert repr(again) == "PartyKeys(party='a')"
    assert "Key" not in repr(replace(channel(A))).replace("PartyKeys", "")
    with pytest.raises(ValueError, match="96 bytes"):
        PartyKeys.from_bytes(A, bytes(95))
