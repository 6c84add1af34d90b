"""Puts objections and decisions on record: once each, and into the log before anybody is told."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from federation.audit.log.references import References
from federation.coordinator import CoordinatorSite
from federation.enterprise.parts import subjects_by_node
from federation.enterprise.store import FiledObjection, ObjectionStore
from protocols.channel.envelope import EVERYONE, Channel, Envelope, pack_parcel
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import decode, encode
from protocols.enterprise.messages import Objection, ObjectionDecision, ObjectionFiled, ObjectionSubject
from protocols.enterprise.objections import DAY_SECONDS
from protocols.errors import BudgetExceeded, UnexpectedMessage, VerificationFailed
from protocols.transparency.leaves import Leaf, LeafKind, attributes

MAX_OPEN: Final = 10
"""Objections of one key that may be open."""

MAX_PER_DAY: Final = 20


class Filing:
    """The coordinator's record of objections. For any number of threads."""

    def __init__(self, site: CoordinatorSite, store: ObjectionStore, references: References) -> None:
        self._site, self._store, self._references = site, store, references

    @property
    def nodes(self) -> tuple[PartyId, ...]:
        """All data nodes, each of which is told of every objection."""
        cards = self._site.pins.cards
        return tuple(sorted(party for party, card in cards.items() if card.role is PartyRole.DATA_NODE))

    def file(self, objection: Objection, envelope: Envelope, sealed: Sequence[Envelope], channel: Channel) -> Envelope:
        """Log an objection and return its receipt; the same receipt for the same objection, however often filed.

        Raises: VerificationFailed, OBJECTION_REUSED; UnexpectedMessage, WRONG_NODES, UNKNOWN_ENTRY; BudgetExceeded,
        OBJECTION_LIMIT.
        """
        known = self._store.find(objection.objection)
        if known is not None and known.transcript != channel.transcript:
            raise VerificationFailed("the id of an objection was used for another", code="OBJECTION_REUSED")
        if known is None:
            self._check(objection)
            parts = subjects_by_node(envelope, sealed, objection.nodes, ObjectionSubject.__name__, channel)
            known = FiledObjection(
                id=objection.objection,
                transcript=channel.transcript,
                enterprise=objection.card.party,
                filed=self._site.clock_ms() // 1000,
                envelope=encode(envelope),
                contested=tuple(sorted(set(objection.contested))),
            )
            self._store.file(known, {node: pack_parcel(pair) for node, pair in parts.items()})
        return decode(known.answer or self.log(known), Envelope)

    def log(self, filed: FiledObjection) -> bytes:
        """Log an objection that was put down, and return what its enterprise is told."""
        envelope = decode(filed.envelope, Envelope)
        objection = decode(envelope.body, Objection)
        values: dict[str, str | int] = {"code": objection.ground.value}
        if objection.entry:
            values["entry"] = objection.entry.hex()
        leaves = [self._leaf(LeafKind.OBJECTION, envelope, filed.id, values | {"node": n}) for n in filed.contested]
        first = self._site.log.append(leaves)[0]
        told = ObjectionFiled(filed.id, first.index, len(leaves), leaves[0].timestamp_ms // 1000, first.note)
        cards = {**self._site.pins.cards, PartyId(envelope.sender): objection.card}
        channel = Channel(self._site.keys, cards, filed.transcript)
        answer = encode(channel.wrap(PartyId(envelope.sender), told, sealed=False))
        self._store.answered(filed.id, answer)
        return answer

    def decide(self, envelope: Envelope) -> None:
        """Log a node's decision, the first one it makes, and have it brought to every node.

        Raises: MalformedMessage; UnexpectedMessage for what is not its to decide; VerificationFailed.
        """
        decision = decode(envelope.body, ObjectionDecision)
        filed = self._store.find(decision.objection)
        if filed is None or envelope.sender not in filed.contested or envelope.receiver != EVERYONE:
            raise UnexpectedMessage(f"{envelope.sender} decides what is not its to decide")
        Channel(self._site.keys, self._site.pins.cards, filed.transcript, self._site.pins.signers).unwrap(
            envelope, ObjectionDecision
        )
        if not self._store.decide(decision.objection, envelope.sender, encode(envelope)):
            return
        values: dict[str, str | int] = {"decision": decision.verdict.value, "code": decision.reason}
        values["corrections"] = decision.corrections
        self._site.log.append([self._leaf(LeafKind.DECISION, envelope, decision.objection, values)])
        parcel = pack_parcel((envelope,))
        self._store.decided(decision.objection, envelope.sender, dict.fromkeys(self.nodes, parcel))

    def _check(self, objection: Objection) -> None:
        if set(objection.nodes) != set(self.nodes) or not set(objection.contested) <= set(objection.nodes):
            raise UnexpectedMessage("an objection goes to all data nodes and contests some", code="WRONG_NODES")
        if objection.entry and not self._references.leaves_of([objection.entry]):
            raise UnexpectedMessage("the log has no such query", code="UNKNOWN_ENTRY")
        since = self._site.clock_ms() // 1000 - DAY_SECONDS
        pending, today = self._store.count(objection.card.party, since)
        if pending >= MAX_OPEN or today >= MAX_PER_DAY:
            raise BudgetExceeded(f"{pending} objections of this key are open", code="OBJECTION_LIMIT")

    def _leaf(self, kind: LeafKind, envelope: Envelope, reference: bytes, values: dict[str, str | int]) -> Leaf:
        return Leaf(
            kind=kind,
            timestamp_ms=self._site.clock_ms(),
            actor=envelope.sender,
            reference=reference,
            attributes=attributes(values),
            evidence=hashlib.sha256(encode(envelope)).digest(),
        )
