"""How a party replaces its keys: the earlier card signs for the next, and whoever pinned the one believes the other.

A party's *lineage* is its card and all that it has replaced. A pinned card is replaced only by one whose lineage leads
back to it, link by link, each under the signature of the card before. What was signed in its time (a model's manifest,
a consent's binding) is judged by the card that it names; live messages by the newest one, and by an earlier one until
its overlap is over.

Whoever steals a signing key can name a successor: after a theft a party is suspended and enrolled anew, not rotated.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from msgspec import Meta

from protocols.channel.identity import PartyCard, PartyKeys, Signature, verify, verify_card
from protocols.channel.wire import Message
from protocols.errors import VerificationFailed

BROKEN: Final = "KEY_CHANGED"
MAX_LINEAGE: Final = 256
_CONTEXT: Final = b"credit-federation/succession/v1\0"

Seconds = Annotated[int, Meta(ge=0, lt=1 << 40)]


class Succession(Message, frozen=True):
    """A card that was replaced, and its word for its successor. Reveals: public keys only.

    Units: what the card signs, and its mask and Paillier keys, are accepted until `until`, POSIX seconds.
    """

    OPEN: ClassVar[bool] = True

    card: PartyCard
    until: Seconds
    endorsement: Signature


class Lineage(Message, frozen=True):
    """A party's card, and those that it has replaced, newest first."""

    OPEN: ClassVar[bool] = True

    card: PartyCard
    earlier: Annotated[tuple[Succession, ...], Meta(max_length=MAX_LINEAGE)] = ()

    @property
    def cards(self) -> tuple[PartyCard, ...]:
        """Every card of the party, newest first."""
        return (self.card, *(link.card for link in self.earlier))

    def accepted(self, now: int) -> tuple[PartyCard, ...]:
        """Return the earlier cards that are still accepted in live messages."""
        return tuple(link.card for link in self.earlier if now < link.until)


def endorse(keys: PartyKeys, card: PartyCard, successor: PartyCard, until: int) -> Succession:
    """Return the word of `card`, whose `keys` these are, for its successor; the overlap ends at `until`."""
    return Succession(card, until, keys.signing.sign(_told(successor, until)))


def verify_lineage(lineage: Lineage) -> None:
    """Return if every card is signed by itself, and named by the one before.

    Raises: VerificationFailed, code KEY_CHANGED.
    """
    successor = lineage.card
    verify_card(successor)
    for link in lineage.earlier:
        verify_card(link.card)
        if (link.card.party, link.card.role) != (successor.party, successor.role):
            raise VerificationFailed(f"a card of {successor.party} follows one of another party or role", code=BROKEN)
        try:
            verify(link.card, _told(successor, link.until), link.endorsement)
        except VerificationFailed as error:
            raise VerificationFailed(
                f"a card of {successor.party} is not its predecessor's word", code=BROKEN
            ) from error
        successor = link.card


def _told(successor: PartyCard, until: int) -> bytes:
    return _CONTEXT + bytes.fromhex(successor.fingerprint()) + until.to_bytes(8, "big")
