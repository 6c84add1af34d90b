"""Searches bytes for many short patterns at once, fast enough for every byte of a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

_STEP: Final = 1 << 22
_PREFIX: Final = 4


class PatternSet:
    """Finds any of its patterns in bytes: two table look-ups rule out almost every place, a hash set decides the rest.

    Shapes: each pattern has at least four bytes. Cost: some ns a byte, whatever the number of patterns.
    """

    __slots__ = ("_first", "_lengths", "_longest", "_patterns", "_second")

    def __init__(self, patterns: Iterable[bytes]) -> None:
        self._patterns = frozenset(patterns)
        if any(len(pattern) < _PREFIX for pattern in self._patterns):
            raise ValueError(f"a pattern shorter than {_PREFIX} bytes is found everywhere")
        self._lengths = sorted({len(pattern) for pattern in self._patterns})
        self._longest = max(self._lengths, default=0)
        self._first, self._second = np.zeros(1 << 16, dtype=bool), np.zeros(1 << 16, dtype=bool)
        for pattern in self._patterns:
            self._first[int.from_bytes(pattern[:2], "little")] = True
            self._second[int.from_bytes(pattern[2:4], "little")] = True

    def __len__(self) -> int:
        return len(self._patterns)

    def find(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return position and pattern of every occurrence, by position."""
        if not self._patterns:
            return []
        found: list[tuple[int, bytes]] = []
        for start in range(0, len(data), _STEP):
            window = data[start : start + _STEP + self._longest - 1]
            for place in self._candidates(window):
                if place < _STEP:
                    found += ((start + place, pattern) for pattern in self._at(window, place))
        return found

    def _candidates(self, window: bytes) -> list[int]:
        """Return the places where both halves of some prefix stand."""
        pairs = _pairs(window)
        if len(pairs) < 3:
            return []
        places = np.flatnonzero(self._first[pairs[:-2]])
        return [int(place) for place in places[self._second[pairs[places + 2]]]]

    def _at(self, window: bytes, place: int) -> list[bytes]:
        pieces = (window[place : place + length] for length in self._lengths if place + length <= len(window))
        return [piece for piece in pieces if piece in self._patterns]


def _pairs(data: bytes) -> NDArray[np.uint16]:
    """Return, for each place but the last, its byte and the next as one little-endian number."""
    octets = np.frombuffer(data, dtype=np.uint8).astype(np.uint16)
    return octets[:-1] | np.left_shift(octets[1:], np.uint16(8), dtype=np.uint16)
