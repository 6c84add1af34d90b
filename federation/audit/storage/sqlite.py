"""A log in one SQLite file: how it is laid out, made and opened."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from federation.audit.errors import NOT_A_LOG
from federation.audit.storage.session import NewRows, Row, Value
from protocols.errors import ConfigurationError
from protocols.transparency.leaves import MAX_BODY_BYTES

APPLICATION_ID: Final = 0x43464C47  # "CFLG"
_BUSY_TIMEOUT_S: Final = 30.0
_MAX_ROW_BYTES: Final = 2 * MAX_BODY_BYTES  # what a row can make a reader hold in memory
_SCHEMA: Final = {
    "leaves": (
        "CREATE TABLE leaves (idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL, body BLOB NOT NULL, chain BLOB NOT NULL)"
    ),
    "nodes": (
        "CREATE TABLE nodes (last INTEGER NOT NULL, level INTEGER NOT NULL, hash BLOB NOT NULL,"
        " PRIMARY KEY (last, level)) WITHOUT ROWID"
    ),
    "checkpoints": "CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note BLOB NOT NULL)",
    "head": "CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), note BLOB NOT NULL)",
}


class _Session:
    """What both kinds of connection do. Implements `LogSession`."""

    error: type[Exception] = sqlite3.Error
    _connection: sqlite3.Connection

    def rows(self, query: str, values: Sequence[Value] = ()) -> list[Row]:
        return self._connection.execute(query, values).fetchall()

    def snapshot(self) -> None:
        self._connection.execute("BEGIN")

    def stream(self, query: str) -> Iterator[Row]:
        return self._connection.execute(query)

    def transact(self, new: Sequence[NewRows], statement: str, values: Sequence[Value]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for inserted in new:
                columns, marks = ", ".join(inserted.columns), ", ".join("?" * len(inserted.columns))
                insert = f"INSERT INTO {inserted.table} ({columns}) VALUES ({marks})"  # noqa: S608
                self._connection.executemany(insert, inserted.rows)
            self._connection.execute(statement, values)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def purge(self) -> None:
        busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise sqlite3.OperationalError("a reader kept the write-ahead log from being emptied")

    def close(self) -> None:
        self._connection.close()


class SqliteWriting(_Session):
    """A connection whose commits are durable when they return; closing folds the write-ahead log into the file."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it, for its owner alone. Raises: ConfigurationError if it is something else."""
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")  # a body that is erased is overwritten with zeros
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
                _create(connection)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"the audit log {path} cannot be opened for writing", code=NOT_A_LOG) from error
        check_layout(connection, path)
        self._connection = connection


class SqliteReading(_Session):
    """A connection that cannot write."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises: ConfigurationError if there is no readable log."""
        if not path.is_file():
            raise ConfigurationError(f"there is no audit log at {path}", code=NOT_A_LOG)
        uri = path.resolve().as_uri() + "?mode=ro"
        if not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
            uri += "&immutable=1"  # an export on read-only media: SQLite cannot make the file it shares with writers
        try:
            connection = sqlite3.connect(
                uri, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA cell_size_check=ON")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_ROW_BYTES)
        except sqlite3.Error as error:
            raise ConfigurationError(f"the audit log {path} cannot be read", code=NOT_A_LOG) from error
        check_layout(connection, path)
        self._connection = connection


def check_layout(connection: sqlite3.Connection, path: Path) -> None:
    """Accept only exactly our tables: no view, trigger or index that could show one reader what another won't see.

    Raises: ConfigurationError.
    """
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        found = {(name, sql) for name, sql in connection.execute("SELECT name, sql FROM sqlite_master")}
    except sqlite3.Error as error:
        raise ConfigurationError(f"{path} is not a readable SQLite file", code=NOT_A_LOG) from error
    if application != APPLICATION_ID or found != set(_SCHEMA.items()):
        raise ConfigurationError(f"{path} does not have the layout of an audit log", code=NOT_A_LOG)


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.values():
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute("COMMIT")
