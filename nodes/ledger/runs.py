"""The training runs that a node has admitted, the cohorts it has seen, and every release it made in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodes.budgets import Charge
from nodes.ledger.database import Database, DuplicateRecord
from nodes.ledger.spending import SpendingRecords
from protocols.errors import BudgetExceeded, VerificationFailed
from protocols.scorecard.messages import LeakClass


@dataclass(frozen=True, slots=True)
class Release:
    """One release of a run, as it is about to be made: under which rule of which policy. Units: `at` in seconds."""

    step: str
    leak: LeakClass
    at: int
    rule: str
    policy: bytes


class RunRecords:
    """A node's training runs. Every method is durable when it returns, or with the group it stands in."""

    def __init__(self, database: Database, spending: SpendingRecords) -> None:
        self._database, self._spending = database, spending

    def open(self, transcript: bytes, bank: str, row_totals: int) -> None:
        """Record that a run was admitted. Raises: VerificationFailed, code RUN_REPLAYED, if it was before."""
        try:
            self._database.write("INSERT INTO run VALUES (?, ?, ?)", transcript, bank, row_totals)
        except DuplicateRecord as error:
            raise VerificationFailed("this run was opened before", code="RUN_REPLAYED") from error

    def cohorts(self, bank: str) -> list[bytes]:
        """Return the training rows of the bank's earlier runs, as `cohorts.pack` wrote them."""
        rows = self._database.rows("SELECT DISTINCT names FROM cohort WHERE bank = ?", bank)
        return [names for (names,) in rows]

    def record_cohort(self, transcript: bytes, bank: str, names: bytes) -> None:
        """Record a run's training rows before anything about them is released."""
        self._database.write("INSERT INTO cohort VALUES (?, ?, ?)", transcript, bank, names)

    def record_release(self, transcript: bytes, release: Release, charges: Sequence[Charge] = ()) -> None:
        """Record a release of an open run, and charge it to the bank's year, before it is made.

        Raises: BudgetExceeded, codes LEAK_BUDGET, PRIVACY_BUDGET; DuplicateRecord: nothing is then recorded.
        """
        with self._database.transaction():
            ((bank, allowed),) = self._database.rows(
                "SELECT bank, row_totals FROM run WHERE transcript = ?", transcript
            )
            leak = release.leak
            if leak is LeakClass.ROW_TOTALS and self.leaks(transcript).get(leak.value, 0) >= allowed:
                raise BudgetExceeded(f"all {allowed} releases of row totals are spent", code="LEAK_BUDGET")
            self._spending.spend(transcript, release.step, bank, release.at, charges)
            self._database.write(
                "INSERT INTO release (transcript, step, leak, at, rule, policy) VALUES (?, ?, ?, ?, ?, ?)",
                *(transcript, release.step, leak.value, release.at, release.rule, release.policy),
            )

    def leaks(self, transcript: bytes) -> dict[str, int]:
        """Return how often each leak class was released in a run."""
        rows = self._database.rows("SELECT leak, count(*) FROM release WHERE transcript = ? GROUP BY leak", transcript)
        return dict(rows)
