"""Who a party is: its secret keys, and the card by which all others know it.

Three key pairs, each for one use: Ed25519 signs, X25519 (sealing) opens what was sealed to the party, X25519 (mask)
agrees on zero-sum masks with other nodes. A bank's card also carries its Paillier public key with a proof that the key
is well formed. Parties pin cards; a card is believed only under its own signature *and* the pin.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final, NewType

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from msgspec import Meta

from protocols.channel.wire import Message, encode
from protocols.errors import VerificationFailed

PartyId = NewType("PartyId", str)
_PROBE: Final = X25519PrivateKey.from_private_bytes(bytes(range(32)))
"""Any scalar tells a degenerate point: all map it to zero. Protects nothing."""

Randomness = Callable[[int], bytes]
Key32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
PartyName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")]


class PartyRole(StrEnum):
    """What a party may do; fixed at enrolment."""

    COORDINATOR = "coordinator"
    BANK = "bank"
    DATA_NODE = "data_node"
    CONSENT_SERVICE = "consent_service"
    AUDITOR = "auditor"
    ENTERPRISE = "enterprise"


@dataclass(frozen=True, slots=True)
class PartyKeys:
    """A party's secret keys. Never leaves its owner; `repr` shows the name alone.

    `earlier` are the keys that these have replaced, newest first, for as long as others may still use them.
    """

    party: PartyId
    signing: Ed25519PrivateKey = field(repr=False)
    sealing: X25519PrivateKey = field(repr=False)
    mask: X25519PrivateKey = field(repr=False)
    earlier: tuple[PartyKeys, ...] = field(default=(), repr=False)

    @classmethod
    def generate(cls, party: PartyId, randomness: Randomness) -> PartyKeys:
        """Draw three fresh keys, 32 bytes of `randomness` each."""
        return cls.from_bytes(party, randomness(96))

    @classmethod
    def from_bytes(cls, party: PartyId, secret: bytes) -> PartyKeys:
        """Restore the keys from the 96 bytes of `to_bytes`. Raises: ValueError on another length."""
        if len(secret) != 96:
            raise ValueError(f"party keys are 96 bytes, not {len(secret)}")
        return cls(
            party,
            Ed25519PrivateKey.from_private_bytes(secret[:32]),
            X25519PrivateKey.from_private_bytes(secret[32:64]),
            X25519PrivateKey.from_private_bytes(secret[64:]),
        )

    def to_bytes(self) -> bytes:
        """Return the 96 secret bytes of the present keys, for the owner's own key file."""
        keys = (self.signing, self.sealing, self.mask)
        return b"".join(key.private_bytes_raw() for key in keys)

    def masking(self, mask_key: bytes) -> PartyKeys | None:
        """Return the present or earlier keys to which a public mask key belongs, None if it is not this party's."""
        return next((k for k in (self, *self.earlier) if k.mask.public_key().public_bytes_raw() == mask_key), None)


class PartyCard(Message, frozen=True):
    """A party's public face. Reveals: public keys only."""

    party: PartyName
    role: PartyRole
    verify_key: Key32
    sealing_key: Key32
    mask_key: Key32
    paillier_key: bytes = b""
    paillier_proof: bytes = b""
    signature: bytes = b""

    def unsigned(self) -> bytes:
        """Return the bytes that the card's own signature covers."""
        return b"credit-federation/card/v1\0" + encode(
            PartyCard(
                self.party,
                self.role,
                self.verify_key,
                self.sealing_key,
                self.mask_key,
                self.paillier_key,
                self.paillier_proof,
            )
        )

    def fingerprint(self) -> str:
        """Return the name that two operators compare by voice: SHA-256 of the card, hexadecimal."""
        return hashlib.sha256(self.unsigned()).hexdigest()


def make_card(keys: PartyKeys, role: PartyRole, paillier_key: bytes = b"", paillier_proof: bytes = b"") -> PartyCard:
    """Return the signed card of the party that holds `keys`."""

    def card(signature: bytes) -> PartyCard:
        return PartyCard(
            keys.party,
            role,
            keys.signing.public_key().public_bytes_raw(),
            keys.sealing.public_key().public_bytes_raw(),
            keys.mask.public_key().public_bytes_raw(),
            paillier_key,
            paillier_proof,
            signature,
        )

    return card(keys.signing.sign(card(b"").unsigned()))


def verify_card(card: PartyCard) -> None:
    """Return if the card is signed by the key that it names, and its two agreement keys agree on secrets.

    A degenerate key would fix every secret agreed with it, and so open what is sealed to, or masked against, its owner.
    Raises: VerificationFailed.
    """
    verify(card, card.unsigned(), card.signature)
    for key in (card.sealing_key, card.mask_key):
        try:
            _PROBE.exchange(X25519PublicKey.from_public_bytes(key))
        except ValueError as error:
            raise VerificationFailed(f"an agreement key of {card.party} is degenerate", code="CARD_KEY") from error


def verify(card: PartyCard, data: bytes, signature: bytes) -> None:
    """Return if `signature` over `data` is that of the card's owner. Raises: VerificationFailed."""
    try:
        _verify_key(card.verify_key).verify(signature, data)
    except (InvalidSignature, ValueError) as error:
        raise VerificationFailed(f"signature of {card.party} does not hold") from error


def verify_any(cards: Sequence[PartyCard], data: bytes, signature: bytes) -> None:
    """Return if `signature` is that of the owner of one of a party's cards. Raises: VerificationFailed; ValueError."""
    *others, last = cards
    for card in others:
        with suppress(VerificationFailed):
            return verify(card, data, signature)
    return verify(last, data, signature)


def sealing_key(card: PartyCard) -> X25519PublicKey:
    """Return the key to which messages for this party are sealed."""
    return agreement_key(card.sealing_key)


@functools.lru_cache(maxsize=4096)
def agreement_key(raw: bytes) -> X25519PublicKey:
    """Return the public key that 32 bytes spell, read once. Raises: ValueError for another length."""
    return X25519PublicKey.from_public_bytes(raw)


@functools.lru_cache(maxsize=1024)
def _verify_key(raw: bytes) -> Ed25519PublicKey:
    """Return the public key that 32 bytes spell, read once. Raises: ValueError for another length."""
    return Ed25519PublicKey.from_public_bytes(raw)
