"""Questions that are open, so many of each bank: who opens more loses its own oldest, never another bank's."""

from __future__ import annotations

from typing import Generic, TypeVar

V = TypeVar("V")


class OpenQuestions(Generic[V]):
    """What is open by transcript. Shapes: at most `most` of each bank."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[bytes, tuple[str, V]] = {}
        self._of_bank: dict[str, dict[bytes, None]] = {}

    def __contains__(self, transcript: bytes) -> bool:
        return transcript in self._open

    def __len__(self) -> int:
        return len(self._open)

    def put(self, bank: str, transcript: bytes, value: V) -> None:
        """Keep a question of a bank, in place of its oldest if it has too many open."""
        self.pop(transcript)
        mine = self._of_bank.setdefault(bank, {})
        while len(mine) >= self._most:
            self.pop(next(iter(mine)))
        mine[transcript] = None
        self._open[transcript] = bank, value

    def get(self, transcript: bytes) -> V | None:
        """Return an open question, or None."""
        found = self._open.get(transcript)
        return None if found is None else found[1]

    def pop(self, transcript: bytes) -> V | None:
        """Return an open question and forget it; None if there is none."""
        found = self._open.pop(transcript, None)
        if found is None:
            return None
        bank, value = found
        del self._of_bank[bank][transcript]
        return value
