"""The coordinator's role in one assessment: pass the question on, multiply the answers, learn neither."""

from __future__ import annotations

from protocols.assessment.batch.messages import BatchQuery
from protocols.assessment.messages import Acknowledgement, CombinedScore, Denial, Outcome, Query, ScoreShare
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.errors import UnexpectedMessage
from protocols.paillier import PublicKey
from protocols.scorecard.releases import combine


class RelayQuery:
    """The coordinator in one query. `denials` and `outcome` are what its log may say; `refused`: it goes no further."""

    def __init__(self, query: Query, channel: Channel, bank_key: PublicKey) -> None:
        self.query, self.channel, self._bank_key = query, channel, bank_key
        self._bank = PartyId(query.bank)
        self._shares: dict[PartyId, bytes] = {}
        self.denials: dict[PartyId, str] = {}
        self.combined = self.refused = False
        self.outcome: Outcome | None = None

    def audience(self, envelope: Envelope) -> list[PartyId]:
        """Return to whom an envelope goes. Raises: UnexpectedMessage for a stranger's, or one for a stranger."""
        if self.refused and envelope.sender == self._bank:
            return []
        return audience_of(envelope, self.query, self.channel.keys.party)

    def refuse(self, code: str) -> Envelope:
        """Return the coordinator's own denial; nothing of the query then goes on to any node."""
        self.refused = True
        return self.channel.wrap(self._bank, Denial(code, bytes(32)), sealed=False)

    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Verify an envelope that passes; return the product when the last share has come.

        Raises: MalformedMessage, UnexpectedMessage, VerificationFailed.
        """
        sender = PartyId(envelope.sender)
        if sender == self._bank:
            self._note_outcome(envelope)
            return []
        if sender not in self.query.nodes:
            raise UnexpectedMessage(f"{sender} takes no part in this query")
        if sender in self._shares or sender in self.denials:
            raise UnexpectedMessage(f"{sender} has answered before")
        if envelope.message == "Denial":
            self.denials[sender] = self.channel.read_open(envelope, Denial).code
            return []
        self._shares[sender] = self.channel.read_open(envelope, ScoreShare).ciphertext
        if len(self._shares) < len(self.query.nodes):
            return []
        product = combine([self._shares[PartyId(node)] for node in self.query.nodes], self._bank_key)
        self.combined = True
        return [self.channel.wrap(self._bank, CombinedScore(product), sealed=False)]

    def _note_outcome(self, envelope: Envelope) -> None:
        if only_passes(envelope, self.channel.keys.party):
            return
        if envelope.message != "Acknowledgement":
            self.channel.verify(envelope)
            return
        outcome = self.channel.unwrap(envelope, Acknowledgement).outcome
        if self.outcome is not None:
            raise UnexpectedMessage("the bank has closed this query before")
        self.outcome = outcome


def only_passes(envelope: Envelope, relay: PartyId) -> bool:
    """Tell whether nothing of an envelope concerns the relay: its receiver alone opens, verifies and relies on it."""
    return envelope.sealed and envelope.receiver != relay


def audience_of(envelope: Envelope, query: Query | BatchQuery, relay: PartyId) -> list[PartyId]:
    """Return to whom an envelope of a question goes: from the bank to the nodes, or back; to none if for the relay.

    Raises: UnexpectedMessage for a stranger's, or one for a stranger.
    """
    sender, receiver = PartyId(envelope.sender), PartyId(envelope.receiver)
    bank, nodes = PartyId(query.bank), [PartyId(node) for node in query.nodes]
    if sender == bank and receiver == EVERYONE:
        return nodes
    if sender == bank and receiver == relay:
        return []
    if (sender == bank and receiver in nodes) or (sender in nodes and receiver == bank):
        return [receiver]
    raise UnexpectedMessage(f"{envelope.message} from {sender} to {receiver} is not part of this question")
