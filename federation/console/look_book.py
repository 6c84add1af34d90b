"""Where looks go: into the log itself, signed by the auditor who looks; beside the console for a log that is a copy."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec

from federation.audit.views.auditor import Auditor, Desk, Reach, fetch_body, record_view
from federation.console.sources import Look, SealedBody
from protocols.channel.identity import PartyCard, PartyId
from protocols.channel.wire import encode
from protocols.errors import ConfigurationError
from protocols.transparency.notes import VerifierKey

LOOKS_FILE: Final = "looks.jsonl"
Cards = Mapping[PartyId, PartyCard]


class _Line(msgspec.Struct, frozen=True):
    at: int
    auditor: str
    page: str
    first_leaf: int
    last_leaf: int
    entries: int


class LoggedLookBook:
    """Implements `LookBook` for a coordinator's own log: each look is a leaf when the page leaves."""

    logged: Final = True

    def __init__(
        self,
        open_desk: Callable[[], AbstractContextManager[Desk]],
        cards: Callable[[], Cards],
        log_key: Callable[[], VerifierKey],
    ) -> None:
        self._open_desk, self._cards, self._log_key = open_desk, cards, log_key

    def record(self, look: Look) -> None:
        """Return once the look is a leaf, with the log's receipt. Raises: CreditFederationError.

        An auditor without keys cannot sign a look: code NO_AUDITOR_KEY.
        """
        auditor = self._auditor(look)
        reach = Reach(look.leaves[0], look.leaves[-1], len(look.leaves))
        with self._open_desk() as desk:
            record_view(desk, auditor, f"console.{look.page}", look.selection, reach)

    def open_body(self, look: Look) -> SealedBody:
        """Return the body of the look's one leaf, sealed to the auditor, once that is a leaf. Raises: as above."""
        with self._open_desk() as desk:
            receipt, envelope = fetch_body(desk, self._auditor(look), look.leaves[0])
        return SealedBody(receipt.leaf, encode(envelope))

    def _auditor(self, look: Look) -> Auditor:
        if look.keys is None:
            raise ConfigurationError(f"{look.auditor} has no auditor's key here", code="NO_AUDITOR_KEY")
        return Auditor(look.keys, self._cards(), self._log_key())


class LocalLookBook:
    """Implements `LookBook` for a copy of a log: one JSON object a line in `looks.jsonl`."""

    logged: Final = False

    def __init__(self, folder: Path, clock: Callable[[], int]) -> None:
        self._path, self._clock, self._lock = folder / LOOKS_FILE, clock, Lock()

    def record(self, look: Look) -> None:
        """Return once the look is on disk. Raises: ConfigurationError, code LOOKS_NOT_WRITABLE."""
        line = _Line(self._clock(), look.auditor, look.page, look.leaves[0], look.leaves[-1], len(look.leaves))
        try:
            with self._lock:
                descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(msgspec.json.encode(line) + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise ConfigurationError(f"{self._path}: {error.strerror}", code="LOOKS_NOT_WRITABLE") from error

    def open_body(self, look: Look) -> SealedBody:
        """Raise: the keys that uncover bodies are the coordinator's own, and in no copy. Code NO_SHREDDING_KEYS."""
        raise ConfigurationError("a copy of a log opens no body", code="NO_SHREDDING_KEYS")
