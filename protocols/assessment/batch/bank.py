"""The bank's role in a batch: ask all nodes, have opened whom all admit, verify every share, read the sums."""

from __future__ import annotations

from collections.abc import Sequence

from protocols.assessment.batch.messages import (
    BatchDecisions,
    BatchOpening,
    BatchQuery,
    BatchShares,
    BatchSlips,
    BatchSubjects,
    CombinedBatch,
)
from protocols.assessment.batch.packing import answers_per_plaintext, unpack_answers
from protocols.assessment.layout import Opened, layout_bits
from protocols.assessment.manifest import Manifest
from protocols.assessment.messages import Acknowledgement, Denial, LogReceipt, Outcome, Subject
from protocols.assessment.opening import SealedSum, seal_sum
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.errors import CreditFederationError, MalformedMessage, UnexpectedMessage
from protocols.paillier import PrivateKey


class BankBatch:
    """One batch of the bank: `start` asks, `receive` collects; `closed` when `opened` and `refused` say all there is.

    `opened` and `refused` go by position; `denials` are those of the whole batch, `failure` is why nothing was opened.
    `collect`, `sealed` and `conclude` are as those of `BankQuery`.
    """

    def __init__(
        self,
        query: BatchQuery,
        subjects: Sequence[Subject],
        slips: Sequence[str],
        manifest: Manifest,
        channel: Channel,
        key: PrivateKey,
        coordinator: PartyId,
    ) -> None:
        """Raises: ValueError unless there are one subject and one slip for each of the query's tags."""
        if not len(subjects) == len(slips) == len(query.subject_tags):
            raise ValueError(f"{len(subjects)} subjects and {len(slips)} slips for {len(query.subject_tags)} tags")
        self.query, self.subjects, self._manifest = query, tuple(subjects), manifest
        self._slips = tuple(slips)
        self._channel, self._key, self._coordinator = channel, key, coordinator
        self._decided: set[PartyId] = set()
        self._accepted: tuple[int, ...] = ()
        self._shares: dict[PartyId, bytes] = {}
        self._combined: bytes | None = None
        self.closed = False
        self.sealed: SealedSum | None = None
        self.denials: dict[PartyId, str] = {}
        self.as_of: dict[PartyId, str] = {}
        self.failure: CreditFederationError | None = None
        self.opened: dict[int, Opened] = {}
        self.refused: dict[int, dict[PartyId, str]] = {}
        self.receipt: LogReceipt | None = None

    def start(self) -> list[Envelope]:
        """Return the query for all, the slips for the coordinator, and the subjects sealed to each node."""
        message = BatchSubjects(self.subjects)
        return [
            self._channel.wrap(EVERYONE, self.query),
            self._channel.wrap(self._coordinator, BatchSlips(self._slips), sealed=False),
            *(self._channel.wrap(PartyId(node), message) for node in self.query.nodes),
        ]

    def give_up(self, reason: CreditFederationError) -> list[Envelope]:
        """End a batch that gets no answer; return the word that says so, nothing if it has ended before."""
        if self.closed:
            return []
        self.closed, self.failure = True, reason
        return [self._acknowledge(Outcome.REJECTED)]

    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Take an answer, the log's receipt or the product; return the opening when all have decided, then the word
        that ends the batch.

        Raises: UnexpectedMessage, VerificationFailed, MalformedMessage for one bad envelope. Sums that do not verify
        are kept as `failure` and acknowledged as rejected: nothing of them is used.
        """
        replies = self.collect(envelope)
        return replies if self.sealed is None else replies + self.conclude(self.sealed.open(self._key))

    def collect(self, envelope: Envelope) -> list[Envelope]:
        """Do what `receive` does, up to `sealed`. Raises: as `receive`."""
        sender = PartyId(envelope.sender)
        if sender == self._coordinator and envelope.message == "LogReceipt":
            self.receipt = self._channel.unwrap(envelope, LogReceipt)
        elif sender == self._coordinator and envelope.message == "BatchDecisions":
            return self._note_decisions(sender, self._channel.unwrap(envelope, BatchDecisions))
        elif sender == self._coordinator:
            if self._combined is not None:
                raise UnexpectedMessage("the product was already received")
            self._combined = self._channel.unwrap(envelope, CombinedBatch).vector
        elif sender not in self.query.nodes or sender in self.denials:
            raise UnexpectedMessage(f"no answer of {sender} is due")
        elif envelope.message == "Denial":
            self.denials[sender] = self._channel.unwrap(envelope, Denial).code
        elif envelope.message == "BatchDecisions":
            return self._note_decisions(sender, self._channel.unwrap(envelope, BatchDecisions))
        else:
            self._note_shares(sender, self._channel.unwrap(envelope, BatchShares))
        return self._close_when_ready()

    def _note_decisions(self, node: PartyId, decisions: BatchDecisions) -> list[Envelope]:
        if node in self._decided:
            raise UnexpectedMessage(f"{node} has decided before")
        if len(decisions.codes) != len(self.subjects):
            raise MalformedMessage(f"{len(decisions.codes)} decisions for {len(self.subjects)} enterprises")
        self._decided.add(node)
        for position, code in enumerate(decisions.codes):
            if code:
                self.refused.setdefault(position, {})[node] = code
        if not self._all_decided:
            return self._close_when_ready()
        self._accepted = tuple(position for position in range(len(self.subjects)) if position not in self.refused)
        return [self._channel.wrap(EVERYONE, BatchOpening(self._accepted))]

    def _note_shares(self, node: PartyId, shares: BatchShares) -> None:
        if not self._all_decided or node in self._shares:
            raise UnexpectedMessage(f"no shares of {node} are due")
        self._shares[node], self.as_of[node] = shares.vector, shares.as_of

    def _close_when_ready(self) -> list[Envelope]:
        """Acknowledge once, when nothing more is due, or have the sums opened first."""
        decided = self._decided - {self._coordinator}
        answered = self.denials.keys() | (self._shares.keys() if self._all_decided else decided)
        if self.closed or self.sealed is not None or len(answered) < len(self.query.nodes):
            return []
        if self.denials:
            self.closed = True
            return [self._acknowledge(Outcome.DENIED)]
        if self._combined is None:
            return []
        public, width = self._key.public_key, min(len(self._accepted), self._slots)
        try:
            shares = [self._shares[PartyId(node)] for node in self.query.nodes]
            self.sealed = seal_sum(shares, self._combined, public, width * layout_bits(self._manifest))
        except CreditFederationError as error:
            return self.give_up(error)
        return []

    def conclude(self, values: list[int]) -> list[Envelope]:
        """Read what `sealed` holds, and acknowledge; nothing if the batch was given up meanwhile."""
        self.sealed = None
        if self.closed:
            return []
        try:
            opened = unpack_answers(values, len(self._accepted), self._manifest, self._key.public_key.bits)
        except CreditFederationError as error:
            return self.give_up(error)
        self.opened, self.closed = dict(zip(self._accepted, opened, strict=True)), True
        return [self._acknowledge(Outcome.ACCEPTED if self._accepted else Outcome.DENIED)]

    @property
    def _all_decided(self) -> bool:
        return len(self._decided) == len(self.query.nodes) + 1  # and the coordinator

    @property
    def _slots(self) -> int:
        return answers_per_plaintext(self._manifest, self._key.public_key.bits)

    def _acknowledge(self, outcome: Outcome) -> Envelope:
        return self._channel.wrap(self._coordinator, Acknowledgement(outcome), sealed=False)
