"""API keys: 256 random bits that are shown once and kept as a hash; what a key may do is its scopes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS api_key (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL, hash BLOB NOT NULL,
    created INTEGER NOT NULL, expires INTEGER, revoked INTEGER);
"""
PREFIX: Final = "cfk"


class Scope(StrEnum):
    """What a key may be allowed to do."""

    ASSESS = "assessments:write"
    READ_ASSESSMENTS = "assessments:read"
    SEND_BATCHES = "batches:write"
    READ_BATCHES = "batches:read"
    REPORT_OUTCOMES = "outcomes:write"
    READ_OUTCOMES = "outcomes:read"
    MONITOR = "monitors:write"
    READ_MONITORS = "monitors:read"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key without its secret. Units: times in seconds since 1970 UTC; `expires` None for never."""

    id: str
    name: str
    scopes: frozenset[Scope]
    hash: bytes = field(repr=False)
    created: int
    expires: int | None
    revoked: int | None

    def state(self, now: int) -> str:
        """Return "active", "expired" or "revoked"."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "active"


def create(
    connection: sqlite3.Connection, name: str, scopes: frozenset[Scope], now: int, expires: int | None
) -> tuple[ApiKey, str]:
    """Make a key and return it with the text that its holder sends, which nobody can show again."""
    identifier, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    key = ApiKey(identifier, name, scopes, _hash(secret), now, expires, None)
    connection.execute(
        "INSERT INTO api_key VALUES (?, ?, ?, ?, ?, ?, NULL)",
        (key.id, name, " ".join(sorted(scopes)), key.hash, now, expires),
    )
    return key, f"{PREFIX}_{identifier}_{secret}"


def find(connection: sqlite3.Connection, token: str, now: int) -> ApiKey | None:
    """Return the active key that `token` is, or None: unknown, wrong, expired and revoked look alike."""
    prefix, _, rest = token.partition("_")
    identifier, _, secret = rest.partition("_")
    row = connection.execute("SELECT * FROM api_key WHERE id = ?", (identifier,)).fetchone()
    if prefix != PREFIX or row is None:
        return None
    key = _key(row)
    same = hmac.compare_digest(_hash(secret), key.hash)
    return key if same and key.state(now) == "active" else None


def every(connection: sqlite3.Connection) -> list[ApiKey]:
    """Return all keys, the oldest first."""
    return [_key(row) for row in connection.execute("SELECT * FROM api_key ORDER BY created, rowid")]


def revoke(connection: sqlite3.Connection, identifier: str, now: int) -> bool:
    """Revoke a key for good; say whether there is one of this id."""
    statement = "UPDATE api_key SET revoked = coalesce(revoked, ?) WHERE id = ?"
    return connection.execute(statement, (now, identifier)).rowcount == 1


def _key(row: tuple[str, str, str, bytes, int, int | None, int | None]) -> ApiKey:
    return ApiKey(row[0], row[1], frozenset(map(Scope, row[2].split())), row[3], row[4], row[5], row[6])


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
