"""The questions that a bank asks about enterprises, from the query to the result it reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodes.bank.asking.reading import AnswerReader, VerifiedManifests, present_cards, record_end
from nodes.bank.asking.results import AssessmentResult, describe_answer, describe_denial, describe_failure
from nodes.bank.asking.showing import ConsentStatements
from nodes.bank.model.file import ModelFile
from nodes.bank.site import BankSite
from nodes.statements import About, StatementWriter
from protocols.assessment.bank import BankQuery
from protocols.assessment.messages import Acknowledgement, Query, Subject
from protocols.assessment.opening import SealedSum
from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import decode, digest
from protocols.consent import Purpose, split_consent, unverified_handle, unverified_record_key
from protocols.errors import CreditFederationError
from protocols.transparency.leaves import LeafKind, subject_tag

QUERY_SECONDS = 300


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query that is open, and whom it is about."""

    role: BankQuery
    model: ModelFile
    enterprise: str = field(repr=False)
    record_key: bytes = field(repr=False)
    handle: bytes


class Questions:
    """The queries that one bank has open."""

    def __init__(self, site: BankSite) -> None:
        self._site = site
        self._me = site.keys.party
        self._queries: dict[bytes, _Asked] = {}
        self._statements = StatementWriter(site.pins, site.randomness)
        self._consents = ConsentStatements(site, self._statements)
        self._reader = AnswerReader(site)
        self._manifests = VerifiedManifests(site)

    @property
    def _coordinator(self) -> PartyId:
        return PartyId(self._site.pins.only(PartyRole.COORDINATOR).party)

    def __contains__(self, transcript: bytes) -> bool:
        return transcript in self._queries

    def collect(self, envelope: Envelope) -> list[Envelope]:
        """Take a message of an open query; what it ends with is on record before it leaves. Raises: as the role."""
        asked = self._queries[envelope.transcript]
        return self._recorded(asked, asked.role.collect(envelope))

    def sealed(self, transcript: bytes) -> SealedSum | None:
        """Return the sum that has to be opened before the query can go on, if there is one."""
        return self._queries[transcript].role.sealed

    def conclude(self, transcript: bytes, values: list[int]) -> list[Envelope]:
        """Take what the sealed sum holds; what the query ends with is on record before it leaves."""
        asked = self._queries[transcript]
        return self._recorded(asked, asked.role.conclude(values))

    def _recorded(self, asked: _Asked, replies: list[Envelope]) -> list[Envelope]:
        """Return the replies of a query; the one that ends it is on record, and comes after what the bank states."""
        query, stated = asked.role.query, []
        for reply in record_end(self._site, query.query, asked.role.receipt, replies):
            if reply.message == Acknowledgement.__name__:
                outcome = decode(reply.body, Acknowledgement).outcome.value.upper()
                stated.append(self._state(LeafKind.ACK, asked, outcome))
                self._learn(asked)
            stated.append(reply)
        return stated

    def _learn(self, asked: _Asked) -> None:
        """Note what a question that has ended says of its consent: who answers it has it from the coordinator."""
        refused = asked.role.denials.get(self._coordinator, "")
        if refused or asked.role.failure is None:
            self._consents.learn({asked.handle: refused})

    def _state(self, kind: LeafKind, asked: _Asked, decision: str) -> Envelope:
        query, about = asked.role.query, About(asked.enterprise, decision, record_key=asked.record_key)
        return self._statements.write(kind, query, [about], self._site.channel(query.transcript()), self._site.clock())

    def ask(
        self, enterprise: str, consent: str, model: ModelFile, purpose: Purpose, objection: bytes = b""
    ) -> tuple[bytes, list[Envelope]]:
        """Return a new query's transcript and its messages; `objection` is the one after which it is asked again.

        Raises: VerificationFailed if not every node of the model's manifest has signed it.
        """
        site, (token, slip) = self._site, split_consent(consent)
        manifest, now = self._manifests.of(model), site.clock()
        query = Query(
            query=site.randomness(16),
            bank=self._me,
            bank_card=site.pins.fingerprint(self._me),
            model=manifest.model_hash(),
            purpose=purpose,
            nodes=tuple(entry.party for entry in manifest.nodes),
            issued=now,
            expires=now + QUERY_SECONDS,
            subject_tag=subject_tag(site.tag_key, enterprise),
            slip=slip,
            objection=objection,
            cards=present_cards(site, manifest),
        )
        channel = site.channel(query.transcript())
        role = BankQuery(query, Subject(enterprise, token), manifest, channel, site.paillier, self._coordinator)
        messages = role.start()
        if self._site.ledger is not None:
            self._site.ledger.questions.open(query.query, now, digest(messages[0]))
        asked = _Asked(role, model, enterprise, unverified_record_key(token), unverified_handle(slip))
        self._queries[channel.transcript] = asked
        about = About(enterprise, "ASKED", record_key=asked.record_key)
        shown = self._consents.write(query, {asked.handle: about}, channel, now)
        return channel.transcript, [*shown, self._state(LeafKind.REQUEST, asked, "ASKED"), *messages]

    def closed(self, transcript: bytes) -> bool:
        """Tell whether a query has ended, so that its result can be read."""
        return self._queries[transcript].role.closed

    def withdraw(self, transcript: bytes) -> None:
        """Forget a query that has never left: nobody has heard of it."""
        query = self._queries.pop(transcript).role.query
        if self._site.ledger is not None:
            self._site.ledger.questions.withdraw(query.query)

    def give_up(self, transcript: bytes, reason: CreditFederationError) -> list[Envelope]:
        """Forget a query that gets no answer; return what the coordinator must know of it."""
        asked = self._queries.pop(transcript)
        return self._recorded(asked, asked.role.give_up(reason))

    def result(self, transcript: bytes) -> AssessmentResult:
        """Return the answer to a query, whatever it was, and forget the query."""
        asked = self._queries.pop(transcript)
        role, model, enterprise = asked.role, asked.model, asked.enterprise
        manifest, request = model.signed_manifest().manifest, role.query.query.hex()
        if role.denials:
            return describe_denial(request, enterprise, manifest, role.denials)
        if role.opened is None:
            code = role.failure.code if role.failure else "NODE_MISSING"
            return describe_failure(request, enterprise, manifest, code)
        receipt = self._reader.leaf_of(role.receipt)
        (own,) = self._reader.own_points((enterprise,), model)
        now = self._site.clock()
        calibration = model.calibration
        return describe_answer(request, role.opened, enterprise, manifest, calibration, own, receipt, now, role.as_of)
