"""Which consents the log has a CONSENT or a REVOKE leaf of: each is written once, however often it is shown or listed.

    coordinator/consents.sqlite     an index of the log; made anew from it if it is lost or of another log

The index follows the log and is never ahead of it: what a crash keeps from it, it reads from the log when it is opened.
A leaf that is on its way is *claimed*, so that nobody writes it a second time meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Final

from federation.audit import AuditLog
from federation.audit.errors import NOT_WRITABLE
from protocols.errors import ConfigurationError
from protocols.transparency.hashing import leaf_hash
from protocols.transparency.leaves import CONSENT_KINDS, Leaf, LeafCommitment, LeafKind
from protocols.transparency.log_proofs import Receipt

FILE: Final = "consents.sqlite"
_PAGE: Final = 2048
_BEHIND: Final = 4096
"""How many leaves without a consent may pass before the index notes how far it is: they are read again at a start."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS consent (
    handle BLOB, kind TEXT, leaf INTEGER NOT NULL, PRIMARY KEY (handle, kind)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS covered (one INTEGER PRIMARY KEY CHECK (one = 1), leaves INTEGER, last BLOB);
"""


class ConsentBook:
    """The index of one log, for all who write to it, in any number of threads."""

    def __init__(self, path: Path, log: AuditLog) -> None:
        """Open or begin the index at `path`. Raises: ConfigurationError if it cannot be written."""
        self._log, self._lock = log, Lock()
        self._claimed: set[tuple[bytes, LeafKind]] = set()
        self._doubtful, self._covered = False, 0
        try:
            self._database = _opened(path)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"{path} cannot be used as an index of consents", code=NOT_WRITABLE) from error
        with self._writing():
            row = self._database.execute("SELECT leaves, last FROM covered").fetchone()
            if row is not None and row[0] <= log.size and leaf_hash(log.leaf_bytes(row[0] - 1)) == row[1]:
                self._covered = row[0]
            else:
                self._database.executescript("DELETE FROM consent; DELETE FROM covered;")
            self._catch_up()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    def lacks(self, kind: LeafKind, handle: bytes) -> bool:
        """Tell whether the log lacks this leaf of a consent, and nobody is writing it. Raises: ConfigurationError."""
        with self._lock:
            return (handle, kind) not in self._claimed and self._leaf(kind, handle) is None

    def claim(self, kind: LeafKind, handle: bytes) -> bool:
        """Tell whether the log lacks this leaf of a consent, and nobody is writing it: from now on, the caller is.

        It ends with `settle`, or with `abandon`. Raises: ConfigurationError.
        """
        with self._lock:
            if (handle, kind) in self._claimed or self._leaf(kind, handle) is not None:
                return False
            self._claimed.add((handle, kind))
            return True

    def claimed(self, kind: LeafKind, handle: bytes) -> bool:
        """Tell whether this leaf of a consent is on its way, and not durable yet."""
        with self._lock:
            return (handle, kind) in self._claimed

    def shown(self, handle: bytes) -> Leaf | None:
        """Return the CONSENT of a consent as the log has it, None if no question has shown it."""
        with self._lock:
            index = self._leaf(LeafKind.CONSENT, handle)
        return None if index is None else next(iter(self._log.entries(index, index + 1))).leaf

    def settle(self, leaves: Sequence[Leaf], receipts: Sequence[Receipt]) -> None:
        """Take what is durable now. Raises: ConfigurationError; the log has them all the same."""
        if not receipts:
            return
        placed = zip(receipts, leaves, strict=True)
        found = [(one.index, leaf) for one, leaf in placed if leaf.kind in CONSENT_KINDS]
        with self._lock:
            self._claimed -= {(leaf.reference, leaf.kind) for _, leaf in found}
            end = receipts[-1].index + 1
            if found or end >= self._covered + _BEHIND:
                whole = not self._claimed and not self._doubtful  # no leaf before `end` is missing here
                with self._writing():
                    self._write(found, end if whole else self._covered, receipts[-1].leaf_hash)

    def abandon(self, leaves: Iterable[Leaf]) -> None:
        """Give up claims whose leaves could not be written, or not for certain: what the log has is read from it."""
        with self._lock:
            self._claimed -= {(leaf.reference, leaf.kind) for leaf in leaves if leaf.kind in CONSENT_KINDS}
            self._doubtful = True

    def _leaf(self, kind: LeafKind, handle: bytes) -> int | None:
        query = "SELECT leaf FROM consent WHERE handle = ? AND kind = ?"
        with self._writing():
            if self._doubtful:
                self._catch_up()
                self._doubtful = False
            row = self._database.execute(query, (handle, kind.value)).fetchone()
        return None if row is None else int(row[0])

    def _catch_up(self) -> None:
        """Read what the log has and the index has not, so many leaves at a time that memory stays bounded."""
        size = self._log.size
        while self._covered < size:
            end = min(self._covered + _PAGE, size)
            placed = enumerate(self._log.commitments(self._covered, end), self._covered)
            found = [(index, leaf) for index, leaf in placed if leaf.kind in CONSENT_KINDS]
            self._write(found, end, leaf_hash(self._log.leaf_bytes(end - 1)))

    def _write(self, found: Sequence[tuple[int, Leaf | LeafCommitment]], end: int, last: bytes) -> None:
        """Take leaves, and the index being up to leaf `end`, whose last one has this hash."""
        self._database.execute("BEGIN IMMEDIATE")
        rows = [(leaf.reference, leaf.kind.value, index) for index, leaf in found]
        self._database.executemany("INSERT OR IGNORE INTO consent VALUES (?, ?, ?)", rows)
        if end > self._covered:
            self._database.execute("INSERT OR REPLACE INTO covered VALUES (1, ?, ?)", (end, last))
        self._database.execute("COMMIT")
        self._covered = max(end, self._covered)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Let the block use the file; after an error nothing of it is left. Raises: ConfigurationError."""
        try:
            yield
        except sqlite3.Error as error:
            self._doubtful = True
            with suppress(sqlite3.Error):
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
            raise ConfigurationError("the index of consents cannot be used", code=NOT_WRITABLE) from error


def _opened(path: Path) -> sqlite3.Connection:
    """Return a connection to the index; a file that is none, or is damaged, gives way to a new one."""
    try:
        return _connected(path)
    except sqlite3.DatabaseError:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _connected(path)


def _connected(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # what a power cut takes is read from the log again
        connection.executescript(_SCHEMA)
        connection.execute("SELECT leaf FROM consent, covered LIMIT 1").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
