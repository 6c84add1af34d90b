"""The desk of questions: single ones and batches, from the bank's request to its word that it has the answer."""

from __future__ import annotations

import hashlib

from federation.coordinator.bodies import BodyDesk
from federation.coordinator.leaves import Accepted, LeafWriter, ReceiptDue, Values
from federation.coordinator.showings import Showings
from federation.coordinator.site import CoordinatorSite
from protocols.assessment.batch.messages import BatchDecisions, BatchQuery, BatchShares, CombinedBatch
from protocols.assessment.batch.relay import RelayBatch
from protocols.assessment.messages import CombinedScore, Denial, Query, ScoreShare
from protocols.assessment.relay import RelayQuery
from protocols.assessment.waiting import OpenQuestions
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import decode
from protocols.errors import MalformedMessage, VerificationFailed
from protocols.transparency.leaves import LeafKind

MAX_OPEN_QUERIES = 8192
"""Of each bank: what it never acknowledges is forgotten, its own oldest first."""
BODIED = {
    "ScoreShare": LeafKind.RELEASE,
    "BatchShares": LeafKind.RELEASE,
    "Denial": LeafKind.DENY,
    "Acknowledgement": LeafKind.ACK,
}
"""The leaf of each message that a party answers with, if it states something of enterprises with it."""


class Questions:
    """The questions that are open."""

    def __init__(self, site: CoordinatorSite, leaves: LeafWriter, bodies: BodyDesk, showings: Showings) -> None:
        self._site, self._leaves, self._bodies, self._showings = site, leaves, bodies, showings
        self._queries: OpenQuestions[RelayQuery | RelayBatch] = OpenQuestions(MAX_OPEN_QUERIES)

    def route(self, envelope: Envelope) -> Accepted | None:
        """Return who gets what, once it is logged; None if the envelope belongs to no question.

        Raises: MalformedMessage, UnexpectedMessage, VerificationFailed.
        """
        if envelope.message == "Query":
            return self._open_query(envelope)
        if envelope.message == "BatchQuery":
            return self._open_batch(envelope)
        relay = self._queries.get(envelope.transcript)
        return None if relay is None else self._route_open(envelope, relay)

    # ---- new questions

    def _open_query(self, envelope: Envelope) -> Accepted:
        query = decode(envelope.body, Query)
        channel = self._asked(envelope, query)
        relay = RelayQuery(query, channel, self._site.bank_key(query.bank, self._site.key_bits, query.bank_card))
        earlier = self._site.pins.fingerprints(PartyId(query.bank))
        shown = self._site.consents.show(query, self._site.clock_ms() // 1000, earlier)
        values: Values = {} if shown.slip is None else {"consent_hash": shown.slip.handle.hex()}
        if query.objection:
            values["objection"] = query.objection.hex()
        code = self._showings.code(query, shown)
        if not code:
            return self._announce(envelope, relay, values)
        denial = relay.refuse(code)
        self._announce(envelope, relay, values)
        self._log(LeafKind.DENY, denial, relay, {"code": code})
        return [(PartyId(query.bank), denial)]

    def _open_batch(self, envelope: Envelope) -> Accepted:
        query = decode(envelope.body, BatchQuery)
        channel = self._asked(envelope, query)
        relay = RelayBatch(query, channel, self._site.bank_key(query.bank, self._site.key_bits, query.bank_card))
        return self._announce(envelope, relay, {"enterprises": len(query.subject_tags)})

    def _asked(self, envelope: Envelope, query: Query | BatchQuery) -> Channel:
        """Return the channel of a new question. Raises: VerificationFailed if it is not new, or not its bank's."""
        self._bodies.require(envelope, LeafKind.REQUEST, _tags(query))
        channel = self._site.channel(query.transcript())
        channel.unwrap(envelope, type(query))
        if envelope.sender != query.bank or channel.transcript in self._queries:
            raise VerificationFailed("a query is asked once, by its bank")
        for node in query.nodes:
            self._site.pins.card(PartyId(node), PartyRole.DATA_NODE)
        return channel

    def _announce(self, envelope: Envelope, relay: RelayQuery | RelayBatch, values: Values) -> Accepted:
        """Log a new question, and let it go on to its nodes."""
        query, transcript = relay.query, relay.channel.transcript
        self._queries.put(query.bank, transcript, relay)
        terms: Values = {
            "bank": query.bank,
            "model_hash": query.model.hex(),
            "nodes": len(query.nodes),
            "transcript_hash": transcript.hex(),
        }
        self._log(LeafKind.REQUEST, envelope, relay, terms | values)
        return [(node, envelope) for node in relay.audience(envelope)]

    # ---- open questions

    def _route_open(self, envelope: Envelope, relay: RelayQuery | RelayBatch) -> Accepted:
        kind = BODIED.get(envelope.message)
        if kind is not None and _has_body(kind, relay):  # before the relay counts an answer that cannot be logged
            self._bodies.require(envelope, kind, _tags(relay.query))
        produced = relay.receive(envelope)
        routed: Accepted = [(party, envelope) for party in relay.audience(envelope)]
        self._log_answer(envelope, relay)
        if isinstance(relay, RelayBatch) and relay.slips is not None and envelope.message == "BatchSlips":
            routed.append((PartyId(relay.query.bank), self._decide(relay, relay.slips)))
        for reply in produced:
            routed += self._log_result(reply, relay)
        return routed

    def _decide(self, relay: RelayBatch, slips: tuple[str, ...]) -> Envelope:
        """Return which slips of a batch are refused, and why; consents that it is the first to show are logged."""
        query, now = relay.query, self._site.clock_ms() // 1000
        shown = self._site.consents.show_all(query, slips, now, self._site.pins.fingerprints(PartyId(query.bank)))
        return relay.decide(self._showings.codes(query, shown, slips))

    def _log_answer(self, envelope: Envelope, relay: RelayQuery | RelayBatch) -> None:
        """Log what a party has answered; the relay has verified it."""
        if envelope.message == "ScoreShare":
            share = decode(envelope.body, ScoreShare)
            self._site.policies.note(envelope, share.policy)
            self._log(LeafKind.RELEASE, envelope, relay, {"policy_hash": share.policy.hex()})
        elif isinstance(relay, RelayBatch) and envelope.message == "BatchShares":
            self._site.policies.note(envelope, decode(envelope.body, BatchShares).policy)
            self._log(LeafKind.RELEASE, envelope, relay, _batch_release(envelope, relay))
        elif envelope.message == "Denial":
            denial = decode(envelope.body, Denial)
            self._site.policies.note(envelope, denial.policy)
            self._log(LeafKind.DENY, envelope, relay, {"code": denial.code, "policy_hash": denial.policy.hex()})
        elif envelope.message == "Acknowledgement" and relay.outcome is not None:
            self._log(LeafKind.ACK, envelope, relay, {"decision": relay.outcome.value.upper()})
            self._queries.pop(envelope.transcript)
        elif envelope.message == "BatchDecisions":
            self._site.policies.note(envelope, decode(envelope.body, BatchDecisions).policy)

    def _log_result(self, reply: Envelope, relay: RelayQuery | RelayBatch) -> Accepted:
        """Log the product; it goes out together with the log's receipt."""
        if isinstance(relay, RelayBatch):
            product = decode(reply.body, CombinedBatch).vector
        else:
            product = decode(reply.body, CombinedScore).ciphertext
        values: Values = {"ciphertext_hash": hashlib.sha256(product).hexdigest()}
        leaf = self._log(LeafKind.RESULT, reply, relay, values)
        bank = PartyId(relay.query.bank)
        return [(bank, ReceiptDue(relay.channel, leaf)), (bank, reply)]

    def _log(self, kind: LeafKind, envelope: Envelope, relay: RelayQuery | RelayBatch, values: Values) -> int:
        """Log a step of a question; a batch is about many enterprises, whose tags and consents are in its body."""
        query, body = relay.query, b""
        if envelope.sender != self._site.keys.party and _has_body(kind, relay):
            if (crowded := self._bodies.crowded(envelope, kind)) and kind in (LeafKind.RELEASE, LeafKind.DENY):
                values = values | {"crowded": crowded}
            shown = query.handles if isinstance(query, BatchQuery) and kind is LeafKind.REQUEST else ()
            body = self._bodies.cover(envelope, kind, _tags(query), self._site.clock_ms(), shown)
        try:
            return self._leaves.write(
                kind,
                envelope.sender,
                query.query if isinstance(query, Query) else query.batch,
                values,
                purpose=query.purpose,
                subject=query.subject_tag if isinstance(query, Query) else b"",
                evidence=envelope,
                body=body,
            )
        except ValueError as error:  # a leaf is stricter than a message about names and codes
            raise MalformedMessage(f"a {envelope.message} of {envelope.sender} holds what no log may") from error


def _batch_release(envelope: Envelope, relay: RelayBatch) -> Values:
    """Return what the log says of a node's shares: for how many enterprises, and how many it denied."""
    policy = decode(envelope.body, BatchShares).policy.hex()
    denied = relay.denied[PartyId(envelope.sender)]
    return {"policy_hash": policy, "enterprises": relay.accepted or 0, "denied": denied}


def _has_body(kind: LeafKind, relay: RelayQuery | RelayBatch) -> bool:
    """Tell whether a party's leaf has a body: all of a question have, and of a batch all but the word that ends it."""
    return kind is not LeafKind.ACK or isinstance(relay, RelayQuery)


def _tags(query: Query | BatchQuery) -> tuple[bytes, ...]:
    """Return the tags of the enterprises that a question is about."""
    return (query.subject_tag,) if isinstance(query, Query) else query.subject_tags
