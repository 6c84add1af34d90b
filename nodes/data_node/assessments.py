"""The questions that a data node answers: each one once, by its own rules, and on record before the answer leaves."""

from __future__ import annotations

import hashlib

from nodes.data_node.admission import admit_query, check_asker, demand_of, masking_of
from nodes.data_node.consents import ConsentDesk
from nodes.data_node.crowding import crowd_watch
from nodes.data_node.encryptors import Encryptors
from nodes.data_node.parts import OpenPart, Parts
from nodes.data_node.site import NodeSite
from nodes.ledger import Answer
from nodes.policy import NodePolicy, Rule
from nodes.statements import About, StatementWriter
from protocols.assessment.messages import Denial, Query, ScoreShare, Subject
from protocols.assessment.node import check_query, share_of
from protocols.assessment.waiting import OpenQuestions
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import decode, encode
from protocols.consent import Consent, record_key_of
from protocols.errors import BudgetExceeded, PolicyDenied, UnexpectedMessage, VerificationFailed
from protocols.transparency.leaves import LeafKind

MAX_OPEN_QUERIES = 4096
"""Of each bank."""


class Assessments:
    """The queries that are open at one node, and the answers it gives."""

    def __init__(self, site: NodeSite, parts: Parts, consents: ConsentDesk, encryptors: Encryptors) -> None:
        self._site, self._consents, self._encryptors = site, consents, encryptors
        self._queries: OpenQuestions[Query] = OpenQuestions(MAX_OPEN_QUERIES)
        self._parts = parts
        self._statements = StatementWriter(site.pins, site.randomness, crowd_watch(site))

    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Take a query, or the subject of one. Raises: UnexpectedMessage, VerificationFailed; a denial is an answer."""
        if envelope.message == "Query":
            return self._open_query(envelope)
        return self._answer(envelope)

    def _open_query(self, envelope: Envelope) -> list[Envelope]:
        query = decode(envelope.body, Query)
        check_asker(self._site, envelope, query)
        self._queries.put(query.bank, envelope.transcript, query)
        return []

    def _answer(self, envelope: Envelope) -> list[Envelope]:
        """Return the share or the denial for one subject; the same bytes for the same query, however often asked.

        What the node states of it for the log comes first.
        """
        query = self._queries.pop(envelope.transcript)
        if query is None or envelope.sender != query.bank:
            raise UnexpectedMessage("a subject without its query")
        channel = self._site.channel(envelope.transcript)
        subject = channel.unwrap(envelope, Subject)
        known = self._site.ledger.answers.find(query.query, channel.transcript, subject.enterprise)
        if known is not None:
            self._site.switch.check()
            answer = decode(known, Envelope)
            code = decode(answer.body, Denial).code if answer.message == "Denial" else ""
            return self._stated(query, self._about(subject, code), channel, answer)
        policy = self._site.policy  # once: another may come into force meanwhile
        try:
            answer, consent, rule = self._release(query, subject, channel, policy)
            about = About(subject.enterprise, LeafKind.RELEASE, rule=rule.name, record_key=consent.record_key)
        except (PolicyDenied, BudgetExceeded, VerificationFailed) as refusal:
            answer = self._deny(query, subject, channel, policy, refusal.code)
            about = self._about(subject, refusal.code)
        return self._stated(query, about, channel, answer)

    def _about(self, subject: Subject, code: str) -> About:
        """Return what may be said of an answer as it is on record, also to an enterprise whose consent fails."""
        record_key = record_key_of(subject.consent, self._site.consents.issuers, subject.enterprise)
        decision = LeafKind.DENY if code else LeafKind.RELEASE
        return About(subject.enterprise, decision, code, record_key=record_key)

    def _stated(self, query: Query, about: About, channel: Channel, answer: Envelope) -> list[Envelope]:
        """Return an answer after what the auditors and the enterprise may read of it."""
        kind, now = LeafKind(about.decision), self._site.clock()
        return [self._statements.write(kind, query, [about], channel, now), answer]

    def _release(
        self, query: Query, subject: Subject, channel: Channel, policy: NodePolicy
    ) -> tuple[Envelope, Consent, Rule]:
        """Evaluate this node's part, and put the share on record. Raises: PolicyDenied, BudgetExceeded."""
        site, part = self._site, self._parts.of(query.model)
        check_query(query, part.manifest, site.clock())
        rule = admit_query(site, policy, query, part)
        demand = demand_of(site, query, subject)
        consent = self._consents.admit(subject.consent, demand, rule, query.query)
        self._consents.check_slip(query.slip, consent)
        self._check_objection(query, subject)
        envelope = channel.wrap(PartyId(query.bank), self._share(query, subject, part, policy.digest()), sealed=False)
        site.switch.check()
        with site.ledger.group():
            self._consents.use(consent, query.query)
            site.ledger.answers.release(self._answer_row(query, subject, envelope, rule=rule.name), rule.quota)
        return envelope, consent, rule

    def _check_objection(self, query: Query, subject: Subject) -> None:
        """Return if a question that is asked again after an objection names one of this enterprise's.

        Raises: PolicyDenied, code OBJECTION_UNKNOWN.
        """
        if query.objection:
            known = self._site.ledger.objections.find(query.objection)
            if known is None or known.subject != subject.enterprise:
                raise PolicyDenied("no such objection of this enterprise is on record", code="OBJECTION_UNKNOWN")

    def _share(self, query: Query, subject: Subject, part: OpenPart, policy: bytes) -> ScoreShare:
        site = self._site
        keys, cards = masking_of(site, query, part.manifest)
        bank_key = site.pins.paillier_key(PartyId(query.bank), site.paillier.public_key.bits, query.bank_card)
        evaluation = self._parts.evaluate(part, (subject.enterprise,))
        points = part.tables.features
        encrypt = self._encryptors.of(bank_key).encrypt
        return share_of(query, part.manifest, points, evaluation, keys, cards, bank_key, policy, encrypt)

    def _deny(self, query: Query, subject: Subject, channel: Channel, policy: NodePolicy, code: str) -> Envelope:
        """Put a denial on record and return it."""
        denial = Denial(code, policy.digest())
        envelope = channel.wrap(PartyId(query.bank), denial, sealed=False)
        self._site.ledger.answers.deny(self._answer_row(query, subject, envelope, code=code))
        return envelope

    def _answer_row(
        self, query: Query, subject: Subject, envelope: Envelope, *, rule: str = "", code: str = ""
    ) -> Answer:
        return Answer(
            query=query.query,
            transcript=envelope.transcript,
            bank=query.bank,
            subject=subject.enterprise,
            nodes=hashlib.sha256("\0".join(query.nodes).encode()).digest(),
            model=query.model,
            at=self._site.clock(),
            rule=rule,
            code=code,
            response=encode(envelope),
        )
