"""The bank's agent: it opens training runs and queries, and alone can read their results.

Like a data node's agent it has one door for parcels. What the bank itself asks for waits in the outbox until it is
collected, or until the coordinator's next visit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodes.bank.asking.batches import Batches
from nodes.bank.asking.questions import Questions
from nodes.bank.asking.results import AssessmentResult
from nodes.bank.model.file import ModelFile, RunFacts
from nodes.bank.site import BankSite
from nodes.bank.training.consortium import Consortia, ConsortiumTerms
from nodes.bank.training.reported import ReportedCounts
from nodes.bank.training.runs import BankRuns, TrainingTerms
from nodes.bank.training.split import Split
from nodes.boundary import handle_parcel
from protocols.assessment.batch.messages import BatchOpening, BatchQuery, BatchSubjects
from protocols.assessment.messages import Acknowledgement, Query, Subject
from protocols.assessment.opening import SealedSum
from protocols.boosting.model import TrainedBoosting
from protocols.channel.envelope import Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyRole
from protocols.consent import Purpose
from protocols.consortium.model import TrainedConsortium
from protocols.enrolment.upkeep import RosterNotice
from protocols.errors import CreditFederationError, TransportError, UnexpectedMessage
from protocols.scorecard.model import BankRows, TrainedScorecard
from protocols.transparency.messages import OFFER, CheckpointCosignature, CheckpointRefusal
from protocols.transparency.statements import SealedStatements

NOT_TRAINING = frozenset(
    kind.__name__
    for kind in (
        *(Query, Subject, BatchQuery, BatchSubjects, BatchOpening, Acknowledgement, SealedStatements),
        *(CheckpointCosignature, CheckpointRefusal),
    )
)
CONSORTIUM_OPENINGS = frozenset({"Invitation", "ConsortiumSpec"})


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a question stands: what to send, whether it has `closed`, and what to open before it can go on."""

    parcel: bytes
    closed: bool
    sealed: SealedSum | None = None


class BankAgent:
    """Serves the bank's own requests, and the parcels that answer them."""

    def __init__(self, site: BankSite) -> None:
        self._site = site
        self._outbox: list[Envelope] = []
        self._runs = BankRuns(site)
        self._consortia = Consortia(site)
        self._questions = Questions(site)
        self._batches = Batches(site)

    def handle(self, data: bytes) -> bytes:
        """Return the reply to a parcel; never raises."""
        return handle_parcel(self._site.keys.party, data, self._receive_all)

    def collect(self) -> bytes:
        """Return the parcel that hands in what the bank asks for."""
        return self.handle(pack_parcel(()))

    def _receive_all(self, envelopes: tuple[Envelope, ...]) -> list[Envelope]:
        waiting, self._outbox = self._outbox, []
        replies = waiting + [reply for envelope in envelopes for reply in self._receive(envelope)]
        if self._site.ledger is not None:
            sent = [envelope for envelope in replies if envelope.message not in NOT_TRAINING]
            self._site.ledger.training.record(sent, self._site.clock())
        return replies

    def _receive(self, envelope: Envelope) -> list[Envelope]:
        if envelope.transcript in self._runs:
            return self._runs.receive(envelope)
        if envelope.transcript in self._consortia or envelope.message in CONSORTIUM_OPENINGS:
            return self._consortia.receive(envelope)
        if envelope.transcript in self._questions or envelope.transcript in self._batches:
            return self._answered(envelope)
        if envelope.message == OFFER and self._site.witness is not None:
            coordinator, now = self._site.pins.only(PartyRole.COORDINATOR), self._site.clock()
            return [self._site.witness.answer(envelope, coordinator, self._site.channel, now)]
        if envelope.message == RosterNotice.__name__:
            self._site.ring.receive(envelope)
            return []
        raise UnexpectedMessage(f"{envelope.message} for nothing that this bank has asked")

    def _answered(self, envelope: Envelope) -> list[Envelope]:
        """Take a message of an open question, and open its sum at once when it is there."""
        asked = self._asked(envelope.transcript)
        replies, sealed = asked.collect(envelope), asked.sealed(envelope.transcript)
        if sealed is None:
            return replies
        return replies + asked.conclude(
            envelope.transcript, sealed.open(self._site.ring.opening(sealed.product.public_key))
        )

    # ---- training

    @property
    def reported(self) -> ReportedCounts:
        """Return what outcomes reported to the bank's API have made of the labels that it trains on."""
        return self._site.reported

    def cohort_ids(self, split: Split) -> tuple[str, ...]:
        """Return the enterprises of a split in cohort order: what a consent for training must cover."""
        return self._runs.cohort_ids(split)

    def open_training(self, split: Split, terms: TrainingTerms, consent: str) -> bytes:
        """Put a new run into the outbox, in place of an unfinished one, and return its transcript.

        Raises: PolicyDenied for too small a cohort.
        """
        others = [envelope for envelope in self._outbox if envelope.transcript not in self._runs]
        transcript, opening = self._runs.open(split, terms, consent)
        self._outbox = others + opening
        return transcript

    def trained(
        self, transcript: bytes, facts: RunFacts
    ) -> tuple[TrainedScorecard | TrainedBoosting, BankRows, ModelFile]:
        """Return what a finished run gave, the model signed. Raises: UnexpectedMessage while it is not finished."""
        return self._runs.trained(transcript, facts)

    # ---- training with other banks

    def agree_to_consortium(self, terms: ConsortiumTerms) -> None:
        """Let this bank accept one invitation, on exactly these terms; without it, it accepts none."""
        self._consortia.agree(terms)

    def open_consortium(self, terms: ConsortiumTerms) -> None:
        """Put an invitation to the banks of the terms into the outbox: this bank leads the run."""
        self._outbox += self._consortia.invite(terms)

    def trained_together(self, facts: RunFacts) -> tuple[TrainedConsortium, ModelFile]:
        """Return what this bank's latest consortium gave, the model in its own name and signed.

        Raises: UnexpectedMessage while it is not finished.
        """
        return self._consortia.trained(facts)

    # ---- assessments

    def ask(
        self,
        enterprise: str,
        consent: str,
        model: ModelFile,
        objection: bytes = b"",
        purpose: Purpose = Purpose.ASSESSMENT,
    ) -> bytes:
        """Put a query about one enterprise, perhaps after an objection, into the outbox and return its transcript.

        Raises: VerificationFailed if not every node of the model's manifest has signed it.
        """
        transcript, asked = self._questions.ask(enterprise, consent, model, purpose, objection)
        self._outbox += asked
        return transcript

    def result(self, transcript: bytes) -> AssessmentResult:
        """Return the answer to a query, whatever it was, and forget the query."""
        return self._questions.result(transcript)

    def ask_batch(self, subjects: Sequence[Subject], model: ModelFile, purpose: Purpose = Purpose.ASSESSMENT) -> bytes:
        """Put a query about many enterprises, with their consents, into the outbox and return its transcript.

        Raises: ValueError for too many or repeated ones; VerificationFailed as `ask`.
        """
        transcript, asked = self._batches.ask(subjects, model, purpose)
        self._outbox += asked
        return transcript

    def batch_results(self, transcript: bytes) -> list[AssessmentResult]:
        """Return the result for each enterprise of a batch, in the order asked, and forget the batch."""
        return self._batches.results(transcript)

    # ---- questions that are carried one at a time, each on its own

    def pose(
        self,
        enterprise: str,
        consent: str,
        model: ModelFile,
        objection: bytes = b"",
        purpose: Purpose = Purpose.ASSESSMENT,
    ) -> tuple[bytes, bytes]:
        """Return a new query's transcript and the parcel that asks it. Raises: as `ask`."""
        transcript, asked = self._questions.ask(enterprise, consent, model, purpose, objection)
        return transcript, pack_parcel(tuple(asked))

    def pose_batch(
        self, subjects: Sequence[Subject], model: ModelFile, purpose: Purpose = Purpose.ASSESSMENT
    ) -> tuple[bytes, bytes]:
        """Return a new batch's transcript and the parcel that asks it. Raises: as `ask_batch`."""
        transcript, asked = self._batches.ask(subjects, model, purpose)
        return transcript, pack_parcel(tuple(asked))

    def proceed(self, transcript: bytes, reply: bytes) -> Turn:
        """Take the reply to a question's parcel; return what to send next, or the sum that has to be opened first.

        Raises: PeerRefused with the code of who has refused; as the role for a reply that is not what it must be.
        """
        asked = self._asked(transcript)
        replies: list[Envelope] = []
        for envelope in open_parcel(reply):
            if envelope.transcript != transcript:
                raise UnexpectedMessage("the reply to a question belongs to another one")
            replies += asked.collect(envelope)
        turn = Turn(pack_parcel(tuple(replies)), asked.closed(transcript), asked.sealed(transcript))
        if not (replies or turn.closed or turn.sealed):
            raise TransportError("the reply leaves the question open", code="NO_ANSWER")
        return turn

    def conclude(self, transcript: bytes, values: list[int]) -> Turn:
        """Take what the sealed sum of a question holds; return the parcel with which it ends."""
        replies = self._asked(transcript).conclude(transcript, values)
        return Turn(pack_parcel(tuple(replies)), closed=True)

    def withdraw(self, transcript: bytes) -> None:
        """Forget a question whose first parcel has never left; it is on no record, here or elsewhere."""
        if transcript in self._asked(transcript):
            self._asked(transcript).withdraw(transcript)

    def give_up(self, transcript: bytes, reason: CreditFederationError) -> bytes:
        """Forget a question that gets no answer; return the parcel that says so, empty if it has ended meanwhile."""
        if transcript not in self._asked(transcript):
            return pack_parcel(())
        return pack_parcel(tuple(self._asked(transcript).give_up(transcript, reason)))

    def _asked(self, transcript: bytes) -> Questions | Batches:
        return self._batches if transcript in self._batches else self._questions
