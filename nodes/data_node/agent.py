"""The data node's agent: one long-lived process that owns data, keys, policy and ledger.

It takes parcels as bytes and gives parcels as bytes, whatever carried them, and trusts nothing but signatures,
transcripts and its own policy.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext

from nodes.boundary import handle_parcel
from nodes.data_node import batches, objections, records
from nodes.data_node.assessments import Assessments
from nodes.data_node.consents import ConsentDesk
from nodes.data_node.encryptors import Encryptors, PlainEncryptors
from nodes.data_node.parts import Parts
from nodes.data_node.site import NodeSite
from nodes.data_node.training import TrainingRuns
from protocols.channel.envelope import Envelope, pack_refusal
from protocols.channel.identity import PartyRole
from protocols.consent.messages import RevocationNotice
from protocols.enrolment.upkeep import RosterNotice
from protocols.errors import UnexpectedMessage
from protocols.transparency.messages import OFFER

logger = logging.getLogger(__name__)
QUESTIONS = frozenset({"Query", "Subject"}) | batches.MESSAGES


class DataNodeAgent:
    """Serves training runs and assessments of one data owner."""

    def __init__(self, site: NodeSite, encryptors: Encryptors | None = None) -> None:
        """`encryptors` are the node's for shares; by default they compute when they are asked."""
        self._site = site
        self._consents = ConsentDesk(site)
        self._training = TrainingRuns(site, self._consents)
        parts, encryptors = Parts(site), encryptors or PlainEncryptors(site.randomness)
        self._assessments = Assessments(site, parts, self._consents, encryptors)
        self._batches = batches.Batches(site, parts, self._consents, encryptors)
        self._subject_records = records.SubjectRecords(site, self._consents)
        self._objections = objections.Objections(site, self._consents)

    def handle(self, data: bytes) -> bytes:
        """Return the reply to a parcel; never raises. All of it is answered by one policy."""
        self._site.rules.renew()
        return handle_parcel(self._site.keys.party, data, self._receive_all)

    def handle_training(self, data: bytes) -> bytes:
        """Return the reply to a parcel that may hold training only; never raises."""
        self._site.rules.renew()
        return handle_parcel(self._site.keys.party, data, self._train_all)

    def handle_group(self, parcels: Sequence[bytes]) -> list[bytes]:
        """Return the replies to parcels that came together, on record by one wait for the disk; never raises.

        If they cannot be recorded none is answered. Not for training, which works too long to hold the ledger.
        """
        try:
            with self._site.ledger.group():
                return [self.handle(parcel) for parcel in parcels]
        except Exception as error:
            logger.error("%d answers could not be recorded: %s", len(parcels), type(error).__name__)
            return [pack_refusal("LEDGER_FAILED")] * len(parcels)

    @property
    def open_runs(self) -> tuple[bytes, ...]:
        """Return the transcripts of the training runs that are open here."""
        return self._training.transcripts

    def _receive_all(self, envelopes: tuple[Envelope, ...]) -> list[Envelope]:
        """Return all replies; those to questions are on record, with one wait for the disk, before any leaves."""
        questions = all(envelope.message in QUESTIONS for envelope in envelopes)
        with self._site.ledger.group() if questions else nullcontext():  # training works too long to hold the ledger
            return [reply for envelope in envelopes for reply in self._receive(envelope)]

    def _train_all(self, envelopes: tuple[Envelope, ...]) -> list[Envelope]:
        asked = sorted({envelope.message for envelope in envelopes} & QUESTIONS)
        if asked:
            raise UnexpectedMessage(f"{asked[0]} where training is awaited")
        with self._site.ledger.failing_clearly():
            return [reply for envelope in envelopes for reply in self._train(envelope)]

    def _receive(self, envelope: Envelope) -> list[Envelope]:
        if envelope.message in batches.MESSAGES:
            return self._batches.receive(envelope)
        if envelope.message in QUESTIONS:
            return self._assessments.receive(envelope)
        if envelope.message in records.MESSAGES:
            return self._subject_records.receive(envelope)
        if envelope.message in objections.MESSAGES:
            return self._objections.receive(envelope)
        if envelope.message == RevocationNotice.__name__:
            self._consents.receive(envelope)
            return []
        if envelope.message == RosterNotice.__name__:
            self._site.ring.receive(envelope)
            return []
        if envelope.message == OFFER and self._site.witness is not None:
            coordinator, now = self._site.pins.only(PartyRole.COORDINATOR), self._site.clock()
            return [self._site.witness.answer(envelope, coordinator, self._site.channel, now)]
        return self._train(envelope)

    def _train(self, envelope: Envelope) -> list[Envelope]:
        """Take a message of a training run; what it is answered with is on record before it leaves."""
        replies = self._training.receive(envelope)
        self._site.ledger.training.record(replies, self._site.clock())
        return replies
