"""Repayment outcomes that the bank reports, and the labels that they become.

A loan *defaults* when it is more than 90 days past due within twelve months of draw-down. 30 to 90 days are
indeterminate and train nothing; a loan below that is *good* once its twelve months have passed, and until then *open*.
Of each loan the latest observation counts; a correction takes the place of all that was said of its loan before.
"""

from __future__ import annotations

import datetime
import sqlite3
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS outcome (
    number INTEGER PRIMARY KEY, enterprise TEXT NOT NULL, loan TEXT NOT NULL, drawn_on TEXT NOT NULL,
    observed_on TEXT NOT NULL, days_past_due INTEGER NOT NULL, at INTEGER NOT NULL,
    UNIQUE (enterprise, loan, observed_on));
CREATE TABLE IF NOT EXISTS withdrawn_outcome (
    number INTEGER PRIMARY KEY, enterprise TEXT NOT NULL, loan TEXT NOT NULL, drawn_on TEXT NOT NULL,
    observed_on TEXT NOT NULL, days_past_due INTEGER NOT NULL, at INTEGER NOT NULL, withdrawn_at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS withdrawn_by_loan ON withdrawn_outcome (enterprise, loan);
"""
DEFAULT_ABOVE: Final = 90
GOOD_BELOW: Final = 30
MONTHS: Final = 12
_FURTHEST_EAST: Final = 14 * 3600


class Label(StrEnum):
    """What a loan tells a model."""

    DEFAULT = "default"
    GOOD = "good"
    INDETERMINATE = "indeterminate"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the bank has seen of one loan until a day.

    Units: `days_past_due` is the most days past due in the twelve months from draw-down, so far.
    """

    enterprise: str = field(repr=False)
    loan: str
    drawn_on: datetime.date
    observed_on: datetime.date
    days_past_due: int

    def label(self) -> Label:
        """Return what this observation says of the loan."""
        if self.days_past_due > DEFAULT_ABOVE:
            return Label.DEFAULT
        if self.days_past_due >= GOOD_BELOW:
            return Label.INDETERMINATE
        return Label.GOOD if self.observed_on >= anniversary(self.drawn_on) else Label.OPEN


def anniversary(day: datetime.date) -> datetime.date:
    """Return the day twelve months after `day`; 28 February for 29 February."""
    if day.year == datetime.MAXYEAR:
        return datetime.date.max
    try:
        return day.replace(year=day.year + 1)
    except ValueError:
        return day.replace(year=day.year + 1, day=28)


def latest_day(now: int) -> datetime.date:
    """Return the day that it is, anywhere on earth: no loan can have been observed later. Units: seconds since 1970."""
    return datetime.datetime.fromtimestamp(now + _FURTHEST_EAST, datetime.UTC).date()


class OutcomeConflict(ValueError):
    """A loan was reported otherwise before, for the same day or with another day of draw-down."""


def record(connection: sqlite3.Connection, outcome: Outcome, now: int, *, correction: bool = False) -> bool:
    """Record an observation; say whether it is new. A correction withdraws all that was said of its loan before.

    What was withdrawn is not news when it is said again, unless as a correction.

    Raises: OutcomeConflict if it contradicts an earlier one, and is no correction.
    """
    o, loan = outcome, (outcome.enterprise, outcome.loan)
    said = (o.drawn_on.isoformat(), o.observed_on.isoformat(), o.days_past_due)
    earlier = _said_of(connection, "outcome", loan)
    if earlier == [said] if correction else said in [*earlier, *_said_of(connection, "withdrawn_outcome", loan)]:
        return False
    if correction:
        connection.execute(
            "INSERT INTO withdrawn_outcome SELECT *, ? FROM outcome WHERE enterprise = ? AND loan = ?", (now, *loan)
        )
        connection.execute("DELETE FROM outcome WHERE enterprise = ? AND loan = ?", loan)
    elif any(drawn_on != said[0] or observed_on == said[1] for drawn_on, observed_on, _ in earlier):
        raise OutcomeConflict("the loan was reported otherwise before")
    connection.execute(
        "INSERT INTO outcome SELECT coalesce(max(number), 0) + 1, ?, ?, ?, ?, ?, ? FROM ("
        "SELECT max(number) AS number FROM outcome UNION ALL SELECT max(number) FROM withdrawn_outcome)",
        (*loan, *said, now),
    )
    return True


def _said_of(connection: sqlite3.Connection, table: str, loan: tuple[str, str]) -> list[tuple[str, str, int]]:
    query = f"SELECT drawn_on, observed_on, days_past_due FROM {table} WHERE enterprise = ? AND loan = ?"  # noqa: S608  our own
    return connection.execute(query, loan).fetchall()


def page(connection: sqlite3.Connection, before: int, limit: int) -> list[tuple[int, Outcome]]:
    """Return at most `limit` numbered observations before number `before`, the latest first."""
    query = f"SELECT number, {_COLUMNS} FROM outcome WHERE number < ? ORDER BY number DESC LIMIT ?"  # noqa: S608  our own
    return [(row[0], _outcome(row[1:])) for row in connection.execute(query, (before, limit))]


def labels(connection: sqlite3.Connection, as_of: datetime.date) -> dict[str, Label]:
    """Return one label per enterprise: default if a loan of it is, else indeterminate if one is, else good, else open.

    Of each loan the latest observation counts that was made on `as_of` or before. Reveals: to whoever may read the
    bank's database, who defaulted.
    """
    order = [Label.DEFAULT, Label.INDETERMINATE, Label.GOOD, Label.OPEN]
    query = f"SELECT {_COLUMNS} FROM outcome WHERE observed_on <= ? ORDER BY observed_on"  # noqa: S608  our own
    latest: dict[tuple[str, str], Label] = {}
    for row in connection.execute(query, (as_of.isoformat(),)):
        outcome = _outcome(row)
        latest[outcome.enterprise, outcome.loan] = outcome.label()
    found: dict[str, Label] = {}
    for (enterprise, _), label in latest.items():
        found[enterprise] = min(found.get(enterprise, Label.OPEN), label, key=order.index)
    return found


_COLUMNS: Final = "enterprise, loan, drawn_on, observed_on, days_past_due"


def _outcome(row: tuple[str, str, str, str, int]) -> Outcome:
    drawn_on, observed_on = map(datetime.date.fromisoformat, row[2:4])
    return Outcome(row[0], row[1], drawn_on, observed_on, row[4])
