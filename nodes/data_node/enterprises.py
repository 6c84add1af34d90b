"""Whom a data node believes to be an enterprise: a key that an accredited service vouches for, and nobody else."""

from __future__ import annotations

from nodes.data_node.consents import ConsentDesk
from nodes.data_node.site import NodeSite
from protocols.channel.envelope import Channel
from protocols.channel.identity import PartyCard
from protocols.enterprise.credential import check_card, verify_credential


class EnterpriseGate:
    """One node's check of who asks in an enterprise's name."""

    def __init__(self, site: NodeSite, consents: ConsentDesk) -> None:
        self._site, self._consents = site, consents

    def channel(self, card: PartyCard, transcript: bytes) -> Channel:
        """Return this node's end towards the enterprise behind a card. Raises: VerificationFailed."""
        party = check_card(card, self._site.pins.cards)
        return Channel(self._site.keys, {**self._site.pins.cards, party: card}, transcript, self._site.pins.signers)

    def admit(self, card: PartyCard, enterprise: str, credential: str) -> None:
        """Return if the card is this enterprise's, now. Raises: PolicyDenied, a CREDENTIAL_ or CONSENT_LIST_ code."""
        now, issuers = self._site.clock(), self._site.consents.issuers
        found = verify_credential(credential, issuers, enterprise, card.fingerprint(), now)
        self._consents.check_standing(found.issuer, found.token_id)
