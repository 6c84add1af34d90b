"""The cards that a party has pinned, and the Paillier keys on them, believed only with their proof."""

from __future__ import annotations

from collections.abc import Iterable

from protocols.channel.identity import PartyCard, PartyId, PartyRole, Randomness, verify_card
from protocols.errors import VerificationFailed
from protocols.paillier import PrivateKey, PublicKey, prove_key, verify_key_proof

_PROOF_CONTEXT = b"credit-federation/paillier-key/v1\0"


class Pins:
    """All cards by party. A Paillier key is checked once, before its first use."""

    def __init__(self, cards: Iterable[PartyCard]) -> None:
        self.cards: dict[PartyId, PartyCard] = {}
        for card in cards:
            verify_card(card)
            self.cards[PartyId(card.party)] = card
        self._keys: dict[tuple[PartyId, int], PublicKey] = {}

    def card(self, party: PartyId, role: PartyRole) -> PartyCard:
        """Return the card of a party in a role. Raises: VerificationFailed if none is pinned."""
        card = self.cards.get(party)
        if card is None or card.role is not role:
            raise VerificationFailed(f"no {role} {party} is pinned")
        return card

    def only(self, role: PartyRole) -> PartyCard:
        """Return the card of the one party in a role. Raises: VerificationFailed unless there is exactly one."""
        found = [card for card in self.cards.values() if card.role is role]
        if len(found) != 1:
            raise VerificationFailed(f"{len(found)} parties are pinned as {role}, where one is due")
        return found[0]

    def paillier_key(self, party: PartyId, bits: int) -> PublicKey:
        """Return a party's Paillier key. Raises: VerificationFailed, MalformedMessage unless its proof holds."""
        if (party, bits) not in self._keys:
            card = self.cards.get(party)
            if card is None or not card.paillier_key:
                raise VerificationFailed(f"no Paillier key of {party} is pinned")
            key = PublicKey.from_bytes(card.paillier_key, bits)
            verify_key_proof(key, card.paillier_proof, _PROOF_CONTEXT + party.encode())
            self._keys[party, bits] = key
        return self._keys[party, bits]


def paillier_proof(party: PartyId, key: PrivateKey, randomness: Randomness) -> bytes:
    """Return the proof for a party's card that its key is well formed."""
    return prove_key(key, _PROOF_CONTEXT + party.encode(), randomness)
