"""The cards that a party has pinned, and the Paillier keys on them, believed only with their proof."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from protocols.channel.identity import PartyCard, PartyId, PartyRole, Randomness, verify_card
from protocols.channel.succession import BROKEN, Lineage, verify_lineage
from protocols.errors import VerificationFailed
from protocols.paillier import PrivateKey, PublicKey, prove_key, verify_key_proof
from protocols.transparency.succession import KeySuccession

SUSPENDED: Final = "PARTY_SUSPENDED"
UNKNOWN: Final = "CARD_UNKNOWN"
_PROOF_CONTEXT = b"credit-federation/paillier-key/v1\0"


class Pins:
    """All cards by party, and those that they have replaced. A Paillier key is checked once, before its first use.

    `cards` are the newest ones; `signers` are all whose overlap is not over, newest first. Both change in place, so
    that whoever holds them sees what is pinned now. `sequence` is that of the roster they come from, 0 for cards alone;
    `successions` say how keys of the log and its witnesses were replaced.
    """

    def __init__(self, cards: Iterable[PartyCard]) -> None:
        self.cards: dict[PartyId, PartyCard] = {}
        self.signers: dict[PartyId, tuple[PartyCard, ...]] = {}
        self.suspended: frozenset[PartyId] = frozenset()
        self.sequence = 0
        self.successions: tuple[KeySuccession, ...] = ()
        self._lineages: dict[PartyId, Lineage] = {}
        self._names: dict[PartyId, dict[str, PartyCard]] = {}
        for card in cards:
            verify_card(card)
            self._pin(Lineage(card))
        self._keys: dict[tuple[str, int], PublicKey] = {}

    def card(self, party: PartyId, role: PartyRole) -> PartyCard:
        """Return the card of a party in a role.

        Raises: VerificationFailed if none is pinned; code PARTY_SUSPENDED while the party is suspended.
        """
        card = self.cards.get(party)
        if card is None or card.role is not role:
            raise VerificationFailed(f"no {role} {party} is pinned")
        if party in self.suspended:
            raise VerificationFailed(f"{party} is suspended", code=SUSPENDED)
        return card

    def only(self, role: PartyRole) -> PartyCard:
        """Return the card of the one party in a role. Raises: VerificationFailed unless there is exactly one."""
        found = [card for card in self.cards.values() if card.role is role]
        if len(found) != 1:
            raise VerificationFailed(f"{len(found)} parties are pinned as {role}, where one is due")
        return found[0]

    def paillier_key(self, party: PartyId, bits: int, fingerprint: str = "") -> PublicKey:
        """Return the Paillier key on a party's newest card, or on the accepted one with this fingerprint.

        Raises: VerificationFailed, MalformedMessage unless its proof holds; code CARD_UNKNOWN.
        """
        card = self.accepted(party, fingerprint) if fingerprint else self.cards.get(party)
        if card is None or not card.paillier_key:
            raise VerificationFailed(f"no Paillier key of {party} is pinned")
        name = fingerprint or self.fingerprint(party)
        if (name, bits) not in self._keys:
            self._keys[name, bits] = _proven(card, bits)
        return self._keys[name, bits]

    # ---- cards that were replaced

    def accepted(self, party: PartyId, fingerprint: str) -> PartyCard:
        """Return the card that a live message names: the newest, or one in its overlap.

        Raises: VerificationFailed, code CARD_UNKNOWN.
        """
        card = self._find(party, fingerprint)
        if any(card is known for known in self.signers[party]):
            return card
        raise VerificationFailed(f"a card of {party} is named whose time is over", code=UNKNOWN)

    def named(self, fingerprints: Mapping[PartyId, str]) -> dict[PartyId, PartyCard]:
        """Return the card of each party that something kept names, however old.

        Raises: VerificationFailed, code CARD_UNKNOWN.
        """
        return {party: self._find(party, name) for party, name in fingerprints.items()}

    def fingerprint(self, party: PartyId) -> str:
        """Return the fingerprint of a pinned party's newest card."""
        return next(iter(self._names[party]))

    def lineage(self, party: PartyId) -> tuple[PartyCard, ...]:
        """Return every card of a party, newest first; nothing of one that is not pinned."""
        known = self._lineages.get(party)
        return () if known is None else known.cards

    def fingerprints(self, party: PartyId) -> frozenset[str]:
        """Return the fingerprints of every card of a party."""
        return frozenset(self._names.get(party, ()))

    def take(self, lineages: Collection[Lineage], suspended: Collection[PartyId] = ()) -> None:
        """Pin what follows from what is pinned, and who is new; all of it or nothing; `settle` then ends overlaps.

        Raises: VerificationFailed, code KEY_CHANGED, if a pinned party's lineage does not lead back to its pinned card,
        or its role is another.
        """
        for lineage in lineages:
            verify_lineage(lineage)
            pinned = self.cards.get(PartyId(lineage.card.party))
            if pinned is not None and (pinned not in lineage.cards or pinned.role is not lineage.card.role):
                raise VerificationFailed(
                    f"{pinned.party} comes with a key that its pinned one has not named", code=BROKEN
                )
        for lineage in lineages:
            self._pin(lineage)
        self.suspended = frozenset(suspended)

    def settle(self, now: int) -> None:
        """Accept no earlier card any more whose overlap is over at `now`, POSIX seconds."""
        for party, lineage in self._lineages.items():
            self.signers[party] = (lineage.card, *lineage.accepted(now))

    def _pin(self, lineage: Lineage) -> None:
        party = PartyId(lineage.card.party)
        if self._lineages.get(party) != lineage:
            self._names[party] = {card.fingerprint(): card for card in lineage.cards}
            self._lineages[party], self.cards[party] = lineage, lineage.card
            self.signers[party] = lineage.cards

    def _find(self, party: PartyId, fingerprint: str) -> PartyCard:
        card = self._names.get(party, {}).get(fingerprint)
        if card is None:
            raise VerificationFailed(f"a card of {party} is named that is not pinned", code=UNKNOWN)
        return card


def _proven(card: PartyCard, bits: int) -> PublicKey:
    key = PublicKey.from_bytes(card.paillier_key, bits)
    verify_key_proof(key, card.paillier_proof, _PROOF_CONTEXT + card.party.encode())
    return key


def paillier_proof(party: PartyId, key: PrivateKey, randomness: Randomness) -> bytes:
    """Return the proof for a party's card that its key is well formed."""
    return prove_key(key, _PROOF_CONTEXT + party.encode(), randomness)
