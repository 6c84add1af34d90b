"""Consent: the enterprise's word, or that of an accredited service for it, without which no node answers.

A JWT signed with Ed25519 by a consent service whose card the nodes pin. It names the subject (one enterprise, or the
digest of a whole training cohort), the bank, the purpose, the domains and the time it holds; it is good for that bank
alone. Only `EdDSA` is accepted, `alg: none` and every other algorithm are refused before the body is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocols.channel.identity import PartyCard, PartyKeys
from protocols.errors import PolicyDenied

ISSUER_CLAIM = "iss"


class Purpose(StrEnum):
    """What a consent allows, and a query states."""

    TRAINING = "training"
    ASSESSMENT = "assessment"


@dataclass(frozen=True, slots=True)
class Consent:
    """What an enterprise allowed. Units: times in whole seconds since 1970, UTC."""

    subject: str
    bank: str
    purpose: Purpose
    domains: tuple[str, ...]
    not_before: int
    expires: int
    token_id: str


def cohort_subject(ids: Sequence[str]) -> str:
    """Return the subject of a consent that covers this ordered list of enterprises, and no other."""
    hasher = hashlib.sha256()
    for identifier in ids:
        raw = identifier.encode()
        hasher.update(len(raw).to_bytes(4) + raw)
    return f"cohort-sha256:{hasher.hexdigest()}"


def issue_consent(consent: Consent, service: PartyKeys) -> str:
    """Return the signed token of `consent`. Reveals: all of it, to whoever reads the token; so it travels sealed."""
    claims = {
        "iss": service.party,
        "sub": consent.subject,
        "aud": consent.bank,
        "purpose": consent.purpose.value,
        "domains": list(consent.domains),
        "nbf": consent.not_before,
        "exp": consent.expires,
        "jti": consent.token_id,
    }
    return jwt.encode(claims, service.signing, algorithm="EdDSA")


def verify_consent(
    token: str, service: PartyCard, *, subject: str, bank: str, purpose: Purpose, domain: str, now: int
) -> Consent:
    """Return the consent if it allows `bank` to use `subject`'s `domain` for `purpose` at `now`, or raise.

    Raises: PolicyDenied with a code of its own for each way to fail: CONSENT_MISSING, CONSENT_INVALID,
    CONSENT_EXPIRED, CONSENT_SCOPE.
    """
    if not token:
        raise PolicyDenied("no consent was given", code="CONSENT_MISSING")
    consent = _decode(token, service)
    if not consent.not_before <= now < consent.expires:
        raise PolicyDenied("the consent does not hold at this time", code="CONSENT_EXPIRED")
    if (consent.subject, consent.bank, consent.purpose) != (subject, bank, purpose):
        raise PolicyDenied("the consent is for another subject, bank or purpose", code="CONSENT_SCOPE")
    if domain not in consent.domains:
        raise PolicyDenied(f"the consent does not cover {domain}", code="CONSENT_SCOPE")
    return consent


def _decode(token: str, service: PartyCard) -> Consent:
    """Verify signature and form; whether it applies is the caller's question."""
    required = ["iss", "sub", "aud", "purpose", "domains", "nbf", "exp", "jti"]
    options: jwt.types.Options = {
        "require": required,
        "verify_exp": False,
        "verify_nbf": False,
        "verify_aud": False,
        "verify_iat": False,
    }
    key = Ed25519PublicKey.from_public_bytes(service.verify_key)
    try:
        claims = jwt.decode(token, key, algorithms=["EdDSA"], issuer=service.party, options=options)
        domains = claims["domains"]
        if not isinstance(domains, list) or not all(isinstance(domain, str) for domain in domains):
            raise TypeError("domains")
        return Consent(
            str(claims["sub"]),
            str(claims["aud"]),
            Purpose(claims["purpose"]),
            tuple(domains),
            int(claims["nbf"]),
            int(claims["exp"]),
            str(claims["jti"]),
        )
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, RecursionError, OverflowError) as error:
        raise PolicyDenied("the consent token is not valid", code="CONSENT_INVALID") from error
