"""Which consents a bank knows to be in the log: of any other, it states whose it is when it shows it."""

from __future__ import annotations

from collections.abc import Iterable

from nodes.ledger.database import Database


class ShownConsents:
    """A bank's consents by their handles."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __contains__(self, handle: bytes) -> bool:
        return self._database.row("SELECT 1 FROM consent_shown WHERE handle = ?", handle) is not None

    def add(self, handles: Iterable[bytes]) -> None:
        """Note that the log has these."""
        for handle in handles:
            self._database.write("INSERT INTO consent_shown (handle) VALUES (?) ON CONFLICT DO NOTHING", handle)

    def discard(self, handles: Iterable[bytes]) -> None:
        """Note that the log does not have these."""
        for handle in handles:
            self._database.write("DELETE FROM consent_shown WHERE handle = ?", handle)
