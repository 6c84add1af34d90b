"""What a node answered: the exact bytes for every query id, within quotas and the node-set lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from nodes.ledger.database import Database
from nodes.ledger.quotas import QuotaRecords
from nodes.policy import Quota
from protocols.errors import PolicyDenied, VerificationFailed

SECONDS_PER_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node is about to send for one query: under which `rule` it releases, or with which `code` it denies.

    `subject` is "" for a batch. Units: `at` in seconds since 1970; its UTC day is the epoch of quotas and locks.
    """

    query: bytes
    transcript: bytes
    bank: str
    subject: str = field(repr=False)
    nodes: bytes
    model: bytes
    at: int
    rule: str
    code: str
    response: bytes = field(repr=False)

    @property
    def day(self) -> int:
        """Return the day since 1970 on which the answer counts."""
        return self.at // SECONDS_PER_DAY


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """One enterprise of an answered batch: released if `code` is "", else why not."""

    position: int
    subject: str = field(repr=False)
    code: str


class AnswerRecords:
    """A node's answers: there is never one without its row, nor two different ones to one query."""

    def __init__(self, database: Database, quotas: QuotaRecords) -> None:
        self._database, self._quotas = database, quotas

    def find(self, query: bytes, transcript: bytes, subject: str = "") -> bytes | None:
        """Return the bytes already given for a query id, or None.

        Raises: VerificationFailed, code QUERY_REUSED, if the id was used for other fields or another subject.
        """
        row = self._database.row("SELECT transcript, subject, response FROM answer WHERE query = ?", query)
        if row is None:
            return None
        if (row[0], row[1]) != (transcript, subject):
            raise VerificationFailed("the query id was used with other fields", code="QUERY_REUSED")
        return bytes(row[2])

    def check_subjects(self, batch: bytes, subjects: Sequence[str]) -> None:
        """Return if an answered batch, unless it was denied whole, is about these, in this order.

        Raises: VerificationFailed, code QUERY_REUSED.
        """
        rows = self._database.rows("SELECT subject FROM batch_entry WHERE query = ? ORDER BY position", batch)
        if rows and [subject for (subject,) in rows] != list(subjects):
            raise VerificationFailed("the batch was answered about others", code="QUERY_REUSED")

    def release(self, answer: Answer, quota: Quota) -> None:
        """Record a release, within the quota and the node-set lock, all in one transaction.

        Raises: BudgetExceeded, codes QUOTA, SUBJECT_QUOTA; PolicyDenied, code NODE_SET_LOCKED: nothing is then
        recorded. DuplicateRecord if the query has its answer.
        """
        with self._database.transaction():
            self._admit(answer, [answer.subject], quota)
            self._record(answer, "RELEASE")

    def release_batch(self, answer: Answer, entries: Sequence[BatchEntry], quota: Quota) -> None:
        """Record the answer to a batch and what became of each enterprise, as `release` does for one.

        Raises: as `release` does; nothing is then recorded.
        """
        with self._database.transaction():
            self._admit(answer, [entry.subject for entry in entries if not entry.code], quota)
            self._record(answer, "RELEASE")
            for entry in entries:
                self._database.write(
                    "INSERT INTO batch_entry (query, position, bank, day, subject, code) VALUES (?, ?, ?, ?, ?, ?)",
                    *(answer.query, entry.position, answer.bank, answer.day, entry.subject, entry.code),
                )

    def deny(self, answer: Answer) -> None:
        """Record a denial, which uses up no quota. Raises: DuplicateRecord if the query has its answer."""
        self._record(answer, "DENY")

    def check_node_set(self, bank: str, subject: str, day: int, nodes: bytes) -> bool:
        """Tell whether (bank, subject, day) is bound to this node set already.

        Raises: PolicyDenied, code NODE_SET_LOCKED, if it is bound to another one.
        """
        query = "SELECT nodes FROM node_set_lock WHERE bank = ? AND subject = ? AND day = ?"
        row = self._database.row(query, bank, subject, day)
        if row is not None and row[0] != nodes:
            raise PolicyDenied("another node set was asked about this enterprise today", code="NODE_SET_LOCKED")
        return row is not None

    def _admit(self, answer: Answer, subjects: Sequence[str], quota: Quota) -> None:
        """Use up the quota, and bind each (bank, subject, day) to one node set.

        Two sets for one enterprise would let the bank subtract.
        """
        self._quotas.check(answer.bank, subjects, answer.day, quota)
        self._quotas.count(answer.bank, answer.day, len(subjects))
        for subject in subjects:
            key = (answer.bank, subject, answer.day)
            if not self.check_node_set(*key, answer.nodes):
                self._database.write("INSERT INTO node_set_lock VALUES (?, ?, ?, ?)", *key, answer.nodes)

    def _record(self, answer: Answer, decision: str) -> None:
        self._database.write(
            "INSERT INTO answer (query, transcript, bank, subject, day, decision, at, response, model, rule, code) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(answer.query, answer.transcript, answer.bank, answer.subject, answer.day, decision, answer.at),
            *(answer.response, answer.model, answer.rule, answer.code),
        )
