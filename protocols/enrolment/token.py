"""An invitation's token: a secret good once, and the fingerprint of the key that the right coordinator shows.

    cfed1.NAME.SECRET.FINGERPRINT      base64url without padding: 16 random bytes; SHA-256 of the server's public key

Who holds a token can ask to be enrolled under its name until it expires or is used; what it asks for waits for an
operator who has compared keys. The coordinator keeps the hash of the secret alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

from protocols.channel.identity import PartyId, Randomness
from protocols.errors import ConfigurationError

SECRET_BYTES: Final = 16
FINGERPRINT_BYTES: Final = 32
PARTY_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\Z")
_PREFIX: Final = "cfed1"


@dataclass(frozen=True, slots=True)
class Token:
    """One invitation. `server` is the SHA-256 of the public key that the enrolment service must show."""

    party: PartyId
    secret: bytes = field(repr=False)
    server: bytes

    def spell(self) -> str:
        """Return the token as the operator hands it on."""
        return f"{_PREFIX}.{self.party}.{_text(self.secret)}.{_text(self.server)}"

    def digest(self) -> bytes:
        """Return what the coordinator keeps of it."""
        return secret_digest(self.secret)


def draw_token(party: PartyId, server: bytes, randomness: Randomness) -> Token:
    """Return a new token. Raises: ConfigurationError, code BAD_NAME, for what can be no party's name."""
    check_name(party)
    return Token(party, randomness(SECRET_BYTES), server)


def parse_token(text: str) -> Token:
    """Return the token that a text spells. Raises: ConfigurationError, code BAD_TOKEN; the text shows nothing of it."""
    prefix, _, rest = text.strip().partition(".")
    party, _, keys = rest.rpartition(".")
    party, _, secret = party.rpartition(".")
    try:
        found = Token(PartyId(party), _bytes(secret), _bytes(keys))
    except (ValueError, binascii.Error):
        raise ConfigurationError("this is no invitation token", code="BAD_TOKEN") from None
    lengths = len(found.secret), len(found.server)
    if prefix != _PREFIX or lengths != (SECRET_BYTES, FINGERPRINT_BYTES) or not PARTY_NAME.match(party):
        raise ConfigurationError("this is no invitation token, or not all of it", code="BAD_TOKEN")
    return found


def secret_digest(secret: bytes) -> bytes:
    """Return the hash under which a secret of 128 random bits is kept and found."""
    return hashlib.sha256(b"credit-federation/invitation/v1\0" + secret).digest()


def check_name(party: str) -> None:
    """Return if `party` can be a party's name, and so a folder's. Raises: ConfigurationError, code BAD_NAME."""
    if not PARTY_NAME.match(party) or party.startswith("_") or ".." in party:
        raise ConfigurationError(
            "a party's name is up to 64 of A-Z a-z 0-9 . - _, begins with a letter or digit, and holds no two dots",
            code="BAD_NAME",
        )


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(raw) != text:
        raise ValueError
    return raw
