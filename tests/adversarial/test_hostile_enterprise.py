"""Whoever asks in an enterprise's name gets nothing of it; whoever withholds from an enterprise is seen to."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.audit.reading.log_view import StoredLog
from federation.audit.reading.objections import read_objections
from federation.enterprise import desk as enterprise_desk
from federation.enterprise.admission import PER_MINUTE
from federation.enterprise.filing import MAX_OPEN
from federation.local.federation import LocalFederation
from federation.local.layout import BANK, CONSENT_SERVICE, COORDINATOR
from nodes.data_node import records as node_records
from nodes.data_node.agent import DataNodeAgent
from nodes.data_node.deciding import signed_decision
from nodes.enterprise.fetching import Fetched
from nodes.enterprise.record import EnterpriseRecord, describe
from nodes.keystore import read_keys
from protocols.channel.envelope import Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyId, PartyRole, make_card
from protocols.channel.pins import Pins
from protocols.channel.succession import Lineage, endorse
from protocols.channel.wire import decode, encode
from protocols.consent import split_consent, unverified_claims
from protocols.enterprise.asking import Grievance, ObjectionRole, RecordRole, Trust
from protocols.enterprise.credential import draw_keys, make_enterprise_card
from protocols.enterprise.messages import LoggedEntries, Objection, ObjectionDecision
from protocols.enterprise.objections import Ground, Verdict
from protocols.enterprise.verifying import Discrepancy, Finding, Span
from protocols.errors import CreditFederationError, PeerRefused
from protocols.transparency.leaves import decode_commitment, encode_leaf
from protocols.transparency.statements import SealedStatements
from tests.conftest import TrainedFederation
from tests.enterprise_client import AtEnterprise, Moving, identity_of
from tests.small_federation import NODES, NOW, codes

MINE, THEIRS = codes()[1], codes()[2]
TAX = PartyId("tax")
WORDS = "we paid on the day, see the bank's slip"


@pytest.fixture(scope="module")
def asked(trained: TrainedFederation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A federation in which a bank has asked about some enterprises, once each and in a batch."""
    folder = Path(shutil.copytree(trained.folder, tmp_path_factory.mktemp("asked") / "federation"))
    with LocalFederation(folder, clock=lambda: NOW + 1000) as federation:
        federation.assess(codes()[:3])
        federation.assess(codes()[:20])
    return folder


@pytest.fixture
def enterprise(asked: Path, tmp_path: Path) -> Iterator[AtEnterprise]:
    folder, clock = Path(shutil.copytree(asked, tmp_path / "federation")), Moving(NOW + 5000)
    with LocalFederation(folder, clock=clock) as federation:
        yield AtEnterprise(federation, identity_of(federation, MINE), clock)


def other(at: AtEnterprise, claims: str = THEIRS, token: str = "") -> AtEnterprise:
    """An attacker with a key and a credential of its own, who claims to be `claims`, perhaps with another's token."""
    own = identity_of(at.federation, THEIRS)
    return dataclasses.replace(at, identity=dataclasses.replace(own, enterprise=claims, token=token or own.token))


def refused(attempt: Callable[[], object]) -> str:
    with pytest.raises(CreditFederationError) as refusal:
        attempt()
    return refusal.value.code


def test_an_enterprise_sees_exactly_the_queries_about_it(enterprise: AtEnterprise, trained: TrainedFederation) -> None:
    record = enterprise.record()
    assert record.ok
    assert set(record.nodes) == set(NODES)
    in_training = MINE in trained.ids[: round(0.7 * len(trained.ids))]
    assert [query.kind for query in record.queries if query.kind != "training"] in (
        ["assessment", "batch"],
        ["batch", "assessment"],
    )
    assert sum(query.kind == "training" for query in record.queries) == in_training
    assert all(query.witnessed and query.leaves for query in record.queries)


def test_a_record_of_many_pages_is_the_same_record(enterprise: AtEnterprise, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        enterprise.clock.now += 600
        enterprise.federation.assess([MINE])
    enterprise.clock.now += 600
    whole = enterprise.record()
    requests = len(enterprise.sent)
    monkeypatch.setattr(node_records, "ENTRY_LIMIT", 3)
    pages = enterprise.record()
    assert len(enterprise.sent) - requests > 1
    assert (pages.queries, pages.findings, pages.leaves) == (whole.queries, (), whole.leaves)


def said(record: EnterpriseRecord, kind: str) -> set[tuple[str, str, str]]:
    (query,) = [query for query in record.queries if query.kind == kind]
    return {(one.party, one.kind, one.decision) for one in query.statements}


ASKED = {("bank", "REQUEST", "ASKED"), *((node, "RELEASE", "RELEASE") for node in NODES)}


def test_every_party_states_under_its_own_signature_what_it_did_and_the_enterprise_opens_it(
    enterprise: AtEnterprise,
) -> None:
    record = enterprise.record()
    assert said(record, "assessment") == {*ASKED, ("bank", "ACK", "ACCEPTED")}
    assert said(record, "batch") == ASKED


def test_what_was_stated_under_a_key_that_its_party_has_replaced_is_believed_as_long_as_the_log_stands(
    enterprise: AtEnterprise,
) -> None:
    federation, until = enterprise.federation, enterprise.clock.now + 1000
    keys = read_keys(federation.folder / TAX)
    successor = make_card(dataclasses.replace(keys, signing=Ed25519PrivateKey.generate()), PartyRole.DATA_NODE)
    pins = Pins(federation.pins.cards.values())
    unrelated = Pins([*(card for card in pins.cards.values() if card.party != TAX), successor])
    pins.take([Lineage(successor, (endorse(keys, pins.cards[TAX], successor, until),))])

    def fetch(known: Pins) -> Fetched:
        trust = Trust(known, enterprise.trust.log)
        return dataclasses.replace(enterprise, pinned=trust).fetch()

    record = describe(fetch(pins), MINE, enterprise.clock.now)
    assert record.ok
    assert ("tax", "RELEASE", "RELEASE") in said(record, "assessment")
    with pytest.raises(CreditFederationError):
        fetch(unrelated)


def test_who_reads_a_record_leaves_a_leaf_that_does_not_say_whose(enterprise: AtEnterprise) -> None:
    log, start = enterprise.federation.log, enterprise.federation.log.size
    record = enterprise.record()
    (view,) = [entry.leaf for entry in log.entries(start)]
    values = dict(view.attributes)
    assert (view.kind, view.actor, values["view"]) == ("AUDIT_VIEW", enterprise.identity.card.party, "record")
    assert values["entries"] == record.leaves
    assert values["last_leaf"] == max(leaf for query in record.queries for leaf in query.leaves)
    assert view.subject == b""
    assert MINE.encode() not in encode_leaf(view)


def test_a_record_that_cannot_be_logged_is_not_shown(enterprise: AtEnterprise, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(leaves: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(enterprise.federation.log, "append", full)
    assert refused(enterprise.fetch) == "INTERNAL_ERROR"


def test_an_enterprise_sees_its_own_consents_and_when_they_were_withdrawn(enterprise: AtEnterprise) -> None:
    federation = enterprise.federation
    before = enterprise.record()
    assert [consent.bank for consent in before.consents] == [BANK] * 2  # one alone, one in the batch of twenty
    assert [consent.revoked for consent in before.consents] == ["", ""]
    for consent in before.consents:
        assert [(one.party, one.kind, one.decision) for one in consent.statements] == [(BANK, "CONSENT", "SHOWN")]
        assert consent.witnessed
        assert len(consent.leaves) == 1
    enterprise.clock.now += 10
    given = federation.consents.of_enterprise(MINE, BANK)
    federation.assess_with([(MINE, given)])
    federation.consents.revoke(str(unverified_claims(split_consent(given)[0])["jti"]))
    enterprise.clock.now += 10
    federation.assess_with([(MINE, given)])
    *others, withdrawn = enterprise.record().consents
    assert others == list(before.consents)
    assert withdrawn.revoked > withdrawn.shown
    assert len(withdrawn.leaves) == 2
    shown, told = withdrawn.statements
    assert (shown.party, shown.decision) == (BANK, "SHOWN")
    assert (told.party, told.kind, told.decision) == (COORDINATOR, "REVOKE", "REVOKED")
    assert told.rule.startswith(f"{CONSENT_SERVICE} list ")


def test_what_is_logged_once_the_service_vouches_opens_with_the_enterprises_own_key_alone(
    enterprise: AtEnterprise,
) -> None:
    alone = dataclasses.replace(enterprise.identity, earlier=())
    enterprise = dataclasses.replace(enterprise, identity=alone)
    assert said(enterprise.record(), "assessment") == set()
    enterprise.clock.now += 10
    (asked,) = enterprise.federation.assess([MINE])
    query = next(q for q in enterprise.record().queries if q.reference == asked.request)
    assert {(one.party, one.kind) for one in query.statements} >= {("bank", "REQUEST"), ("tax", "RELEASE")}


def test_what_was_shredded_is_gone_and_every_leaf_is_proved_all_the_same(enterprise: AtEnterprise) -> None:
    federation = enterprise.federation
    tags = [entry.leaf.subject for entry in federation.log.entries() if entry.leaf.subject]
    federation._opener.coordinator_site.shredder.shred(tags)
    record = enterprise.record()
    assert record.ok
    assert said(record, "assessment") == set()


def test_what_is_said_of_others_in_a_batch_does_not_leave(
    enterprise: AtEnterprise, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[LoggedEntries] = []
    honest = enterprise_desk.prove_leaves
    monkeypatch.setattr(enterprise_desk, "prove_leaves", lambda *given: seen.append(honest(*given)) or seen[-1])
    enterprise.fetch()
    sealed = [decode(leaf.statements, SealedStatements) for leaf in seen[0].leaves if leaf.statements]
    assert max(len(one.entries) for one in sealed) == 20
    assert all(sum(map(bool, one.entries)) == 1 for one in sealed)


def test_a_statement_that_the_coordinator_moves_to_another_leaf_is_noticed(
    enterprise: AtEnterprise, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swapped(logged: LoggedEntries, same: bool) -> LoggedEntries:
        """Exchange what two leaves state: of the same party in two queries, or of two parties."""
        leaves = list(logged.leaves)
        commitments = [decode_commitment(leaf.leaf) for leaf in leaves]
        stated = [i for i, leaf in enumerate(leaves) if leaf.statements and commitments[i].kind == "RELEASE"]
        first = stated[0]
        second = next(i for i in stated[1:] if (commitments[i].actor == commitments[first].actor) is same)
        one, other = leaves[first], leaves[second]
        leaves[first] = msgspec.structs.replace(one, statements=other.statements)
        leaves[second] = msgspec.structs.replace(other, statements=one.statements)
        return msgspec.structs.replace(logged, leaves=tuple(leaves))

    assert shown(enterprise, monkeypatch, lambda logged: swapped(logged, same=False)) == "BODY_INVALID"
    monkeypatch.undo()
    honest = enterprise_desk.prove_leaves
    monkeypatch.setattr(enterprise_desk, "prove_leaves", lambda *given: swapped(honest(*given), same=True))
    assert {one.finding for one in enterprise.fetch().discrepancies} == {Finding.STATEMENT_DIFFERS}


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


# ---- what is withheld


def forget(enterprise: AtEnterprise, *nodes: str) -> None:
    """Let nodes leave the single query out of their lists, as if it had never been."""
    for node in nodes:
        with sqlite3.connect(enterprise.federation.folder / node / "ledger.sqlite") as ledger:
            ledger.execute("UPDATE answer SET subject = 'hidden' WHERE subject = ?", (MINE,))
        ledger.close()


@pytest.mark.parametrize("hiding", [("tax",), ("tax", "social", "housing")])
def test_a_query_that_some_nodes_withhold_convicts_each_of_them(
    enterprise: AtEnterprise, hiding: tuple[str, ...]
) -> None:
    query = next(q for q in enterprise.record().queries if q.kind == "assessment")
    forget(enterprise, *hiding)
    fetched = enterprise.fetch()
    assert {(one.finding, one.party) for one in fetched.discrepancies} == {(Finding.WITHHELD, n) for n in hiding}
    assert {one.reference.hex() for one in fetched.discrepancies} == {query.reference}


def test_what_all_nodes_withhold_together_nobody_shows(enterprise: AtEnterprise) -> None:
    """The stated limit: `docs/enterprise.md`."""
    forget(enterprise, *NODES)
    record = enterprise.record()
    assert record.ok
    assert all(query.kind != "assessment" for query in record.queries)


def test_an_answer_that_the_coordinator_does_not_show_is_missed(
    enterprise: AtEnterprise, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = enterprise.record()
    query = next(q for q in whole.queries if q.kind == "assessment")
    monkeypatch.setattr(
        enterprise.federation._enterprises.desk._references,
        "leaves_of",
        lambda references: [leaf for q in whole.queries for leaf in q.leaves if q is not query],
    )
    found = enterprise.fetch().discrepancies
    assert {(one.finding, one.party) for one in found} == {(Finding.NOT_LOGGED, node) for node in NODES}


def shown(enterprise: AtEnterprise, monkeypatch: pytest.MonkeyPatch, change: Callable[[LoggedEntries], object]) -> str:
    honest = enterprise_desk.prove_leaves
    monkeypatch.setattr(enterprise_desk, "prove_leaves", lambda *given: change(honest(*given)))
    return refused(enterprise.fetch)


def test_a_leaf_that_the_coordinator_alters_or_moves_is_not_proved(
    enterprise: AtEnterprise, monkeypatch: pytest.MonkeyPatch
) -> None:
    def altered(logged: LoggedEntries) -> LoggedEntries:
        first, *rest = logged.leaves
        bent = first.leaf[:-1] + bytes([first.leaf[-1] ^ 1])
        return msgspec.structs.replace(logged, leaves=(msgspec.structs.replace(first, leaf=bent), *rest))

    def moved(logged: LoggedEntries) -> LoggedEntries:
        first, *rest = logged.leaves
        return msgspec.structs.replace(logged, leaves=(msgspec.structs.replace(first, index=first.index + 1), *rest))

    assert shown(enterprise, monkeypatch, altered) in ("MALFORMED_MESSAGE", "INCLUSION_PROOF")
    monkeypatch.undo()
    assert shown(enterprise, monkeypatch, moved) == "INCLUSION_PROOF"


def test_a_node_that_is_silent_or_stopped_is_named(enterprise: AtEnterprise) -> None:
    (enterprise.federation.folder / TAX / "STOP").touch()
    assert enterprise.fetch().discrepancies == [Discrepancy(Finding.REFUSED, "tax", code="NODE_STOPPED")]

    def without_social(parcel: bytes) -> bytes:
        return pack_parcel(tuple(e for e in open_parcel(parcel) if e.sender != "social"))

    enterprise.alter = without_social
    assert Discrepancy(Finding.NO_ANSWER, "social") in enterprise.fetch().discrepancies


def test_a_node_that_was_not_told_of_an_objection_or_forgot_it_is_named(enterprise: AtEnterprise) -> None:
    filed = enterprise.client.object(Grievance(Ground.RECORD_WRONG, (TAX,)))
    enterprise.clock.now += 1000
    assert enterprise.fetch().discrepancies == []
    with sqlite3.connect(enterprise.federation.folder / "housing" / "ledger.sqlite") as ledger:
        ledger.execute("DELETE FROM objection_node")
        ledger.execute("DELETE FROM objection")
    ledger.close()
    assert enterprise.fetch().discrepancies == [Discrepancy(Finding.NOT_TOLD, "housing", filed.objection)]
    lost = {b"objection of mine": NOW + 5000}
    found = enterprise.client.fetch(lost).discrepancies
    assert {one.party for one in found if one.reference == b"objection of mine"} == set(NODES)


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
