"""What entries a page of the console asks for, and what it gets: places in the log, by which it reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EVER: Final = (0, 1 << 53)
"""From when to when all entries are. Units: milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What entries must be; "" and None ask nothing. Units: milliseconds since 1970, `until_ms` excluded.

    `model` is the beginning of a hash; `facets` are exact values by name; `subject` is a whole tag, and `consent` a
    whole handle.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    facets: tuple[tuple[str, str], ...] = ()
    model: str = ""
    subject: bytes = b""
    consent: bytes = b""

    @property
    def few(self) -> bool:
        """Whether it asks for the entries about one enterprise or one consent, of which there are not many."""
        return bool(self.subject or self.consent)

    @property
    def bounds(self) -> tuple[int, int]:
        """From when, and until before when. Units: milliseconds since 1970."""
        since, until = EVER
        return since if self.since_ms is None else self.since_ms, until if self.until_ms is None else self.until_ms


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands in the order of the pages: by time, then by leaf."""

    at: int
    leaf: int


@dataclass(frozen=True, slots=True)
class Page:
    """Entries from the newest to the oldest, and whether there are newer and older ones that match."""

    places: tuple[Place, ...]
    newer: bool
    older: bool
