"""What a node answered: the exact bytes for every query id, within quotas and the node-set lock."""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """One enterprise of an answered batch: released if `code` is "", else why not."""

    position: int
    subject: str = field(repr=False)
    code: str


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
                if self.used(answer.bank, answer.day) >= queries_per_day:
                    text = f"{answer.bank} has used its {queries_per_day} queries of the day"
                    raise BudgetExceeded(text, code="QUOTA")
                self._lock_node_set(answer.bank, answer.subject, answer.day, answer.nodes)
            self._insert(answer)

    def commit_batch(self, answer: Answer, entries: Sequence[BatchEntry], queries_per_day: int) -> None:
        """Record the answer to a batch and what became of each enterprise, as `commit` does for one.

        Raises: BudgetExceeded, code QUOTA; PolicyDenied, code NODE_SET_LOCKED: nothing is then recorded.
        DuplicateRecord if the batch has its answer.
        """
        released = [entry for entry in entries if not entry.code]
        with self._database.transaction():
            if released and self.used(answer.bank, answer.day) + len(released) > queries_per_day:
                raise BudgetExceeded(f"{answer.bank} has no {len(released)} queries left today", code="QUOTA")
            for entry in released:
                self._lock_node_set(answer.bank, entry.subject, answer.day, answer.nodes)
            self._insert(answer)
            for entry in entries:
                self._database.write(
                    "INSERT INTO batch_entry (query, position, bank, day, subject, code) VALUES (?, ?, ?, ?, ?, ?)",
                    *(answer.query, entry.position, answer.bank, answer.day, entry.subject, entry.code),
                )

    def used(self, bank: str, day: int) -> int:
        """Return how many enterprises a bank was answered about on a day, one by one and in batches."""
        single = "SELECT count(*) FROM answer WHERE bank = ? AND day = ? AND decision = 'RELEASE' AND subject <> ''"
        batched = "SELECT count(*) FROM batch_entry WHERE bank = ? AND day = ? AND code = ''"
        return sum(int(self._database.rows(query, bank, day)[0][0]) for query in (single, batched))

    def check_node_set(self, bank: str, subject: str, day: int, nodes: bytes) -> bool:
        """Tell whether (bank, subject, day) is bound to this node set already.

        Raises: PolicyDenied, code NODE_SET_LOCKED, if it is bound to another one.
        """
        query = "SELECT nodes FROM node_set_lock WHERE bank = ? AND subject = ? AND day = ?"
        row = self._database.row(query, bank, subject, day)
        if row is not None and row[0] != nodes:
            raise PolicyDenied("another node set was asked about this enterprise today", code="NODE_SET_LOCKED")
        return row is not None

    def _lock_node_set(self, bank: str, subject: str, day: int, nodes: bytes) -> None:
        """Bind (bank, subject, day) to one node set: two sets for one enterprise would let the bank subtract."""
        if not self.check_node_set(bank, subject, day, nodes):
            self._database.write("INSERT INTO node_set_lock VALUES (?, ?, ?, ?)", bank, subject, day, nodes)

    def _insert(self, answer: Answer) -> None:
        self._database.write(
            "INSERT INTO answer (query, transcript, bank, subject, day, decision, at, response) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(answer.query, answer.transcript, answer.bank, answer.subject),
            *(answer.day, answer.decision, answer.at, answer.response),
        )
