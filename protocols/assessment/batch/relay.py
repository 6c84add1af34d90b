"""The coordinator's role in a batch: pass the question on, multiply the answers, learn neither."""

from __future__ import annotations

from protocols.assessment.batch.messages import (
    BatchDecisions,
    BatchOpening,
    BatchQuery,
    BatchShares,
    BatchSlips,
    CombinedBatch,
)
from protocols.assessment.messages import Acknowledgement, Denial, Outcome
from protocols.assessment.relay import audience_of, only_passes
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.errors import MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.paillier import PublicKey
from protocols.scorecard.releases import combine


class RelayBatch:
    """The coordinator in one batch. `denials`, `denied`, `refused` and `outcome` are what its log may say.

    Once `slips` are there, `decide` says which of them are refused; nothing is opened before.
    """

    def __init__(self, query: BatchQuery, channel: Channel, bank_key: PublicKey) -> None:
        """Raises: MalformedMessage unless there is one handle for each tag."""
        if len(query.handles) != len(query.subject_tags):
            raise MalformedMessage(f"{len(query.handles)} handles for {len(query.subject_tags)} tags")
        self.query, self.channel, self._bank_key = query, channel, bank_key
        self._bank = PartyId(query.bank)
        self._shares: dict[PartyId, bytes] = {}
        self.denials: dict[PartyId, str] = {}
        self.denied: dict[PartyId, int] = {}
        self.slips: tuple[str, ...] | None = None
        self.refused: frozenset[int] | None = None
        self.accepted: int | None = None
        self.outcome: Outcome | None = None

    def audience(self, envelope: Envelope) -> list[PartyId]:
        """Return to whom an envelope goes. Raises: UnexpectedMessage for a stranger's, or one for a stranger."""
        return audience_of(envelope, self.query, self.channel.keys.party)

    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Verify an envelope that passes; return the product when the last share has come.

        Raises: MalformedMessage, UnexpectedMessage, VerificationFailed.
        """
        sender = PartyId(envelope.sender)
        if sender == self._bank:
            self._note_bank(envelope)
            return []
        if sender not in self.query.nodes or sender in self.denials:
            raise UnexpectedMessage(f"no answer of {sender} is due")
        if envelope.message == "Denial":
            self.denials[sender] = self.channel.read_open(envelope, Denial).code
        elif envelope.message == "BatchDecisions":
            self._note_decisions(sender, self.channel.read_open(envelope, BatchDecisions))
        else:
            return self._collect(sender, self.channel.read_open(envelope, BatchShares))
        return []

    def decide(self, codes: tuple[str, ...]) -> Envelope:
        """Return the coordinator's word on each slip: whom it refuses, no opening may name."""
        self.refused = frozenset(position for position, code in enumerate(codes) if code)
        return self.channel.wrap(self._bank, BatchDecisions(codes, bytes(32)), sealed=False)

    def _note_decisions(self, sender: PartyId, decisions: BatchDecisions) -> None:
        if sender in self.denied:
            raise UnexpectedMessage(f"{sender} has decided before")
        if len(decisions.codes) != len(self.query.subject_tags):
            raise MalformedMessage(f"{len(decisions.codes)} decisions for {len(self.query.subject_tags)} enterprises")
        self.denied[sender] = sum(code != "" for code in decisions.codes)

    def _collect(self, sender: PartyId, shares: BatchShares) -> list[Envelope]:
        if sender not in self.denied or sender in self._shares or self.accepted is None:
            raise UnexpectedMessage(f"no shares of {sender} are due")
        self._shares[sender] = shares.vector
        if len(self._shares) < len(self.query.nodes):
            return []
        product = combine([self._shares[PartyId(node)] for node in self.query.nodes], self._bank_key)
        return [self.channel.wrap(self._bank, CombinedBatch(product), sealed=False)]

    def _note_bank(self, envelope: Envelope) -> None:
        if envelope.message == "BatchOpening":
            if self.accepted is not None or self.refused is None:
                raise UnexpectedMessage("the batch was opened before, or has shown no slips")
            accepted = self.channel.read_open(envelope, BatchOpening).accepted
            if not self.refused.isdisjoint(accepted):
                raise VerificationFailed("the opening has enterprises whose slip was refused", code="NOT_ADMITTED")
            self.accepted = len(accepted)
        elif envelope.message == "BatchSlips":
            slips = self.channel.read_open(envelope, BatchSlips).slips
            if self.slips is not None or len(slips) != len(self.query.subject_tags):
                raise UnexpectedMessage("the slips of a batch are shown once, one for each tag")
            self.slips = slips
        elif envelope.message == "Acknowledgement":
            if self.outcome is not None:
                raise UnexpectedMessage("the bank has closed this batch before")
            self.outcome = self.channel.unwrap(envelope, Acknowledgement).outcome
        elif not only_passes(envelope, self.channel.keys.party):
            self.channel.verify(envelope)
