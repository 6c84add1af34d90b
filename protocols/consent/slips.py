"""The consent slip: what the coordinator may see of a consent, under the issuer's signature.

A slip says that a consent exists for this bank, for which purposes and until when, and names it by a *handle*: a hash
of the consent's random id. It holds no enterprise, no domain, nothing to guess one from; what it adds to what the
coordinator sees anyway is which questions were asked under one consent. The bank shows the slip openly in its query;
the nodes check that it belongs to the consent that they open.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import msgspec

from protocols.consent import claims as read
from protocols.consent.issuers import Issuers, SigningKey, sign
from protocols.consent.tokens import Consent, Purpose, check_time, read_confirmation, read_purposes
from protocols.errors import PolicyDenied

KIND: Final = "consent-slip+jwt"
REQUIRED: Final = ("aud", "cnf", "purposes", "nbf", "exp", "handle")
_JOINT: Final = "~"


_SCOPE: Final = b"credit-federation/consent-scope/v1\0"


@dataclass(frozen=True, slots=True)
class Slip:
    """What a verified slip says; `scope` is a digest of what it is good for. Units: seconds since 1970."""

    issuer: str
    handle: bytes
    scope: bytes
    not_before: int
    expires: int


def slip_scope(bank: str, bank_card: str, purposes: Collection[Purpose]) -> bytes:
    """Return the digest of what a slip is good for, 32 bytes. Reveals: that, to who guesses it; no enterprise."""
    return hashlib.sha256(_SCOPE + msgspec.msgpack.encode((bank, bank_card, sorted(purposes)))).digest()


def consent_handle(issuer: str, token_id: str) -> bytes:
    """Return the name under which a consent is revoked, 32 bytes. Reveals: nothing to who does not know the id."""
    name = issuer.encode()
    head = b"credit-federation/consent-handle/v1\0" + len(name).to_bytes(4)
    return hashlib.sha256(head + name + token_id.encode()).digest()


def issue_slip(consent: Consent, issuer: str, key: SigningKey) -> str:
    """Return the signed slip of a consent. Reveals: bank, purposes, time and handle, to the coordinator and the log."""
    claims = {
        "iss": issuer,
        "aud": consent.bank,
        "cnf": {"kid": consent.bank_card},
        "purposes": [purpose.value for purpose in consent.purposes],
        "nbf": consent.not_before,
        "exp": consent.expires,
        "handle": read.spell(consent_handle(issuer, consent.token_id)),
    }
    return sign(claims, KIND, key)


def verify_slip(
    slip: str,
    issuers: Issuers,
    bank: str,
    bank_card: str,
    purpose: Purpose,
    now: int,
    earlier: Collection[str] = (),
) -> Slip:
    """Return the slip if it shows a consent of this bank, under this or an earlier card, for this purpose and time.

    Raises: PolicyDenied, codes CONSENT_MISSING, CONSENT_INVALID, CONSENT_EXPIRED, CONSENT_NOT_YET_VALID,
    CONSENT_SCOPE, CONSENT_KEY.
    """
    if not slip:
        raise PolicyDenied("no consent was shown", code="CONSENT_MISSING")
    issuer = issuers.of(slip)
    claims = issuer.open(slip, KIND, REQUIRED)
    try:
        shown = (read.text(claims["aud"]), read_confirmation(claims), read_purposes(claims))
        times = read.integer(claims["nbf"]), read.integer(claims["exp"])
        handle = read.handle(claims["handle"])
    except (KeyError, TypeError, ValueError) as error:
        raise read.malformed("slip") from error
    check_time(*times, now)
    if shown[0] != bank or purpose not in shown[2]:
        raise PolicyDenied("the slip is for another bank or purpose", code="CONSENT_SCOPE")
    if shown[1] != bank_card and shown[1] not in earlier:
        raise PolicyDenied("the slip is bound to another key of the bank", code="CONSENT_KEY")
    return Slip(issuer.name, handle, slip_scope(*shown), *times)


class _Name(msgspec.Struct, frozen=True):
    """The claims that name a consent."""

    iss: str
    handle: str


_name: Final = msgspec.json.Decoder(_Name)


def unverified_name(slip: str) -> tuple[str, bytes]:
    """Return issuer and handle that a slip names by its own word alone, ("", b"") if it names none."""
    try:
        _, payload, _ = slip.split(".")
        name = _name.decode(base64.urlsafe_b64decode(payload + "=="))
        return name.iss, read.handle(name.handle)
    except (TypeError, ValueError, RecursionError):  # binascii's, msgspec's and Unicode's are ValueErrors
        return "", b""


def unverified_handle(slip: str) -> bytes:
    """Return the handle that a slip names by its own word alone, b"" if it names none: for who shows it to others."""
    return unverified_name(slip)[1]


def join_consent(token: str, slip: str) -> str:
    """Return token and slip as the one text that a bank receives."""
    return f"{token}{_JOINT}{slip}"


def split_consent(text: str) -> tuple[str, str]:
    """Return the token, for the nodes, and the slip, for the coordinator; either is "" if it is not there."""
    token, _, slip = text.partition(_JOINT)
    return token, slip
