"""A consent as a person passes it to a command (the text, a file of it, or - for standard input) and reads it."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from protocols.errors import ConfigurationError


def read_consent_text(value: str) -> str:
    """Return the consent. Raises: ConfigurationError, code NO_CONSENT, if it is neither a token nor a file of one."""
    if value == "-":
        return sys.stdin.read().strip()
    if value.count(".") >= 2 and "/" not in value:
        return value.strip()
    try:
        return Path(value).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise ConfigurationError("neither a consent nor a file that holds one", code="NO_CONSENT") from error


_SPELL: Final[dict[str, Callable[[int], str]]] = dict.fromkeys(
    ("iat", "nbf", "exp"), lambda at: datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat()
)


def spelled(name: str, value: object) -> str:
    """Return what a claim of a consent says, for people: times as such, lists with commas."""
    if name in _SPELL and isinstance(value, int):
        return _SPELL[name](value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
