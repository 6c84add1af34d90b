"""An objection that was put down is logged and reaches every node, whenever the coordinator stops in between."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.audit import AuditLog
from federation.audit.bodies.shredder import Shredder
from federation.audit.log.references import References, references_of
from federation.audit.reading.log_view import LoggedLeaf
from federation.audit.reading.objections import read_objections
from federation.coordinator import CoordinatorSite
from federation.coordinator.consent_book import ConsentBook
from federation.coordinator.consents import ConsentGate
from federation.coordinator.policies import PolicyBook
from federation.enterprise.filing import Filing
from federation.enterprise.rounds import ObjectionRounds
from federation.enterprise.store import ObjectionStore
from protocols.channel.envelope import EVERYONE, Channel, Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, make_card
from protocols.channel.pins import Pins
from protocols.channel.wire import decode, encode
from protocols.consent import Issuers
from protocols.enterprise.credential import draw_keys, make_enterprise_card
from protocols.enterprise.messages import Objection, ObjectionDecision, ObjectionReceipt, ObjectionSubject
from protocols.enterprise.objections import Ground, Verdict
from protocols.errors import BudgetExceeded
from protocols.transparency import Leaf, LeafKind, NoteSigner, attributes, encode_leaf

SIGNER = NoteSigner("coordinator.test/log", Ed25519PrivateKey.from_private_bytes(b"L" * 32))
NOW_MS = 1_700_000_000_000
COORDINATOR, TAX, SOCIAL = map(PartyId, ("coordinator", "tax", "social"))
ROLES = {COORDINATOR: PartyRole.COORDINATOR, TAX: PartyRole.DATA_NODE, SOCIAL: PartyRole.DATA_NODE}
KEYS = {party: PartyKeys.generate(party, secrets.token_bytes) for party in ROLES}
CARDS: dict[PartyId, PartyCard] = {party: make_card(KEYS[party], role) for party, role in ROLES.items()}
ENTERPRISE = draw_keys(secrets.token_bytes)
CARD = make_enterprise_card(ENTERPRISE)


class Coordinator:
    """What the desk keeps, over files that outlive it."""

    def __init__(self, folder: Path) -> None:
        self.files = ExitStack()
        self.log = self.files.enter_context(AuditLog(folder / "log.sqlite", SIGNER))
        gate, shredder = ConsentGate(Issuers([]), lambda: ""), Shredder(folder / "shred.keys")
        pins = Pins(CARDS.values())
        book = self.files.enter_context(closing(ConsentBook(folder / "consents.sqlite", self.log)))
        self.references = References(folder / "references.sqlite", self.log)
        policies = PolicyBook(self.log, self.references, lambda: NOW_MS)
        site = CoordinatorSite(KEYS[COORDINATOR], pins, self.log, 2048, lambda: NOW_MS, gate, shredder, policies, book)
        self.store = ObjectionStore(folder / "objections.sqlite")
        self.filing = Filing(site, self.store, self.references)
        self.rounds = ObjectionRounds(site, self.store, self.filing)

    def close(self) -> None:
        self.store.close()
        self.references.close()
        self.files.close()

    def leaves(self) -> list[Leaf]:
        return [entry.leaf for entry in self.log.entries()]


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Coordinator]:
    coordinator = Coordinator(tmp_path)
    yield coordinator
    coordinator.close()


def objection(number: int = 0) -> tuple[Objection, list[Envelope], Channel]:
    message = Objection(
        number.to_bytes(16, "big"), CARD, "slip", Ground.RECORD_WRONG, b"", ("tax",), ("social", "tax"), 0, 100
    )
    cards = {**CARDS, ENTERPRISE.party: CARD}
    mine = Channel(ENTERPRISE, cards, message.transcript())
    parts = [mine.wrap(node, ObjectionSubject("somebody", "credential", "")) for node in (SOCIAL, TAX)]
    return message, [mine.wrap(EVERYONE, message), *parts], Channel(KEYS[COORDINATOR], cards, message.transcript())


def file(at: Coordinator, number: int = 0) -> Envelope:
    message, (first, *parts), channel = objection(number)
    return at.filing.file(message, first, parts, channel)


class Nodes:
    """Nodes that take everything, but those that are away; `said` are replies of a node's own."""

    def __init__(self, *away: PartyId, said: Mapping[PartyId, Envelope] | None = None) -> None:
        self.away, self.said = away, dict(said or {})
        self.seen: dict[PartyId, list[str]] = {TAX: [], SOCIAL: []}

    def deliver(self, parcels: Mapping[PartyId, bytes]) -> dict[PartyId, bytes | None]:
        return {node: None if node in self.away else self.reply(node, parcel) for node, parcel in parcels.items()}

    def reply(self, node: PartyId, parcel: bytes) -> bytes:
        envelopes = open_parcel(parcel)
        self.seen[node] += [envelope.message for envelope in envelopes]
        (first, *_) = envelopes
        if first.message == "ObjectionPoll":
            return pack_parcel((self.said[node],) if node in self.said else ())
        by = first.sender if first.message == "ObjectionDecision" else ""
        kind = ObjectionDecision if by else Objection
        receipt = ObjectionReceipt(decode(first.body, kind).objection, by)
        channel = Channel(KEYS[node], CARDS, first.transcript)
        return pack_parcel((channel.wrap(COORDINATOR, receipt, sealed=False),))


def decision(node: PartyId = TAX, number: int = 0) -> Envelope:
    message = ObjectionDecision(number.to_bytes(16, "big"), Verdict.REJECTED, "RECORD_CONFIRMED", 0, 5)
    return Channel(KEYS[node], CARDS, objection(number)[0].transcript()).wrap(EVERYONE, message)


def test_an_objection_is_brought_to_each_node_once_and_to_one_that_was_away_later(at: Coordinator) -> None:
    file(at)
    nodes = Nodes(SOCIAL)
    at.rounds.run(nodes.deliver)
    assert nodes.seen == {TAX: ["Objection", "ObjectionSubject", "ObjectionPoll"], SOCIAL: []}
    nodes.away = ()
    at.rounds.run(nodes.deliver)
    assert nodes.seen[SOCIAL] == ["Objection", "ObjectionSubject"]
    assert nodes.seen[TAX].count("Objection") == 1


def test_a_decision_is_logged_once_and_brought_to_all_also_to_its_author(at: Coordinator) -> None:
    file(at)
    nodes = Nodes(said={TAX: decision()})
    assert at.rounds.due
    at.rounds.run(nodes.deliver)
    assert [leaf.kind for leaf in at.leaves()] == [LeafKind.OBJECTION, LeafKind.DECISION]
    assert all(seen.count("ObjectionDecision") == 1 for seen in nodes.seen.values())
    assert not at.rounds.due
    at.filing.decide(decision())
    assert len(at.leaves()) == 2


def test_an_objection_that_was_put_down_before_a_stop_is_logged_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(BaseException):
        """The coordinator is killed right here."""

    def stop(leaves: object) -> None:
        raise Stopped

    before = Coordinator(tmp_path)
    monkeypatch.setattr(before.log, "append", stop)
    with pytest.raises(Stopped):
        file(before)
    assert before.leaves() == []
    before.close()
    after = Coordinator(tmp_path)
    try:
        assert after.rounds.due
        nodes = Nodes()
        after.rounds.run(nodes.deliver)
        assert [leaf.kind for leaf in after.leaves()] == [LeafKind.OBJECTION]
        assert nodes.seen[TAX][0] == "Objection"
        assert encode(file(after)) == encode(file(after))
        assert len(after.leaves()) == 1
    finally:
        after.close()


def test_a_decision_that_was_logged_twice_by_a_stop_counts_once(at: Coordinator) -> None:
    file(at)
    at.filing.decide(decision())
    at.log.append([at.leaves()[1]])
    leaves = [LoggedLeaf(i, encode_leaf(leaf), leaf.body) for i, leaf in enumerate(at.leaves())]
    (found,) = read_objections(leaves, NOW_MS)
    assert (found.state, found.decision_leaf) == ("rejected", 1)


def test_a_decided_objection_makes_room_for_another(at: Coordinator) -> None:
    for number in range(10):
        file(at, number)
    with pytest.raises(BudgetExceeded):
        file(at, 10)
    at.filing.decide(decision(number=3))
    file(at, 10)


# ---- the index


def leaf(number: int, kind: LeafKind = LeafKind.REQUEST, **values: str | int) -> Leaf:
    reference = number.to_bytes(16, "big")
    return Leaf(kind=kind, timestamp_ms=0, actor="bank", reference=reference, attributes=attributes(values))


def test_the_index_follows_the_log_and_is_made_anew_for_another(at: Coordinator, tmp_path: Path) -> None:
    at.log.append([leaf(1), leaf(2), leaf(1, LeafKind.ACK), leaf(3, objection=(1).to_bytes(16, "big").hex())])
    assert at.references.leaves_of([(1).to_bytes(16, "big")]) == [0, 2, 3]
    at.log.append([leaf(2, LeafKind.ACK)])
    assert at.references.leaves_of([(n).to_bytes(16, "big") for n in (2, 9)]) == [1, 4]
    (tmp_path / "other").mkdir()
    with AuditLog(tmp_path / "other" / "log.sqlite", SIGNER) as shorter:
        shorter.append([leaf(2)])
        anew = References(tmp_path / "references.sqlite", shorter)
        assert anew.leaves_of([(2).to_bytes(16, "big")]) == [0]
        assert anew.leaves_of([(1).to_bytes(16, "big")]) == []
        anew.close()


def test_a_run_is_found_by_the_leaf_that_opens_it_alone() -> None:
    transcript = "ab" * 32
    steps = [leaf(5, LeafKind.TRAIN_STEP, step=step, transcript_hash=transcript) for step in ("RunSpec", "Cohort")]
    assert [list(references_of(step)) for step in steps] == [[bytes.fromhex(transcript)], []]
