"""Assessments that the bank has asked for, however: singly, in a batch, or by a monitor."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from nodes.bank.asking.results import AssessmentResult
from nodes.bank.report.facts import ModelFacts

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS assessment (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, source TEXT NOT NULL,
    purpose TEXT NOT NULL, reference TEXT NOT NULL, result BLOB NOT NULL, model BLOB NOT NULL);
"""
_result = msgspec.json.Decoder(AssessmentResult)
_model = msgspec.json.Decoder(ModelFacts)


class Source(StrEnum):
    """Who asked."""

    SINGLE = "single"
    BATCH = "batch"
    MONITOR = "monitor"


@dataclass(frozen=True, slots=True)
class Assessment:
    """One result as it is kept; `number` orders them, 0 before it is stored. Units: `at` in seconds since 1970 UTC."""

    id: str
    at: int
    source: Source
    purpose: str
    reference: str
    result: AssessmentResult = field(repr=False)
    model: ModelFacts
    number: int = 0


def new_id() -> str:
    """Return an identifier that nobody can guess."""
    return f"asm_{secrets.token_hex(16)}"


def add(connection: sqlite3.Connection, assessment: Assessment) -> None:
    """Store an assessment for good."""
    a = assessment
    result, model = msgspec.json.encode(a.result), msgspec.json.encode(a.model)
    connection.execute(
        "INSERT INTO assessment VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
        (a.id, a.at, a.source.value, a.purpose, a.reference, result, model),
    )


def find(connection: sqlite3.Connection, identifier: str) -> Assessment | None:
    """Return one assessment, or None."""
    row = connection.execute("SELECT * FROM assessment WHERE id = ?", (identifier,)).fetchone()
    return None if row is None else _assessment(row)


def page(connection: sqlite3.Connection, before: int, limit: int) -> list[Assessment]:
    """Return at most `limit` assessments that came before number `before`, the latest first."""
    query = "SELECT * FROM assessment WHERE number < ? ORDER BY number DESC LIMIT ?"
    return [_assessment(row) for row in connection.execute(query, (before, limit))]


def _assessment(row: tuple[int, str, int, str, str, str, bytes, bytes]) -> Assessment:
    number, identifier, at, source, purpose, reference, result, model = row
    return Assessment(
        identifier, at, Source(source), purpose, reference, _result.decode(result), _model.decode(model), number
    )
