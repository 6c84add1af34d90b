"""The roster: all parties of a federation with their cards, signed by the coordinator, for everybody to pin.

The coordinator says who takes part; it cannot say with which keys: every card is its party's own, every replaced one
has named its successor, and a pinned name with another key is refused (`Pins.take`). What a party has further, its
key as a witness of the log and that of its SuperNode, stands there under the party's own signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from msgspec import Meta

from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyName, PartyRole, Signature, verify_any
from protocols.channel.pins import Pins
from protocols.channel.succession import BROKEN, Lineage, Seconds, verify_lineage
from protocols.channel.wire import Message, digest
from protocols.errors import MalformedMessage, VerificationFailed
from protocols.transparency.succession import MAX_SUCCESSIONS, KeySuccession

STALE: Final = "ROSTER_ROLLED_BACK"
_ROSTER: Final = b"credit-federation/roster/v1\0"
_OTHER_KEYS: Final = b"credit-federation/other-keys/v1\0"

Line = Annotated[str, Meta(max_length=512, pattern=r"^[\x20-\x7e]*\Z")]


class OtherKeys(Message, frozen=True):
    """A party's further public keys under its own signature: its vkey as a witness, its SuperNode's OpenSSH key.

    Either may be empty. Reveals: public keys only.
    """

    OPEN: ClassVar[bool] = True

    party: PartyName
    witness: Line = ""
    supernode: Line = ""
    signature: bytes = b""


class RosterEntry(Message, frozen=True):
    """One party: its cards, the domain that it describes (a data node), its other keys, and whether it is suspended."""

    OPEN: ClassVar[bool] = True

    lineage: Lineage
    domain: Annotated[str, Meta(max_length=256)] = ""
    keys: OtherKeys | None = None
    suspended: bool = False

    @property
    def party(self) -> PartyId:
        """Whose entry it is."""
        return PartyId(self.lineage.card.party)


class Roster(Message, frozen=True, omit_defaults=True):
    """All parties, by name. `sequence` grows with every change; `log` is the public key of the coordinator's log.

    `successions` say how its key and those of its witnesses were replaced; each carries its own signatures.
    """

    OPEN: ClassVar[bool] = True

    sequence: Annotated[int, Meta(ge=1, lt=1 << 53)]
    issued: Seconds
    log: Line
    entries: Annotated[tuple[RosterEntry, ...], Meta(min_length=1, max_length=4096)]
    successions: Annotated[tuple[KeySuccession, ...], Meta(max_length=MAX_SUCCESSIONS)] = ()

    def entry(self, party: str) -> RosterEntry | None:
        """Return a party's entry, None if it has none."""
        return next((entry for entry in self.entries if entry.party == party), None)


class SignedRoster(Message, frozen=True):
    """A roster under the coordinator's signature."""

    OPEN: ClassVar[bool] = True

    roster: Roster
    signature: Signature


def sign_other_keys(keys: PartyKeys, witness: str = "", supernode: str = "") -> OtherKeys:
    """Return a party's statement of its further keys."""
    unsigned = OtherKeys(keys.party, witness, supernode)
    return OtherKeys(keys.party, witness, supernode, keys.signing.sign(_OTHER_KEYS + digest(unsigned)))


def verify_other_keys(stated: OtherKeys, cards: Sequence[PartyCard]) -> None:
    """Return if a statement is that of the owner of these cards, under one of them. Raises: VerificationFailed."""
    unsigned = OtherKeys(stated.party, stated.witness, stated.supernode)
    if stated.party != cards[0].party:
        raise VerificationFailed(f"further keys of {stated.party} where those of {cards[0].party} are due")
    verify_any(cards, _OTHER_KEYS + digest(unsigned), stated.signature)


def check_supernode_key(line: str) -> None:
    """Return if a line is an OpenSSH public key such as Flower takes: on P-384. Raises: MalformedMessage."""
    try:
        key = load_ssh_public_key(line.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MalformedMessage(f"{len(line)} characters are no OpenSSH public key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise MalformedMessage("a SuperNode's key is on the curve P-384")


def sign_roster(roster: Roster, keys: PartyKeys) -> SignedRoster:
    """Return the roster under the coordinator's signature."""
    return SignedRoster(roster, keys.signing.sign(_ROSTER + digest(roster)))


def verify_roster(signed: SignedRoster, coordinator: tuple[PartyCard, ...]) -> None:
    """Return if one of the coordinator's cards has signed it, and each entry holds. Raises: VerificationFailed."""
    roster = signed.roster
    names = [entry.party for entry in roster.entries]
    if names != sorted(set(names)):
        raise VerificationFailed("the entries of a roster are sorted, each party once")
    for entry in roster.entries:
        if entry.keys is not None:
            verify_other_keys(entry.keys, entry.lineage.cards)
    try:
        verify_any(coordinator, _ROSTER + digest(roster), signed.signature)
    except VerificationFailed as error:
        raise VerificationFailed("the roster is not signed by the coordinator", code="ROSTER_SIGNATURE") from error


def coordinator_of(roster: Roster) -> RosterEntry:
    """Return the entry of the one coordinator. Raises: VerificationFailed unless there is exactly one."""
    found = [entry for entry in roster.entries if entry.lineage.card.role is PartyRole.COORDINATOR]
    if len(found) != 1:
        raise VerificationFailed(f"a roster of {len(found)} coordinators")
    return found[0]


def pin_first(signed: SignedRoster) -> Pins:
    """Return the pins of a party that had none, from a roster that reached it by a way it trusts.

    Raises: VerificationFailed.
    """
    verify_roster(signed, coordinator_of(signed.roster).lineage.cards)
    pins = Pins(())
    _take(pins, signed.roster)
    return pins


def pin_next(pins: Pins, signed: SignedRoster) -> None:
    """Bring pins up to a roster that is newer than theirs, or change nothing.

    It is signed under the pinned card of the coordinator, or one that follows it: so whoever was away while the
    coordinator replaced its keys finds it again.

    Raises: VerificationFailed, codes ROSTER_ROLLED_BACK, ROSTER_SIGNATURE, KEY_CHANGED.
    """
    if signed.roster.sequence <= pins.sequence:
        raise VerificationFailed(f"roster {signed.roster.sequence} where {pins.sequence} is pinned", code=STALE)
    pinned, lineage = pins.only(PartyRole.COORDINATOR), coordinator_of(signed.roster).lineage
    if pinned not in lineage.cards:
        raise VerificationFailed("the roster names another coordinator than the pinned one", code=BROKEN)
    verify_lineage(lineage)
    verify_roster(signed, lineage.cards[: lineage.cards.index(pinned) + 1])
    _take(pins, signed.roster)


def _take(pins: Pins, roster: Roster) -> None:
    gone = {party for party in pins.cards if roster.entry(party) is None}
    suspended = {entry.party for entry in roster.entries if entry.suspended}
    pins.take([entry.lineage for entry in roster.entries], suspended | gone)
    pins.sequence, pins.successions = roster.sequence, roster.successions
