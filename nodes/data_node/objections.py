"""The objections that a data node is told of, its own decisions on their way to the log, and everybody else's.

What the coordinator brings is brought until it is on record here; so everything may come twice. An objection that the
node cannot attribute to an enterprise is decided at once, as inadmissible, if it was this node's to decide.
"""

from __future__ import annotations

import logging
from typing import Final

from nodes.data_node.consents import ConsentDesk
from nodes.data_node.deciding import signed_decision, stored_decision
from nodes.data_node.enterprises import EnterpriseGate
from nodes.data_node.site import NodeSite
from nodes.ledger import StoredObjection
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import decode
from protocols.enterprise.messages import (
    Objection,
    ObjectionDecision,
    ObjectionPoll,
    ObjectionReceipt,
    ObjectionSubject,
)
from protocols.enterprise.objections import Verdict
from protocols.errors import CreditFederationError, PolicyDenied, UnexpectedMessage, VerificationFailed

logger = logging.getLogger(__name__)

MAX_PENDING: Final = 10
"""How many objections of one enterprise a node keeps open."""

MAX_OPEN: Final = 256
MESSAGES: Final = frozenset(kind.__name__ for kind in (Objection, ObjectionSubject, ObjectionDecision, ObjectionPoll))
_PASSING: Final = frozenset({"CONSENT_LIST_STALE"})
"""Why an objection is not taken now, and may be in a minute."""


class Objections:
    """One node's side of objections. Reveals: to the coordinator, receipts and decisions."""

    def __init__(self, site: NodeSite, consents: ConsentDesk) -> None:
        self._site, self._gate = site, EnterpriseGate(site, consents)
        self._records, self._me = site.ledger.objections, site.keys.party
        self._open: dict[bytes, Objection] = {}

    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Take what the coordinator brings. Raises: MalformedMessage, UnexpectedMessage, VerificationFailed."""
        if envelope.message == Objection.__name__:
            self._announce(envelope)
            return []
        if envelope.message == ObjectionSubject.__name__:
            return self._take(envelope)
        if envelope.message == ObjectionDecision.__name__:
            return self._learn(envelope)
        return self._report(envelope)

    # ---- objections

    def _announce(self, envelope: Envelope) -> None:
        objection = decode(envelope.body, Objection)
        channel = self._gate.channel(objection.card, objection.transcript())
        channel.unwrap(envelope, Objection)
        if envelope.sender != objection.card.party or self._me not in objection.nodes:
            raise VerificationFailed("the objection is not its sender's, or not for this node")
        if not set(objection.contested) <= set(objection.nodes):
            raise VerificationFailed("the objection is to the records of a party that is not told of it")
        for node in objection.nodes:
            self._site.pins.card(PartyId(node), PartyRole.DATA_NODE)
        while len(self._open) >= MAX_OPEN:
            del self._open[next(iter(self._open))]
        self._open[channel.transcript] = objection

    def _take(self, envelope: Envelope) -> list[Envelope]:
        """Put an objection on record and return the receipt, nothing if it cannot be judged now."""
        objection = self._open.pop(envelope.transcript, None)
        if objection is None or envelope.sender != objection.card.party:
            raise UnexpectedMessage("a subject without its objection")
        channel = self._gate.channel(objection.card, envelope.transcript)
        channel.verify(envelope)  # what only a relay can have altered is refused, and makes nothing inadmissible
        if self._is_known(objection):
            return [self._receipt(objection.objection, "", channel)]
        try:
            self._admit(objection, channel.unwrap(envelope, ObjectionSubject))
        except CreditFederationError as refusal:
            if refusal.code in _PASSING:
                return []
            logger.warning("%s: an objection is not admissible: %s", self._me, refusal.code)
            self._refuse(objection, channel, refusal.code)
        return [self._receipt(objection.objection, "", channel)]

    def _is_known(self, objection: Objection) -> bool:
        """Tell whether an objection was taken, or decided, before. Raises: VerificationFailed, OBJECTION_REUSED."""
        known = self._records.find(objection.objection)
        if known is not None and known.transcript != objection.transcript():
            raise VerificationFailed("the id of an objection was used for another", code="OBJECTION_REUSED")
        return known is not None or self._records.decision(objection.objection, self._me) is not None

    def _admit(self, objection: Objection, subject: ObjectionSubject) -> None:
        """Record an objection that is its enterprise's. Raises: PolicyDenied."""
        self._gate.admit(objection.card, subject.enterprise, subject.credential)
        if self._records.pending_count(subject.enterprise) >= MAX_PENDING:
            raise PolicyDenied(f"{MAX_PENDING} objections are open", code="TOO_MANY_OBJECTIONS")
        self._records.add(
            StoredObjection(
                id=objection.objection,
                transcript=objection.transcript(),
                subject=subject.enterprise,
                ground=objection.ground,
                entry=objection.entry,
                filed=self._site.clock(),
                text=subject.text if self._me in objection.contested else "",
                contested=tuple(sorted(set(objection.contested))),
            )
        )

    def _refuse(self, objection: Objection, channel: Channel, code: str) -> None:
        if self._me in objection.contested:
            decision = ObjectionDecision(objection.objection, Verdict.INADMISSIBLE, code, 0, self._site.clock())
            self._records.decide(signed_decision(decision, channel))

    # ---- decisions

    def _learn(self, envelope: Envelope) -> list[Envelope]:
        """Put a logged decision of any node on record, once it is known what it is about; nothing until then."""
        decision = decode(envelope.body, ObjectionDecision)
        known = self._records.find(decision.objection)
        own = self._records.decision(decision.objection, self._me)
        if known is None and own is None:
            return [self._receipt(decision.objection, envelope.sender, self._site.channel(envelope.transcript))]
        channel = self._site.channel(envelope.transcript if known is None else known.transcript)
        channel.unwrap(envelope, ObjectionDecision)
        if known is not None and envelope.sender not in known.contested:
            raise VerificationFailed(f"{envelope.sender} decides what is not its to decide")
        self._records.decide(stored_decision(decision, envelope, confirmed=True))
        return [self._receipt(decision.objection, envelope.sender, channel)]

    def _report(self, envelope: Envelope) -> list[Envelope]:
        """Return this node's decisions that were not logged yet."""
        poll = decode(envelope.body, ObjectionPoll)
        self._site.channel(poll.transcript()).unwrap(envelope, ObjectionPoll)
        if envelope.sender != self._coordinator:
            raise VerificationFailed("a poll of another party than the coordinator")
        return [decode(decision.envelope, Envelope) for decision in self._records.unconfirmed(self._me)]

    @property
    def _coordinator(self) -> PartyId:
        return PartyId(self._site.pins.only(PartyRole.COORDINATOR).party)

    def _receipt(self, objection: bytes, decided_by: str, channel: Channel) -> Envelope:
        return channel.wrap(self._coordinator, ObjectionReceipt(objection, decided_by), sealed=False)
