"""A ledger in a PostgreSQL database of its own, for an owner who runs one anyway. Needs the extra `postgres`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import psycopg

from nodes.ledger.database import Row, Value

_ONE_WRITER = "SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext('credit-federation ledger'))"
"""Writers take turns, as they do in SQLite: a quota that two transactions count at once would be exceeded."""


class PostgresBackend:
    """One connection to a ledger's database; a commit waits for the server's disk."""

    error: type[Exception] = psycopg.Error
    integrity_error: type[Exception] = psycopg.IntegrityError
    begin: tuple[str, ...] = ("BEGIN", _ONE_WRITER)
    atomic_statements = False

    def __init__(self, url: str, read_only: bool = False) -> None:
        """Connect to the server. Raises: psycopg.Error, whose text may quote the URL's parts but not its password."""
        self._url, self._read_only = url, read_only
        self._connection = self._connect()

    def _connect(self) -> psycopg.Connection[Row]:
        connection = psycopg.connect(self._url, autocommit=True, connect_timeout=10)
        connection.execute("SET synchronous_commit = on")
        if self._read_only:
            connection.execute("SET default_transaction_read_only = on")
        return connection

    def execute(self, statement: str, values: Sequence[Value]) -> list[Row]:
        cursor = self._connection.execute(_with_markers(statement), values)
        return [] if cursor.description is None else cursor.fetchall()

    def create(self, statement: str) -> None:
        self._connection.execute(statement.replace(" BLOB", " BYTEA").encode())

    def revive(self) -> None:
        if self._connection.closed:
            self._connection = self._connect()

    def close(self) -> None:
        self._connection.close()


@cache
def _with_markers(statement: str) -> bytes:
    return statement.replace("?", "%s").encode()
