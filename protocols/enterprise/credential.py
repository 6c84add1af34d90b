"""The credential: an accredited consent service's word that a key is an enterprise's.

It is one text of two signed tokens, `TOKEN~SLIP`, as a consent is. The token is for the data nodes, sealed, and names
the enterprise; the slip is for the coordinator, names no enterprise, and says that some enterprise stands behind the
key. Both are bound to the fingerprint of the enterprise's card, and are withdrawn by the same lists as consents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from protocols.channel.identity import PartyCard, PartyId, PartyKeys, PartyRole, Randomness, make_card, verify_card
from protocols.consent import Issuers, consent_handle, join_consent
from protocols.consent import claims as read
from protocols.consent.issuers import Claims, SigningKey, sign
from protocols.errors import PolicyDenied, VerificationFailed

KIND: Final = "enterprise-key+jwt"
SLIP_KIND: Final = "enterprise-key-slip+jwt"
INVALID: Final = "CREDENTIAL_INVALID"
_REQUIRED: Final = ("sub", "cnf", "nbf", "exp", "jti")
_SLIP_REQUIRED: Final = ("cnf", "nbf", "exp", "handle")
_NAME_DIGITS: Final = 32
_NAME: Final = "enterprise-"


@dataclass(frozen=True, slots=True)
class Credential:
    """That the card with fingerprint `card` is the enterprise `subject`'s. Units: seconds since 1970, UTC."""

    subject: str
    card: str
    not_before: int
    expires: int
    token_id: str
    issuer: str = ""


def draw_keys(randomness: Randomness) -> PartyKeys:
    """Return fresh keys of an enterprise, under the pseudonym that they give it."""
    secret = randomness(96)
    return restore_keys(secret)


def restore_keys(secret: bytes) -> PartyKeys:
    """Return the keys of 96 secret bytes, under their pseudonym. Raises: ValueError on another length."""
    unnamed = PartyKeys.from_bytes(PartyId(_NAME), secret)
    name = pseudonym(unnamed.signing.public_key().public_bytes_raw())
    return PartyKeys(name, unnamed.signing, unnamed.sealing, unnamed.mask)


def pseudonym(verify_key: bytes) -> PartyId:
    """Return the name of an enterprise's key, which names no enterprise."""
    return PartyId(_NAME + hashlib.sha256(verify_key).hexdigest()[:_NAME_DIGITS])


def is_pseudonym(name: str) -> bool:
    """Tell whether a name is of the form of an enterprise's key's, and so one of as many as there are enterprises."""
    digits = name.removeprefix(_NAME)
    return name != digits and len(digits) == _NAME_DIGITS and set(digits) <= set("0123456789abcdef")


def make_enterprise_card(keys: PartyKeys) -> PartyCard:
    """Return the signed card of an enterprise's keys."""
    return make_card(keys, PartyRole.ENTERPRISE)


def check_card(card: PartyCard, pinned: Mapping[PartyId, PartyCard]) -> PartyId:
    """Return the pseudonym of a card that an enterprise shows, if it is an enterprise's and takes nobody's name.

    Raises: VerificationFailed.
    """
    verify_card(card)
    party = PartyId(card.party)
    if card.role is not PartyRole.ENTERPRISE or party != pseudonym(card.verify_key) or party in pinned:
        raise VerificationFailed("not the card of an enterprise under its own pseudonym", code="CARD_KEY")
    return party


def issue_credential(credential: Credential, issuer: str, key: SigningKey) -> str:
    """Return the signed credential, token and slip. Reveals: the enterprise, to whoever reads the token."""
    shared = {"iss": issuer, "cnf": {"kid": credential.card}, "nbf": credential.not_before, "exp": credential.expires}
    token = sign({**shared, "sub": credential.subject, "jti": credential.token_id}, KIND, key)
    handle = read.spell(consent_handle(issuer, credential.token_id))
    return join_consent(token, sign({**shared, "handle": handle}, SLIP_KIND, key))


def verify_credential(token: str, issuers: Issuers, subject: str, card: str, now: int) -> Credential:
    """Return the credential if it says, now, that this card is this enterprise's; revocation is the caller's to check.

    Raises: PolicyDenied, codes CREDENTIAL_INVALID, CREDENTIAL_EXPIRED, CREDENTIAL_KEY, CREDENTIAL_SUBJECT.
    """
    issuer, claims = _open(token, issuers, KIND, _REQUIRED)
    try:
        times = read.integer(claims["nbf"]), read.integer(claims["exp"])
        found = Credential(read.text(claims["sub"]), _card(claims), *times, read.text(claims["jti"]), issuer)
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyDenied("the claims are not those of a credential", code=INVALID) from error
    _check(found.card, found.not_before, found.expires, card, now)
    if found.subject != subject:
        raise PolicyDenied("the credential is another enterprise's", code="CREDENTIAL_SUBJECT")
    return found


@dataclass(frozen=True, slots=True)
class KeySlip:
    """What a verified slip of a credential says: who vouches, and the name under which it is withdrawn."""

    issuer: str
    handle: bytes


def verify_key_slip(slip: str, issuers: Issuers, card: str, now: int) -> KeySlip:
    """Return what a slip shows if it says, now, that some enterprise stands behind this card.

    Raises: PolicyDenied, codes CREDENTIAL_INVALID, CREDENTIAL_EXPIRED, CREDENTIAL_KEY.
    """
    issuer, claims = _open(slip, issuers, SLIP_KIND, _SLIP_REQUIRED)
    try:
        times = read.integer(claims["nbf"]), read.integer(claims["exp"])
        named, handle = _card(claims), read.handle(claims["handle"])
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyDenied("the claims are not those of a slip", code=INVALID) from error
    _check(named, *times, card, now)
    return KeySlip(issuer, handle)


def _open(token: str, issuers: Issuers, kind: str, required: tuple[str, ...]) -> tuple[str, Claims]:
    try:
        issuer = issuers.of(token)
        return issuer.name, issuer.open(token, kind, required)
    except PolicyDenied as error:
        raise PolicyDenied(str(error), code=INVALID) from error


def _card(claims: Claims) -> str:
    return read.text(read.member(claims["cnf"], "kid"))


def _check(named: str, not_before: int, expires: int, card: str, now: int) -> None:
    if not not_before <= now < expires:
        raise PolicyDenied("the credential does not hold at this time", code="CREDENTIAL_EXPIRED")
    if named != card:
        raise PolicyDenied("the credential is bound to another key", code="CREDENTIAL_KEY")
