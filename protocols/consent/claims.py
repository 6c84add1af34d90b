"""Claims read one by one, each of its own type: what JSON holds where a text or a number is due is no consent."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from protocols.errors import PolicyDenied

MAX_INTEGER: Final = 1 << 53


def text(value: object) -> str:
    """Return a text. Raises: TypeError."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def texts(value: object) -> tuple[str, ...]:
    """Return a list of texts. Raises: TypeError."""
    if not isinstance(value, list):
        raise TypeError("not a list")
    return tuple(text(entry) for entry in value)


def integer(value: object) -> int:
    """Return a whole number below 2^53. Raises: TypeError, ValueError."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not a whole number")
    if not 0 <= value < MAX_INTEGER:
        raise ValueError("out of range")
    return value


def member(value: object, name: str) -> object:
    """Return a member of an object. Raises: TypeError, KeyError."""
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value[name]


def handle(value: object) -> bytes:
    """Return the 32 bytes of a handle. Raises: TypeError, ValueError."""
    encoded = text(value)
    try:
        raw = base64.urlsafe_b64decode(encoded + "=")
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if len(raw) != 32 or spell(raw) != encoded:
        raise ValueError("not a handle")
    return raw


def spell(raw: bytes) -> str:
    """Return how a token spells a handle."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def malformed(what: str) -> PolicyDenied:
    """Return the error for claims that are signed and yet not what they should be."""
    return PolicyDenied(f"the claims are not those of a {what}", code="CONSENT_INVALID")
