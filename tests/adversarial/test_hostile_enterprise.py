"""Whoever asks or objects in an enterprise's name gets nothing of it, and no bytes do any harm."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets

import msgspec
import pytest
from asked_enterprise import MINE, TAX, THEIRS, WORDS, other, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.audit.reading.log_view import StoredLog
from federation.audit.reading.objections import read_objections
from federation.enterprise import desk as enterprise_desk
from federation.enterprise.admission import PER_MINUTE
from federation.enterprise.filing import MAX_OPEN
from federation.local.layout import COORDINATOR
from nodes.data_node.agent import DataNodeAgent
from nodes.data_node.deciding import signed_decision
from protocols.channel.envelope import Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyId
from protocols.channel.wire import decode, encode
from protocols.consent import unverified_claims
from protocols.enterprise.asking import Grievance, ObjectionRole, RecordRole
from protocols.enterprise.credential import draw_keys, make_enterprise_card
from protocols.enterprise.messages import Objection, ObjectionDecision
from protocols.enterprise.objections import Ground, Verdict
from protocols.enterprise.verifying import Discrepancy, Finding, Span
from protocols.errors import CreditFederationError, PeerRefused
from tests.enterprise_client import AtEnterprise
from tests.small_federation import NODES, NOW

# ---- in another enterprise's name


def test_another_enterprises_key_gets_nothing(enterprise: AtEnterprise) -> None:
    """Its own credential is good, and every node sees whose it is."""
    attacker = other(enterprise, MINE)
    fetched = attacker.fetch()
    assert (fetched.entries, fetched.leaves) == ({}, {})
    assert fetched.discrepancies == [
        Discrepancy(Finding.REFUSED, node, code="CREDENTIAL_SUBJECT") for node in sorted(NODES)
    ]


def test_a_stolen_credential_is_worth_nothing_without_its_key(enterprise: AtEnterprise) -> None:
    own = draw_keys(secrets.token_bytes)
    stolen = dataclasses.replace(enterprise.identity, keys=own, card=make_enterprise_card(own))
    attacker = dataclasses.replace(enterprise, identity=stolen)
    assert refused(attacker.fetch) == "CREDENTIAL_KEY"


def test_a_stolen_token_beside_ones_own_slip_is_refused_by_the_nodes(enterprise: AtEnterprise) -> None:
    attacker = other(enterprise, MINE, enterprise.identity.token)
    fetched = attacker.fetch()
    assert fetched.leaves == {}
    assert {one.code for one in fetched.discrepancies} == {"CREDENTIAL_KEY"}


def test_the_victims_card_without_its_key_signs_nothing(enterprise: AtEnterprise) -> None:
    attacker = dataclasses.replace(enterprise.identity, keys=draw_keys(secrets.token_bytes))
    assert refused(dataclasses.replace(enterprise, identity=attacker).fetch) == "VERIFICATION_FAILED"


def test_a_key_that_was_withdrawn_gets_nothing(enterprise: AtEnterprise) -> None:
    enterprise.federation.consents.revoke(unverified_claims(enterprise.identity.token)["jti"])
    assert refused(enterprise.fetch) == "CONSENT_REVOKED"


def test_a_request_is_answered_once_and_for_a_short_time(enterprise: AtEnterprise) -> None:
    enterprise.fetch()
    replayed = enterprise.sent[-1]

    def replay() -> object:
        return open_parcel(enterprise.federation.serve_enterprise(replayed))

    assert refused(replay) == "REPLAYED"
    enterprise.clock.now += 200
    assert refused(replay) == "REQUEST_EXPIRED"


def test_an_answer_opens_for_the_enterprise_alone(enterprise: AtEnterprise) -> None:
    answers: list[bytes] = []
    enterprise.alter = lambda parcel: answers.append(parcel) or parcel
    enterprise.fetch()
    envelopes = open_parcel(answers[0])
    assert {envelope.message for envelope in envelopes} == {"RecordEntries", "LoggedEntries"}
    assert all(envelope.sealed for envelope in envelopes)
    spy = RecordRole(other(enterprise).identity, enterprise.trust, Span(0, 1), NOW, secrets.token_bytes)
    assert refused(lambda: spy.receive(envelopes)) == "UNEXPECTED_MESSAGE"


def test_the_coordinator_never_sees_the_code_or_the_words(enterprise: AtEnterprise) -> None:
    enterprise.fetch()
    enterprise.client.object(Grievance(Ground.RECORD_WRONG, (TAX,), text=WORDS))
    seen = b"".join(enterprise.sent)
    home = enterprise.federation.folder / COORDINATOR
    stored = b"".join(path.read_bytes() for path in sorted(home.iterdir()) if path.is_file())
    for secret in (MINE.encode(), WORDS.encode()):
        assert secret not in seen
        assert secret not in stored
    own = enterprise.federation.folder / TAX
    assert any(WORDS.encode() in path.read_bytes() for path in own.glob("ledger.sqlite*"))


# ---- objections


def objection(enterprise: AtEnterprise, *nodes: str) -> ObjectionRole:
    contested = tuple(map(PartyId, nodes or ("tax",)))
    grievance = Grievance(Ground.RECORD_WRONG, contested, text=WORDS)
    return ObjectionRole(enterprise.identity, enterprise.trust, grievance, enterprise.clock(), secrets.token_bytes)


def file(enterprise: AtEnterprise, *envelopes: Envelope) -> tuple[Envelope, ...]:
    return open_parcel(enterprise.reach(pack_parcel(envelopes)))


def pending(enterprise: AtEnterprise, *subjects: str) -> list[bool]:
    return [result.objection_pending for result in enterprise.federation.assess(subjects)]


def test_an_objection_under_a_forged_signature_leaves_no_trace(enterprise: AtEnterprise) -> None:
    first, *parts = objection(enterprise).start()
    body = encode(msgspec.structs.replace(decode(first.body, Objection), ground=Ground.RESULT_DISPUTED))
    before = enterprise.federation.log.size
    forged = msgspec.structs.replace(first, body=body)
    assert refused(lambda: file(enterprise, forged, *parts)) in ("VERIFICATION_FAILED", "UNEXPECTED_MESSAGE")
    flipped = msgspec.structs.replace(first, signature=bytes(64))
    assert refused(lambda: file(enterprise, flipped, *parts)) == "VERIFICATION_FAILED"
    assert enterprise.federation.log.size == before
    assert pending(enterprise, MINE) == [False]


def test_an_objection_in_anothers_name_is_inadmissible_and_marks_nobody(enterprise: AtEnterprise) -> None:
    attacker = other(enterprise, MINE)
    attacker.client.object(Grievance(Ground.RECORD_WRONG, (TAX,), text="let me in"))
    assert pending(enterprise, MINE, THEIRS) == [False, False]
    with contextlib.closing(StoredLog(enterprise.federation.folder)) as log:
        (found,) = read_objections(log.leaves(), enterprise.clock() * 1000)
    assert (found.state, found.reason) == ("inadmissible", "CREDENTIAL_SUBJECT")


def test_what_only_the_coordinator_can_have_altered_makes_nothing_inadmissible(enterprise: AtEnterprise) -> None:
    first, *parts = objection(enterprise).start()
    site = enterprise.federation._sites[TAX]
    agent = DataNodeAgent(site)
    to_tax = next(part for part in parts if part.receiver == TAX)
    bent = msgspec.structs.replace(to_tax, body=to_tax.body[:-1] + bytes([to_tax.body[-1] ^ 1]))
    assert refused(lambda: open_parcel(agent.handle(pack_parcel((first, bent))))) == "VERIFICATION_FAILED"
    identifier = decode(first.body, Objection).objection
    assert site.ledger.objections.decision(identifier, TAX) is None
    (receipt,) = open_parcel(agent.handle(pack_parcel((first, to_tax))))
    assert receipt.message == "ObjectionReceipt"
    assert site.ledger.objections.decision(identifier, TAX) is None


def test_the_same_objection_filed_again_is_one_objection(enterprise: AtEnterprise) -> None:
    role = objection(enterprise, "tax", "social")
    before = enterprise.federation.log.size
    first, again = file(enterprise, *role.start()), file(enterprise, *role.start())
    assert encode(first[0]) == encode(again[0])
    assert enterprise.federation.log.size == before + 2


def test_a_flood_of_objections_is_bounded(enterprise: AtEnterprise) -> None:
    for _ in range(MAX_OPEN):
        enterprise.client.object(Grievance(Ground.RECORD_WRONG, (TAX,)))
    before = enterprise.federation.log.size
    assert refused(lambda: enterprise.client.object(Grievance(Ground.RECORD_WRONG, (TAX,)))) == "OBJECTION_LIMIT"
    assert enterprise.federation.log.size == before


def test_a_flood_of_requests_of_one_key_is_bounded(enterprise: AtEnterprise) -> None:
    for _ in range(PER_MINUTE):
        role = objection(enterprise)
        assert refused(lambda role=role: file(enterprise, role.start()[0])) == "UNEXPECTED_MESSAGE"
    assert refused(enterprise.fetch) == "RATE_LIMIT"
    enterprise.clock.now += 61
    assert enterprise.fetch().discrepancies == []


def test_an_objection_to_strangers_or_about_nothing_is_refused(enterprise: AtEnterprise) -> None:
    grievance = Grievance(Ground.QUERY_NOT_AUTHORISED, (TAX,), entry=bytes(16))
    assert refused(lambda: enterprise.client.object(grievance)) == "UNKNOWN_ENTRY"
    first, *parts = objection(enterprise).start()
    assert refused(lambda: file(enterprise, first, *parts[1:])) == "UNEXPECTED_MESSAGE"


def test_a_node_cannot_decide_what_is_anothers_to_decide(enterprise: AtEnterprise) -> None:
    filed = enterprise.client.object(Grievance(Ground.RECORD_WRONG, (TAX,)))
    stored = enterprise.federation._sites[TAX].ledger.objections.find(filed.objection)
    assert stored is not None
    social = enterprise.federation._sites[PartyId("social")]
    decision = ObjectionDecision(filed.objection, Verdict.REJECTED, "RECORD_CONFIRMED", 0, enterprise.clock())
    social.ledger.objections.decide(signed_decision(decision, social.channel(stored.transcript)))
    assert pending(enterprise, MINE) == [True]
    envelope = decode(social.ledger.objections.unconfirmed("social")[0].envelope, Envelope)
    before = enterprise.federation.log.size
    with pytest.raises(CreditFederationError):
        enterprise.federation._enterprises.desk._filing.decide(envelope)
    assert enterprise.federation.log.size == before


# ---- bytes


@settings(max_examples=40)
@given(st.binary(max_size=300))
def test_any_bytes_are_answered_with_a_refusal(data: bytes) -> None:
    def nobody(parcels: object) -> dict[PartyId, bytes | None]:
        raise AssertionError("nothing of this goes to a node")

    desk = enterprise_desk.EnterpriseDesk.__new__(enterprise_desk.EnterpriseDesk)
    with pytest.raises(PeerRefused):
        open_parcel(desk.serve(data, nobody))


def test_a_parcel_of_any_one_changed_byte_is_refused_or_changes_nothing(enterprise: AtEnterprise) -> None:
    role = RecordRole(enterprise.identity, enterprise.trust, Span(0, NOW), enterprise.clock(), secrets.token_bytes)
    parcel = pack_parcel(role.start())
    for place in range(0, len(parcel), len(parcel) // 20):
        bent = parcel[:place] + bytes([parcel[place] ^ 0x40]) + parcel[place + 1 :]
        with pytest.raises(PeerRefused):
            open_parcel(enterprise.federation.serve_enterprise(bent))
