"""The enterprise's own role: what it asks, signed and sealed, and what it makes of the answer.

It trusts the cards and the log's keys that it has pinned, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, Randomness
from protocols.channel.pins import Pins
from protocols.enterprise.messages import (
    REQUEST_SECONDS,
    LoggedEntries,
    Objection,
    ObjectionFiled,
    ObjectionSubject,
    RecordEntries,
    RecordRefusal,
    RecordRequest,
    RecordSubject,
)
from protocols.enterprise.objections import Ground
from protocols.enterprise.verifying import Span, VerifiedLeaf, verify_leaves
from protocols.errors import MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.transparency.checkpoints import LogKeys, verify_log_signature
from protocols.transparency.notes import parse_note


@dataclass(frozen=True, slots=True)
class Identity:
    """An enterprise with its key, and the credential that binds the two: `token` for the nodes, `slip` for the rest.

    `earlier` are further keys to which statements about it were sealed.
    """

    enterprise: str = field(repr=False)
    keys: PartyKeys = field(repr=False)
    card: PartyCard
    token: str = field(repr=False)
    slip: str = field(repr=False)
    earlier: tuple[X25519PrivateKey, ...] = field(default=(), repr=False)

    @property
    def readers(self) -> tuple[X25519PrivateKey, ...]:
        """All keys that open statements about the enterprise."""
        return (self.keys.sealing, *self.earlier)


@dataclass(frozen=True, slots=True)
class Trust:
    """What an enterprise has pinned of a federation: every party's cards, and the log's keys."""

    pins: Pins = field(repr=False)
    log: LogKeys

    @property
    def cards(self) -> Mapping[PartyId, PartyCard]:
        """Every party's newest card."""
        return self.pins.cards

    @property
    def nodes(self) -> tuple[PartyId, ...]:
        """All data nodes, by name."""
        return self.of(PartyRole.DATA_NODE)

    @property
    def coordinator(self) -> PartyId:
        """The coordinator. Raises: VerificationFailed unless there is exactly one."""
        found = self.of(PartyRole.COORDINATOR)
        if len(found) != 1:
            raise VerificationFailed(f"{len(found)} coordinators are pinned")
        return found[0]

    def of(self, role: PartyRole) -> tuple[PartyId, ...]:
        """Return all parties of a role, by name."""
        return tuple(sorted(party for party, card in self.cards.items() if card.role is role))


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: what each node listed, which nodes refused and why, and the leaves, all proved."""

    answers: Mapping[PartyId, RecordEntries] = field(repr=False)
    refusals: Mapping[PartyId, str]
    leaves: tuple[VerifiedLeaf, ...] = field(repr=False)

    def following(self, since: int) -> int | None:
        """Return from when on there is more, None if there is not.

        Raises: VerificationFailed for a node that says so and does not come forward.
        """
        waiting = [
            answer.entries[-1].at if answer.entries else since for answer in self.answers.values() if answer.more
        ]
        if not waiting:
            return None
        if min(waiting) <= since:
            raise VerificationFailed("a node lists the same entries again and again", code="NO_PROGRESS")
        return min(waiting)


class RecordRole:
    """One request for a record: `start` asks, `receive` verifies what comes back."""

    def __init__(self, identity: Identity, trust: Trust, span: Span, now: int, randomness: Randomness) -> None:
        self._identity, self._trust = identity, trust
        request = RecordRequest(
            request=randomness(16),
            card=identity.card,
            slip=identity.slip,
            nodes=trust.nodes,
            since=span.since,
            until=span.until,
            issued=now,
            expires=now + REQUEST_SECONDS,
        )
        self._request, self._channel = request, _channel(identity, trust, request.transcript())

    def start(self) -> tuple[Envelope, ...]:
        """Return the request, and for each node, sealed, who asks."""
        subject = RecordSubject(self._identity.enterprise, self._identity.token)
        parts = (self._channel.wrap(node, subject) for node in self._trust.nodes)
        return self._channel.wrap(EVERYONE, self._request), *parts

    def receive(self, envelopes: Iterable[Envelope]) -> Page:
        """Return what came back. Raises: MalformedMessage, UnexpectedMessage, VerificationFailed."""
        answers: dict[PartyId, RecordEntries] = {}
        refusals: dict[PartyId, str] = {}
        logged: LoggedEntries | None = None
        for envelope in envelopes:
            sender = PartyId(envelope.sender)
            if sender == self._trust.coordinator and logged is None:
                logged = self._channel.unwrap(envelope, LoggedEntries)
            elif sender not in self._trust.nodes or sender in answers or sender in refusals:
                raise UnexpectedMessage(f"no answer of {sender} is due")
            elif envelope.message == RecordRefusal.__name__:
                refusals[sender] = self._channel.unwrap(envelope, RecordRefusal).code
            else:
                answers[sender] = self._channel.unwrap(envelope, RecordEntries)
        if logged is None:
            raise UnexpectedMessage("the coordinator has shown no leaves")
        leaves = verify_leaves(logged, self._trust.log, self._trust.pins.lineage, self._identity.readers)
        return Page(answers, refusals, tuple(leaves))


@dataclass(frozen=True, slots=True)
class Grievance:
    """What an enterprise objects to: the records of these nodes, and the query that used them, b"" if none."""

    ground: Ground
    contested: tuple[PartyId, ...]
    entry: bytes = b""
    text: str = field(default="", repr=False)


class ObjectionRole:
    """One objection: `start` files it, `receive` verifies that its clock runs. May be started again, as the same."""

    def __init__(
        self, identity: Identity, trust: Trust, grievance: Grievance, now: int, randomness: Randomness
    ) -> None:
        """Raises: ValueError if no node is contested, or one that there is not."""
        if not grievance.contested or not set(grievance.contested) <= set(trust.nodes):
            raise ValueError("an objection is to the records of one data node or several")
        self._identity, self._trust, self._grievance = identity, trust, grievance
        self.objection = Objection(
            objection=randomness(16),
            card=identity.card,
            slip=identity.slip,
            ground=grievance.ground,
            entry=grievance.entry,
            contested=tuple(sorted(set(grievance.contested))),
            nodes=trust.nodes,
            issued=now,
            expires=now + REQUEST_SECONDS,
        )
        self._channel = _channel(identity, trust, self.objection.transcript())

    def start(self) -> tuple[Envelope, ...]:
        """Return the objection, and for each node, sealed, who objects; the text for those that must decide alone."""
        identity, parts = self._identity, []
        for node in self._trust.nodes:
            text = self._grievance.text if node in self._grievance.contested else ""
            parts.append(self._channel.wrap(node, ObjectionSubject(identity.enterprise, identity.token, text)))
        return self._channel.wrap(EVERYONE, self.objection), *parts

    def receive(self, envelopes: Iterable[Envelope]) -> ObjectionFiled:
        """Return the receipt, if the log has signed for it.

        Raises: MalformedMessage, UnexpectedMessage, VerificationFailed.
        """
        received = tuple(envelopes)
        if len(received) != 1 or received[0].sender != self._trust.coordinator:
            raise UnexpectedMessage("one receipt of the coordinator is due")
        filed = self._channel.unwrap(received[0], ObjectionFiled)
        signed = verify_log_signature(parse_note(filed.note), self._trust.log.log)
        if filed.objection != self.objection.objection or filed.leaf + filed.leaves > signed.size:
            raise VerificationFailed("the receipt is not of this objection, or outside its tree", code="NO_RECEIPT")
        if filed.leaves != len(self.objection.contested):
            raise MalformedMessage("the objection is not logged for every node that must decide it")
        return filed


def _channel(identity: Identity, trust: Trust, transcript: bytes) -> Channel:
    cards = {**trust.cards, identity.keys.party: identity.card}
    return Channel(identity.keys, cards, transcript, trust.pins.signers)
