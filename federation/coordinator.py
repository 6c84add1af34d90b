"""The coordinator: routes every envelope, writes each into the log before it goes on, and combines ciphertexts.

It holds no decryption key and no enterprise data. What it learns is what its log says: who asked what of whom, when,
and how large the messages were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from federation.audit import AuditLog
from federation.audit.shredder import Shredder
from federation.bodies import STATEMENTS, BodyDesk
from federation.consents import ConsentGate
from protocols.assessment.batch.messages import BatchDecisions, BatchQuery, BatchShares, CombinedBatch
from protocols.assessment.batch.relay import RelayBatch
from protocols.assessment.messages import CombinedScore, Denial, LogReceipt, Query, ScoreShare
from protocols.assessment.relay import RelayQuery
from protocols.boosting.admission import check_boosting
from protocols.boosting.messages import LEAKS as BOOSTING_LEAKS
from protocols.boosting.messages import BoostingSpec
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId, PartyKeys, PartyRole
from protocols.channel.pins import Pins
from protocols.channel.wire import decode, encode
from protocols.consent.messages import RevocationNotice
from protocols.consortium.messages import LEAKS as CONSORTIUM_LEAKS
from protocols.consortium.messages import ConsortiumSpec, Invitation
from protocols.consortium.relay import RelayConsortium, RelayInvitation
from protocols.errors import CreditFederationError, MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.paillier import PublicKey
from protocols.scorecard.messages import LEAKS, LeakClass, RunSpec
from protocols.scorecard.relay import RelayTraining
from protocols.transparency.leaves import Leaf, LeafKind, attributes
from protocols.transparency.log_proofs import Receipt

Routed = list[tuple[PartyId, Envelope]]
CONSENT_BEARERS = (PartyRole.COORDINATOR, PartyRole.CONSENT_SERVICE)
MAX_OPEN_QUERIES = 65_536
SPECS: dict[str, type[RunSpec]] = {
    "RunSpec": RunSpec,
    "BoostingSpec": BoostingSpec,
    "ConsortiumSpec": ConsortiumSpec,
}
BODIED = {
    "ScoreShare": LeafKind.RELEASE,
    "BatchShares": LeafKind.RELEASE,
    "Denial": LeafKind.DENY,
    "Acknowledgement": LeafKind.ACK,
}
"""The leaf of each message that a party answers with, if it states something of enterprises with it."""

ALL_LEAKS = BOOSTING_LEAKS | CONSORTIUM_LEAKS | LEAKS


@dataclass(frozen=True, slots=True)
class CoordinatorSite:
    """What the coordinator brings: identity, pinned cards, the log and a clock in milliseconds."""

    keys: PartyKeys = field(repr=False)
    pins: Pins = field(repr=False)
    log: AuditLog = field(repr=False)
    key_bits: int
    clock_ms: Callable[[], int]
    consents: ConsentGate = field(repr=False)
    shredder: Shredder = field(repr=False)


@dataclass(frozen=True, slots=True)
class _ReceiptDue:
    """The place of a receipt that is written once the leaf it is for is durable. Units: `leaf` counts in its group."""

    channel: Channel
    leaf: int


Accepted = list[tuple[PartyId, Envelope | _ReceiptDue]]


class Coordinator:
    """Takes the envelopes of one party at a time; `route` returns who gets what next, all of it logged."""

    def __init__(self, site: CoordinatorSite) -> None:
        self._site = site
        self._runs: dict[bytes, RelayTraining | RelayConsortium] = {}
        self._invitations: dict[bytes, RelayInvitation] = {}
        self._queries: dict[bytes, RelayQuery | RelayBatch] = {}
        self._leaves: list[Leaf] = []
        self._bodies = BodyDesk(site.pins.signers, site.shredder)
        self._revoked: frozenset[bytes] = frozenset()
        self._policies: dict[str, bytes] = {}
        self.leaks: dict[LeakClass, int] = {}

    def route(self, sender: PartyId, envelopes: Sequence[Envelope]) -> Routed:
        """Verify, log and route what a party has sent; nothing is returned before its leaf is durable.

        What was accepted before an envelope that is not stays in the log, although it goes no further.
        Raises: MalformedMessage, UnexpectedMessage, VerificationFailed.
        """
        (outcome,) = self.route_group([(sender, envelopes)])
        if isinstance(outcome, CreditFederationError):
            raise outcome
        return outcome

    def route_group(
        self, arrivals: Sequence[tuple[PartyId, Sequence[Envelope]]]
    ) -> list[Routed | CreditFederationError]:
        """Do for each party's envelopes what `route` does, with one commit for all; an error concerns its own alone.

        Raises: ConfigurationError if the log cannot be written; nothing of the group may then go on.
        """
        accepted = [self._accept(sender, envelopes) for sender, envelopes in arrivals]
        receipts = self._flush()
        return [
            outcome if isinstance(outcome, CreditFederationError) else _with_receipts(outcome, receipts)
            for outcome in accepted
        ]

    def _accept(self, sender: PartyId, envelopes: Sequence[Envelope]) -> Accepted | CreditFederationError:
        accepted: Accepted = []
        self._bodies.clear()
        try:
            for envelope in envelopes:
                if envelope.sender != sender:
                    raise VerificationFailed(f"{sender} has sent an envelope in the name of {envelope.sender}")
                accepted += self._route_one(envelope)
        except CreditFederationError as error:
            return error
        return accepted

    def record(self, kind: LeafKind, actor: str, values: dict[str, str | int]) -> None:
        """Append one leaf about the federation itself, such as a key or a policy."""
        self._leaves.append(self._leaf(kind, actor, b"", values))
        self._flush()

    def _route_one(self, envelope: Envelope) -> Accepted:
        if envelope.message == STATEMENTS:
            self._bodies.take(envelope)
            return []
        if envelope.message in SPECS:
            self._open_run(envelope, SPECS[envelope.message])
        elif envelope.message == "Query":
            return self._open_query(envelope)
        elif envelope.message == RevocationNotice.__name__:
            return self._log_revocations(envelope)
        elif envelope.message == "BatchQuery":
            return self._open_batch(envelope)
        elif envelope.message == "Invitation":
            self._open_invitation(envelope)
        if envelope.transcript in self._invitations:
            return self._route_invitation(envelope, self._invitations[envelope.transcript])
        if envelope.transcript in self._runs:
            return self._route_training(envelope, self._runs[envelope.transcript])
        if envelope.transcript in self._queries:
            return self._route_query(envelope, self._queries[envelope.transcript])
        raise UnexpectedMessage(f"{envelope.message} from {envelope.sender} belongs to nothing that is open")

    def _channel(self, transcript: bytes) -> Channel:
        return Channel(self._site.keys, self._site.pins.cards, transcript, self._site.pins.signers)

    def _bank_key(self, bank: str, bits: int, card: str = "") -> PublicKey:
        self._site.pins.card(PartyId(bank), PartyRole.BANK)
        return self._site.pins.paillier_key(PartyId(bank), bits, card)

    # ---- training

    def _open_run(self, envelope: Envelope, kind: type[RunSpec]) -> None:
        spec = decode(envelope.body, kind)
        transcript = spec.transcript()
        channel = replace(self._channel(transcript), cards=dict(self._site.pins.cards))  # as they are when it opens
        channel.unwrap(envelope, kind)
        if envelope.sender != spec.bank or transcript in self._runs:
            raise VerificationFailed("a run is announced once, by its bank")
        for node in spec.nodes:
            self._site.pins.card(PartyId(node.party), PartyRole.DATA_NODE)
        if isinstance(spec, BoostingSpec):
            check_boosting(spec, channel.cards)
        self._runs = {t: run for t, run in self._runs.items() if run.spec.bank != spec.bank}  # one that broke off
        if isinstance(spec, ConsortiumSpec):
            keys = {PartyId(m.party): self._bank_key(m.party, spec.key_bits) for m in spec.members}
            self._runs[transcript] = RelayConsortium(spec, channel, keys)
        else:
            self._runs[transcript] = RelayTraining(spec, channel, self._bank_key(spec.bank, spec.key_bits))

    def _open_invitation(self, envelope: Envelope) -> None:
        invitation = decode(envelope.body, Invitation)
        channel = self._channel(invitation.transcript())
        channel.unwrap(envelope, Invitation)
        if envelope.sender != invitation.lead or channel.transcript in self._invitations:
            raise VerificationFailed("an invitation is sent once, by its lead")
        for bank in invitation.banks:
            self._site.pins.card(PartyId(bank.party), PartyRole.BANK)
        self._invitations[channel.transcript] = RelayInvitation(invitation, channel)

    def _route_invitation(self, envelope: Envelope, relay: RelayInvitation) -> Accepted:
        receivers = relay.route(envelope)
        self._log_step(envelope, relay.invitation.lead, relay.invitation.run)
        if relay.finished:
            del self._invitations[envelope.transcript]
        return [(party, envelope) for party in receivers]

    def _route_training(self, envelope: Envelope, run: RelayTraining | RelayConsortium) -> Accepted:
        produced = run.receive(envelope)
        for passed in (envelope, *produced):
            self._log_step(passed, run.spec.bank, run.spec.run)
        if run.finished is not None:
            del self._runs[envelope.transcript]
        routed: Accepted = [(party, envelope) for party in run.audience(envelope)]
        routed += [(PartyId(reply.receiver), reply) for reply in produced]
        return routed

    def _log_step(self, envelope: Envelope, bank: str, run: bytes) -> None:
        leak = ALL_LEAKS.get(envelope.message, LeakClass.NONE)
        if leak is not LeakClass.NONE:
            self.leaks[leak] = self.leaks.get(leak, 0) + 1
        kind = LeafKind.MANIFEST if envelope.message == "SignedManifest" else LeafKind.TRAIN_STEP
        values: dict[str, str | int] = {
            "bank": bank,
            "step": envelope.message,
            "leak_class": leak.value,
            "bytes": len(envelope.body),
            "transcript_hash": envelope.transcript.hex(),
        }
        self._leaves.append(self._leaf(kind, envelope.sender, run, values, evidence=envelope))

    # ---- assessments

    def _open_query(self, envelope: Envelope) -> Accepted:
        query = decode(envelope.body, Query)
        channel = self._asked(envelope, query)
        relay = RelayQuery(query, channel, self._bank_key(query.bank, self._site.key_bits, query.bank_card))
        earlier = self._site.pins.fingerprints(PartyId(query.bank))
        shown = self._site.consents.show(query, self._site.clock_ms() // 1000, earlier)
        values: dict[str, str | int] = {} if shown.handle is None else {"consent_hash": shown.handle.hex()}
        if query.objection:
            values["objection"] = query.objection.hex()
        if not shown.code:
            return self._announce(envelope, relay, values)
        denial = relay.refuse(shown.code)
        self._announce(envelope, relay, values)
        self._log_query(LeafKind.DENY, denial, relay, {"code": shown.code})
        return [(PartyId(query.bank), denial)]

    def _open_batch(self, envelope: Envelope) -> Accepted:
        query = decode(envelope.body, BatchQuery)
        channel = self._asked(envelope, query)
        relay = RelayBatch(query, channel, self._bank_key(query.bank, self._site.key_bits, query.bank_card))
        return self._announce(envelope, relay, {"enterprises": len(query.subject_tags)})

    def _asked(self, envelope: Envelope, query: Query | BatchQuery) -> Channel:
        """Return the channel of a new question. Raises: VerificationFailed if it is not new, or not its bank's."""
        self._bodies.require(envelope, LeafKind.REQUEST, _tags(query))
        channel = self._channel(query.transcript())
        channel.unwrap(envelope, type(query))
        if envelope.sender != query.bank or channel.transcript in self._queries:
            raise VerificationFailed("a query is asked once, by its bank")
        for node in query.nodes:
            self._site.pins.card(PartyId(node), PartyRole.DATA_NODE)
        return channel

    def _announce(self, envelope: Envelope, relay: RelayQuery | RelayBatch, values: dict[str, str | int]) -> Accepted:
        """Log a new question, and let it go on to its nodes."""
        query, transcript = relay.query, relay.channel.transcript
        while len(self._queries) >= MAX_OPEN_QUERIES:  # the oldest was never acknowledged
            del self._queries[next(iter(self._queries))]
        self._queries[transcript] = relay
        terms: dict[str, str | int] = {
            "bank": query.bank,
            "model_hash": query.model.hex(),
            "nodes": len(query.nodes),
            "transcript_hash": transcript.hex(),
        }
        self._log_query(LeafKind.REQUEST, envelope, relay, terms | values)
        return [(node, envelope) for node in relay.audience(envelope)]

    def _route_query(self, envelope: Envelope, relay: RelayQuery | RelayBatch) -> Accepted:
        kind = BODIED.get(envelope.message)
        if kind is not None and _has_body(kind, relay):
            self._bodies.require(
                envelope, kind, _tags(relay.query)
            )  # before the relay counts an answer that cannot be logged
        produced = relay.receive(envelope)
        routed: Accepted = [(party, envelope) for party in relay.audience(envelope)]
        if envelope.message == "ScoreShare":
            share = decode(envelope.body, ScoreShare)  # the relay has verified it
            self._note_policy(envelope, share.policy)
            self._log_query(LeafKind.RELEASE, envelope, relay, {"policy_hash": share.policy.hex()})
        elif isinstance(relay, RelayBatch) and envelope.message == "BatchShares":
            self._log_query(LeafKind.RELEASE, envelope, relay, self._batch_release(envelope, relay))
        elif envelope.message == "Denial":
            denial = decode(envelope.body, Denial)
            self._note_policy(envelope, denial.policy)
            values: dict[str, str | int] = {"code": denial.code, "policy_hash": denial.policy.hex()}
            self._log_query(LeafKind.DENY, envelope, relay, values)
        elif envelope.message == "Acknowledgement" and relay.outcome is not None:
            self._log_query(LeafKind.ACK, envelope, relay, {"decision": relay.outcome.value.upper()})
            del self._queries[envelope.transcript]
        elif envelope.message == "BatchDecisions":
            self._note_policy(envelope, decode(envelope.body, BatchDecisions).policy)
        elif isinstance(relay, RelayBatch) and relay.slips is not None and envelope.message == "BatchSlips":
            bank, now = PartyId(relay.query.bank), self._site.clock_ms() // 1000
            earlier = self._site.pins.fingerprints(bank)
            routed.append((bank, relay.decide(self._site.consents.show_all(relay.query, relay.slips, now, earlier))))
        for reply in produced:
            routed += self._log_result(reply, relay)
        return routed

    def _note_policy(self, envelope: Envelope, policy: bytes) -> None:
        """Log that a node works under another policy than before: the evidence is its first answer under it."""
        before = self._policies.get(envelope.sender, policy)
        self._policies[envelope.sender] = policy
        if before != policy:
            values: dict[str, str | int] = {"policy_hash": policy.hex()}
            self._leaves.append(self._leaf(LeafKind.POLICY, envelope.sender, b"", values, evidence=envelope))

    @staticmethod
    def _batch_release(envelope: Envelope, relay: RelayBatch) -> dict[str, str | int]:
        """Return what the log says of a node's shares: for how many enterprises, and how many it denied."""
        policy = decode(envelope.body, BatchShares).policy.hex()
        denied = relay.denied[PartyId(envelope.sender)]
        return {"policy_hash": policy, "enterprises": relay.accepted or 0, "denied": denied}

    def _log_result(self, reply: Envelope, relay: RelayQuery | RelayBatch) -> Accepted:
        """Log the product; it goes out together with the log's receipt."""
        if isinstance(relay, RelayBatch):
            product = decode(reply.body, CombinedBatch).vector
        else:
            product = decode(reply.body, CombinedScore).ciphertext
        self._log_query(LeafKind.RESULT, reply, relay, {"ciphertext_hash": hashlib.sha256(product).hexdigest()})
        bank = PartyId(relay.query.bank)
        return [(bank, _ReceiptDue(relay.channel, len(self._leaves) - 1)), (bank, reply)]

    def _log_query(
        self, kind: LeafKind, envelope: Envelope, relay: RelayQuery | RelayBatch, values: dict[str, str | int]
    ) -> None:
        """Log a step of a question; a batch is about many enterprises, whose tags are in its body."""
        query, body = relay.query, b""
        if envelope.sender != self._site.keys.party and _has_body(kind, relay):
            if (crowded := self._bodies.crowded(envelope, kind)) and kind in (LeafKind.RELEASE, LeafKind.DENY):
                values = values | {"crowded": crowded}
            body = self._bodies.cover(envelope, kind, _tags(query), self._site.clock_ms())
        try:
            leaf = self._leaf(
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
        self._leaves.append(leaf)

    # ---- consents

    def _log_revocations(self, envelope: Envelope) -> Accepted:
        """Take an issuer's list, whoever of the coordinator and the services brings it, and log what it newly revokes.

        Raises: MalformedMessage, VerificationFailed; PolicyDenied, CONSENT_LIST_INVALID or CONSENT_LIST_ROLLBACK.
        """
        passed = decode(envelope.body, RevocationNotice)
        self._channel(passed.transcript()).unwrap(envelope, RevocationNotice)
        if self._site.pins.cards[PartyId(envelope.sender)].role not in CONSENT_BEARERS:
            raise VerificationFailed("a list is brought by a party that keeps no consents")
        found = self._site.consents.take(passed.revocations)
        if found is not None:
            for handle in sorted(found.revoked - self._revoked):
                self._leaves.append(self._leaf(LeafKind.REVOKE, found.issuer, b"", {"consent_hash": handle.hex()}))
            self._revoked |= found.revoked
        return []

    # ---- the log

    def _leaf(
        self,
        kind: LeafKind,
        actor: str,
        reference: bytes,
        values: dict[str, str | int],
        *,
        purpose: str = "",
        subject: bytes = b"",
        evidence: Envelope | None = None,
        body: bytes = b"",
    ) -> Leaf:
        return Leaf(
            kind=kind,
            timestamp_ms=self._site.clock_ms(),
            actor=actor,
            reference=reference,
            purpose=purpose,
            subject=subject,
            attributes=attributes(values),
            evidence=hashlib.sha256(encode(evidence)).digest() if evidence is not None else b"",
            body=body,
        )

    def _flush(self) -> tuple[Receipt, ...]:
        """Make all waiting leaves durable; return their receipts."""
        leaves, self._leaves = self._leaves, []
        return self._site.log.append(leaves)


def _has_body(kind: LeafKind, relay: RelayQuery | RelayBatch) -> bool:
    """Tell whether a party's leaf has a body: all of a question have, and of a batch all but the word that ends it."""
    return kind is not LeafKind.ACK or isinstance(relay, RelayQuery)


def _tags(query: Query | BatchQuery) -> tuple[bytes, ...]:
    """Return the tags of the enterprises that a question is about."""
    return (query.subject_tag,) if isinstance(query, Query) else query.subject_tags


def _with_receipts(accepted: Accepted, receipts: Sequence[Receipt]) -> Routed:
    """Return what goes out, each receipt that is due written and signed."""
    routed: Routed = []
    for party, step in accepted:
        if isinstance(step, _ReceiptDue):
            receipt = receipts[step.leaf]
            message = LogReceipt(receipt.index, receipt.note)
            routed.append((party, step.channel.wrap(party, message, sealed=False)))
        else:
            routed.append((party, step))
    return routed
