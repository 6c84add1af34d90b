"""Monitors: enterprises that are scored again on a schedule; and the events about them, until they are delivered."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS monitor (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, enterprise TEXT NOT NULL,
    consent TEXT NOT NULL, reference TEXT NOT NULL, every_days INTEGER NOT NULL, webhook TEXT NOT NULL,
    status TEXT NOT NULL, next_at INTEGER NOT NULL, standing BLOB, latest TEXT);
CREATE INDEX IF NOT EXISTS monitor_due ON monitor (next_at) WHERE status = 'active';
CREATE INDEX IF NOT EXISTS monitor_of ON monitor (enterprise) WHERE status = 'active';
CREATE TABLE IF NOT EXISTS event (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, monitor INTEGER NOT NULL REFERENCES monitor,
    at INTEGER NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL, attempts INTEGER NOT NULL, next_at INTEGER,
    delivered INTEGER);
CREATE INDEX IF NOT EXISTS event_due ON event (next_at) WHERE next_at IS NOT NULL;
"""


class MonitorStatus(StrEnum):
    """Whether an enterprise is watched; `suspended` until the bank sends a new consent."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class Standing(msgspec.Struct, frozen=True):
    """How an enterprise stood when it was last found worth telling, or first seen."""

    pd: float
    score: int
    grade: str
    worst_themes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Monitor:
    """One enterprise that is watched. Units: times in seconds since 1970 UTC; `every_days` between two assessments."""

    id: str
    at: int
    enterprise: str = field(repr=False)
    consent: str = field(repr=False)
    reference: str
    every_days: int
    webhook: str
    status: MonitorStatus
    next_at: int
    standing: Standing | None = None
    latest: str | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """One thing to tell the bank's systems; `body` is exactly what is sent. Units: as `Monitor`; None for never."""

    id: str
    monitor: int
    at: int
    kind: str
    body: bytes = field(repr=False)
    attempts: int = 0
    next_at: int | None = None
    delivered: int | None = None
    number: int = 0


def new_id(prefix: str) -> str:
    """Return an identifier that nobody can guess."""
    return f"{prefix}_{secrets.token_hex(16)}"


def add(connection: sqlite3.Connection, monitor: Monitor) -> None:
    """Begin to watch."""
    m = monitor
    values = (m.id, m.at, m.enterprise, m.consent, m.reference, m.every_days, m.webhook, m.status, m.next_at)
    connection.execute("INSERT INTO monitor VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)", values)


def find(connection: sqlite3.Connection, identifier: str) -> Monitor | None:
    """Return one monitor that was not deleted, or None."""
    return next(iter(_monitors(connection, "id = ? AND status != 'deleted'", identifier)), None)


def page(connection: sqlite3.Connection, before: int, limit: int) -> list[Monitor]:
    """Return at most `limit` monitors before number `before`, the latest first; those that were deleted left out."""
    where = "number < ? AND status != 'deleted' ORDER BY number DESC LIMIT ?"
    return _monitors(connection, where, before, limit)


def due(connection: sqlite3.Connection, now: int, limit: int) -> list[Monitor]:
    """Return at most `limit` active monitors whose time has come, the longest overdue first."""
    return _monitors(connection, "status = 'active' AND next_at <= ? ORDER BY next_at LIMIT ?", now, limit)


def watching(connection: sqlite3.Connection, enterprise: str) -> list[Monitor]:
    """Return the active monitors of an enterprise."""
    return _monitors(connection, "status = 'active' AND enterprise = ?", enterprise)


def update(
    connection: sqlite3.Connection,
    monitor: Monitor,
    status: MonitorStatus,
    next_at: int,
    standing: Standing | None,
    latest: str | None,
) -> None:
    """Record how a monitor stands after an assessment, unless it was deleted meanwhile."""
    kept = None if standing is None else msgspec.json.encode(standing)
    connection.execute(
        "UPDATE monitor SET status = ?, next_at = ?, standing = ?, latest = ? WHERE number = ? AND status != 'deleted'",
        (status, next_at, kept, latest, monitor.number),
    )


def postpone(connection: sqlite3.Connection, monitor: Monitor, next_at: int) -> None:
    """Try a monitor again later."""
    connection.execute("UPDATE monitor SET next_at = ? WHERE number = ?", (next_at, monitor.number))


def delete(connection: sqlite3.Connection, identifier: str) -> bool:
    """Stop watching, forget enterprise, consent and webhook, and drop what is undelivered; say whether it was there."""
    statement = (
        "UPDATE monitor SET status = 'deleted', consent = '', enterprise = '', webhook = '' "
        "WHERE id = ? AND status != 'deleted' RETURNING number"
    )
    row = connection.execute(statement, (identifier,)).fetchone()
    if row is not None:
        connection.execute("UPDATE event SET next_at = NULL WHERE monitor = ?", row)
    return row is not None


# ---- events


def add_event(connection: sqlite3.Connection, event: Event) -> None:
    """Record an event, to be delivered from `next_at` on."""
    e = event
    values = (e.id, e.monitor, e.at, e.kind, e.body, e.attempts, e.next_at)
    connection.execute("INSERT INTO event VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, NULL)", values)


def due_events(connection: sqlite3.Connection, now: int, limit: int) -> list[tuple[Event, str]]:
    """Return at most `limit` events to deliver now, each with its webhook."""
    query = (
        "SELECT event.*, monitor.webhook FROM event JOIN monitor ON monitor.number = event.monitor "
        "WHERE event.next_at <= ? ORDER BY event.next_at LIMIT ?"
    )
    return [(_event(row[:-1]), row[-1]) for row in connection.execute(query, (now, limit))]


def events_of(connection: sqlite3.Connection, monitor: int, before: int, limit: int) -> list[Event]:
    """Return at most `limit` events of a monitor before number `before`, the latest first."""
    query = "SELECT * FROM event WHERE monitor = ? AND number < ? ORDER BY number DESC LIMIT ?"
    return [_event(row) for row in connection.execute(query, (monitor, before, limit))]


def record_attempt(connection: sqlite3.Connection, event: Event, next_at: int | None, delivered: int | None) -> None:
    """Record one attempt to deliver: `delivered` if it worked, else when to try again, None for never."""
    statement = "UPDATE event SET attempts = attempts + 1, next_at = ?, delivered = ? WHERE number = ?"
    connection.execute(statement, (next_at, delivered, event.number))


def _monitors(connection: sqlite3.Connection, where: str, *values: str | int) -> list[Monitor]:
    query = f"SELECT * FROM monitor WHERE {where}"  # noqa: S608  our own
    return [_monitor(row) for row in connection.execute(query, values)]


def _monitor(
    row: tuple[int, str, int, str, str, str, int, str, str, int, bytes | None, str | None],
) -> Monitor:
    number, identifier, at, enterprise, consent, reference, every_days, webhook, status, next_at, standing, latest = row
    return Monitor(
        identifier,
        at,
        enterprise,
        consent,
        reference,
        every_days,
        webhook,
        MonitorStatus(status),
        next_at,
        None if standing is None else msgspec.json.decode(standing, type=Standing),
        latest,
        number,
    )


def _event(row: tuple[int, str, int, int, str, bytes, int, int | None, int | None]) -> Event:
    number, identifier, monitor, at, kind, body, attempts, next_at, delivered = row
    return Event(identifier, monitor, at, kind, bytes(body), attempts, next_at, delivered, number)
