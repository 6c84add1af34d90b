"""What a bank may learn from one data node in a calendar year: yearly budgets, spent release by release.

A dishonest bank that may repeat its runs repeats what it learns. Every release is therefore charged to the bank and the
year (UTC) in which it is made, in the ledger's own transaction, before it leaves; a run that breaks off has spent what
it has released. A budget that is spent stays spent: over restarts, over other cohorts, over other runs.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


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
