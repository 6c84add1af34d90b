"""The batches that a bank asks: many enterprises at once, each with a result of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodes.bank.asking.questions import QUERY_SECONDS
from nodes.bank.asking.reading import AnswerReader, VerifiedManifests, present_cards, record_end
from nodes.bank.asking.results import AssessmentResult, describe_answer, describe_denial, describe_failure
from nodes.bank.asking.showing import ConsentStatements
from nodes.bank.model.file import ModelFile
from nodes.bank.site import BankSite
from nodes.statements import About, StatementWriter
from protocols.assessment.batch.bank import BankBatch
from protocols.assessment.batch.messages import BATCH_LIMIT, BatchQuery
from protocols.assessment.manifest import Manifest
from protocols.assessment.messages import Subject
from protocols.assessment.opening import SealedSum
from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import digest
from protocols.consent import Purpose, split_consent, unverified_handle, unverified_record_key
from protocols.errors import CreditFederationError
from protocols.transparency.leaves import LeafKind, subject_tag


@dataclass(frozen=True, slots=True)
class _Asked:
    role: BankBatch
    model: ModelFile
    manifest: Manifest


class Batches:
    """The batches that one bank has open."""

    def __init__(self, site: BankSite) -> None:
        self._site = site
        self._me = site.keys.party
        self._reader = AnswerReader(site)
        self._manifests = VerifiedManifests(site)
        self._batches: dict[bytes, _Asked] = {}
        self._statements = StatementWriter(site.pins, site.randomness)
        self._consents = ConsentStatements(site, self._statements)

    def __contains__(self, transcript: bytes) -> bool:
        return transcript in self._batches

    def ask(self, subjects: Sequence[Subject], model: ModelFile, purpose: Purpose) -> tuple[bytes, list[Envelope]]:
        """Return a new batch's transcript and its messages; at most `BATCH_LIMIT` enterprises, each one once.

        Raises: VerificationFailed if not every node of the model's manifest has signed it.
        """
        if not 0 < len({subject.enterprise for subject in subjects}) == len(subjects) <= BATCH_LIMIT:
            raise ValueError(f"a batch is about 1 to {BATCH_LIMIT} distinct enterprises")
        site = self._site
        manifest, now = self._manifests.of(model), site.clock()
        consents = [split_consent(subject.consent) for subject in subjects]
        query = BatchQuery(
            batch=site.randomness(16),
            bank=self._me,
            bank_card=site.pins.fingerprint(self._me),
            model=manifest.model_hash(),
            purpose=purpose,
            nodes=tuple(entry.party for entry in manifest.nodes),
            issued=now,
            expires=now + QUERY_SECONDS,
            subject_tags=tuple(subject_tag(site.tag_key, subject.enterprise) for subject in subjects),
            handles=tuple(unverified_handle(slip) for _, slip in consents),
            cards=present_cards(site, manifest),
        )
        channel = site.channel(query.transcript())
        shown = [Subject(s.enterprise, token) for s, (token, _) in zip(subjects, consents, strict=True)]
        slips = [slip for _, slip in consents]
        role = BankBatch(query, shown, slips, manifest, channel, site.paillier, self._coordinator)
        asked = role.start()
        if site.ledger is not None:
            site.ledger.questions.open(query.batch, now, digest(asked[0]))
        self._batches[channel.transcript] = _Asked(role, model, manifest)
        about = [About(s.enterprise, "ASKED", record_key=unverified_record_key(s.consent)) for s in shown]
        stated = self._consents.write(query, dict(zip(query.handles, about, strict=True)), channel, now)
        return channel.transcript, [
            *stated,
            self._statements.write(LeafKind.REQUEST, query, about, channel, now),
            *asked,
        ]

    @property
    def _coordinator(self) -> PartyId:
        return PartyId(self._site.pins.only(PartyRole.COORDINATOR).party)

    def collect(self, envelope: Envelope) -> list[Envelope]:
        """Take a message of an open batch; what it ends with is on record before it leaves. Raises: as the role."""
        role = self._batches[envelope.transcript].role
        return self._recorded(role, role.collect(envelope))

    def sealed(self, transcript: bytes) -> SealedSum | None:
        """Return the sums that have to be opened before the batch can go on, if there are any."""
        return self._batches[transcript].role.sealed

    def conclude(self, transcript: bytes, values: list[int]) -> list[Envelope]:
        """Take what the sealed sums hold; what the batch ends with is on record before it leaves."""
        role = self._batches[transcript].role
        return self._recorded(role, role.conclude(values))

    def withdraw(self, transcript: bytes) -> None:
        """Forget a batch that has never left: nobody has heard of it."""
        query = self._batches.pop(transcript).role.query
        if self._site.ledger is not None:
            self._site.ledger.questions.withdraw(query.batch)

    def give_up(self, transcript: bytes, reason: CreditFederationError) -> list[Envelope]:
        """Forget a batch that gets no answer; return what the coordinator must know of it."""
        role = self._batches.pop(transcript).role
        return self._recorded(role, role.give_up(reason))

    def _recorded(self, role: BankBatch, replies: list[Envelope]) -> list[Envelope]:
        """Return the replies of a batch; the one that ends it is on record, with what the batch says of its consents.

        One that has ended well was decided by all, the coordinator too.
        """
        if replies and role.closed and role.failure is None and not role.denials:
            said = ((p, role.refused.get(p, {}).get(self._coordinator, "")) for p in range(len(role.subjects)))
            self._consents.learn({role.query.handles[position]: code for position, code in said})
        return record_end(self._site, role.query.batch, role.receipt, replies)

    def closed(self, transcript: bytes) -> bool:
        """Tell whether a batch has ended, well or not."""
        return self._batches[transcript].role.closed

    def results(self, transcript: bytes) -> list[AssessmentResult]:
        """Return the result for each enterprise, in the order asked, and forget the batch.

        Raises: VerificationFailed, code NO_RECEIPT, for answers that the log has not receipted.
        """
        asked = self._batches.pop(transcript)
        subjects = asked.role.subjects
        own = self._reader.own_points([subject.enterprise for subject in subjects], asked.model)
        receipt = self._reader.leaf_of(asked.role.receipt) if asked.role.opened else 0
        return [self._result(asked, position, own[position], receipt) for position in range(len(subjects))]

    def _result(self, asked: _Asked, position: int, own: int, receipt: int) -> AssessmentResult:
        role, manifest = asked.role, asked.manifest
        request, enterprise = f"{role.query.batch.hex()}-{position}", role.subjects[position].enterprise
        opened = role.opened.get(position)
        if opened is not None:
            now, calibration = self._site.clock(), asked.model.calibration
            return describe_answer(request, opened, enterprise, manifest, calibration, own, receipt, now, role.as_of)
        denials = role.denials or role.refused.get(position)
        if denials:
            return describe_denial(request, enterprise, manifest, denials)
        code = role.failure.code if role.failure else "NODE_MISSING"
        return describe_failure(request, enterprise, manifest, code)
