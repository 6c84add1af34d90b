"""The consent token: what an enterprise allows one bank, under that bank's key. It travels sealed to nodes alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from protocols.consent import claims as read
from protocols.consent.issuers import Claims, Issuers, SigningKey, sign, unverified_claims
from protocols.errors import PolicyDenied

KIND: Final = "consent+jwt"
REQUIRED: Final = ("sub", "aud", "cnf", "purposes", "domains", "uses", "iat", "nbf", "exp", "jti")
MIN_TOKEN_ID: Final = 16
RECORD_KEY_BYTES: Final = 32


class Purpose(StrEnum):
    """What a consent allows, and a query states."""

    TRAINING = "training"
    ASSESSMENT = "assessment"
    MONITORING = "monitoring"


QUESTIONS: Final = (Purpose.ASSESSMENT, Purpose.MONITORING)
"""What single enterprises are asked about for: once, for a loan, or again and again while it runs."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What an enterprise allowed: `bank`, under the card with fingerprint `bank_card`, and no other.

    `record_key` is the enterprise's own X25519 public key, to which what the log says of it is sealed, or b"".
    `uses` bounds how many questions it serves, counted by every node for itself; `token_id` is random, at least 16
    characters, and names the consent to those who have seen it. Units: times in whole seconds since 1970, UTC.
    """

    subject: str
    bank: str
    bank_card: str
    purposes: tuple[Purpose, ...]
    domains: tuple[str, ...]
    uses: int
    issued: int
    not_before: int
    expires: int
    token_id: str
    issuer: str = ""
    record_key: bytes = b""

    def __post_init__(self) -> None:
        if len(self.token_id) < MIN_TOKEN_ID or self.uses < 1 or self.not_before >= self.expires:
            raise ValueError("a consent has a long random id, at least one use, and a time in which it holds")
        if len(self.record_key) not in (0, RECORD_KEY_BYTES):
            raise ValueError(f"a record key has {RECORD_KEY_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class ConsentDemand:
    """What a question needs its consent to allow; `earlier` names further cards of the bank: those it has replaced."""

    subject: str
    bank: str
    bank_card: str
    purpose: Purpose
    domain: str
    earlier: frozenset[str] = frozenset()


def cohort_subject(ids: Sequence[str]) -> str:
    """Return the subject of a consent that covers this ordered list of enterprises, and no other."""
    hasher = hashlib.sha256()
    for identifier in ids:
        raw = identifier.encode()
        hasher.update(len(raw).to_bytes(4) + raw)
    return f"cohort-sha256:{hasher.hexdigest()}"


def issue_consent(consent: Consent, issuer: str, key: SigningKey) -> str:
    """Return the signed token of `consent`. Reveals: all of it, to whoever reads the token; so it travels sealed."""
    claims: Claims = {
        "iss": issuer,
        "sub": consent.subject,
        "aud": consent.bank,
        "cnf": {"kid": consent.bank_card},
        "purposes": [purpose.value for purpose in consent.purposes],
        "domains": list(consent.domains),
        "uses": consent.uses,
        "iat": consent.issued,
        "nbf": consent.not_before,
        "exp": consent.expires,
        "jti": consent.token_id,
    }
    if consent.record_key:
        claims["rec"] = read.spell(consent.record_key)
    return sign(claims, KIND, key)


def verify_consent(token: str, issuers: Issuers, demand: ConsentDemand, now: int) -> Consent:
    """Return the consent if it allows what is demanded at `now`; uses and revocation are the caller's to check.

    Raises: PolicyDenied with a code of its own for each way to fail: CONSENT_MISSING, CONSENT_INVALID,
    CONSENT_EXPIRED, CONSENT_NOT_YET_VALID, CONSENT_SCOPE, CONSENT_KEY.
    """
    if not token:
        raise PolicyDenied("no consent was given", code="CONSENT_MISSING")
    issuer = issuers.of(token)
    consent = _read(issuer.open(token, KIND, REQUIRED))
    check_time(consent.not_before, consent.expires, now)
    if (consent.subject, consent.bank) != (demand.subject, demand.bank) or demand.purpose not in consent.purposes:
        raise PolicyDenied("the consent is for another subject, bank or purpose", code="CONSENT_SCOPE")
    if demand.domain not in consent.domains:
        raise PolicyDenied(f"the consent does not cover {demand.domain}", code="CONSENT_SCOPE")
    if consent.bank_card != demand.bank_card and consent.bank_card not in demand.earlier:
        raise PolicyDenied("the consent is bound to another key of the bank", code="CONSENT_KEY")
    return consent


def unverified_subject(token: str) -> str:
    """Return whom a token is about, by its own word alone, to ask `verify_consent` about it. Raises: PolicyDenied."""
    try:
        return read.text(unverified_claims(token)["sub"])
    except (KeyError, TypeError) as error:
        raise read.malformed("consent") from error


def unverified_record_key(token: str) -> bytes:
    """Return the record key that a token names, by its own word alone; b"" if it names none or is no token."""
    try:
        return _record_key(unverified_claims(token)) if token else b""
    except (PolicyDenied, TypeError, ValueError):
        return b""


def record_key_of(token: str, issuers: Issuers, subject: str) -> bytes:
    """Return the record key that an accredited issuer gives an enterprise, though the consent may not hold; or b""."""
    try:
        claims = issuers.of(token).open(token, KIND, REQUIRED) if token else {}
        return _record_key(claims) if claims.get("sub") == subject else b""
    except (PolicyDenied, TypeError, ValueError):
        return b""


def check_time(not_before: int, expires: int, now: int) -> None:
    """Return if a consent holds at `now`. Raises: PolicyDenied, CONSENT_NOT_YET_VALID or CONSENT_EXPIRED."""
    if now < not_before:
        raise PolicyDenied("the consent does not hold yet", code="CONSENT_NOT_YET_VALID")
    if now >= expires:
        raise PolicyDenied("the consent holds no longer", code="CONSENT_EXPIRED")


def read_purposes(claims: Claims) -> tuple[Purpose, ...]:
    """Return the purposes that claims list. Raises: KeyError, TypeError, ValueError."""
    return tuple(Purpose(purpose) for purpose in read.texts(claims["purposes"]))


def read_confirmation(claims: Claims) -> str:
    """Return the fingerprint of the card to which claims are bound. Raises: KeyError, TypeError."""
    return read.text(read.member(claims["cnf"], "kid"))


def _record_key(claims: Claims) -> bytes:
    """Return the record key of claims, b"" if they have none. Raises: TypeError, ValueError."""
    return read.handle(claims["rec"]) if "rec" in claims else b""


def _read(claims: Claims) -> Consent:
    """Return claims as a consent, every claim of its own type. Raises: PolicyDenied, code CONSENT_INVALID."""
    try:
        return Consent(
            read.text(claims["sub"]),
            read.text(claims["aud"]),
            read_confirmation(claims),
            read_purposes(claims),
            read.texts(claims["domains"]),
            read.integer(claims["uses"]),
            read.integer(claims["iat"]),
            read.integer(claims["nbf"]),
            read.integer(claims["exp"]),
            read.text(claims["jti"]),
            read.text(claims["iss"]),
            _record_key(claims),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise read.malformed("consent") from error
