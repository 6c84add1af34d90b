"""The batches that a data node answers: each enterprise admitted or denied by itself, the admitted ones once, together.

A batch takes two steps. First the node says whom it denies; what it is asked to open must lie within what it admitted.
Then it answers one opening, on record before it leaves: the same bytes for the same opening, nothing for another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from nodes.data_node.admission import admit_query, check_asker, demand_of, masking_of
from nodes.data_node.consents import ConsentDesk
from nodes.data_node.crowding import crowd_watch
from nodes.data_node.encryptors import Encryptors
from nodes.data_node.parts import Parts
from nodes.data_node.site import NodeSite
from nodes.ledger import Answer, BatchEntry
from nodes.ledger.answers import SECONDS_PER_DAY
from nodes.policy import NodePolicy, Rule
from nodes.statements import About, StatementWriter
from protocols.assessment.batch.messages import BatchDecisions, BatchOpening, BatchQuery, BatchShares, BatchSubjects
from protocols.assessment.messages import Denial, Subject
from protocols.assessment.node import batch_shares_of, check_query
from protocols.assessment.waiting import OpenQuestions
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import Message, decode, encode
from protocols.consent import Consent, record_key_of
from protocols.errors import BudgetExceeded, MalformedMessage, PolicyDenied, UnexpectedMessage, VerificationFailed
from protocols.transparency.leaves import LeafKind

MAX_OPEN_BATCHES: Final = 64
"""Of each bank."""

NOT_OPENED: Final = "NOT_OPENED"
MESSAGES: Final = frozenset({"BatchQuery", "BatchSubjects", "BatchOpening"})


@dataclass(frozen=True, slots=True)
class _Decided:
    """A batch whose enterprises this node has admitted, each with code "", or denied."""

    query: BatchQuery
    subjects: tuple[Subject, ...] = field(repr=False)
    consents: tuple[Consent | None, ...] = field(repr=False)
    codes: tuple[str, ...]
    rule: Rule


class Batches:
    """The batches that are open at one node, and the answers it gives."""

    def __init__(self, site: NodeSite, parts: Parts, consents: ConsentDesk, encryptors: Encryptors) -> None:
        self._site, self._parts, self._consents, self._encryptors = site, parts, consents, encryptors
        self._asked: OpenQuestions[BatchQuery] = OpenQuestions(MAX_OPEN_BATCHES)
        self._decided: OpenQuestions[_Decided] = OpenQuestions(MAX_OPEN_BATCHES)
        self._statements = StatementWriter(site.pins, site.randomness, crowd_watch(site))

    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Take a message of a batch. Raises: UnexpectedMessage, VerificationFailed; a denial is an answer."""
        if envelope.message == "BatchQuery":
            return self._open(envelope)
        if envelope.message == "BatchSubjects":
            return self._decide(envelope)
        return self._answer(envelope)

    def _open(self, envelope: Envelope) -> list[Envelope]:
        query = decode(envelope.body, BatchQuery)
        check_asker(self._site, envelope, query)
        self._asked.put(query.bank, envelope.transcript, query)
        return []

    # ---- first step: whom to admit

    def _decide(self, envelope: Envelope) -> list[Envelope]:
        query = self._asked.pop(envelope.transcript)
        if query is None or envelope.sender != query.bank:
            raise UnexpectedMessage("subjects without their batch")
        channel = self._site.channel(envelope.transcript)
        subjects = channel.unwrap(envelope, BatchSubjects).subjects
        distinct = len({subject.enterprise for subject in subjects})
        if not len(subjects) == distinct == len(query.subject_tags) == len(query.handles):
            raise MalformedMessage(f"{len(query.subject_tags)} distinct enterprises are due")
        policy = self._site.policy  # once: another may come into force meanwhile
        try:
            rule = self._admit(query, policy)
        except (PolicyDenied, VerificationFailed) as refusal:
            denial = self._deny(query, channel, channel.transcript, policy, refusal.code)
            return self._stated(query, self._all_denied(subjects, refusal.code), channel, denial)
        consents, codes = zip(*self._decisions(query, subjects, rule), strict=True)
        decided = _Decided(query, subjects, consents, codes, rule)
        self._decided.put(query.bank, channel.transcript, decided)
        return [channel.wrap(PartyId(query.bank), BatchDecisions(codes, policy.digest()), sealed=False)]

    def _admit(self, query: BatchQuery, policy: NodePolicy) -> Rule:
        """Return the rule on whose terms a batch may be answered. Raises: PolicyDenied, VerificationFailed."""
        part = self._parts.of(query.model)
        check_query(query, part.manifest, self._site.clock())
        return admit_query(self._site, policy, query, part)

    def _decisions(
        self, query: BatchQuery, subjects: Sequence[Subject], rule: Rule
    ) -> Iterator[tuple[Consent | None, str]]:
        """Yield for each enterprise its consent and "", or why it is denied: within the quota, in the order asked."""
        left = self._site.ledger.quotas.left(query.bank, self._site.clock() // SECONDS_PER_DAY, rule.quota)
        for subject, handle in zip(subjects, query.handles, strict=True):
            try:
                if left <= 0:
                    raise BudgetExceeded(f"{query.bank} has no query left today")
                consent = self._admit_subject(query, subject, handle, rule)
            except (PolicyDenied, BudgetExceeded) as refusal:
                yield None, refusal.code
            else:
                left -= 1
                yield consent, ""

    def _admit_subject(self, query: BatchQuery, subject: Subject, handle: bytes, rule: Rule) -> Consent:
        """Return the consent by which one enterprise may be in the batch. Raises: PolicyDenied, BudgetExceeded."""
        site, day = self._site, self._site.clock() // SECONDS_PER_DAY
        consent = self._consents.admit(subject.consent, demand_of(site, query, subject), rule, query.batch)
        self._consents.check_handle(handle, consent)
        site.ledger.quotas.check_subject(query.bank, subject.enterprise, day, rule.quota)
        site.ledger.answers.check_node_set(query.bank, subject.enterprise, day, _node_set(query))
        return consent

    # ---- second step: one answer to one opening

    def _answer(self, envelope: Envelope) -> list[Envelope]:
        """Return the shares for one opening; the same bytes for the same opening, however often asked.

        What the node states of them for the log comes first.

        Raises: VerificationFailed, code QUERY_REUSED, for another opening of an answered batch.
        """
        decided = self._decided.get(envelope.transcript)
        if decided is None or envelope.sender != decided.query.bank:
            raise UnexpectedMessage("an opening without its batch")
        channel = self._site.channel(envelope.transcript)
        opening = channel.unwrap(envelope, BatchOpening)
        accepted, query = opening.accepted, decided.query
        if accepted != tuple(sorted(set(accepted))) or any(p >= len(decided.codes) for p in accepted):
            raise MalformedMessage("an opening lists positions of the batch, ascending")
        if any(decided.codes[position] for position in accepted):
            raise VerificationFailed("the opening has enterprises that this node denies", code="NOT_ADMITTED")
        binding = opening.binding(channel.transcript)
        known = self._site.ledger.answers.find(query.batch, binding)
        if known is not None:
            self._site.switch.check()
            self._site.ledger.answers.check_subjects(query.batch, [subject.enterprise for subject in decided.subjects])
            answer = decode(known, Envelope)
            if answer.message == "Denial":
                code = decode(answer.body, Denial).code
                return self._stated(query, self._all_denied(decided.subjects, code), channel, answer)
            return self._stated(query, self._released(decided, accepted), channel, answer)
        policy = self._site.policy
        try:
            rule = self._admit(query, policy)
            self._check_still(decided, accepted, rule)
            shares = self._shares(decided, accepted, binding, policy.digest())
            answer = self._commit(decided, accepted, channel, binding, shares, rule)
        except (PolicyDenied, BudgetExceeded, VerificationFailed) as refusal:
            denial = self._deny(query, channel, binding, policy, refusal.code)
            return self._stated(query, self._all_denied(decided.subjects, refusal.code), channel, denial)
        return self._stated(query, self._released(decided, accepted, rule.name), channel, answer)

    def _check_still(self, decided: _Decided, accepted: Sequence[int], rule: Rule) -> None:
        """Return if what admitted these enterprises still does: a bank may take its time to open. Raises: PolicyDenied.

        Quotas, and the uses of consents, are checked again where they are counted.
        """
        if rule != decided.rule:
            raise PolicyDenied("the terms of this batch have changed since it was admitted", code="POLICY_CHANGED")
        consents = (decided.consents[position] for position in accepted)
        self._consents.check_still(consent for consent in consents if consent is not None)

    # ---- what the log may hold of it, for the auditors and each enterprise

    def _stated(self, query: BatchQuery, about: Sequence[About], channel: Channel, answer: Envelope) -> list[Envelope]:
        """Return an answer after what the node states of it."""
        kind = LeafKind.DENY if answer.message == "Denial" else LeafKind.RELEASE
        return [self._statements.write(kind, query, about, channel, self._site.clock()), answer]

    def _all_denied(self, subjects: Sequence[Subject], code: str) -> list[About]:
        issuers = self._site.consents.issuers
        return [
            About(s.enterprise, "DENY", code, record_key=record_key_of(s.consent, issuers, s.enterprise))
            for s in subjects
        ]

    def _released(self, decided: _Decided, accepted: Sequence[int], rule: str = "") -> list[About]:
        """Return what became of each enterprise of a batch that was opened."""
        opened, issuers = set(accepted), self._site.consents.issuers
        about = []
        for place, (subject, consent) in enumerate(zip(decided.subjects, decided.consents, strict=True)):
            if place in opened and consent is not None:
                about.append(About(subject.enterprise, "RELEASE", rule=rule, record_key=consent.record_key))
            else:
                key = record_key_of(subject.consent, issuers, subject.enterprise)
                about.append(About(subject.enterprise, "DENY", decided.codes[place] or NOT_OPENED, record_key=key))
        return about

    def _shares(self, decided: _Decided, accepted: Sequence[int], binding: bytes, policy: bytes) -> BatchShares:
        site, part = self._site, self._parts.of(decided.query.model)
        evaluation = self._parts.evaluate(part, [decided.subjects[position].enterprise for position in accepted])
        keys, cards = masking_of(site, decided.query, part.manifest)
        bank, bits = PartyId(decided.query.bank), site.paillier.public_key.bits
        bank_key = site.pins.paillier_key(bank, bits, decided.query.bank_card)
        return batch_shares_of(
            binding,
            part.manifest,
            part.tables.features,
            evaluation,
            keys,
            cards,
            bank_key,
            policy,
            self._encryptors.of(bank_key).encrypt,
        )

    def _deny(self, query: BatchQuery, channel: Channel, binding: bytes, policy: NodePolicy, code: str) -> Envelope:
        """Return the denial of a whole batch, on record."""
        known = self._site.ledger.answers.find(query.batch, binding)
        if known is not None:
            return decode(known, Envelope)
        envelope = channel.wrap(PartyId(query.bank), Denial(code, policy.digest()), sealed=False)
        self._site.ledger.answers.deny(self._row(query, binding, envelope, code=code))
        return envelope

    def _commit(
        self,
        decided: _Decided,
        accepted: Sequence[int],
        channel: Channel,
        binding: bytes,
        shares: Message,
        rule: Rule,
    ) -> Envelope:
        """Make the answer durable, then return it. Raises: PolicyDenied, BudgetExceeded before anything is released."""
        envelope = channel.wrap(PartyId(decided.query.bank), shares, sealed=False)
        opened = set(accepted)
        entries = [
            BatchEntry(position, subject.enterprise, "" if position in opened else code or NOT_OPENED)
            for position, (subject, code) in enumerate(zip(decided.subjects, decided.codes, strict=True))
        ]
        row = self._row(decided.query, binding, envelope, rule=rule.name)
        self._site.switch.check()
        with self._site.ledger.group():
            for position in accepted:
                consent = decided.consents[position]
                if consent is not None:
                    self._consents.use(consent, decided.query.batch)
            self._site.ledger.answers.release_batch(row, entries, rule.quota)
        return envelope

    def _row(self, query: BatchQuery, binding: bytes, envelope: Envelope, *, rule: str = "", code: str = "") -> Answer:
        return Answer(
            query=query.batch,
            transcript=binding,
            bank=query.bank,
            subject="",
            nodes=_node_set(query),
            model=query.model,
            at=self._site.clock(),
            rule=rule,
            code=code,
            response=encode(envelope),
        )


def _node_set(query: BatchQuery) -> bytes:
    return hashlib.sha256("\0".join(query.nodes).encode()).digest()
