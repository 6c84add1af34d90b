"""The bank's role in one assessment: ask all nodes, verify every share, open the sum and nothing else."""

from __future__ import annotations

from protocols.assessment.layout import Opened, layout_bits, read
from protocols.assessment.manifest import Manifest
from protocols.assessment.messages import (
    Acknowledgement,
    CombinedScore,
    Denial,
    LogReceipt,
    Outcome,
    Query,
    ScoreShare,
    Subject,
)
from protocols.assessment.opening import SealedSum, seal_sum
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.errors import CreditFederationError, UnexpectedMessage, VerificationFailed
from protocols.paillier import PrivateKey


class BankQuery:
    """One question of the bank: `start` asks it, `receive` collects, `opened` or `denials` is set at the end.

    `receive` opens the sum as soon as it is there. Who would rather decrypt elsewhere calls `collect`, opens `sealed`
    once it is set, and hands the plaintexts to `conclude`.
    """

    def __init__(
        self,
        query: Query,
        subject: Subject,
        manifest: Manifest,
        channel: Channel,
        key: PrivateKey,
        coordinator: PartyId,
    ) -> None:
        self.query, self._subject, self._manifest = query, subject, manifest
        self._channel, self._key, self._coordinator = channel, key, coordinator
        self._shares: dict[PartyId, bytes] = {}
        self._combined: bytes | None = None
        self._closed = False
        self.sealed: SealedSum | None = None
        self.denials: dict[PartyId, str] = {}
        self.as_of: dict[PartyId, str] = {}
        self.failure: CreditFederationError | None = None
        self.opened: Opened | None = None
        self.receipt: LogReceipt | None = None

    def start(self) -> list[Envelope]:
        """Return the query for all, and the subject sealed to each node."""
        nodes = map(PartyId, self.query.nodes)
        return [
            self._channel.wrap(EVERYONE, self.query),
            *(self._channel.wrap(node, self._subject) for node in nodes),
        ]

    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Take a share, a denial, the log's receipt or the product; when all is there, open it and acknowledge.

        Raises: UnexpectedMessage, VerificationFailed, MalformedMessage for one bad envelope. A sum that does not
        verify is kept as `failure` and acknowledged as rejected: nothing of it is used.
        """
        replies = self.collect(envelope)
        return replies if self.sealed is None else replies + self.conclude(self.sealed.open(self._key))

    def collect(self, envelope: Envelope) -> list[Envelope]:
        """Do what `receive` does, up to `sealed`. Raises: as `receive`."""
        sender = PartyId(envelope.sender)
        if sender == self._coordinator and envelope.message == "LogReceipt":
            self.receipt = self._channel.unwrap(envelope, LogReceipt)
        elif sender == self._coordinator and envelope.message == "Denial":
            self.denials[sender] = self._channel.unwrap(envelope, Denial).code
        elif sender == self._coordinator:
            if self._combined is not None:
                raise UnexpectedMessage("the product was already received")
            self._combined = self._channel.unwrap(envelope, CombinedScore).ciphertext
        elif sender not in self.query.nodes or sender in self._shares or sender in self.denials:
            raise UnexpectedMessage(f"no answer of {sender} is due")
        elif envelope.message == "Denial":
            self.denials[sender] = self._channel.unwrap(envelope, Denial).code
        else:
            share = self._channel.unwrap(envelope, ScoreShare)
            self._shares[sender], self.as_of[sender] = share.ciphertext, share.as_of
        return self._close_when_ready()

    @property
    def closed(self) -> bool:
        """Whether the query has ended, in whatever way."""
        return self._closed

    def give_up(self, reason: CreditFederationError) -> list[Envelope]:
        """End a query that gets no answer; return the word that says so, nothing if it has ended before."""
        if self._closed:
            return []
        self._closed, self.failure = True, reason
        return [self._acknowledge(Outcome.REJECTED)]

    def _close_when_ready(self) -> list[Envelope]:
        """Acknowledge once, when nothing more is due, or have the sum opened first."""
        if self._closed or self.sealed is not None:
            return []
        refused = self._coordinator in self.denials  # then no node is asked
        if not refused and len(self._shares) + len(self.denials) < len(self.query.nodes):
            return []
        if self.denials:
            self._closed = True
            return [self._acknowledge(Outcome.DENIED)]
        if self._combined is None:
            return []
        try:
            shares = [self._shares[PartyId(node)] for node in self.query.nodes]
            sealed = seal_sum(shares, self._combined, self._key.public_key, layout_bits(self._manifest))
            if len(sealed.product) != 1:
                raise VerificationFailed(f"{len(sealed.product)} ciphertexts where one is due", code="WRONG_PRODUCT")
        except CreditFederationError as error:
            return self.give_up(error)
        self.sealed = sealed
        return []

    def conclude(self, values: list[int]) -> list[Envelope]:
        """Read what `sealed` holds, and acknowledge; nothing if the query was given up meanwhile."""
        self.sealed = None
        if self._closed:
            return []
        try:
            self.opened = read(self._manifest, values[0])
        except CreditFederationError as error:
            return self.give_up(error)
        self._closed = True
        return [self._acknowledge(Outcome.ACCEPTED)]

    def _acknowledge(self, outcome: Outcome) -> Envelope:
        return self._channel.wrap(self._coordinator, Acknowledgement(outcome), sealed=False)
