"""Revocation: a signed list of handles that lives for a minute, so that who has none that is fresh denies.

An issuer signs a new list before the last one ends, with a higher number. A revocation is therefore in force one minute
after it was made at the latest, wherever the list comes from: its signature is what counts, and its age.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from protocols.consent import claims as read
from protocols.consent.issuers import ConsentIssuer, Issuers, SigningKey, sign
from protocols.errors import PolicyDenied

KIND: Final = "consent-revocations+jwt"
REQUIRED: Final = ("seq", "iat", "exp", "revoked")
LIST_SECONDS: Final = 60
"""How long a list may hold: how long, at most, a revoked consent still serves."""

CLOCK_SKEW: Final = 10
"""How far into the future a list may be dated: clocks differ."""


@dataclass(frozen=True, slots=True)
class RevocationList:
    """One list. Units: `issued` and `next_update` in seconds since 1970. Reveals: how many consents are revoked."""

    issuer: str
    sequence: int
    issued: int
    next_update: int
    revoked: frozenset[bytes] = field(repr=False)


def sign_revocations(revocations: RevocationList, key: SigningKey) -> str:
    """Return the signed list."""
    claims = {
        "iss": revocations.issuer,
        "seq": revocations.sequence,
        "iat": revocations.issued,
        "exp": revocations.next_update,
        "revoked": [read.spell(handle) for handle in sorted(revocations.revoked)],
    }
    return sign(claims, KIND, key)


def verify_revocations(token: str, issuer: ConsentIssuer) -> RevocationList:
    """Return the list that an issuer has signed. Raises: PolicyDenied, code CONSENT_LIST_INVALID."""
    try:
        claims = issuer.open(token, KIND, REQUIRED)
        revoked = frozenset(read.handle(handle) for handle in read.texts(claims["revoked"]))
        sequence, issued, ends = (read.integer(claims[name]) for name in ("seq", "iat", "exp"))
    except PolicyDenied as error:
        raise PolicyDenied(str(error), code="CONSENT_LIST_INVALID") from error
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyDenied("not a list of revocations", code="CONSENT_LIST_INVALID") from error
    found = RevocationList(issuer.name, sequence, issued, ends, revoked)
    if not found.issued < found.next_update <= found.issued + LIST_SECONDS:
        raise PolicyDenied(f"a list holds for at most {LIST_SECONDS} seconds", code="CONSENT_LIST_INVALID")
    return found


class RevocationView:
    """What one party knows of revocations: the latest list of each issuer, and no older one ever again."""

    def __init__(self, issuers: Issuers, known: Iterable[RevocationList] = ()) -> None:
        """Start from the lists that the party had accepted before."""
        self._issuers = issuers
        self._latest = {revocations.issuer: revocations for revocations in known}
        self._seen: dict[str, str] = {}

    @property
    def latest(self) -> tuple[RevocationList, ...]:
        """The newest list of each issuer."""
        return tuple(self._latest.values())

    def signed(self, issuer: str) -> str:
        """Return the newest list of an issuer as it was signed, "" if this view has taken none itself."""
        return self._seen.get(issuer, "")

    def take(self, token: str) -> RevocationList | None:
        """Take a list, whoever has passed it on; return it if it is news.

        Raises: PolicyDenied, codes CONSENT_LIST_INVALID, CONSENT_LIST_ROLLBACK.
        """
        if token in self._seen.values():
            return None
        try:
            issuer = self._issuers.of(token)
        except PolicyDenied as error:
            raise PolicyDenied(str(error), code="CONSENT_LIST_INVALID") from error
        found, latest = verify_revocations(token, issuer), self._latest.get(issuer.name)
        if latest is not None and found.sequence <= latest.sequence:
            if found == latest:
                return None
            raise PolicyDenied(
                f"list {found.sequence} is not newer than list {latest.sequence}", code="CONSENT_LIST_ROLLBACK"
            )
        self._latest[issuer.name], self._seen[issuer.name] = found, token
        return found

    def check(self, issuer: str, handle: bytes, now: int) -> None:
        """Return if a consent stands at `now`, by a list that is fresh.

        Raises: PolicyDenied, codes CONSENT_LIST_STALE, CONSENT_REVOKED.
        """
        latest = self._latest.get(issuer)
        if latest is None or not latest.issued - CLOCK_SKEW <= now < latest.next_update:
            raise PolicyDenied("no fresh list of revocations is at hand", code="CONSENT_LIST_STALE")
        if handle in latest.revoked:
            raise PolicyDenied("the consent was revoked", code="CONSENT_REVOKED")
