"""The questions that a data node answers: each one once, by its own rules, and on record before the answer leaves."""

from __future__ import annotations

import hashlib

from nodes.data_node.admission import admit_subject, check_asker
from nodes.data_node.parts import Parts
from nodes.data_node.site import SECONDS_PER_DAY, NodeSite
from nodes.ledger import Answer
from protocols.assessment.messages import Denial, Query, Subject
from protocols.assessment.node import check_query, share_of
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import Message, decode, encode
from protocols.errors import BudgetExceeded, PolicyDenied, UnexpectedMessage, VerificationFailed

MAX_OPEN_QUERIES = 4096


class Assessments:
    """The queries that are open at one node, and the answers it gives."""

    def __init__(self, site: NodeSite, parts: Parts) -> None:
        self._site = site
        self._queries: dict[bytes, Query] = {}
        self._parts = parts

    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Take a query, or the subject of one. Raises: UnexpectedMessage, VerificationFailed; a denial is an answer."""
        if envelope.message == "Query":
            return self._open_query(envelope)
        return [self._answer(envelope)]

    def _open_query(self, envelope: Envelope) -> list[Envelope]:
        query = decode(envelope.body, Query)
        check_asker(self._site, envelope, query)
        while len(self._queries) >= MAX_OPEN_QUERIES:  # the oldest has waited for its subject in vain
            del self._queries[next(iter(self._queries))]
        self._queries[envelope.transcript] = query
        return []

    def _answer(self, envelope: Envelope) -> Envelope:
        """Return the share or the denial for one subject; the same bytes for the same query, however often asked."""
        query = self._queries.pop(envelope.transcript, None)
        if query is None or envelope.sender != query.bank:
            raise UnexpectedMessage("a subject without its query")
        channel = self._site.channel(envelope.transcript)
        subject = channel.unwrap(envelope, Subject)
        known = self._site.ledger.answers.find(query.query, channel.transcript)
        if known is not None:
            return decode(known, Envelope)
        try:
            return self._commit(query, subject, channel, "RELEASE", self._share(query, subject))
        except (PolicyDenied, BudgetExceeded, VerificationFailed) as refusal:
            denial = Denial(refusal.code, self._site.policy.digest())
            return self._commit(query, subject, channel, "DENY", denial)

    def _share(self, query: Query, subject: Subject) -> Message:
        """Evaluate this node's part. Raises: PolicyDenied, VerificationFailed."""
        site, part = self._site, self._parts.of(query.model)
        check_query(query, part.manifest, site.clock())
        admit_subject(site, query.bank, subject)
        bank_key = site.pins.paillier_key(PartyId(query.bank), site.paillier.public_key.bits)
        evaluation = self._parts.evaluate(part, (subject.enterprise,))
        cards, policy, points = site.pins.cards, site.policy.digest(), part.tables.features
        return share_of(query, part.manifest, points, evaluation, site.keys, cards, bank_key, policy, site.randomness)

    def _commit(self, query: Query, subject: Subject, channel: Channel, decision: str, message: Message) -> Envelope:
        """Make the answer durable, then return it. Raises: PolicyDenied, BudgetExceeded before anything is released."""
        site = self._site
        envelope = channel.wrap(PartyId(query.bank), message, sealed=False)
        nodes = hashlib.sha256("\0".join(query.nodes).encode()).digest()
        now = site.clock()
        day, response = now // SECONDS_PER_DAY, encode(envelope)
        answer = Answer(
            query.query,
            channel.transcript,
            query.bank,
            subject.enterprise,
            nodes,
            day,
            now,
            decision,
            response,
        )
        site.ledger.answers.commit(answer, site.policy.queries_per_day)
        return envelope
