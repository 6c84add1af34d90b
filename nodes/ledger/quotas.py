"""How often a bank has been answered on a day, one by one and in batches, held against a quota."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from nodes.ledger.database import Database
from nodes.policy import Quota
from protocols.errors import BudgetExceeded

_RELEASED = """SELECT subject FROM answer WHERE bank = ? AND day = ? AND decision = 'RELEASE' AND subject <> ''
    UNION ALL SELECT subject FROM batch_entry WHERE bank = ? AND day = ? AND code = ''"""

_ABOUT_ONE = (
    "SELECT count(*) FROM answer WHERE bank = ? AND day = ? AND decision = 'RELEASE' AND subject = ?",
    "SELECT count(*) FROM batch_entry WHERE bank = ? AND day = ? AND code = '' AND subject = ?",
)


class QuotaRecords:
    """The quotas of one node, counted in its answers. Units: days since 1970, UTC."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def check(self, bank: str, subjects: Sequence[str], day: int, quota: Quota) -> None:
        """Return if a bank may still be answered about all of these. Raises: BudgetExceeded, QUOTA, SUBJECT_QUOTA."""
        if not subjects:
            return
        if self.left(bank, day, quota) < len(subjects):
            raise BudgetExceeded(f"{bank} may ask {quota.per_day} queries a day", code="QUOTA")
        used = self._about(bank, subjects, day)
        if any(used[subject] >= quota.per_subject for subject in subjects):
            raise BudgetExceeded(
                f"{bank} may ask {quota.per_subject} queries a day about an enterprise", code="SUBJECT_QUOTA"
            )

    def left(self, bank: str, day: int, quota: Quota) -> int:
        """Return about how many enterprises the bank may still be answered on a day; negative if none."""
        ((used,),) = self._database.rows(f"SELECT count(*) FROM ({_RELEASED}) AS released", *(bank, day) * 2)  # noqa: S608
        return quota.per_day - int(used)

    def _about(self, bank: str, subjects: Sequence[str], day: int) -> Counter[str]:
        """Return how often each enterprise was asked about, for one by the index and for many in one pass."""
        if len(subjects) == 1:
            key = (bank, day, subjects[0])
            return Counter({subjects[0]: sum(int(self._database.rows(query, *key)[0][0]) for query in _ABOUT_ONE)})
        query = f"SELECT subject, count(*) FROM ({_RELEASED}) AS released GROUP BY subject"  # noqa: S608
        return Counter(dict(self._database.rows(query, *(bank, day) * 2)))
