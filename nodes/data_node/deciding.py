"""An owner's own decision on an objection: once, signed with the node's key, and true of what is on record."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodes.ledger import NodeLedger, StoredDecision, StoredObjection
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyKeys
from protocols.channel.pins import Pins
from protocols.channel.wire import encode
from protocols.enterprise.messages import ObjectionDecision
from protocols.enterprise.objections import Reason, Verdict
from protocols.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Deciding:
    """What a decision needs of a node. Units: `now` in seconds since 1970."""

    keys: PartyKeys = field(repr=False)
    pins: Pins = field(repr=False)
    ledger: NodeLedger = field(repr=False)
    now: int


def decide_objection(at: Deciding, objection: StoredObjection, verdict: Verdict, reason: Reason) -> StoredDecision:
    """Put a decision on record, on its way to the log, and return it.

    Raises: ConfigurationError, codes DECIDED if there is one, NOT_CORRECTED if nothing was put right for it.
    """
    corrections = at.ledger.repairs.count_for(objection.id)
    if verdict is Verdict.CORRECTED and not corrections:
        raise ConfigurationError("no repair names this objection: put the record right first", code="NOT_CORRECTED")
    message = ObjectionDecision(objection.id, verdict, reason.value, corrections, at.now)
    decision = signed_decision(message, Channel(at.keys, at.pins.cards, objection.transcript, at.pins.signers))
    if not at.ledger.objections.decide(decision):
        raise ConfigurationError("this objection is decided already", code="DECIDED")
    return decision


def signed_decision(message: ObjectionDecision, channel: Channel) -> StoredDecision:
    """Return a node's own decision, signed for everyone, as it is put on record until it is logged."""
    return stored_decision(message, channel.wrap(EVERYONE, message), confirmed=False)


def stored_decision(message: ObjectionDecision, envelope: Envelope, *, confirmed: bool) -> StoredDecision:
    """Return a decision, whose envelope is verified, as it is put on record."""
    return StoredDecision(
        objection=message.objection,
        node=envelope.sender,
        verdict=message.verdict,
        reason=message.reason,
        corrections=message.corrections,
        at=message.at,
        envelope=encode(envelope),
        confirmed=confirmed,
    )
