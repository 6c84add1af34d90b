"""Batches: files of applicants, answered row by row; what is answered stays answered, whatever happens next."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS batch (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, purpose TEXT NOT NULL,
    rows INTEGER NOT NULL, ended INTEGER, waiting_for TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batch_row (
    batch INTEGER NOT NULL REFERENCES batch, row INTEGER NOT NULL, enterprise TEXT NOT NULL, consent TEXT NOT NULL,
    reference TEXT NOT NULL, status TEXT NOT NULL, code TEXT NOT NULL, assessment TEXT,
    PRIMARY KEY (batch, row)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS batch_row_open ON batch_row (batch, row) WHERE status = 'open';
"""


class RowStatus(StrEnum):
    """How far a row is: `invalid` was never asked, `failed` was and got no answer worth keeping."""

    OPEN = "open"
    OK = "ok"
    DENIED = "denied"
    FAILED = "failed"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One applicant of a file, counted from 1. The consent is forgotten once the row is answered."""

    row: int
    enterprise: str = field(repr=False)
    consent: str = field(repr=False)
    reference: str = ""
    status: RowStatus = RowStatus.OPEN
    code: str = ""
    assessment: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """One file and how many of its rows stand where. Units: times in seconds since 1970 UTC."""

    number: int
    id: str
    at: int
    purpose: str
    rows: int
    ended: int | None
    waiting_for: str
    counts: dict[RowStatus, int]


def add(connection: sqlite3.Connection, purpose: str, rows: Sequence[BatchRow], now: int) -> Batch:
    """Store a file and return it as a batch, with nothing answered but what is invalid."""
    identifier = f"bat_{secrets.token_hex(16)}"
    ended = now if all(row.status is not RowStatus.OPEN for row in rows) else None
    cursor = connection.execute(
        "INSERT INTO batch VALUES (NULL, ?, ?, ?, ?, ?, '')", (identifier, now, purpose, len(rows), ended)
    )
    connection.executemany(
        "INSERT INTO batch_row VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
        (
            (
                cursor.lastrowid,
                r.row,
                r.enterprise,
                r.consent if r.status is RowStatus.OPEN else "",
                r.reference,
                r.status,
                r.code,
            )
            for r in rows
        ),
    )
    return _read(connection, "id = ?", identifier)[0]


def find(connection: sqlite3.Connection, identifier: str) -> Batch | None:
    """Return one batch, or None."""
    return next(iter(_read(connection, "id = ?", identifier)), None)


def page(connection: sqlite3.Connection, before: int, limit: int) -> list[Batch]:
    """Return at most `limit` batches that came before number `before`, the latest first."""
    return _read(connection, "number < ? ORDER BY number DESC LIMIT ?", before, limit)


def first_open(connection: sqlite3.Connection) -> Batch | None:
    """Return the oldest batch that has rows to answer, or None."""
    return next(iter(_read(connection, "ended IS NULL ORDER BY number LIMIT 1")), None)


def open_rows(connection: sqlite3.Connection, batch: int, limit: int) -> list[BatchRow]:
    """Return at most `limit` rows that are not answered yet, in the file's order."""
    query = "SELECT * FROM batch_row WHERE batch = ? AND status = 'open' ORDER BY row LIMIT ?"
    return [_row(row) for row in connection.execute(query, (batch, limit))]


def rows_after(connection: sqlite3.Connection, batch: int, after: int, limit: int) -> list[BatchRow]:
    """Return at most `limit` rows behind row `after`, in the file's order."""
    query = "SELECT * FROM batch_row WHERE batch = ? AND row > ? ORDER BY row LIMIT ?"
    return [_row(row) for row in connection.execute(query, (batch, after, limit))]


def settle(
    connection: sqlite3.Connection, batch: int, row: int, status: RowStatus, code: str, assessment: str | None
) -> None:
    """Record the answer to a row, and forget its consent. A row that was answered before keeps that answer."""
    connection.execute(
        "UPDATE batch_row SET status = ?, code = ?, assessment = ?, consent = '' "
        "WHERE batch = ? AND row = ? AND status = 'open'",
        (status, code, assessment, batch, row),
    )


def close_if_done(connection: sqlite3.Connection, batch: int, now: int) -> None:
    """Record that a batch has ended, if no row of it is open."""
    connection.execute(
        "UPDATE batch SET ended = ? WHERE number = ? AND ended IS NULL "
        "AND NOT EXISTS (SELECT 1 FROM batch_row WHERE batch = number AND status = 'open')",
        (now, batch),
    )


def wait_for(connection: sqlite3.Connection, batch: int, code: str) -> None:
    """Record what a batch waits for: the code of the last error, "" for nothing."""
    connection.execute("UPDATE batch SET waiting_for = ? WHERE number = ?", (code, batch))


def _read(connection: sqlite3.Connection, where: str, *values: str | int) -> list[Batch]:
    query = f"SELECT number, id, at, purpose, rows, ended, waiting_for FROM batch WHERE {where}"  # noqa: S608  our own
    return [
        Batch(number, identifier, at, purpose, rows, ended, waiting_for, dict(_counts(connection, number)))
        for number, identifier, at, purpose, rows, ended, waiting_for in connection.execute(query, values).fetchall()
    ]


def _counts(connection: sqlite3.Connection, batch: int) -> Iterator[tuple[RowStatus, int]]:
    query = "SELECT status, count(*) FROM batch_row WHERE batch = ? GROUP BY status"
    for status, count in connection.execute(query, (batch,)):
        yield RowStatus(status), count


def _row(row: tuple[int, int, str, str, str, str, str, str | None]) -> BatchRow:
    return BatchRow(row[1], row[2], row[3], row[4], RowStatus(row[5]), row[6], row[7])
