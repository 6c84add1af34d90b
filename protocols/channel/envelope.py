"""Envelopes: every message signed by its sender under the transcript of its run; the private ones sealed.

The coordinator relays envelopes. It can read who writes to whom, the kind and the size; it can read the body only of
broadcasts (ciphertexts under a key it does not hold). A sealed body opens for one receiver, in one run, for one kind.
Source: HPKE, RFC 9180, base mode; authenticity comes from the signature, which covers the sealed bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from msgspec import Meta

from protocols.channel.identity import (
    Key32,
    PartyCard,
    PartyId,
    PartyKeys,
    PartyName,
    Signature,
    sealing_key,
    verify_any,
)
from protocols.channel.wire import M, Message, decode, encode
from protocols.errors import PeerRefused, UnexpectedMessage, VerificationFailed

EVERYONE: Final = PartyId("_everyone")
_CONTEXT: Final = b"credit-federation/envelope/v1\0"
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class Envelope(Message, frozen=True):
    """One message on its way. Reveals to a relay: parties, kind, size, and the body if it is a broadcast.

    `policy` is the hash of the rules under which a data node lets it leave, in training; other messages have none, or
    say it in their bodies.
    """

    transcript: Key32
    sender: PartyName
    receiver: PartyName
    message: Annotated[str, Meta(max_length=64)]
    sealed: bool
    body: bytes
    signature: Signature
    policy: Key32 | None = None


def seal(data: bytes, receiver: X25519PublicKey, info: bytes) -> bytes:
    """Encrypt `data` so that only the holder of the receiver's key, naming the same `info`, opens it."""
    return _SUITE.encrypt(data, receiver, info=info)


def unseal(data: bytes, key: X25519PrivateKey, info: bytes) -> bytes:
    """Open what was sealed to `key` under `info`. Raises: VerificationFailed."""
    try:
        return _SUITE.decrypt(data, key, info=info)
    except (InvalidTag, ValueError) as error:
        raise VerificationFailed(f"a sealed message of {len(data)} bytes does not open") from error


def _header(transcript: bytes, sender: str, receiver: str, kind: str, sealed: bool) -> bytes:
    names = b"\0".join(name.encode() for name in (sender, receiver, kind))
    return _CONTEXT + transcript + names + (b"\0sealed" if sealed else b"\0open")


def _header_of(envelope: Envelope) -> bytes:
    return _header(envelope.transcript, envelope.sender, envelope.receiver, envelope.message, envelope.sealed)


def _signed_bytes(header: bytes, policy: bytes | None, body: bytes) -> bytes:
    return header + b"\0" + (policy or b"") + hashlib.sha256(body).digest()


def _named(envelope: Envelope, kind: type[M]) -> type[M]:
    """Return the kind if it is what the envelope names, sealed if it must be: a sender that leaks is not heard."""
    if envelope.message != kind.__name__:
        raise UnexpectedMessage(f"{envelope.message} where {kind.__name__} is awaited")
    if not envelope.sealed and not kind.OPEN:
        raise VerificationFailed(f"{envelope.message} from {envelope.sender} travelled unsealed", code="NOT_SEALED")
    return kind


@dataclass(frozen=True, slots=True)
class Channel:
    """One party's end of a run: signs and seals what it sends, verifies and opens what it receives.

    `signers` are all cards of a party whose signatures are accepted, where it has several; `policy` is named by
    everything that this end sends.
    """

    keys: PartyKeys = field(repr=False)
    cards: Mapping[PartyId, PartyCard] = field(repr=False)
    transcript: bytes
    signers: Mapping[PartyId, tuple[PartyCard, ...]] = field(default_factory=dict, repr=False)
    policy: bytes | None = None

    def wrap(self, receiver: PartyId, message: Message, *, sealed: bool = True) -> Envelope:
        """Return `message` signed, and sealed to `receiver` unless it is for everyone or marked as open.

        Reveals: an open message to the coordinator; so open bodies hold ciphertexts and public facts only.
        """
        kind = type(message).__name__
        sealed = sealed and receiver != EVERYONE
        header = _header(self.transcript, self.keys.party, receiver, kind, sealed)
        body = encode(message)
        if sealed:
            body = seal(body, sealing_key(self._card(receiver)), header)
        signature = self.keys.signing.sign(_signed_bytes(header, self.policy, body))
        return Envelope(self.transcript, self.keys.party, receiver, kind, sealed, body, signature, self.policy)

    def verify(self, envelope: Envelope) -> None:
        """Return if the envelope is its sender's, in this run. Raises: VerificationFailed, UnexpectedMessage."""
        if envelope.transcript != self.transcript:
            raise UnexpectedMessage(f"{envelope.message} from {envelope.sender} belongs to another run")
        signed, sender = _signed_bytes(_header_of(envelope), envelope.policy, envelope.body), PartyId(envelope.sender)
        card = self._card(sender)
        others = tuple(other for other in self.signers.get(sender, ()) if other is not card)
        verify_any((*others, card), signed, envelope.signature)

    def unwrap(self, envelope: Envelope, kind: type[M]) -> M:
        """Verify, open and decode an envelope of a known kind addressed to this party or to everyone.

        Raises: VerificationFailed, UnexpectedMessage, MalformedMessage.
        """
        if envelope.receiver not in (self.keys.party, EVERYONE):
            raise UnexpectedMessage(f"{envelope.message} from {envelope.sender} is for {envelope.receiver}")
        if not envelope.sealed:
            return self.read_open(envelope, kind)
        self.verify(envelope)
        return decode(self._unseal(envelope), _named(envelope, kind))

    def read_open(self, envelope: Envelope, kind: type[M]) -> M:
        """Verify and decode an open envelope, whoever it is for: what a relay may do.

        Raises: VerificationFailed, UnexpectedMessage, MalformedMessage.
        """
        self.verify(envelope)
        if envelope.sealed:
            raise UnexpectedMessage(f"{envelope.message} from {envelope.sender} is sealed")
        return decode(envelope.body, _named(envelope, kind))

    def _unseal(self, envelope: Envelope) -> bytes:
        header = _header_of(envelope)
        for keys in self.keys.earlier:
            with suppress(VerificationFailed):
                return unseal(envelope.body, keys.sealing, header)
        return unseal(envelope.body, self.keys.sealing, header)

    def _card(self, party: PartyId) -> PartyCard:
        card = self.cards.get(party)
        if card is None:
            raise VerificationFailed(f"no card of {party} is pinned")
        return card


class Parcel(Message, frozen=True):
    """What one transport message carries: the envelopes for, or from, one party; or the code of its refusal."""

    envelopes: tuple[Envelope, ...] = ()
    refusal: Annotated[str, Meta(max_length=64, pattern=r"^[A-Z_]*\Z")] = ""


def open_parcel(data: bytes) -> tuple[Envelope, ...]:
    """Decode a parcel. Raises: MalformedMessage; PeerRefused with the peer's code if it carries a refusal."""
    parcel = decode(data, Parcel)
    if parcel.refusal:
        raise PeerRefused("the peer refused", code=parcel.refusal)
    return parcel.envelopes


def pack_parcel(envelopes: tuple[Envelope, ...]) -> bytes:
    """Encode a parcel."""
    return encode(Parcel(envelopes))


def pack_refusal(code: str) -> bytes:
    """Encode a refusal: its stable code, and nothing of what led to it."""
    return encode(Parcel(refusal=code))
