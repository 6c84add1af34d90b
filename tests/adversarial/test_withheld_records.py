"""An enterprise sees exactly what there is about it; whoever withholds, alters or moves any of it is seen to."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable

import msgspec
import pytest
from asked_enterprise import MINE, TAX, refused
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.enterprise import desk as enterprise_desk
from federation.local.layout import BANK, CONSENT_SERVICE, COORDINATOR
from nodes.data_node import records as node_records
from nodes.enterprise.fetching import Fetched
from nodes.enterprise.record import EnterpriseRecord, describe
from nodes.keystore import read_keys
from protocols.channel.envelope import open_parcel, pack_parcel
from protocols.channel.identity import PartyRole, make_card
from protocols.channel.pins import Pins
from protocols.channel.succession import Lineage, endorse
from protocols.channel.wire import decode
from protocols.consent import split_consent, unverified_claims
from protocols.enterprise.asking import Grievance, Trust
from protocols.enterprise.messages import LoggedEntries
from protocols.enterprise.objections import Ground
from protocols.enterprise.verifying import Discrepancy, Finding
from protocols.errors import CreditFederationError
from protocols.transparency.leaves import decode_commitment, encode_leaf
from protocols.transparency.statements import SealedStatements
from tests.conftest import TrainedFederation
from tests.enterprise_client import AtEnterprise
from tests.small_federation import NODES, NOW


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
