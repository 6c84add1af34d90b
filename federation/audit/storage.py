"""The SQLite file of the audit log: its layout, how it is opened, and its reads and writes.

    leaves       index, canonical leaf, sealed body, running hash
    nodes        every complete subtree above the leaves, in the order in which leaves completed them
    checkpoints  signed tree heads that were given out, with the cosignatures collected
    head         one row: the log's signature over the tree as of the last commit

The running hash chains the leaf hashes in storage order. It proves nothing (whoever can write the file can recompute
it); it lets the verifier name the first altered row instead of the range up to the next checkpoint.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, Final

from federation.audit.errors import DAMAGED, NOT_A_LOG, damaged
from protocols.errors import ConfigurationError
from protocols.transparency.hashing import HASH_SIZE, MAX_TREE_SIZE, leaf_hash
from protocols.transparency.leaves import MAX_BODY_BYTES
from protocols.transparency.prover import CompletedNode

APPLICATION_ID: Final = 0x43464C47  # "CFLG"
CHAIN_START: Final = bytes(HASH_SIZE)
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

LeafRow = tuple[int, bytes, bytes, bytes]


def running_hash(previous: bytes, leaf: bytes) -> bytes:
    """Return the running hash after one more leaf hash."""
    return sha256(previous + leaf).digest()


def last_leaf(level: int, index: int) -> int:
    """Return the leaf whose append completed the subtree `(level, index)`."""
    return ((index + 1) << level) - 1


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Return a connection whose commits are durable when they return; the file is made, readable by its owner, if new.

    Raises: ConfigurationError if the file cannot be opened or is something else.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            _create(connection)
    except (OSError, sqlite3.Error) as error:
        raise ConfigurationError(f"the audit log {path} cannot be opened for writing", code=NOT_A_LOG) from error
    check_layout(connection, path)
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write. Raises: ConfigurationError if there is no readable log at `path`."""
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
    return connection


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


class LogReader:
    """Reads of committed rows by any number of threads. Raises: VerificationFailed for rows of the wrong form."""

    def __init__(self, path: Path) -> None:
        self._connection = open_for_reading(path)
        self._lock = Lock()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def size(self) -> int:
        """Return the number of leaves, if they are numbered without a gap."""
        row = self._row("SELECT idx FROM leaves ORDER BY idx DESC LIMIT 1")
        return 0 if row is None else int(row[0]) + 1

    def head(self) -> bytes | None:
        """Return the note over the last commit, or None before the first."""
        return self._blob("SELECT note FROM head WHERE one = 1")

    def chain(self, size: int) -> bytes:
        """Return the running hash over the first `size` leaves. Raises: KeyError."""
        return CHAIN_START if size == 0 else self._need("SELECT chain FROM leaves WHERE idx = ?", size - 1)

    def node(self, level: int, index: int) -> bytes:
        """Return a stored subtree hash; that of a single leaf is made from the leaf. Raises: KeyError."""
        if level == 0:
            return leaf_hash(self._need("SELECT leaf FROM leaves WHERE idx = ?", index))
        return self._need("SELECT hash FROM nodes WHERE last = ? AND level = ?", last_leaf(level, index), level)

    def leaves(self, start: int, end: int) -> list[LeafRow]:
        """Return the rows of leaves `[start, end)` that exist."""
        query = "SELECT idx, leaf, body, chain FROM leaves WHERE idx >= ? AND idx < ? ORDER BY idx"
        with self._lock:
            try:
                rows: list[LeafRow] = self._connection.execute(query, (start, end)).fetchall()
            except sqlite3.DatabaseError as error:
                raise damaged("a row cannot be read", DAMAGED) from error
        if any(not isinstance(column, bytes) for row in rows for column in row[1:]):
            raise damaged("a stored value is not of bytes", DAMAGED)
        return rows

    def checkpoint(self, size: int) -> bytes | None:
        """Return the note that was given out for a tree of `size` leaves."""
        return self._blob("SELECT note FROM checkpoints WHERE size = ?", size)

    def checkpoints_covering(self, index: int) -> Iterator[bytes]:
        """Yield the notes over trees that hold leaf `index`, latest first."""
        below = MAX_TREE_SIZE + 1
        query = "SELECT size, note FROM checkpoints WHERE size > ? AND size < ? ORDER BY size DESC LIMIT 1"
        while (row := self._row(query, index, below)) is not None:
            below, note = row
            yield _blob(note)

    def _row(self, query: str, *values: int) -> tuple[Any, ...] | None:
        with self._lock:
            try:
                row: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
            except sqlite3.DatabaseError as error:
                raise damaged("a row cannot be read", DAMAGED) from error
        return row

    def _blob(self, query: str, *values: int) -> bytes | None:
        row = self._row(query, *values)
        if row is None:
            return None
        return _blob(row[0])

    def _need(self, query: str, *values: int) -> bytes:
        found = self._blob(query, *values)
        if found is None:
            raise KeyError(f"no stored row for {values}")
        return found


def _blob(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise damaged("a stored value is not of bytes", DAMAGED)
    return value


class LogWriter:
    """The one connection that writes. Each method is one transaction, durable when it returns. Raises: sqlite3.Error"""

    def __init__(self, path: Path) -> None:
        self._connection = open_for_writing(path)

    def close(self) -> None:
        """Let go of the file; SQLite folds its write-ahead log into it."""
        self._connection.close()

    def commit_group(self, rows: Iterable[LeafRow], nodes: Iterable[CompletedNode], head: bytes) -> None:
        """Store new leaves, the subtrees they completed and the signed head over them, all or nothing."""
        stored = ((last_leaf(node.level, node.index), node.level, node.hash) for node in nodes)
        self._transact(
            ("INSERT INTO leaves (idx, leaf, body, chain) VALUES (?, ?, ?, ?)", rows),
            ("INSERT INTO nodes (last, level, hash) VALUES (?, ?, ?)", stored),
            ("INSERT OR REPLACE INTO head (one, note) VALUES (1, ?)", [(head,)]),
        )

    def put_checkpoint(self, size: int, note: bytes) -> None:
        """Store a note for the tree of `size` leaves, in place of the one with fewer cosignatures."""
        self._transact(("INSERT OR REPLACE INTO checkpoints (size, note) VALUES (?, ?)", [(size, note)]))

    def _transact(self, *statements: tuple[str, Iterable[Sequence[int | bytes]]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for statement, rows in statements:
                self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
