"""Answers that were given under an idempotency key: the same request gets the same bytes again."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Final

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS replay (
    client TEXT NOT NULL, key TEXT NOT NULL, request BLOB NOT NULL, status INTEGER NOT NULL, location TEXT NOT NULL,
    body BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (client, key));
CREATE INDEX IF NOT EXISTS replay_by_age ON replay (at);
"""
KEPT_SECONDS: Final = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it was sent: JSON."""

    status: int
    location: str
    body: bytes = field(repr=False)


def find(connection: sqlite3.Connection, client: str, key: str, now: int) -> tuple[bytes, Answer] | None:
    """Return the hash of the request that a key was used for, and its answer; None if that was never, or long ago."""
    query = "SELECT request, status, location, body FROM replay WHERE client = ? AND key = ? AND at > ?"
    row = connection.execute(query, (client, key, now - KEPT_SECONDS)).fetchone()
    return None if row is None else (bytes(row[0]), Answer(row[1], row[2], bytes(row[3])))


def keep(connection: sqlite3.Connection, client: str, key: str, request: bytes, answer: Answer, now: int) -> None:
    """Keep an answer, and forget those that are too old. Raises: sqlite3.IntegrityError if the key is in use."""
    connection.execute("DELETE FROM replay WHERE at <= ?", (now - KEPT_SECONDS,))
    values = (client, key, request, answer.status, answer.location, answer.body, now)
    connection.execute("INSERT INTO replay VALUES (?, ?, ?, ?, ?, ?, ?)", values)
