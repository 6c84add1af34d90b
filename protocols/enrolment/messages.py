"""What an invited party and the coordinator say to each other before there is a stream, over TLS under a pinned key.

    coordinator → party   Challenge          a nonce, so that no answer to it can be used twice
    party → coordinator   EnrolmentRequest   with the token, once; and afterwards
                          EnrolmentPoll      what has become of it?
    coordinator → party   Pending | Granted | Refused

Request and poll are signed by the key of the party's card, over the nonce and the server's own key: what somebody in
the middle hears serves on no other connection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta

from protocols.channel.identity import (
    Key32,
    PartyCard,
    PartyId,
    PartyKeys,
    PartyName,
    PartyRole,
    Signature,
    verify,
    verify_any,
    verify_card,
)
from protocols.channel.wire import Message, digest
from protocols.enrolment.certificates import requested_key
from protocols.enrolment.comparison import comparison
from protocols.enrolment.roster import OtherKeys, SignedRoster, verify_other_keys
from protocols.enrolment.token import SECRET_BYTES
from protocols.errors import VerificationFailed

MAX_ENROLMENT_BYTES: Final = 1 << 18
MAX_ANSWER_BYTES: Final = 1 << 26
_REQUEST: Final = b"credit-federation/enrolment-request/v1\0"
_POLL: Final = b"credit-federation/enrolment-poll/v1\0"

Code = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Z_]+\Z")]


class Challenge(Message, frozen=True):
    """The first word of the enrolment service on every connection. Reveals: the coordinator's public card."""

    nonce: Key32
    coordinator: PartyCard


class Application(Message, frozen=True):
    """What a party asks for: to be known by this card, with a certificate for the TLS key of `csr`."""

    card: PartyCard
    csr: Annotated[bytes, Meta(max_length=4096)]
    keys: OtherKeys

    def fingerprint(self, coordinator: PartyCard) -> str:
        """Return the digits that both operators compare: over every key of the party, and the coordinator's."""
        return comparison(bytes.fromhex(coordinator.fingerprint()), digest(self))


class EnrolmentRequest(Message, frozen=True):
    """An application, with the token's secret and proof that the card's key is held."""

    secret: Annotated[bytes, Meta(min_length=SECRET_BYTES, max_length=SECRET_BYTES)]
    application: Application
    signature: Signature


class EnrolmentPoll(Message, frozen=True):
    """The question what has become of an application, by the one who made it; once enrolled, for a certificate.

    So a party whose certificate has expired, for it was away for long, comes back.
    """

    party: PartyName
    csr: Annotated[bytes, Meta(max_length=4096)]
    signature: Signature


class Pending(Message, frozen=True):
    """An operator has not yet decided."""


class Granted(Message, frozen=True):
    """The party is enrolled: its certificate, the authority that all streams rest on, everybody's cards.

    `port` is the one of the coordinator's host that its stream dials.
    """

    certificate: bytes
    authority: bytes
    roster: SignedRoster
    port: Annotated[int, Meta(ge=1, lt=1 << 16)]


class Refused(Message, frozen=True):
    """It is not, and why."""

    code: Code


Asked = EnrolmentRequest | EnrolmentPoll
Answered = Pending | Granted | Refused


def make_request(
    keys: PartyKeys, secret: bytes, application: Application, nonce: bytes, server: bytes
) -> EnrolmentRequest:
    """Return a signed request, for this connection alone; `server` is the digest of the key that the server showed."""
    signed = _signed(_REQUEST, nonce, server, digest(application) + hashlib.sha256(secret).digest())
    return EnrolmentRequest(secret, application, keys.signing.sign(signed))


def make_poll(keys: PartyKeys, csr: bytes, nonce: bytes, server: bytes) -> EnrolmentPoll:
    """Return a signed poll, for this connection alone."""
    told = keys.party.encode() + hashlib.sha256(csr).digest()
    return EnrolmentPoll(keys.party, csr, keys.signing.sign(_signed(_POLL, nonce, server, told)))


def verify_request(request: EnrolmentRequest, nonce: bytes, server: bytes, party: PartyId, role: PartyRole) -> None:
    """Return if a request is signed for this connection, and every key of it belongs to `party` in this `role`.

    The Paillier key's proof is verified apart, once all this holds, for it takes a second.
    Raises: MalformedMessage; VerificationFailed, codes WRONG_PARTY, CSR_NAME, CSR_KEY.
    """
    asked = request.application
    if asked.card.party != party or asked.card.role is not role or asked.keys.party != party:
        raise VerificationFailed("the application is for another party or role than invited", code="WRONG_PARTY")
    verify_card(asked.card)
    told = digest(asked) + hashlib.sha256(request.secret).digest()
    verify(asked.card, _signed(_REQUEST, nonce, server, told), request.signature)
    verify_other_keys(asked.keys, (asked.card,))
    requested_key(asked.csr, party)


def verify_poll(poll: EnrolmentPoll, cards: Sequence[PartyCard], nonce: bytes, server: bytes) -> None:
    """Return if a poll is signed under one of a party's cards, for this connection. Raises: VerificationFailed."""
    told = _signed(_POLL, nonce, server, poll.party.encode() + hashlib.sha256(poll.csr).digest())
    verify_any(cards, told, poll.signature)


def _signed(context: bytes, nonce: bytes, server: bytes, told: bytes) -> bytes:
    return context + nonce + server + told
