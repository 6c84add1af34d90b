"""How often a bank has been answered on a day, one by one and in batches, held against a quota.

The day's count is a row of its own, moved in the transaction that records the answers: a bank's hundred-thousandth
question costs no more than its first, and a count can neither run ahead of what is on record nor fall behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

from nodes.ledger.database import Database
from nodes.policy import Quota
from protocols.errors import BudgetExceeded

_ABOUT_ONE = """SELECT
    (SELECT count(*) FROM answer WHERE bank = ? AND day = ? AND decision = 'RELEASE' AND subject = ?) +
    (SELECT count(*) FROM batch_entry WHERE bank = ? AND day = ? AND code = '' AND subject = ?)"""


class QuotaRecords:
    """The quotas of one node, counted in its answers. Units: days since 1970, UTC."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def check(self, bank: str, subjects: Sequence[str], day: int, quota: Quota) -> None:
        """Return if a bank may still be answered about all of these. Raises: BudgetExceeded, QUOTA, SUBJECT_QUOTA."""
        if self.left(bank, day, quota) < len(subjects):
            raise BudgetExceeded(f"{bank} may ask {quota.per_day} queries a day", code="QUOTA")
        for subject in subjects:
            self.check_subject(bank, subject, day, quota)

    def check_subject(self, bank: str, subject: str, day: int, quota: Quota) -> None:
        """Return if a bank may still be answered about this one. Raises: BudgetExceeded, code SUBJECT_QUOTA."""
        ((used,),) = self._database.rows(_ABOUT_ONE, *(bank, day, subject) * 2)
        if used >= quota.per_subject:
            raise BudgetExceeded(
                f"{bank} may ask {quota.per_subject} queries a day about an enterprise", code="SUBJECT_QUOTA"
            )

    def left(self, bank: str, day: int, quota: Quota) -> int:
        """Return about how many enterprises the bank may still be answered on a day; negative if none."""
        row = self._database.row("SELECT used FROM quota_use WHERE bank = ? AND day = ?", bank, day)
        return quota.per_day - (0 if row is None else int(row[0]))

    def count(self, bank: str, day: int, answers: int) -> None:
        """Count answers, in the transaction that records them."""
        statement = (
            "INSERT INTO quota_use (bank, day, used) VALUES (?, ?, ?) "
            "ON CONFLICT (bank, day) DO UPDATE SET used = quota_use.used + excluded.used"
        )
        self._database.write(statement, bank, day, answers)
