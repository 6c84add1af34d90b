"""What a bank has asked, to be held against the coordinator's log."""

from __future__ import annotations

from nodes.ledger.database import Database


class QuestionRecords:
    """A bank's queries, from the asking to the acknowledgement."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, query: bytes, at: int, request: bytes) -> None:
        """Record a query before it is asked; `request` is the SHA-256 of its signed message."""
        self._database.write("INSERT INTO question (query, at, request) VALUES (?, ?, ?)", query, at, request)

    def withdraw(self, query: bytes) -> None:
        """Forget a query that is on record and has never left: the log cannot have it."""
        self._database.write("DELETE FROM question WHERE query = ? AND acknowledgement IS NULL", query)

    def close(self, query: bytes, acknowledgement: bytes, receipt: bytes | None) -> None:
        """Record how a query ends before the log is told: the hash of the acknowledgement, the log's note over it."""
        statement = "UPDATE question SET acknowledgement = ?, receipt = ? WHERE query = ?"
        self._database.write(statement, acknowledgement, receipt, query)
