"""What a node answered: the exact bytes for every query id, within quotas and the node-set lock."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodes.ledger.database import Database
from protocols.errors import BudgetExceeded, PolicyDenied, VerificationFailed


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node is about to send for one query. Units: `day` since 1970, `at` in seconds."""

    query: bytes
    transcript: bytes
    bank: str
    subject: str = field(repr=False)
    nodes: bytes
    day: int
    at: int
    decision: str
    response: bytes = field(repr=False)


class AnswerRecords:
    """A node's answers: there is never one without its row, nor two different ones to one query."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, query: bytes, transcript: bytes) -> bytes | None:
        """Return the bytes already given for a query id, or None.

        Raises: VerificationFailed, code QUERY_REUSED, if the id was used for other fields.
        """
        row = self._database.row("SELECT transcript, response FROM answer WHERE query = ?", query)
        if row is None:
            return None
        if row[0] != transcript:
            raise VerificationFailed("the query id was used with other fields", code="QUERY_REUSED")
        return bytes(row[1])

    def commit(self, answer: Answer, queries_per_day: int) -> None:
        """Record an answer, within the quota and the node-set lock, all in one transaction.

        Raises: BudgetExceeded, code QUOTA; PolicyDenied, code NODE_SET_LOCKED: nothing is then recorded.
        DuplicateRecord if the query has its answer.
        """
        with self._database.transaction():
            if answer.decision == "RELEASE":
                self._check_quota(answer, queries_per_day)
                self._lock_node_set(answer)
            self._database.write(
                "INSERT INTO answer (query, transcript, bank, subject, day, decision, at, response) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                *(answer.query, answer.transcript, answer.bank, answer.subject),
                *(answer.day, answer.decision, answer.at, answer.response),
            )

    def _check_quota(self, answer: Answer, queries_per_day: int) -> None:
        query = "SELECT count(*) FROM answer WHERE bank = ? AND day = ? AND decision = 'RELEASE'"
        ((used,),) = self._database.rows(query, answer.bank, answer.day)
        if used >= queries_per_day:
            raise BudgetExceeded(f"{answer.bank} has used its {queries_per_day} queries of the day", code="QUOTA")

    def _lock_node_set(self, answer: Answer) -> None:
        """Bind (bank, subject, day) to one node set: two sets for one enterprise would let the bank subtract."""
        key = (answer.bank, answer.subject, answer.day)
        query = "SELECT nodes FROM node_set_lock WHERE bank = ? AND subject = ? AND day = ?"
        row = self._database.row(query, *key)
        if row is None:
            self._database.write("INSERT INTO node_set_lock VALUES (?, ?, ?, ?)", *key, answer.nodes)
        elif row[0] != answer.nodes:
            raise PolicyDenied("another node set was asked about this enterprise today", code="NODE_SET_LOCKED")
