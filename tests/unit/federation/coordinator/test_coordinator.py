"""The coordinator passes on what its parties signed, to whom it is due, and nothing that its log does not hold yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from federation.coordinator import Coordinator
from federation.local.federation import LocalFederation
from federation.local.layout import BANK
from nodes.keystore import read_keys
from protocols.assessment.messages import Acknowledgement, Denial, Outcome, Query, Subject
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import decode
from protocols.errors import CreditFederationError, MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.scorecard.messages import LeakClass, RunSpec
from protocols.transparency.leaves import Leaf, LeafKind
from tests.conftest import TrainedFederation
from tests.small_federation import NODES, NOW, AtNode, at_node, envelopes_in, stated

TAX = PartyId("tax")
ENTERPRISE = "91350100M000100Y43"


@pytest.fixture
def federation(federation_folder: Path) -> Iterator[LocalFederation]:
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        yield federation


@pytest.fixture
def coordinator(federation: LocalFederation) -> Coordinator:
    return federation.coordinator


@pytest.fixture
def node(federation_folder: Path, trained: TrainedFederation) -> AtNode:
    return at_node(federation_folder, trained.training.model)


def asked(node: AtNode, **changes: object) -> tuple[Query, tuple[Envelope, ...]]:
    """A query, and what the bank sends: what it states for the log, the query itself, the subject for one node."""
    query = msgspec.structs.replace(node.query(), **({"slip": ""} | changes))
    statement = stated(node.bank_channel(query.transcript()), query, ENTERPRISE, LeafKind.REQUEST)
    return query, (statement, *node.envelopes(query, Subject(ENTERPRISE, "")))


def leaves(federation: LocalFederation, start: int = 0) -> list[Leaf]:
    return [entry.leaf for entry in federation.log.entries(start)]


def test_a_run_is_logged_step_by_step_with_what_it_revealed(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    steps = [leaf for leaf in leaves(federation) if leaf.kind in (LeafKind.TRAIN_STEP, LeafKind.MANIFEST)]
    sent = Counter(e.message for _, inbound, data in trained.recorded if not inbound for e in envelopes_in(data))
    logged = Counter(dict(leaf.attributes)["step"] for leaf in steps)
    del logged["CombinedTotals"]
    assert {kind: sent[kind] for kind in logged} == logged
    assert {"RunSpec", "Cohort", "BinHistograms", "SignedManifest", "RunFinished"} <= set(logged)
    revealed = Counter(dict(leaf.attributes)["leak_class"] for leaf in steps)
    assert {c: n for c, n in revealed.items() if c != LeakClass.NONE} == trained.training.leaks
    assert len({leaf.reference for leaf in steps}) == 1
    assert all(len(leaf.evidence) == 32 for leaf in steps)


def test_a_query_leaves_one_request_a_release_of_each_node_a_result_and_an_ack(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    start = federation.log.size
    (result,) = federation.assess([trained.ids[0]])
    found = leaves(federation, start)
    assert found.pop(0).kind is LeafKind.CONSENT
    assert [leaf.kind for leaf in found] == [LeafKind.REQUEST, *[LeafKind.RELEASE] * 4, LeafKind.RESULT, LeafKind.ACK]
    assert {leaf.actor for leaf in found[1:5]} == set(NODES)
    assert {leaf.reference.hex() for leaf in found} == {result.request}
    assert len({leaf.subject for leaf in found}) == 1
    assert found[0].subject
    assert result.receipt == start + 6
    assert dict(found[-1].attributes)["decision"] == "ACCEPTED"


def test_a_denial_is_logged_with_its_code_and_ends_without_a_result(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    start = federation.log.size
    federation.withhold_consent(trained.ids[0])
    (result,) = federation.assess([trained.ids[0]])
    found = leaves(federation, start)
    assert [leaf.kind for leaf in found] == [LeafKind.REQUEST, *[LeafKind.DENY] * 4, LeafKind.ACK]
    assert {dict(leaf.attributes)["code"] for leaf in found[1:5]} == {"CONSENT_MISSING"}
    assert dict(found[-1].attributes)["decision"] == "DENIED"
    assert (result.status, result.code, result.receipt) == ("denied", "CONSENT_MISSING", None)


def test_subjects_in_the_log_are_alike_for_one_enterprise_and_name_it_to_nobody(
    federation: LocalFederation, trained: TrainedFederation
) -> None:
    start = federation.log.size
    federation.assess([trained.ids[0], trained.ids[1], trained.ids[0]])
    tags = [leaf.subject for leaf in leaves(federation, start) if leaf.kind is LeafKind.REQUEST]
    assert tags[0] == tags[2] != tags[1]


def test_nothing_goes_on_before_its_leaf_is_on_disk(
    federation: LocalFederation, coordinator: Coordinator, node: AtNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, envelopes = asked(node)

    def fail(_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(federation.log, "append", fail)
    with pytest.raises(OSError, match="disk full"):
        coordinator.route(BANK, envelopes)


def test_a_query_goes_to_all_its_nodes_and_each_subject_to_one(coordinator: Coordinator, node: AtNode) -> None:
    _, (statement, query, subject) = asked(node)
    routed = coordinator.route(BANK, (statement, query, subject))
    assert routed == [*((PartyId(name), query) for name in NODES), (TAX, subject)]


def test_an_envelope_in_anothers_name_is_refused(coordinator: Coordinator, node: AtNode) -> None:
    _, envelopes = asked(node)
    with pytest.raises(VerificationFailed):
        coordinator.route(TAX, envelopes)


def test_a_forged_query_is_refused_and_not_logged(
    federation: LocalFederation, coordinator: Coordinator, node: AtNode
) -> None:
    size = federation.log.size
    _, (statement, query, _) = asked(node)
    forged = msgspec.structs.replace(query, signature=bytes(64))
    with pytest.raises(VerificationFailed):
        coordinator.route(BANK, (statement, forged))
    assert federation.log.size == size


def test_a_query_is_asked_once(coordinator: Coordinator, node: AtNode) -> None:
    _, envelopes = asked(node)
    coordinator.route(BANK, envelopes)
    with pytest.raises(VerificationFailed):
        coordinator.route(BANK, envelopes[:2])


def test_what_was_accepted_before_a_bad_envelope_is_in_the_log(
    federation: LocalFederation, coordinator: Coordinator, node: AtNode
) -> None:
    size = federation.log.size
    _, (statement, query, _) = asked(node)
    with pytest.raises(VerificationFailed):
        coordinator.route(BANK, (statement, query, msgspec.structs.replace(query, message="Note", signature=bytes(64))))
    assert [leaf.kind for leaf in leaves(federation, size)] == [LeafKind.REQUEST]


def test_an_answer_to_nothing_is_refused(coordinator: Coordinator) -> None:
    with pytest.raises(UnexpectedMessage):
        coordinator.route(TAX, (Envelope(bytes(32), TAX, BANK, "ScoreShare", False, b"", bytes(64)),))


@pytest.mark.parametrize("code", ["_X", "__"])
def test_a_denial_that_no_leaf_can_hold_is_malformed(
    federation: LocalFederation, coordinator: Coordinator, node: AtNode, code: str
) -> None:
    query, envelopes = asked(node)
    coordinator.route(BANK, envelopes)
    tax = Channel(read_keys(federation.folder / TAX), federation.pins.cards, query.transcript())
    denial = tax.wrap(BANK, Denial(code, bytes(32)), sealed=False)
    with pytest.raises(MalformedMessage):
        coordinator.route(TAX, (stated(tax, query, ENTERPRISE, LeafKind.DENY), denial))


@pytest.mark.parametrize("purpose", ["two words", "line\nbreak", "91350100M000100Y43", "税"])
def test_a_purpose_that_no_leaf_can_hold_is_malformed(coordinator: Coordinator, node: AtNode, purpose: str) -> None:
    _, envelopes = asked(node, purpose=purpose)
    with pytest.raises(MalformedMessage) as refusal:
        coordinator.route(BANK, envelopes)
    assert purpose not in str(refusal.value)


def test_only_the_bank_closes_a_query_and_once(
    federation: LocalFederation, coordinator: Coordinator, node: AtNode
) -> None:
    query, envelopes = asked(node)
    coordinator.route(BANK, envelopes)
    to = PartyId("coordinator")
    ack = Acknowledgement(Outcome.ACCEPTED)
    tax = Channel(read_keys(federation.folder / TAX), federation.pins.cards, query.transcript())
    bank = node.bank_channel(query.transcript())
    with pytest.raises(CreditFederationError):
        coordinator.route(TAX, (tax.wrap(to, ack, sealed=False),))
    closing = stated(bank, query, ENTERPRISE, LeafKind.ACK), bank.wrap(to, ack, sealed=False)
    coordinator.route(BANK, closing)
    with pytest.raises(UnexpectedMessage):
        coordinator.route(BANK, closing)


def test_a_run_of_another_than_its_bank_or_with_a_stranger_is_refused(
    federation: LocalFederation, coordinator: Coordinator, trained: TrainedFederation
) -> None:
    sent = (e for p, inbound, data in trained.recorded if p == BANK and not inbound for e in envelopes_in(data))
    announcement = next(envelope for envelope in sent if envelope.message == "RunSpec")
    spec = decode(announcement.body, RunSpec)
    tax = Channel(read_keys(federation.folder / TAX), federation.pins.cards, spec.transcript())
    with pytest.raises(VerificationFailed):
        coordinator.route(TAX, (tax.wrap(EVERYONE, spec),))
    stranger = msgspec.structs.replace(spec.nodes[0], party="stranger")
    other = msgspec.structs.replace(spec, nodes=(*spec.nodes[:-1], stranger))
    bank = Channel(read_keys(federation.folder / BANK), federation.pins.cards, other.transcript())
    with pytest.raises(VerificationFailed):
        coordinator.route(BANK, (bank.wrap(EVERYONE, other),))
