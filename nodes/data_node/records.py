"""What a data node tells an enterprise about itself: everything in its ledger that is about it, and nothing else."""

from __future__ import annotations

from typing import Final

from nodes.data_node.cohorts import names_of
from nodes.data_node.consents import ConsentDesk
from nodes.data_node.enterprises import EnterpriseGate
from nodes.data_node.site import NodeSite
from nodes.ledger import StoredObjection
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import decode
from protocols.enterprise.messages import (
    ENTRY_LIMIT,
    HeldDecision,
    HeldObjection,
    HeldRepair,
    RecordEntries,
    RecordEntry,
    RecordReferences,
    RecordRefusal,
    RecordRequest,
    RecordSubject,
    check_time,
)
from protocols.errors import PolicyDenied, UnexpectedMessage, VerificationFailed

MAX_OPEN: Final = 256
MESSAGES: Final = frozenset({RecordRequest.__name__, RecordSubject.__name__})


class SubjectRecords:
    """Answers enterprises that ask for their own record. Reveals: to the enterprise alone, who asked about it."""

    def __init__(self, site: NodeSite, consents: ConsentDesk) -> None:
        self._site, self._gate = site, EnterpriseGate(site, consents)
        self._open: dict[bytes, RecordRequest] = {}

    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Take a request, or who it is that asks. Raises: MalformedMessage, UnexpectedMessage, VerificationFailed."""
        if envelope.message == RecordRequest.__name__:
            self._take(envelope)
            return []
        request = self._open.pop(envelope.transcript, None)
        if request is None or envelope.sender != request.card.party:
            raise UnexpectedMessage("a subject without its request")
        channel = self._gate.channel(request.card, envelope.transcript)
        subject = channel.unwrap(envelope, RecordSubject)
        try:
            self._site.switch.check()
            self._gate.admit(request.card, subject.enterprise, subject.credential)
        except PolicyDenied as refusal:
            return [channel.wrap(PartyId(request.card.party), RecordRefusal(refusal.code), sealed=False)]
        return self._answer(request, subject.enterprise, channel)

    @property
    def _coordinator(self) -> PartyId:
        return PartyId(self._site.pins.only(PartyRole.COORDINATOR).party)

    def _take(self, envelope: Envelope) -> None:
        request = decode(envelope.body, RecordRequest)
        channel = self._gate.channel(request.card, request.transcript())
        channel.unwrap(envelope, RecordRequest)
        check_time(request, self._site.clock())
        if envelope.sender != request.card.party or self._site.keys.party not in request.nodes:
            raise VerificationFailed("the request is not its sender's, or not for this node")
        while len(self._open) >= MAX_OPEN:
            del self._open[next(iter(self._open))]
        self._open[channel.transcript] = request

    def _answer(self, request: RecordRequest, enterprise: str, channel: Channel) -> list[Envelope]:
        ledger, (name,) = self._site.ledger, names_of([enterprise])
        found = ledger.subjects.entries(enterprise, name, request.since, request.until, ENTRY_LIMIT + 1)
        objections = ledger.objections.of_subject(enterprise, ENTRY_LIMIT)
        repairs = ledger.repairs.of_subject(enterprise, ENTRY_LIMIT)
        entries = RecordEntries(
            entries=tuple(
                RecordEntry(e.reference, e.place, e.kind, e.bank, e.at, e.decision, e.code, e.model, e.evidence)
                for e in found[:ENTRY_LIMIT]
            ),
            more=len(found) > ENTRY_LIMIT,
            objections=tuple(map(self._held, objections)),
            repairs=tuple(HeldRepair(r.at, r.describe()[:512], r.objection) for r in repairs),
        )
        listed = [(entry.reference, entry.place) for entry in entries.entries]
        references = (*listed, *((one.id, 0) for one in objections))
        return [
            channel.wrap(self._coordinator, RecordReferences(references), sealed=False),
            channel.wrap(PartyId(request.card.party), entries),
        ]

    def _held(self, objection: StoredObjection) -> HeldObjection:
        records = self._site.ledger.objections
        decisions = tuple(
            HeldDecision(d.node, d.verdict, d.reason, d.at) for d in records.decisions(objection.id) if d.confirmed
        )
        waiting = records.waiting(objection.id)
        return HeldObjection(objection.id, objection.ground, objection.filed, waiting, decisions)
