"""The two places where a log may live, for tests that must hold in both, and an attacker's hand in either."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from federation.audit.storage.location import LogLocation
from tests.postgres_server import PostgresServer

SQLITE = "sqlite"
POSTGRES = "postgresql"


def make_location(request: pytest.FixtureRequest, directory: Path) -> LogLocation:
    """Return the place that the fixture's parameter names, an empty one, for the federation in `directory`."""
    home = directory / "coordinator"
    home.mkdir()
    if request.param == SQLITE:
        return LogLocation(home / "log.sqlite")
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.new_database()
    (home / "coordinator.yaml").write_text(f"log: {url}\n", encoding="utf-8")
    return LogLocation(home / "log.sqlite", url)


class Hand:
    """Somebody who may write the database, by SQLite's words."""

    def __init__(self, connection: sqlite3.Connection | psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """Run one statement and return its rows."""
        if isinstance(self._connection, sqlite3.Connection):
            return self._connection.execute(statement, values).fetchall()
        spelt = statement.replace("zeroblob(32)", "decode(repeat('00', 32), 'hex')").replace("X'00'", r"'\x00'::bytea")
        cursor = self._connection.execute(spelt.replace("?", "%s").encode(), values)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def hand(location: LogLocation) -> Iterator[Hand]:
    """Yield a hand in the database; what it did is committed at the end."""
    if not location.url:
        connection = sqlite3.connect(location.path)
        with connection:
            yield Hand(connection)
        connection.close()
        return
    with psycopg.connect(location.url) as server:
        yield Hand(server)
