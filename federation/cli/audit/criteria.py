"""The options of `credfed audit search` as criteria."""

from __future__ import annotations

import datetime

from federation.audit.reading.search import Criteria
from protocols.errors import ConfigurationError
from protocols.transparency.hashing import HASH_SIZE
from protocols.transparency.leaves import LeafKind

BAD_OPTION = "BAD_OPTION"
_DAY = datetime.timedelta(days=1)


def read_criteria(
    since: str,
    until: str,
    kinds: list[str],
    actor: str,
    bank: str,
    purpose: str,
    decision: str,
    model: str,
    tag: str = "",
    consent: str = "",
) -> Criteria:
    """Return the criteria that these options spell; an empty one asks nothing. Raises: ConfigurationError."""
    return Criteria(
        since_ms=_milliseconds(since, "--since", whole_day=False),
        until_ms=_milliseconds(until, "--until", whole_day=True),
        kinds=frozenset(_kind(name) for name in kinds),
        actor=actor or None,
        bank=bank or None,
        purpose=purpose or None,
        decision=decision.upper() or None,
        model=model.lower() or None,
        tag=read_tag(tag) if tag else None,
        consent=consent.lower() or None,
    )


def _milliseconds(text: str, option: str, *, whole_day: bool) -> int | None:
    """Return a time in milliseconds since 1970; without a zone it is UTC. A plain day ends with it if `whole_day`."""
    if not text:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        if whole_day and len(text) <= len("2026-03-01"):
            moment += _DAY
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"{option} {text!r} is not a time like 2026-03-01T08:30", code=BAD_OPTION) from None


def read_tag(text: str) -> bytes:
    """Return the tag that an option spells. Raises: ConfigurationError."""
    try:
        tag = bytes.fromhex(text)
    except ValueError:
        tag = b""
    if len(tag) != HASH_SIZE:
        raise ConfigurationError(f"--tag {text!r} is not {2 * HASH_SIZE} hexadecimal digits", code=BAD_OPTION)
    return tag


def _kind(name: str) -> LeafKind:
    try:
        return LeafKind(name.upper())
    except ValueError:
        known = ", ".join(kind.value for kind in LeafKind)
        raise ConfigurationError(f"--kind {name!r} is none of {known}", code=BAD_OPTION) from None
