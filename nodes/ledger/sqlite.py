"""A ledger in one SQLite file: WAL mode with full synchronisation, so that a commit waits for the disk."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from nodes.ledger.database import Row, Value

WRITER_SECONDS = 10
"""How long a writer waits for another process, such as the owner's own commands."""


class SqliteBackend:
    """One connection to a ledger's file."""

    error: type[Exception] = sqlite3.Error
    integrity_error: type[Exception] = sqlite3.IntegrityError
    begin: tuple[str, ...] = ("BEGIN IMMEDIATE",)
    atomic_statements = True

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises: sqlite3.Error."""
        self._connection = _connect(str(path), uri=False)
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
        except sqlite3.Error:
            self._connection.close()
            raise

    def execute(self, statement: str, values: Sequence[Value]) -> list[Row]:
        return self._connection.execute(statement, values).fetchall()

    def create(self, statement: str) -> None:
        self._connection.execute(statement)

    def revive(self) -> None:
        """Do nothing: a file is not lost."""

    def close(self) -> None:
        self._connection.close()


class SqliteReadOnly(SqliteBackend):
    """A connection that cannot write; the agent that owns the file may be at work meanwhile."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises: sqlite3.Error."""
        uri = path.resolve().as_uri() + "?mode=ro"
        if not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
            uri += "&immutable=1"  # on read-only media SQLite cannot make the file it shares with writers
        self._connection = _connect(uri, uri=True)


def _connect(database: str, uri: bool) -> sqlite3.Connection:
    return sqlite3.connect(database, WRITER_SECONDS, isolation_level=None, check_same_thread=False, uri=uri)
