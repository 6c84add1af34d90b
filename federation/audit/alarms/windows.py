"""Sums over sliding windows, computed by SQLite, and the episodes in which they reach a threshold.

A window ends at each event and reaches back over its length, so that no burst hides across the turn of an hour. Windows
that reach the threshold and share an event are one episode: one alarm, and not one for each event.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

_WINDOWS: Final = """
SELECT party, at, leaf, min(leaf) OVER reach, min(at) OVER reach, sum(weight) OVER reach, sum(flagged) OVER reach
FROM ({events})
WINDOW reach AS (PARTITION BY party ORDER BY at RANGE BETWEEN :reach PRECEDING AND CURRENT ROW)
ORDER BY party, at, leaf
"""


@dataclass(frozen=True, slots=True)
class Sum:
    """What a window holds: all its weight, and how much of it is flagged."""

    weight: int
    flagged: int

    @property
    def share(self) -> float:
        """How much of the weight is flagged."""
        return self.flagged / self.weight if self.weight else 0.0


@dataclass(frozen=True, slots=True)
class Episode:
    """When and where one party reached a threshold, and the sum of the worst window."""

    party: str
    first_leaf: int
    last_leaf: int
    first_ms: int
    last_ms: int
    worst: Sum


def episodes(
    work: sqlite3.Connection,
    events: str,
    window_ms: int,
    reached: Callable[[Sum], bool],
    worse: Callable[[Sum], float],
    parameters: Mapping[str, int | str] | None = None,
) -> Iterator[Episode]:
    """Yield the episodes of each party, in order of party and time.

    `events` is a query for party, at, leaf, weight and flagged; `worse` orders sums. Units: a window of an hour holds
    what is less than an hour apart.
    """
    rows = work.execute(_WINDOWS.format(events=events), {**(parameters or {}), "reach": window_ms - 1})
    current: Episode | None = None
    for party, at, leaf, first_leaf, first_ms, weight, flagged in rows:
        found = Episode(party, first_leaf, leaf, first_ms, at, Sum(weight, flagged))
        if not reached(found.worst):
            continue
        if current is None:
            current = found
        elif current.party == party and first_ms <= current.last_ms:
            current = _joined(current, found, worse)
        else:
            yield current
            current = found
    if current is not None:
        yield current


def _joined(one: Episode, later: Episode, worse: Callable[[Sum], float]) -> Episode:
    return Episode(
        one.party,
        min(one.first_leaf, later.first_leaf),
        max(one.last_leaf, later.last_leaf),
        one.first_ms,
        later.last_ms,
        max(one.worst, later.worst, key=worse),
    )
