"""A party's own keys and the cards it has pinned, as they are now: a running process replaces them without a stop."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from nodes.keystore import read_cards, read_earlier_paillier, read_keys, read_paillier, write_roster
from nodes.rotation import finish_rotation, following_keys
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyCard, PartyId, PartyKeys
from protocols.channel.pins import UNKNOWN, Pins
from protocols.channel.wire import decode
from protocols.enrolment.roster import pin_next
from protocols.enrolment.upkeep import CardNotice, RosterNotice
from protocols.errors import VerificationFailed
from protocols.paillier import PrivateKey, PublicKey

logger = logging.getLogger(__name__)


class Keyring:
    """One party's secrets and pins. `keys` and `paillier` are replaced as one when the party's next card is pinned.

    Whoever needs several of them for one message takes them once: a question begun with a key ends with it.
    """

    def __init__(self, keys: PartyKeys, paillier: PrivateKey, pins: Pins, earlier: tuple[PrivateKey, ...] = ()) -> None:
        self.keys, self.paillier, self.pins = keys, paillier, pins
        self.earlier = earlier
        self.following: tuple[str, PartyCard, PartyKeys] | None = None
        self._home: Path | None = None
        self._cards: Path | None = None

    @classmethod
    def open(cls, home: Path, cards: Path) -> Keyring:
        """Read a party's directory and the cards it has pinned; a rotation that was cut short is finished.

        Raises: ConfigurationError, VerificationFailed.
        """
        pins = read_cards(cards)
        finish_rotation(home, pins)
        ring = cls(read_keys(home), read_paillier(home), pins, read_earlier_paillier(home))
        ring._home, ring._cards = home, cards
        return ring

    def channel(self, transcript: bytes) -> Channel:
        """Return this party's end of a run or query."""
        return Channel(self.keys, self.pins.cards, transcript, self.pins.signers)

    def run_channel(self, transcript: bytes) -> Channel:
        """Return this party's end of a run, to which all cards, and so all masks, stay as they are."""
        return Channel(self.keys, dict(self.pins.cards), transcript, self.pins.signers)

    def receive(self, envelope: Envelope) -> None:
        """Take a roster that was sent, whose own signature counts, and this party's next keys if it names them.

        Raises: MalformedMessage; VerificationFailed, codes ROSTER_ROLLED_BACK, ROSTER_SIGNATURE, KEY_CHANGED.
        """
        notice = decode(envelope.body, RosterNotice)
        if notice.signed.roster.sequence == self.pins.sequence:  # sent again, after a broken line
            return
        pin_next(self.pins, notice.signed)
        if self._cards is not None:
            write_roster(self._cards, notice.signed)
        self.refresh()
        logger.info("roster pinned", extra={"sequence": self.pins.sequence, "suspended": len(self.pins.suspended)})

    def prepare(self, notice: CardNotice) -> None:
        """Hold this party's next keys ready before the notice of their card goes out. Raises: ConfigurationError."""
        if self._home is not None:
            keys = following_keys(self._home, self.keys)
            self.following = notice.card.fingerprint(), notice.card, keys

    def refresh(self) -> None:
        """Let go of cards and keys whose time is over, and change to this party's next ones if they are pinned."""
        self.pins.settle(int(time.time()))
        if self._home is not None and finish_rotation(self._home, self.pins):
            keys, paillier, earlier = (
                read_keys(self._home),
                read_paillier(self._home),
                read_earlier_paillier(self._home),
            )
            self.earlier, self.paillier, self.keys, self.following = earlier, paillier, keys, None
            logger.info("keys replaced", extra={"card": self.pins.fingerprint(keys.party)})

    def card(self, party: PartyId, fingerprint: str) -> PartyCard:
        """Return the card that a question names, this party's next one too: others may know of it a moment before.

        Raises: VerificationFailed, code CARD_UNKNOWN.
        """
        following = self.following
        if following is not None and following[0] == fingerprint and party == self.keys.party:
            return following[1]
        return self.pins.accepted(party, fingerprint)

    def masking(self, card: PartyCard) -> PartyKeys:
        """Return the keys of this party to which the mask key of its own card belongs.

        Raises: VerificationFailed, code CARD_UNKNOWN, if they are gone.
        """
        following = self.following
        held = self.keys.masking(card.mask_key) or (following[2].masking(card.mask_key) if following else None)
        if held is None:
            raise VerificationFailed("the mask key of that card is gone", code=UNKNOWN)
        return held

    def opening(self, public_key: PublicKey) -> PrivateKey:
        """Return this party's Paillier key that opens what is under a public one. Raises: VerificationFailed."""
        for key in (self.paillier, *self.earlier):
            if key.public_key == public_key:
                return key
        raise VerificationFailed("the Paillier key of that sum is gone", code=UNKNOWN)


class KeyedSite:
    """A site that acts with the keys of its `ring`, as they are now: what is replaced there is replaced at once."""

    __slots__ = ()

    ring: Keyring

    @property
    def keys(self) -> PartyKeys:
        """The party's own keys."""
        return self.ring.keys

    @property
    def paillier(self) -> PrivateKey:
        """The party's own Paillier key."""
        return self.ring.paillier

    @property
    def pins(self) -> Pins:
        """The cards that it has pinned."""
        return self.ring.pins

    def channel(self, transcript: bytes) -> Channel:
        """Return the party's end of a query."""
        return self.ring.channel(transcript)

    def run_channel(self, transcript: bytes) -> Channel:
        """Return the party's end of a training run, to which the cards stay as they are now."""
        return self.ring.run_channel(transcript)
