"""A consent as a person passes it to a command: the text itself, a file that holds it, or - for standard input."""

from __future__ import annotations

import sys
from pathlib import Path

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
