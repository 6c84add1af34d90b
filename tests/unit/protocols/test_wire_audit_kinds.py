"""Every message of every protocol is declared: it may travel open, or it must be sealed."""

from __future__ import annotations

import secrets
from types import ModuleType

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.assessment import manifest as manifests
from protocols.assessment import messages as assessment
from protocols.assessment.batch import messages as batch
from protocols.boosting import messages as boosting
from protocols.channel.envelope import EVERYONE, Channel, Envelope, pack_parcel, pack_refusal
from protocols.channel.identity import PartyId, PartyKeys, PartyRole, make_card
from protocols.channel.wire import Message
from protocols.consent import messages as consent
from protocols.consortium import messages as consortium
from protocols.enrolment import upkeep
from protocols.enterprise import messages as enterprise
from protocols.scorecard import messages as scorecard
from protocols.scorecard.messages import LEAKS, LeakClass
from protocols.transparency import messages as transparency
from protocols.transparency import orders, statements, views
from protocols.wire_audit import REASONS, Code, Observation, Terms, audit
from protocols.wire_audit.kinds import OPEN_KINDS, RELEASES, SEALED_KINDS

BANK, TAX, COORDINATOR = PartyId("bank"), PartyId("tax"), PartyId("coordinator")


MODULES = (
    scorecard,
    boosting,
    consortium,
    consent,
    assessment,
    batch,
    enterprise,
    upkeep,
    manifests,
    transparency,
    statements,
    views,
    orders,
)
"""Where the protocols' messages stand."""


def messages_of(module: ModuleType) -> dict[str, type[Message]]:
    return {
        name: kind
        for name, kind in vars(module).items()
        if isinstance(kind, type)
        and issubclass(kind, Message)
        and kind is not Message
        and kind.__module__ == module.__name__
    }


def parts_of(kinds: dict[str, type[Message]]) -> set[str]:
    """Return the classes that stand in a field of another: they never travel by themselves."""
    fields = [repr(msgspec.inspect.type_info(kind).fields) for kind in kinds.values()]
    return {name for name in kinds if any(f"cls={kinds[name]!r}" in text for text in fields)}


def test_no_message_goes_undeclared() -> None:
    kinds = {name: kind for module in MODULES for name, kind in messages_of(module).items()}
    parts = parts_of(kinds)
    assert {"NodeEntry", "FeatureShape", "FeaturePoints", "PartEntry", "Theme"} <= parts
    declared = set(OPEN_KINDS) | SEALED_KINDS
    assert set(kinds) - parts <= declared <= set(kinds)


def test_no_message_is_declared_both_ways() -> None:
    assert not set(OPEN_KINDS) & SEALED_KINDS


def test_what_reveals_an_aggregate_to_the_bank_is_sealed_and_every_leak_is_counted() -> None:
    aggregates = {kind for kind, leak in LEAKS.items() if leak is LeakClass.AGGREGATE}
    assert aggregates - {"PooledSums"} <= SEALED_KINDS  # ciphertexts that the coordinator has multiplied, as totals are
    assert set(LEAKS) < set(RELEASES)
    assert RELEASES["CombinedScore"] is LeakClass.ROW_TOTALS


def test_every_code_says_why_it_matters_in_one_line() -> None:
    assert set(REASONS) == set(Code)
    assert all(reason and "\n" not in reason for reason in REASONS.values())


# ---- single envelopes


KEYS = {party: PartyKeys.generate(party, secrets.token_bytes) for party in (BANK, TAX, COORDINATOR)}
ROLES = {BANK: PartyRole.BANK, TAX: PartyRole.DATA_NODE, COORDINATOR: PartyRole.COORDINATOR}
CARDS = {party: make_card(keys, ROLES[party]) for party, keys in KEYS.items()}


def codes(*parcels: bytes, party: PartyId = BANK, inbound: bool = False) -> set[Code]:
    observations = [Observation(party, inbound, b"outer" + parcel, parcel) for parcel in parcels]
    return {finding.code for finding in audit(CARDS.values(), observations, Terms(0)).findings}


def wrapped(message: Message, *, sealed: bool = False) -> Envelope:
    return Channel(KEYS[BANK], CARDS, bytes(32)).wrap(TAX if sealed else EVERYONE, message, sealed=sealed)


class Undeclared(Message, frozen=True):
    """A message that somebody added and declared nowhere."""

    scale: float


def test_an_undeclared_message_must_be_sealed() -> None:
    assert codes(pack_parcel((wrapped(Undeclared(0.5)),))) == {Code.UNSEALED, Code.FLOAT_VISIBLE, Code.RUN_UNKNOWN}
    assert codes(pack_parcel((wrapped(Undeclared(0.5), sealed=True),))) == {Code.RUN_UNKNOWN}


def test_a_body_of_another_class_than_it_claims_is_malformed() -> None:
    claimed = msgspec.structs.replace(wrapped(Undeclared(0.5)), message="Denial")
    assert Code.MESSAGE_MALFORMED in codes(pack_parcel((claimed,)))


def test_a_vector_for_a_party_without_a_key_cannot_be_judged_and_fails() -> None:
    assert Code.KEY_INVALID in codes(pack_parcel((wrapped(scorecard.EncryptedLabels(b"")),)))


def test_an_open_message_in_anothers_name_is_seen() -> None:
    assert Code.MISROUTED in codes(pack_parcel((wrapped(assessment.Denial("NO", bytes(32))),)), party=TAX)


def test_one_message_to_many_receivers_is_judged_once() -> None:
    parcel = pack_parcel((wrapped(Undeclared(0.5)),))
    observations = [Observation(BANK, False, parcel, parcel), Observation(TAX, True, parcel, parcel)]
    report = audit(CARDS.values(), observations, Terms(0))
    assert report.envelopes == 1
    assert {finding.received_by for finding in report.findings} == {("coordinator", "tax")}


def test_a_refusal_carries_its_code_alone() -> None:
    assert codes(pack_refusal("BANK_DENIED")) == set()


def test_what_is_no_parcel_is_malformed_and_scanned() -> None:
    assert codes(b"exponent") == {Code.MESSAGE_MALFORMED, Code.EXPONENT_VISIBLE}


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=120), st.one_of(st.none(), st.binary(max_size=120)), st.booleans())
def test_any_bytes_are_judged_without_an_error(outer: bytes, parcel: bytes | None, inbound: bool) -> None:
    report = audit(CARDS.values(), [Observation(TAX, inbound, outer, parcel)], Terms(0))
    assert report.observations == 1
    assert not report.ok


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_change_to_an_envelope_is_seen(data: st.DataObject) -> None:
    honest = wrapped(assessment.Denial("NO", bytes(32)))
    parcel = pack_parcel((honest,))
    place = data.draw(st.integers(0, len(parcel) - 1))
    changed = parcel[:place] + bytes([parcel[place] ^ data.draw(st.integers(1, 255))]) + parcel[place + 1 :]
    assert codes(parcel) == {Code.RUN_UNKNOWN}
    assert codes(changed) - {Code.RUN_UNKNOWN}
