"""How often each consent has served at a node, and the newest list of revocations of each issuer."""

from __future__ import annotations

from nodes.ledger.database import Database
from protocols.errors import PolicyDenied

_USES = """SELECT count(*), sum(CASE WHEN question = ? THEN 1 ELSE 0 END)
    FROM consent_use WHERE issuer = ? AND token = ?"""


class ConsentRecords:
    """A node's own count of uses: one question counts once, however often it is asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def check_use(self, issuer: str, token: str, question: bytes, allowed: int) -> bool:
        """Tell whether this question has been counted already. Raises: PolicyDenied, code CONSENT_OVERUSED."""
        ((used, counted),) = self._database.rows(_USES, question, issuer, token)
        if used - (counted or 0) >= allowed:
            raise PolicyDenied(f"the consent has served its {allowed} uses", code="CONSENT_OVERUSED")
        return bool(counted)

    def use(self, issuer: str, token: str, question: bytes, allowed: int, at: int) -> None:
        """Count one use, in the transaction of what it is used for. Raises: PolicyDenied, code CONSENT_OVERUSED."""
        with self._database.joined():
            if not self.check_use(issuer, token, question, allowed):
                self._database.write("INSERT INTO consent_use VALUES (?, ?, ?, ?)", issuer, token, question, at)

    def keep_list(self, issuer: str, sequence: int, revocations: str) -> None:
        """Keep an issuer's list in the place of an older one, so that none older is believed after a restart."""
        statement = (
            "INSERT INTO revocation_list VALUES (?, ?, ?) ON CONFLICT (issuer) DO UPDATE "
            "SET sequence = excluded.sequence, revocations = excluded.revocations "
            "WHERE revocation_list.sequence < excluded.sequence"
        )
        self._database.write(statement, issuer, sequence, revocations)

    def lists(self) -> dict[str, str]:
        """Return the newest list of each issuer, as it was signed."""
        return dict(self._database.rows("SELECT issuer, revocations FROM revocation_list"))
