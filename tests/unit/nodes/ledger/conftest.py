"""Every ledger test runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodes.ledger.location import Location
from tests.postgres_server import PostgresServer


@pytest.fixture(params=["sqlite", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """Where a new ledger may live."""
    if request.param == "sqlite":
        return tmp_path / "ledger.sqlite"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()
