"""A ledger as an auditor of its owner reads it: what left, by hash, and what was cosigned; no enterprise, no answer.

Opened without write access; the agent that owns the ledger may be at work meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from protocols.errors import ConfigurationError

BAD_LEDGER = "BAD_LEDGER"
_TABLES = frozenset({"answer", "witness", "split_view", "question"})


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """One answer that a node gave: RELEASE or DENY, and the SHA-256 of the signed message."""

    query: bytes
    decision: str
    evidence: bytes


@dataclass(frozen=True, slots=True)
class RecordedQuestion:
    """One query that a bank asked: the SHA-256 of its signed request, and of its acknowledgement once it closed."""

    query: bytes
    request: bytes
    acknowledgement: bytes | None


class LedgerReader:
    """Reads one ledger. Reveals: to the reader, query ids, decisions and hashes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def answers(self) -> Iterator[RecordedAnswer]:
        """Yield what a data node answered, in the order of query ids."""
        for query, decision, response in self._connection.execute(
            "SELECT query, decision, response FROM answer ORDER BY query"
        ):
            if decision not in ("RELEASE", "DENY") or not (isinstance(query, bytes) and isinstance(response, bytes)):
                raise ConfigurationError("a ledger holds an answer that no node gives", code=BAD_LEDGER)
            yield RecordedAnswer(query, decision, hashlib.sha256(response).digest())

    def questions(self) -> Iterator[RecordedQuestion]:
        """Yield what a bank asked, in the order of query ids."""
        for row in self._connection.execute("SELECT query, request, acknowledgement FROM question ORDER BY query"):
            yield RecordedQuestion(*row)

    def log_notes(self, origin: str) -> list[bytes]:
        """Return what the owner holds of a log: the last checkpoint it cosigned, the note of its latest receipt."""
        cosigned = self._connection.execute("SELECT note FROM witness WHERE origin = ?", (origin,)).fetchall()
        latest = "SELECT receipt FROM question WHERE receipt IS NOT NULL ORDER BY at DESC, rowid DESC LIMIT 1"
        return [bytes(note) for (note,) in (*cosigned, *self._connection.execute(latest))]

    def split_view(self, origin: str) -> bytes | None:
        """Return the encoded `SplitViewProof` that the owner holds against a log, or None."""
        row = self._connection.execute("SELECT evidence FROM split_view WHERE origin = ?", (origin,)).fetchone()
        return None if row is None else bytes(row[0])


@contextmanager
def read_ledger(path: Path) -> Iterator[LedgerReader]:
    """Yield a reader of the ledger at `path`. Raises: ConfigurationError, code BAD_LEDGER, also while it is read."""
    uri = path.resolve().as_uri() + "?mode=ro"
    if not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
        uri += "&immutable=1"  # on read-only media SQLite cannot make the file it shares with writers
    try:
        connection = sqlite3.connect(uri, uri=True)
        try:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables >= _TABLES:
                raise ConfigurationError(f"{path}: not a ledger", code=BAD_LEDGER)
            yield LedgerReader(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise ConfigurationError(f"{path}: cannot be read as a ledger", code=BAD_LEDGER) from error
