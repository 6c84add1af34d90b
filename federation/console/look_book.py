"""Looks at a log that cannot be written, such as an export: a line of JSON each beside the console, on disk at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec

from federation.console.sources import Look
from protocols.errors import ConfigurationError

LOOKS_FILE: Final = "looks.jsonl"


class _Line(msgspec.Struct, frozen=True):
    at: int
    auditor: str
    page: str
    first_leaf: int
    last_leaf: int
    entries: int


class LocalLookBook:
    """Implements `LookBook` for a copy of a log."""

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
