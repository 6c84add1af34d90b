"""How many banks have asked about an enterprise of late: what only a node can count, which knows both."""

from __future__ import annotations

from nodes.ledger.database import Database

_BANKS = """SELECT count(DISTINCT bank) FROM (
    SELECT bank FROM answer WHERE subject = ? AND day > ?
    UNION SELECT bank FROM batch_entry WHERE subject = ? AND day > ?) AS asked"""


class AskerRecords:
    """A node's view of who asks about whom, in the answers on its own record, releases and denials alike."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def banks(self, subject: str, since: int) -> int:
        """Return how many banks asked about an enterprise after the day `since`, counted since 1970."""
        ((banks,),) = self._database.rows(_BANKS, *(subject, since) * 2)
        return int(banks)
