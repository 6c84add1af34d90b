"""The file of shredding keys beside the log: what makes stored bodies readable, and what is destroyed to erase them.

    coordinator/shred.keys     for each year, the keys of all tags but those that were shredded (0600)

It is no part of the log, of an export, or of a backup that is meant to last: whoever destroys a key must destroy every
copy of it. The file is small and is written anew when a year begins or something is shredded, and at no other time.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec

from protocols.errors import ConfigurationError
from protocols.transparency.shredding import ShreddingKeys, cover, decode_body, uncover
from protocols.transparency.statements import SealedStatements

SHRED_FILE: Final = "shred.keys"
_FORMAT: Final = "credfed-shredding-keys/1"


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the file. Never printed: its representation shows the years alone."""

    format: str
    years: dict[int, dict[str, bytes]]

    def __repr__(self) -> str:
        return f"_Stored(years={sorted(self.years)!r})"


class Shredder:
    """Covers bodies before they are logged, uncovers them to be read, and destroys keys. For any number of threads.

    Several processes may use one file: each sees what another has destroyed before it covers or uncovers again.
    """

    def __init__(self, path: Path) -> None:
        """Use the file at `path`, which is made with the first key. Raises: ConfigurationError."""
        self._path, self._lock = path, Lock()
        self._state: tuple[int, int, int] = (0, 0, 0)
        self._years: dict[int, ShreddingKeys] = {}
        self._refresh()

    def cover(
        self, sealed: SealedStatements, tags: Sequence[bytes], at_ms: int, consents: Sequence[bytes] = ()
    ) -> bytes:
        """Return the body to log. Raises: MalformedMessage unless there is one statement for each tag; OSError."""
        year = year_of(at_ms)
        with self._lock:
            self._refresh()
            if year not in self._years:
                with self._writing():
                    self._years.setdefault(year, ShreddingKeys.draw(secrets.token_bytes))
            keys = self._years[year]
        return cover(sealed, tags, year, keys, secrets.token_bytes, consents)

    def uncover(self, body: bytes) -> SealedStatements:
        """Return the statements of a stored body, empty where they were shredded. Raises: MalformedMessage."""
        covered = decode_body(body)
        with self._lock:
            self._refresh()
            return uncover(covered, self._years.get(covered.year))

    def shred(self, tags: Sequence[bytes]) -> None:
        """Destroy the keys of these tags, in every year, for good. Raises: ConfigurationError, OSError."""
        with self._lock, self._writing():
            for year, keys in self._years.items():
                left = keys
                for tag in tags:
                    left = left.without(tag)
                self._years[year] = left

    def shred_before(self, year: int) -> tuple[int, ...]:
        """Destroy all keys of the years before `year`; return which they were. Raises: ConfigurationError, OSError."""
        with self._lock, self._writing():
            gone = tuple(sorted(old for old in self._years if old < year))
            self._years = {kept: keys for kept, keys in self._years.items() if kept >= year}
        return gone

    @property
    def years(self) -> tuple[int, ...]:
        """The years of which there are keys."""
        with self._lock:
            self._refresh()
            return tuple(sorted(self._years))

    def _refresh(self) -> None:
        """Read the file again if it has changed; what another process has destroyed is then gone here, too."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._state, self._years = (0, 0, 0), {}
            return
        state = (status.st_mtime_ns, status.st_size, status.st_ino)
        if state != self._state:
            self._years, self._state = _read(self._path), state

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Let the block change the keys, with no other process doing so, and write them once it has."""
        lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._refresh()
            yield
            _write(self._path, self._years)
            self._state = (0, 0, 0)
        finally:
            os.close(lock)


def year_of(at_ms: int) -> int:
    """Return the year, UTC, in which a leaf's body is kept."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).year


def _read(path: Path) -> dict[int, ShreddingKeys]:
    try:
        stored = msgspec.msgpack.decode(path.read_bytes(), type=_Stored)
    except (OSError, msgspec.DecodeError, UnicodeError) as error:
        raise ConfigurationError(f"{path}: not a file of shredding keys", code="SHRED_KEYS") from error
    if stored.format != _FORMAT:
        raise ConfigurationError(f"{path}: not in the format {_FORMAT}", code="SHRED_KEYS")
    return {year: ShreddingKeys(subtrees) for year, subtrees in stored.years.items()}


def _write(path: Path, years: dict[int, ShreddingKeys]) -> None:
    """Put the keys in the place of the old ones, durably, then overwrite what the old file held."""
    data = msgspec.msgpack.encode(_Stored(_FORMAT, {year: dict(keys.subtrees) for year, keys in years.items()}))
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    old = path.open("r+b") if path.exists() else None
    draft.replace(path)
    _sync_folder(path.parent)
    if old is not None:
        with old:
            old.write(bytes(os.fstat(old.fileno()).st_size))
            old.flush()
            os.fsync(old.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
