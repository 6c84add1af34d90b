"""Whose word counts: accredited issuers, each pinned to one public key, and with it to one algorithm.

The key decides the algorithm, never the token: an Ed25519 key verifies EdDSA alone, a P-256 key ES256 alone. So `alg:
none`, and a public key taken for an HMAC secret, are refused before the body is read.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from protocols.channel.identity import PartyCard
from protocols.errors import PolicyDenied

SigningKey = Ed25519PrivateKey | EllipticCurvePrivateKey
VerifyKey = Ed25519PublicKey | EllipticCurvePublicKey
Claims = dict[str, Any]  # as JSON gives them: every reader checks each claim that it uses

_UNCHECKED: Final[jwt.types.Options] = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_sub": False,
    "verify_jti": False,
}
"""What callers check themselves, against the times and names of their own question."""


@dataclass(frozen=True, slots=True)
class ConsentIssuer:
    """One accredited issuer under its pinned key. Raises: ValueError for a curve other than P-256."""

    name: str
    key: VerifyKey = field(repr=False)

    def __post_init__(self) -> None:
        algorithm_of(self.key)

    def open(self, token: str, kind: str, required: tuple[str, ...]) -> Claims:
        """Return the claims of a token of this kind that this issuer has signed.

        Raises: PolicyDenied, code CONSENT_INVALID, for any other text.
        """
        options: jwt.types.Options = {**_UNCHECKED, "require": ["iss", *required]}
        try:
            decoded = jwt.decode_complete(
                token, self.key, algorithms=[algorithm_of(self.key)], issuer=self.name, options=options
            )
        except (jwt.InvalidTokenError, TypeError, ValueError, RecursionError, OverflowError) as error:
            raise PolicyDenied(f"not a valid {kind}", code="CONSENT_INVALID") from error
        if decoded["header"].get("typ") != kind:
            raise PolicyDenied(f"signed, but not as a {kind}", code="CONSENT_INVALID")
        claims: Claims = decoded["payload"]
        return claims


class Issuers:
    """The issuers that a party accepts, by name."""

    def __init__(self, issuers: Iterable[ConsentIssuer]) -> None:
        """Raises: ValueError if two have one name."""
        accepted = list(issuers)
        self._by_name = {issuer.name: issuer for issuer in accepted}
        if len(self._by_name) != len(accepted):
            raise ValueError("two consent issuers have one name")

    def of(self, token: str) -> ConsentIssuer:
        """Return the issuer that a token names, unverified. Raises: PolicyDenied, code CONSENT_INVALID."""
        issuer = self._by_name.get(_claimed_issuer(token))
        if issuer is None:
            raise PolicyDenied("the token's issuer is not accredited here", code="CONSENT_INVALID")
        return issuer

    def __len__(self) -> int:
        return len(self._by_name)


def unverified_claims(token: str) -> Claims:
    """Return what a token says, whoever wrote it. Raises: PolicyDenied, code CONSENT_INVALID, if it is no token."""
    try:
        _, payload, _ = token.split(".")
        claims: Claims = _payload.decode(base64.urlsafe_b64decode(payload + "=="))
    except (ValueError, RecursionError) as error:  # binascii's, msgspec's and Unicode's are ValueErrors
        raise PolicyDenied("not a signed token", code="CONSENT_INVALID") from error
    return claims


class _Issued(msgspec.Struct, frozen=True):
    """The one claim that says whose key a token is to be verified with."""

    iss: str


_issued: Final = msgspec.json.Decoder(_Issued)
_payload: Final = msgspec.json.Decoder(dict[str, Any])


def _claimed_issuer(token: str) -> str:
    """Return whom a token names as its issuer, unverified: `open` holds it against the signature.

    Raises: PolicyDenied, code CONSENT_INVALID.
    """
    try:
        _, payload, _ = token.split(".")
        return _issued.decode(base64.urlsafe_b64decode(payload + "==")).iss
    except (ValueError, RecursionError) as error:  # binascii's, msgspec's and Unicode's are ValueErrors
        raise PolicyDenied("not a signed token", code="CONSENT_INVALID") from error


def issuer_of_card(card: PartyCard) -> ConsentIssuer:
    """Return the consent service whose card is pinned, as an issuer."""
    return ConsentIssuer(card.party, Ed25519PublicKey.from_public_bytes(card.verify_key))


def parse_issuer(name: str, pem: bytes) -> ConsentIssuer:
    """Return the issuer whose public key a PEM file holds. Raises: ValueError for any other content."""
    try:
        key = load_pem_public_key(pem)
    except UnsupportedAlgorithm as error:
        raise ValueError(f"{name}: a key of an unknown kind") from error
    if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey):
        raise ValueError(f"{name}: neither an Ed25519 nor a P-256 public key")
    return ConsentIssuer(name, key)


def algorithm_of(key: SigningKey | VerifyKey) -> str:
    """Return the one algorithm of a key. Raises: ValueError for a curve other than P-256."""
    if isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
        return "EdDSA"
    if isinstance(key.curve, SECP256R1):
        return "ES256"
    raise ValueError(f"{key.curve.name}: consents are signed with Ed25519 or P-256")


def sign(claims: Claims, kind: str, key: SigningKey) -> str:
    """Return the signed token of `claims`."""
    return jwt.encode(claims, key, algorithm=algorithm_of(key), headers={"typ": kind})
