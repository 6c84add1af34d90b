"""The coordinator's role in a scorecard run: it relays envelopes, multiplies shares of totals, and can read neither."""

from __future__ import annotations

from typing import Final

from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.errors import UnexpectedMessage
from protocols.paillier import PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.admission import check_spec
from protocols.scorecard.districts import Districts
from protocols.scorecard.gathering import Gathering
from protocols.scorecard.releases import combine

FOR_THE_LOG: Final = frozenset({"SignedManifest", "RunFinished"})
"""What the bank says to everyone and only the log keeps: the nodes have gathered the signatures themselves."""


class RelayTraining:
    """The coordinator in one run: knows who takes part, who gets what, and combines totals when all have come."""

    def __init__(self, spec: m.RunSpec, channel: Channel, bank_key: PublicKey) -> None:
        check_spec(spec, channel.cards)
        self.spec, self._channel, self._bank_key = spec, channel, bank_key
        self._bank = PartyId(spec.bank)
        self._districts = Districts.of(spec)
        self._order = self._districts.order(spec.bank)
        self._district_sums: Gathering[bytes] = Gathering(self._districts)
        self._shares: dict[int, dict[PartyId, bytes]] = {}
        self._combined: set[int] = set()
        self.finished: bytes | None = None

    @property
    def parties(self) -> tuple[PartyId, ...]:
        """Return the bank and the nodes of the run."""
        return self._order

    def audience(self, envelope: Envelope) -> list[PartyId]:
        """Return to whom an envelope goes. Raises: UnexpectedMessage for a stranger's, or one for a stranger."""
        sender = PartyId(envelope.sender)
        if sender not in self._order:
            raise UnexpectedMessage(f"{sender} takes no part in this run")
        if envelope.receiver != EVERYONE:
            if envelope.receiver not in self._order or envelope.receiver == sender:
                raise UnexpectedMessage(f"{envelope.receiver} takes no part in this run")
            return [PartyId(envelope.receiver)]
        if envelope.message == "EncryptedColumns":
            own = () if sender == self._bank else self._districts.members(sender)
            return [party for party in self._order[self._order.index(sender) + 1 :] if party not in own]
        if envelope.message == "ManifestSignature":
            return [party for party in self._order if party != sender]
        if sender != self._bank:
            raise UnexpectedMessage(f"{sender} may not write to everyone")
        return [] if envelope.message in FOR_THE_LOG else list(self._order[1:])

    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Verify an envelope that passes; return the product of totals when it was the last share of a release.

        Raises: MalformedMessage, UnexpectedMessage, VerificationFailed.
        """
        self._channel.verify(envelope)
        sender = PartyId(envelope.sender)
        nodes_alone = ("MaskedTotals", "ManifestSignature", "DistrictSums")
        senders = self._order[1:] if envelope.message in nodes_alone else self._order
        senders = self._order[:1] if envelope.message in FOR_THE_LOG else senders
        if sender not in senders:
            raise UnexpectedMessage(f"{envelope.message} is not for {sender} to send")
        if envelope.message == "RunFinished":
            self.finished = self._channel.unwrap(envelope, m.RunFinished).model
        if envelope.message == "MaskedTotals":
            return self._combine_when_ready(sender, self._channel.read_open(envelope, m.MaskedTotals))
        if envelope.message == "DistrictSums":
            return self._pool_when_ready(sender, self._channel.read_open(envelope, m.DistrictSums))
        return []

    def _pool_when_ready(self, sender: PartyId, share: m.DistrictSums) -> list[Envelope]:
        """Return the product of a domain's shares when its last district has sent one."""
        vectors = self._district_sums.put(share.step, sender, share.vector)
        if vectors is None:
            return []
        pooled = m.PooledSums(self._districts.leads[sender], share.step, combine(vectors, self._bank_key))
        return [self._channel.wrap(self._bank, pooled, sealed=False)]

    def _combine_when_ready(self, sender: PartyId, share: m.MaskedTotals) -> list[Envelope]:
        shares = self._shares.setdefault(share.release, {})
        if sender in shares or share.release in self._combined:
            raise UnexpectedMessage(f"{sender} has sent its share of release {share.release} before")
        shares[sender] = share.vector
        if len(shares) < len(self.spec.nodes):
            return []
        del self._shares[share.release]
        self._combined.add(share.release)
        product = combine([shares[PartyId(node.party)] for node in self.spec.nodes], self._bank_key)
        return [self._channel.wrap(self._bank, m.CombinedTotals(share.release, product), sealed=False)]
