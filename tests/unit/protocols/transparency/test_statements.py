"""Statements open for the auditors and for their enterprise, for nobody else, and only as they were signed."""

from __future__ import annotations

import secrets
from hashlib import sha256

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocols.channel.identity import PartyId, PartyKeys, PartyRole, make_card
from protocols.channel.wire import decode, encode
from protocols.errors import MalformedMessage, VerificationFailed
from protocols.transparency.leaves import LeafKind
from protocols.transparency.statements import (
    PADDED_BYTES,
    Addressees,
    SealedStatements,
    Statement,
    auditor_keys,
    open_for_auditor,
    open_for_subject,
    reply_secret,
    seal_statements,
    verify_statements,
)
from protocols.uscc import synthetic

BANK = PartyKeys.generate(PartyId("bank"), secrets.token_bytes)
CARD = make_card(BANK, PartyRole.BANK)
AUDITORS = [X25519PrivateKey.generate() for _ in range(2)]
FIRMS = [X25519PrivateKey.generate() for _ in range(3)]
T = bytes(range(32))


def public(key: X25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def statement(position: int = 0, **changes: object) -> Statement:
    made = Statement(
        enterprise=synthetic(position + 1),
        leaf=LeafKind.REQUEST,
        party="bank",
        bank="bank",
        reference=bytes(16),
        purpose="assessment",
        decision="ASKED",
        at=1_700_000_000,
        position=position,
    )
    return msgspec.structs.replace(made, **changes)


def sealed(count: int = 3, auditors: int = 2, subjects: tuple[bytes, ...] | None = None) -> SealedStatements:
    keys = tuple(public(key) for key in FIRMS[:count]) if subjects is None else subjects
    to = Addressees(tuple(public(key) for key in AUDITORS[:auditors]), keys)
    return seal_statements([statement(n) for n in range(count)], to, BANK, T, secrets.token_bytes)


def test_every_auditor_reads_all_and_each_enterprise_its_own() -> None:
    found = decode(encode(sealed()), SealedStatements)
    verify_statements(found, CARD)
    for auditor in AUDITORS:
        assert open_for_auditor(found, auditor) == {n: statement(n) for n in range(3)}
    for number, firm in enumerate(FIRMS):
        assert open_for_subject(found, firm) == {number: statement(number)}


def test_nobody_else_reads_anything() -> None:
    found, stranger = sealed(), X25519PrivateKey.generate()
    assert open_for_subject(found, stranger) == {}
    with pytest.raises(VerificationFailed) as refusal:
        open_for_auditor(found, stranger)
    assert refusal.value.code == "BODY_CLOSED"
    with pytest.raises(VerificationFailed):  # an enterprise's own entry does not lead to the others
        open_for_auditor(found, FIRMS[0])
    data = encode(found)
    assert not any(synthetic(n + 1).encode() in data for n in range(3))


def test_without_a_key_of_the_enterprise_only_the_auditors_read_and_nobody_sees_the_difference() -> None:
    without, having = sealed(1, subjects=(b"",)), sealed(1)
    assert open_for_auditor(without, AUDITORS[0]) == {0: statement()}
    assert open_for_subject(without, FIRMS[0]) == {}
    assert len(encode(without)) == len(encode(having))


def test_a_degenerate_key_of_an_enterprise_opens_nothing() -> None:
    found = sealed(1, subjects=(bytes(32),))
    assert open_for_auditor(found, AUDITORS[0]) == {0: statement()}


def test_the_length_says_nothing_of_what_is_stated() -> None:
    to = Addressees((public(AUDITORS[0]),), (public(FIRMS[0]),))
    short, long = statement(), statement(code="CONSENT_NOT_YET_VALID", rule="r" * 30)
    lengths = {len(seal_statements([s], to, BANK, T, secrets.token_bytes).entries[0]) for s in (short, long)}
    assert len(lengths) == 1
    assert lengths.pop() == 16 + 48 + PADDED_BYTES + 16


@pytest.mark.parametrize("part", ["transcript", "party", "leaf", "ephemeral", "auditors", "entries"])
def test_a_head_that_was_changed_is_not_the_partys(part: str) -> None:
    found, other = sealed(), sealed()
    changes = {"transcript": bytes(32), "party": "bank", "leaf": LeafKind.ACK}
    value = changes.get(part, getattr(other.head, part))
    forged = msgspec.structs.replace(found, head=msgspec.structs.replace(found.head, **{part: value}))
    if part == "party":
        tax = PartyKeys.generate(PartyId("tax"), secrets.token_bytes)
        with pytest.raises(VerificationFailed):
            verify_statements(found, make_card(tax, PartyRole.DATA_NODE))
        return
    with pytest.raises(VerificationFailed):
        verify_statements(forged, CARD)


def test_an_entry_that_was_changed_swapped_or_dropped_is_noticed() -> None:
    found = sealed()
    first, second, third = found.entries
    for entries in ((second, first, third), (first, second), (first, second, third[:-1] + bytes([third[-1] ^ 1]))):
        with pytest.raises(VerificationFailed):
            verify_statements(msgspec.structs.replace(found, entries=entries), CARD)
    verify_statements(msgspec.structs.replace(found, entries=(first, b"", third)), CARD)  # one whose key was destroyed


def test_a_party_cannot_show_its_enterprise_another_statement_than_the_auditor() -> None:
    """AES-GCM alone would let one ciphertext open under two keys; the commitment names the one that counts."""
    found = sealed(1)
    entry = found.entries[0]
    forged = bytes(16) + entry[16:]
    head = msgspec.structs.replace(found.head, entries=(sha256(forged).digest(),))
    resigned = SealedStatements(head, BANK.signing.sign(head.signed_bytes()), (forged,))
    verify_statements(resigned, CARD)
    with pytest.raises(VerificationFailed):
        open_for_auditor(resigned, AUDITORS[0])
    with pytest.raises(VerificationFailed):
        open_for_subject(resigned, FIRMS[0])


def test_a_statement_in_the_place_of_another_is_refused() -> None:
    to = Addressees((public(AUDITORS[0]),), (public(FIRMS[0]),))
    lying = seal_statements([statement(party="tax")], to, BANK, T, secrets.token_bytes)
    with pytest.raises(MalformedMessage):
        open_for_auditor(lying, AUDITORS[0])


def test_a_consent_names_a_reply_key_that_it_opens_itself() -> None:
    to = Addressees((public(AUDITORS[0]),), (public(FIRMS[0]),))
    shown = seal_statements([statement(leaf=LeafKind.CONSENT)], to, BANK, T, secrets.token_bytes)
    secret = reply_secret(shown, FIRMS[0])
    assert secret is not None
    assert public(secret) == shown.head.reply
    assert reply_secret(shown, FIRMS[1]) is None
    assert reply_secret(sealed(), FIRMS[0]) is None
    assert sealed().head.reply == b""


def test_a_bank_cannot_name_a_reply_key_that_its_consent_does_not_open() -> None:
    """Else it alone could read what is said of a consent later."""
    to = Addressees((public(AUDITORS[0]),), (public(FIRMS[0]),))
    shown = seal_statements([statement(leaf=LeafKind.CONSENT)], to, BANK, T, secrets.token_bytes)
    head = msgspec.structs.replace(shown.head, reply=public(FIRMS[2]))
    lying = SealedStatements(head, BANK.signing.sign(head.signed_bytes()), shown.entries)
    verify_statements(lying, CARD)
    for opens in (lambda: open_for_auditor(lying, AUDITORS[0]), lambda: open_for_subject(lying, FIRMS[0])):
        with pytest.raises(VerificationFailed) as refusal:
            opens()
        assert refusal.value.code == "BODY_INVALID"


def test_only_of_a_withdrawn_consent_does_a_statement_name_no_enterprise() -> None:
    statement(leaf=LeafKind.REVOKE, enterprise="", bank="")
    for changes in ({"enterprise": ""}, {"bank": ""}, {"leaf": LeafKind.REVOKE}):
        with pytest.raises(ValueError, match="about an enterprise"):
            statement(**changes)


def test_statements_are_of_one_leaf() -> None:
    to = Addressees((), (b"", b""))
    with pytest.raises(ValueError, match="2 kinds"):
        seal_statements([statement(), statement(1, leaf=LeafKind.ACK)], to, BANK, T, secrets.token_bytes)
    with pytest.raises(ValueError, match="1 statements"):
        seal_statements([statement()], to, BANK, T, secrets.token_bytes)


def test_a_statement_holds_no_score_and_no_feature() -> None:
    assert set(Statement.__struct_fields__) == {
        "enterprise", "leaf", "party", "bank", "reference", "purpose", "decision", "at", "code", "rule", "position",
    }  # fmt: skip


def test_statements_are_sealed_to_the_auditors_among_the_cards_alone() -> None:
    auditor = PartyKeys.generate(PartyId("chen"), secrets.token_bytes)
    cards = {PartyId("bank"): CARD, PartyId("chen"): make_card(auditor, PartyRole.AUDITOR)}
    assert auditor_keys(cards) == (public(auditor.sealing),)
