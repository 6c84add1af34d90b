"""A log in a PostgreSQL database of its own: its tables, the steps by which they came to be, and how it is opened.

Needs the extra `postgres`. A commit waits for the server's disk; one writer at a time, by an advisory lock. The tables
are checked as those of SQLite are: a trigger, rule, policy or view in the place of one is no log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import count
from typing import Final

import psycopg

from federation.audit.errors import LOCKED, NOT_A_LOG
from federation.audit.storage.location import LogLocation
from federation.audit.storage.session import NewRows, Row, Value
from protocols.errors import ConfigurationError
from protocols.transparency.leaves import MAX_BODY_BYTES, MAX_LEAF_BYTES

MIGRATIONS: Final = (
    (
        f"""CREATE TABLE leaves (
            idx BIGINT PRIMARY KEY,
            leaf BYTEA NOT NULL CHECK (octet_length(leaf) <= {MAX_LEAF_BYTES}),
            body BYTEA NOT NULL CHECK (octet_length(body) <= {MAX_BODY_BYTES}),
            chain BYTEA NOT NULL)""",
        "CREATE TABLE nodes (last BIGINT, level BIGINT, hash BYTEA NOT NULL, PRIMARY KEY (last, level))",
        "CREATE TABLE checkpoints (size BIGINT PRIMARY KEY, note BYTEA NOT NULL)",
        "CREATE TABLE head (one BIGINT PRIMARY KEY CHECK (one = 1), note BYTEA NOT NULL)",
    ),
)
"""The steps from an empty database to the tables of this version; one that was released is never changed."""

_COLUMNS: Final = {
    ("leaves", "idx"), ("leaves", "leaf"), ("leaves", "body"), ("leaves", "chain"),
    ("nodes", "last"), ("nodes", "level"), ("nodes", "hash"),
    ("checkpoints", "size"), ("checkpoints", "note"), ("head", "one"), ("head", "note"),
}  # fmt: skip
_FOUND: Final = """
    SELECT c.relname, a.attname, c.relkind = 'r' AND NOT c.relhastriggers AND NOT c.relhasrules
        AND NOT c.relrowsecurity AND NOT c.relhassubclass
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
        AND c.relname IN ('leaves', 'nodes', 'checkpoints', 'head')"""
_WRITER: Final = "hashtext(current_schema()), hashtext('credit-federation log')"
_LOCK_MS: Final = 1000
"""How long to wait for the writer before: a server takes a moment to notice that one has gone."""
_CONNECT_SECONDS: Final = 10
_PAGE: Final = 64


class _Session:
    """What both kinds of connection do. Implements `LogSession`."""

    error: type[Exception] = psycopg.Error
    _setup: tuple[str, ...] = ()

    def __init__(self, location: LogLocation) -> None:
        """Connect. Raises: psycopg.Error; ConfigurationError for a database that holds no log, or another one."""
        self._location, self._numbers, self._snapshot = location, count(), False
        self._connection = self._connect()

    def _connect(self) -> psycopg.Connection[Row]:
        connection = psycopg.connect(self._location.url, autocommit=True, connect_timeout=_CONNECT_SECONDS)
        try:
            for statement in self._setup:
                connection.execute(statement.encode())
            self._begin(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin(self, connection: psycopg.Connection[Row]) -> None:
        """Check what the database holds."""
        _check_layout(connection, self._location)

    def _alive(self) -> psycopg.Connection[Row]:
        """Return a connection, a new one if the last was lost, but never in the middle of a snapshot."""
        if self._connection.closed and not self._snapshot:
            self._connection = self._connect()
        return self._connection

    def rows(self, query: str, values: Sequence[Value] = ()) -> list[Row]:
        try:
            return self._alive().execute(_marked(query), values).fetchall()
        except psycopg.OperationalError:
            if not self._connection.closed or self._snapshot:
                raise
        return self._alive().execute(_marked(query), values).fetchall()  # the connection was lost: once more

    def snapshot(self) -> None:
        self._alive().execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._snapshot = True

    def stream(self, query: str) -> Iterator[Row]:
        cursor = self._connection.cursor(f"stream_{next(self._numbers)}")
        cursor.itersize = _PAGE
        yield from cursor.execute(_marked(query))

    def transact(self, new: Sequence[NewRows], statement: str, values: Sequence[Value]) -> None:
        connection = self._alive()
        with connection.transaction(), connection.cursor() as cursor:
            for inserted in new:
                columns = ", ".join(inserted.columns)
                with cursor.copy(f"COPY {inserted.table} ({columns}) FROM STDIN (FORMAT BINARY)".encode()) as copy:
                    copy.set_types(["bytea" if name in _BYTES else "int8" for name in inserted.columns])
                    for row in inserted.rows:
                        copy.write_row(row)
            cursor.execute(_marked(statement), values)

    def purge(self) -> None:
        self._alive().execute("VACUUM (FULL) leaves")  # a new file, without the dead rows; the old one is removed

    def close(self) -> None:
        self._connection.close()


_BYTES: Final = frozenset({"leaf", "body", "chain", "hash", "note"})


class PostgresReading(_Session):
    """A connection that cannot write."""

    _setup = ("SET default_transaction_read_only = on",)


class PostgresWriting(_Session):
    """The one connection that writes."""

    _setup = ("SET synchronous_commit = on",)

    def _begin(self, connection: psycopg.Connection[Row]) -> None:
        """Become the one writer, and make or bring up to date what the database holds. Raises: ConfigurationError."""
        try:
            connection.execute(f"SET lock_timeout = {_LOCK_MS}".encode())
            connection.execute(f"SELECT pg_advisory_lock({_WRITER})".encode())
            connection.execute("SET lock_timeout = 0")
        except psycopg.errors.LockNotAvailable:
            raise ConfigurationError(f"another process has the audit log {self._location} open", code=LOCKED) from None
        with connection.transaction():
            connection.execute("CREATE TABLE IF NOT EXISTS log_schema (version BIGINT PRIMARY KEY)")
            for version in range(_version(connection), len(MIGRATIONS)):
                for statement in MIGRATIONS[version]:
                    connection.execute(statement.encode())
                connection.execute("INSERT INTO log_schema VALUES (%s)", (version + 1,))
        _check_layout(connection, self._location)


def _version(connection: psycopg.Connection[Row]) -> int:
    row = connection.execute("SELECT coalesce(max(version), 0) FROM log_schema").fetchone()
    return int(row[0]) if row is not None else 0


def _check_layout(connection: psycopg.Connection[Row], location: LogLocation) -> None:
    """Accept only exactly our tables, of this version. Raises: ConfigurationError."""
    exists = connection.execute("SELECT to_regclass('log_schema') IS NOT NULL").fetchone()
    version = _version(connection) if exists == (True,) else 0
    if version > len(MIGRATIONS):
        raise ConfigurationError(f"the audit log {location} is of a newer version, {version}", code="LOG_TOO_NEW")
    found = connection.execute(_FOUND.encode()).fetchall()
    if version < len(MIGRATIONS) or {row[:2] for row in found} != _COLUMNS or not all(row[2] for row in found):
        raise ConfigurationError(f"{location} does not have the layout of an audit log", code=NOT_A_LOG)


@cache
def _marked(query: str) -> bytes:
    return query.replace("?", "%s").encode()
