"""A brake on guessing passwords: by name and in all, for as long as it goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Final

WINDOW_SECONDS: Final = 900.0
TRIES_BY_NAME: Final = 5
TRIES_IN_ALL: Final = 50
_NAMES_KEPT: Final = 10_000


class Brake:
    """Counts failures in a sliding window. Names that do not exist count alike, so that it tells nobody which do."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._lock = clock, Lock()
        self._failures: dict[str, deque[float]] = {}
        self._all: deque[float] = deque()

    def wait_seconds(self, name: str) -> float:
        """Return how long this name must wait before it may try again; 0 if it may now."""
        now, name = self._clock(), name.lower()
        with self._lock:
            mine = self._recent(self._failures.get(name, deque()), now)
            everybody = self._recent(self._all, now)
            waits = [0.0]
            if len(mine) >= TRIES_BY_NAME:
                waits.append(mine[-TRIES_BY_NAME] + WINDOW_SECONDS - now)
            if len(everybody) >= TRIES_IN_ALL:
                waits.append(everybody[-TRIES_IN_ALL] + WINDOW_SECONDS - now)
            return max(waits)

    def failed(self, name: str) -> None:
        """Count a failure."""
        now, name = self._clock(), name.lower()
        with self._lock:
            if len(self._failures) >= _NAMES_KEPT:
                self._failures = {key: times for key, times in self._failures.items() if self._recent(times, now)}
            self._failures.setdefault(name, deque()).append(now)
            self._all.append(now)

    def passed(self, name: str) -> None:
        """Forget a name's failures, and that the last try counted as one of everybody's."""
        with self._lock:
            if self._all:
                self._all.pop()
            self._failures.pop(name.lower(), None)

    @staticmethod
    def _recent(times: deque[float], now: float) -> deque[float]:
        while times and times[0] <= now - WINDOW_SECONDS:
            times.popleft()
        return times
