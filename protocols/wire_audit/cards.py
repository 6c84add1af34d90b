"""Judges the public cards: signatures, and the Paillier keys that everything else is encrypted under."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from protocols.channel.identity import PartyCard, PartyId, verify_card
from protocols.channel.pins import Pins
from protocols.errors import CreditFederationError
from protocols.paillier import PublicKey
from protocols.wire_audit.findings import Code, FindingLog, Seen


@dataclass(frozen=True, slots=True)
class Roster:
    """The cards by party, and every Paillier key that ciphertexts can be taken apart under."""

    cards: dict[PartyId, PartyCard]
    keys: dict[PartyId, PublicKey]


def judge_cards(cards: Iterable[PartyCard], minimum_key_bits: int, log: FindingLog) -> Roster:
    """Return the roster, having noted every defect of a card or its key."""
    roster = Roster({}, {})
    for card in cards:
        party = PartyId(card.party)
        seen = Seen(party, "PartyCard", -1, [])
        if party in roster.cards:
            log.add(seen, Code.CARD_INVALID, detail="two cards of one name")
        roster.cards[party] = card
        try:
            verify_card(card)
        except CreditFederationError as error:
            log.add(seen, Code.CARD_INVALID, detail=error.code)
        if card.paillier_key:
            _judge_key(card, minimum_key_bits, roster, log, seen)
    return roster


def _judge_key(card: PartyCard, minimum_key_bits: int, roster: Roster, log: FindingLog, seen: Seen) -> None:
    party, bits = PartyId(card.party), len(card.paillier_key) * 8
    length = int.from_bytes(card.paillier_key).bit_length()
    if length < minimum_key_bits:
        log.add(seen, Code.KEY_SHORT, detail=f"{length} bits")
    try:
        roster.keys[party] = PublicKey.from_bytes(card.paillier_key, bits)
    except CreditFederationError as error:
        log.add(seen, Code.KEY_INVALID, detail=error.code)
        return
    try:
        Pins([card]).paillier_key(party, bits)
    except CreditFederationError as error:
        log.add(seen, Code.KEY_UNPROVEN, detail=error.code)
