"""What each bank has spent of its yearly budgets at a node, release by release."""

from __future__ import annotations

from collections.abc import Sequence

from nodes.budgets import REFUSALS, Budget, Charge, year_of
from nodes.ledger.database import Database
from protocols.errors import BudgetExceeded


class SpendingRecords:
    """Charges by bank and calendar year (UTC). A budget that is spent stays spent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def spent(self, bank: str, at: int) -> dict[Budget, int]:
        """Return what a bank has spent of each yearly budget in the year of `at`."""
        query = "SELECT coalesce(sum(amount), 0) FROM spending WHERE bank = ? AND year = ? AND budget = ?"
        rows = {budget: self._database.rows(query, bank, year_of(at), budget.value) for budget in Budget}
        return {budget: int(amount) for budget, ((amount,),) in rows.items()}

    def require(self, bank: str, at: int, charges: Sequence[Charge]) -> None:
        """Return if the bank's year has room for charges. Raises: BudgetExceeded, LEAK_BUDGET or PRIVACY_BUDGET."""
        spent = self.spent(bank, at)
        for charge in charges:
            left = charge.per_year - spent[charge.budget]
            if charge.amount > left:
                raise BudgetExceeded(
                    f"{charge.amount} of {bank}'s {charge.budget} budget are asked for, {max(0, left)} of "
                    f"{charge.per_year} are left in {year_of(at)}",
                    code=REFUSALS[charge.budget],
                )

    def spend(self, transcript: bytes, step: str, bank: str, at: int, charges: Sequence[Charge]) -> None:
        """Take charges from the year's budgets, all or none. Raises: BudgetExceeded."""
        with self._database.transaction():
            self.require(bank, at, charges)
            for charge in charges:
                if charge.amount:
                    statement = "INSERT INTO spending VALUES (?, ?, ?, ?, ?, ?)"
                    row = (transcript, step, charge.budget.value, bank, year_of(at), charge.amount)
                    self._database.write(statement, *row)
