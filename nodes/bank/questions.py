"""The questions that a bank asks about enterprises, from the query to the result it reads."""

from __future__ import annotations

from nodes.bank.model_file import ModelFile
from nodes.bank.reading import AnswerReader, VerifiedManifests, record_end
from nodes.bank.results import AssessmentResult, describe_answer, describe_denial, describe_failure
from nodes.bank.site import BankSite
from protocols.assessment.bank import BankQuery
from protocols.assessment.messages import Query, Subject
from protocols.assessment.opening import SealedSum
from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import digest
from protocols.consent import Purpose, split_consent
from protocols.errors import CreditFederationError
from protocols.transparency.leaves import subject_tag

QUERY_SECONDS = 300


class Questions:
    """The queries that one bank has open."""

    def __init__(self, site: BankSite) -> None:
        self._site = site
        self._me = site.keys.party
        self._queries: dict[bytes, tuple[BankQuery, ModelFile, str]] = {}
        self._reader = AnswerReader(site)
        self._manifests = VerifiedManifests(site)

    def __contains__(self, transcript: bytes) -> bool:
        return transcript in self._queries

    def collect(self, envelope: Envelope) -> list[Envelope]:
        """Take a message of an open query; what it ends with is on record before it leaves. Raises: as the role."""
        role = self._queries[envelope.transcript][0]
        return record_end(self._site, role.query.query, role.receipt, role.collect(envelope))

    def sealed(self, transcript: bytes) -> SealedSum | None:
        """Return the sum that has to be opened before the query can go on, if there is one."""
        return self._queries[transcript][0].sealed

    def conclude(self, transcript: bytes, values: list[int]) -> list[Envelope]:
        """Take what the sealed sum holds; what the query ends with is on record before it leaves."""
        role = self._queries[transcript][0]
        return record_end(self._site, role.query.query, role.receipt, role.conclude(values))

    def ask(self, enterprise: str, consent: str, model: ModelFile) -> tuple[bytes, list[Envelope]]:
        """Return a new query's transcript and its messages.

        Raises: VerificationFailed if not every node of the model's manifest has signed it.
        """
        site, (token, slip) = self._site, split_consent(consent)
        manifest, now = self._manifests.of(model), site.clock()
        query = Query(
            query=site.randomness(16),
            bank=self._me,
            bank_card=site.pins.cards[self._me].fingerprint(),
            model=manifest.model_hash(),
            purpose=Purpose.ASSESSMENT,
            nodes=tuple(entry.party for entry in manifest.nodes),
            issued=now,
            expires=now + QUERY_SECONDS,
            subject_tag=subject_tag(site.tag_key, enterprise),
            slip=slip,
        )
        channel = site.channel(query.transcript())
        coordinator = PartyId(site.pins.only(PartyRole.COORDINATOR).party)
        role = BankQuery(query, Subject(enterprise, token), manifest, channel, site.paillier, coordinator)
        asked = role.start()
        if self._site.ledger is not None:
            self._site.ledger.questions.open(query.query, now, digest(asked[0]))
        self._queries[channel.transcript] = (role, model, enterprise)
        return channel.transcript, asked

    def closed(self, transcript: bytes) -> bool:
        """Tell whether a query has ended, so that its result can be read."""
        return self._queries[transcript][0].closed

    def give_up(self, transcript: bytes, reason: CreditFederationError) -> list[Envelope]:
        """Forget a query that gets no answer; return what the coordinator must know of it."""
        role = self._queries.pop(transcript)[0]
        replies = role.give_up(reason)
        return record_end(self._site, role.query.query, role.receipt, replies)

    def result(self, transcript: bytes) -> AssessmentResult:
        """Return the answer to a query, whatever it was, and forget the query."""
        role, model, enterprise = self._queries.pop(transcript)
        manifest, request = model.signed_manifest().manifest, role.query.query.hex()
        if role.denials:
            return describe_denial(request, enterprise, manifest, role.denials)
        if role.opened is None:
            code = role.failure.code if role.failure else "NODE_MISSING"
            return describe_failure(request, enterprise, manifest, code)
        receipt = self._reader.leaf_of(role.receipt)
        (own,) = self._reader.own_points((enterprise,), model)
        now = self._site.clock()
        return describe_answer(request, role.opened, enterprise, manifest, model.calibration, own, receipt, now)
