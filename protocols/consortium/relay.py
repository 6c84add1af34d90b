"""The coordinator's roles in a consortium: it passes invitations and envelopes on, and multiplies shares of totals."""

from __future__ import annotations

from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.consortium.admission import check_consortium, check_invitation
from protocols.consortium.messages import ConsortiumSpec, Invitation
from protocols.errors import UnexpectedMessage
from protocols.paillier import PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.releases import combine

_TO_NODES = frozenset({"EncryptedLabels", "EncryptedColumns", "EncryptedResiduals", "Manifest", "SignedManifest"})
_TO_ALL = frozenset({"ConsortiumSpec", "ModelAgreement"})


class RelayInvitation:
    """The coordinator between a lead and the banks that it invites; done when each has answered."""

    def __init__(self, invitation: Invitation, channel: Channel) -> None:
        check_invitation(invitation, channel.cards)
        self.invitation, self._channel = invitation, channel
        self._lead = PartyId(invitation.lead)
        self._due = [PartyId(bank.party) for bank in invitation.banks if bank.party != invitation.lead]

    @property
    def finished(self) -> bool:
        """Whether every invited bank has accepted."""
        return not self._due

    def route(self, envelope: Envelope) -> list[PartyId]:
        """Verify an envelope and return to whom it goes. Raises: UnexpectedMessage, VerificationFailed."""
        self._channel.verify(envelope)
        sender = PartyId(envelope.sender)
        if envelope.message == Invitation.__name__ and sender == self._lead and envelope.receiver == EVERYONE:
            return list(self._due)
        if envelope.message != "Acceptance" or sender not in self._due or envelope.receiver != self._lead:
            raise UnexpectedMessage(f"{envelope.message} from {sender} answers no invitation")
        self._due.remove(sender)
        return [self._lead]


class RelayConsortium:
    """The coordinator in one run: knows who takes part, who gets what, and combines each bank's totals."""

    def __init__(self, spec: ConsortiumSpec, channel: Channel, bank_keys: dict[PartyId, PublicKey]) -> None:
        check_consortium(spec, channel.cards)
        self.spec, self._channel, self._keys = spec, channel, bank_keys
        self._banks = [PartyId(member.party) for member in spec.members]
        self._nodes = [PartyId(node.party) for node in spec.nodes]
        self._shares: dict[tuple[PartyId, int], dict[PartyId, bytes]] = {}
        self._combined: set[tuple[PartyId, int]] = set()
        self._closed: dict[PartyId, bytes] = {}
        self._announced = False

    @property
    def parties(self) -> tuple[PartyId, ...]:
        """Return the banks and the nodes of the run."""
        return (*self._banks, *self._nodes)

    @property
    def finished(self) -> bytes | None:
        """Return the hash of the lead's model once every bank has closed the run, else None."""
        return self._closed[PartyId(self.spec.bank)] if len(self._closed) == len(self._banks) else None

    def audience(self, envelope: Envelope) -> list[PartyId]:
        """Return to whom an envelope goes. Raises: UnexpectedMessage for a stranger's, or one for a stranger."""
        sender, receiver, kind = PartyId(envelope.sender), PartyId(envelope.receiver), envelope.message
        if sender not in self.parties:
            raise UnexpectedMessage(f"{sender} takes no part in this run")
        if receiver != EVERYONE:
            if receiver not in self.parties or receiver == sender:
                raise UnexpectedMessage(f"{receiver} takes no part in this run")
            return [receiver]
        if sender in self._nodes:
            if kind != "EncryptedColumns":
                raise UnexpectedMessage(f"{sender} may not write to everyone")
            return self._nodes[self._nodes.index(sender) + 1 :]
        if kind == "RunFinished":
            return []
        if kind not in _TO_NODES | _TO_ALL:
            raise UnexpectedMessage(f"{kind} is not for everyone")
        others = [bank for bank in self._banks if bank != sender] if kind in _TO_ALL else []
        return [*others, *self._nodes]

    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Verify an envelope that passes; return the product of totals when it was the last share of a release.

        Raises: MalformedMessage, UnexpectedMessage, VerificationFailed.
        """
        self._channel.verify(envelope)
        sender = PartyId(envelope.sender)
        if envelope.message == "RunFinished":
            if sender not in self._banks or sender in self._closed:
                raise UnexpectedMessage(f"{sender} has no run to close")
            self._closed[sender] = self._channel.unwrap(envelope, m.RunFinished).model
        if envelope.message == "ConsortiumSpec":
            if sender != self.spec.bank or self._announced:
                raise UnexpectedMessage("a run is announced once, by its lead")
            self._announced = True
        if envelope.message == "MaskedTotals":
            bank = PartyId(envelope.receiver)
            if sender not in self._nodes or bank not in self._banks:
                raise UnexpectedMessage(f"totals of {sender} for {bank} are no part of this run")
            return self._combine_when_ready(sender, bank, self._channel.read_open(envelope, m.MaskedTotals))
        return []

    def _combine_when_ready(self, sender: PartyId, bank: PartyId, share: m.MaskedTotals) -> list[Envelope]:
        place = (bank, share.release)
        shares = self._shares.setdefault(place, {})
        if sender in shares or place in self._combined:
            raise UnexpectedMessage(f"{sender} has sent its share of release {share.release} before")
        shares[sender] = share.vector
        if len(shares) < len(self._nodes):
            return []
        del self._shares[place]
        self._combined.add(place)
        product = combine([shares[node] for node in self._nodes], self._keys[bank])
        return [self._channel.wrap(bank, m.CombinedTotals(share.release, product), sealed=False)]
