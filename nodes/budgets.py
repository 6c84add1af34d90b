"""What a bank may learn from one data node in a calendar year: yearly budgets, spent release by release.

A dishonest bank that may repeat its runs repeats what it learns. Every release is therefore charged to the bank and the
year (UTC) in which it is made, in the ledger's own transaction, before it leaves; a run that breaks off has spent what
it has released. A budget that is spent stays spent: over restarts, over other cohorts, over other runs.
"""

from __future__ import annotations

import datetime
import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from protocols.errors import BudgetExceeded

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS spending (
    transcript BLOB NOT NULL, step TEXT NOT NULL, budget TEXT NOT NULL, bank TEXT NOT NULL, year INTEGER NOT NULL,
    amount INTEGER NOT NULL, PRIMARY KEY (transcript, step, budget));
CREATE INDEX IF NOT EXISTS spending_by_year ON spending (bank, year, budget);
"""


class Budget(StrEnum):
    """What is counted: releases of one total per enterprise, and billionths of zero-concentrated privacy (ρ)."""

    ROW_TOTALS = "row_totals"
    PRIVACY = "privacy"


REFUSALS: Final = {Budget.ROW_TOTALS: "LEAK_BUDGET", Budget.PRIVACY: "PRIVACY_BUDGET"}
"""The stable code of the error for a budget that is spent."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What one release, or a whole run, takes from a yearly budget. Units: those of the budget."""

    budget: Budget
    amount: int
    per_year: int


def year_of(at: int) -> int:
    """Return the calendar year (UTC) of a time in seconds since 1970."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).year


def spent(connection: sqlite3.Connection, bank: str, year: int, budget: Budget) -> int:
    """Return what a bank has spent of a budget in a year."""
    query = "SELECT coalesce(sum(amount), 0) FROM spending WHERE bank = ? AND year = ? AND budget = ?"
    return int(connection.execute(query, (bank, year, budget.value)).fetchone()[0])


def require(connection: sqlite3.Connection, bank: str, year: int, charge: Charge) -> None:
    """Return if the year's budget has room for a charge. Raises: BudgetExceeded, codes LEAK_BUDGET, PRIVACY_BUDGET."""
    left = charge.per_year - spent(connection, bank, year, charge.budget)
    if charge.amount > left:
        raise BudgetExceeded(
            f"{charge.amount} of {bank}'s {charge.budget} budget are asked for, {max(0, left)} of {charge.per_year} "
            f"are left in {year}",
            code=REFUSALS[charge.budget],
        )


def spend(connection: sqlite3.Connection, transcript: bytes, step: str, bank: str, year: int, charge: Charge) -> None:
    """Take a charge from the year's budget, inside the caller's transaction. Raises: BudgetExceeded."""
    require(connection, bank, year, charge)
    if charge.amount:
        row = (transcript, step, charge.budget.value, bank, year, charge.amount)
        connection.execute("INSERT INTO spending VALUES (?, ?, ?, ?, ?, ?)", row)
