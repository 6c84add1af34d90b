"""A node's own durable record: what it released, to whom, and the exact bytes of every answer.

SQLite in WAL mode with full synchronisation: what `commit_answer` has returned survives a crash. One transaction per
release, so that there is never an answer without its row, nor two different answers to one query.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path

from nodes.budgets import SCHEMA as SPENDING
from nodes.budgets import Budget, Charge, require, spend, spent, year_of
from protocols.errors import BudgetExceeded, ConfigurationError, PolicyDenied, UnexpectedMessage, VerificationFailed
from protocols.scorecard.messages import LeakClass

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (transcript BLOB PRIMARY KEY, bank TEXT NOT NULL, row_totals INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS cohort (transcript BLOB PRIMARY KEY, bank TEXT NOT NULL, names BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS release (
    transcript BLOB NOT NULL REFERENCES run, step TEXT NOT NULL, leak TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (transcript, step));
CREATE TABLE IF NOT EXISTS answer (
    query BLOB PRIMARY KEY, transcript BLOB NOT NULL, bank TEXT NOT NULL, subject TEXT NOT NULL,
    day INTEGER NOT NULL, decision TEXT NOT NULL, at INTEGER NOT NULL, response BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS answer_by_day ON answer (bank, day);
CREATE TABLE IF NOT EXISTS node_set_lock (
    bank TEXT NOT NULL, subject TEXT NOT NULL, day INTEGER NOT NULL, nodes BLOB NOT NULL,
    PRIMARY KEY (bank, subject, day));
CREATE TABLE IF NOT EXISTS part (model BLOB PRIMARY KEY, manifest BLOB NOT NULL, tables BLOB NOT NULL,
    binnings BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS witness (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, note BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS split_view (origin TEXT PRIMARY KEY, at INTEGER NOT NULL, evidence BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS question (query BLOB PRIMARY KEY, at INTEGER NOT NULL, request BLOB NOT NULL,
    acknowledgement BLOB, receipt BLOB);
"""


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
class StoredPart:
    """A node's part of a model, as encoded messages."""

    manifest: bytes
    tables: bytes = field(repr=False)
    binnings: bytes = field(repr=False)


class Ledger:
    """One node's ledger in one SQLite file. Not for use by several threads at once."""

    def __init__(self, path: Path) -> None:
        """Open or create the ledger. Raises: ConfigurationError, code BAD_LEDGER, if the file is no ledger."""
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(_SCHEMA + SPENDING)
        except sqlite3.Error as error:
            raise ConfigurationError(f"{path}: cannot be opened as a ledger: {error}", code="BAD_LEDGER") from error

    def close(self) -> None:
        """Close the file; everything committed is already on disk."""
        self._connection.close()

    def open_run(self, transcript: bytes, bank: str, row_totals: int) -> None:
        """Record that a run was admitted. Raises: VerificationFailed, code RUN_REPLAYED, if it was before."""
        try:
            self._connection.execute("INSERT INTO run VALUES (?, ?, ?)", (transcript, bank, row_totals))
        except sqlite3.IntegrityError as error:
            raise VerificationFailed("this run was opened before", code="RUN_REPLAYED") from error

    def require_budgets(self, bank: str, at: int, charges: Sequence[Charge]) -> None:
        """Return if the bank's year has room for charges. Raises: BudgetExceeded, LEAK_BUDGET or PRIVACY_BUDGET."""
        for charge in charges:
            require(self._connection, bank, year_of(at), charge)

    def spent(self, bank: str, at: int) -> dict[Budget, int]:
        """Return what a bank has spent of each yearly budget in the year of `at`."""
        return {budget: spent(self._connection, bank, year_of(at), budget) for budget in Budget}

    def cohorts(self, bank: str) -> list[bytes]:
        """Return the training rows of the bank's earlier runs, as `cohorts.pack` wrote them."""
        query = "SELECT DISTINCT names FROM cohort WHERE bank = ?"
        return [bytes(row[0]) for row in self._connection.execute(query, (bank,))]

    def record_cohort(self, transcript: bytes, bank: str, names: bytes) -> None:
        """Record a run's training rows before anything about them is released."""
        self._connection.execute("INSERT INTO cohort VALUES (?, ?, ?)", (transcript, bank, names))

    def record_release(
        self, transcript: bytes, step: str, leak: LeakClass, at: int, charges: Sequence[Charge] = ()
    ) -> None:
        """Record a training release, and charge it to the year, before it is made.

        Raises: BudgetExceeded, codes LEAK_BUDGET, PRIVACY_BUDGET: nothing is then recorded.
        """
        with _transaction(self._connection) as connection:
            bank, allowed = connection.execute(
                "SELECT bank, row_totals FROM run WHERE transcript = ?", (transcript,)
            ).fetchone()
            if leak is LeakClass.ROW_TOTALS:
                query = "SELECT count(*) FROM release WHERE transcript = ? AND leak = ?"
                if connection.execute(query, (transcript, leak.value)).fetchone()[0] >= allowed:
                    raise BudgetExceeded(f"all {allowed} releases of row totals are spent", code="LEAK_BUDGET")
            for charge in charges:
                spend(connection, transcript, step, bank, year_of(at), charge)
            connection.execute("INSERT INTO release VALUES (?, ?, ?, ?)", (transcript, step, leak.value, at))

    def leaks(self, transcript: bytes) -> dict[str, int]:
        """Return how often each leak class was released in a run."""
        query = "SELECT leak, count(*) FROM release WHERE transcript = ? GROUP BY leak"
        return dict(self._connection.execute(query, (transcript,)).fetchall())

    def find_answer(self, query: bytes, transcript: bytes) -> bytes | None:
        """Return the bytes already given for a query id, or None.

        Raises: VerificationFailed, code QUERY_REUSED, if the id was used for other fields.
        """
        row = self._connection.execute("SELECT transcript, response FROM answer WHERE query = ?", (query,)).fetchone()
        if row is None:
            return None
        if row[0] != transcript:
            raise VerificationFailed("the query id was used with other fields", code="QUERY_REUSED")
        return bytes(row[1])

    def commit_answer(self, answer: Answer, queries_per_day: int) -> None:
        """Make an answer durable, within the quota and the node-set lock, all in one transaction.

        Raises: BudgetExceeded, code QUOTA; PolicyDenied, code NODE_SET_LOCKED: nothing is then recorded.
        """
        with _transaction(self._connection) as connection:
            if answer.decision == "RELEASE":
                self._check_quota(connection, answer, queries_per_day)
                self._lock_node_set(connection, answer)
            connection.execute(
                "INSERT INTO answer VALUES (:query, :transcript, :bank, :subject, :day, :decision, :at, :response)",
                {field.name: getattr(answer, field.name) for field in fields(answer)},
            )

    @staticmethod
    def _check_quota(connection: sqlite3.Connection, answer: Answer, queries_per_day: int) -> None:
        query = "SELECT count(*) FROM answer WHERE bank = ? AND day = ? AND decision = 'RELEASE'"
        (used,) = connection.execute(query, (answer.bank, answer.day)).fetchone()
        if used >= queries_per_day:
            raise BudgetExceeded(f"{answer.bank} has used its {queries_per_day} queries of the day", code="QUOTA")

    @staticmethod
    def _lock_node_set(connection: sqlite3.Connection, answer: Answer) -> None:
        """Bind (bank, subject, day) to one node set: two sets for one enterprise would let the bank subtract."""
        key = (answer.bank, answer.subject, answer.day)
        query = "SELECT nodes FROM node_set_lock WHERE bank = ? AND subject = ? AND day = ?"
        row = connection.execute(query, key).fetchone()
        if row is None:
            connection.execute("INSERT INTO node_set_lock VALUES (?, ?, ?, ?)", (*key, answer.nodes))
        elif bytes(row[0]) != answer.nodes:
            raise PolicyDenied("another node set was asked about this enterprise today", code="NODE_SET_LOCKED")

    def keep_part(self, model: bytes, part: StoredPart) -> None:
        """Store this node's part of a signed model; a part once stored is never replaced."""
        self._connection.execute(
            "INSERT OR IGNORE INTO part VALUES (?, ?, ?, ?)", (model, part.manifest, part.tables, part.binnings)
        )

    def part(self, model: bytes) -> StoredPart | None:
        """Return this node's part of a model, or None."""
        query = "SELECT manifest, tables, binnings FROM part WHERE model = ?"
        row = self._connection.execute(query, (model,)).fetchone()
        return None if row is None else StoredPart(*map(bytes, row))

    # ---- what a bank has asked, to be held against the log

    def open_question(self, query: bytes, at: int, request: bytes) -> None:
        """Record a query before it is asked; `request` is the SHA-256 of its signed message."""
        self._connection.execute("INSERT INTO question (query, at, request) VALUES (?, ?, ?)", (query, at, request))

    def close_question(self, query: bytes, acknowledgement: bytes, receipt: bytes | None) -> None:
        """Record how a query ends before the log is told: the hash of the acknowledgement, the log's note over it."""
        statement = "UPDATE question SET acknowledgement = ?, receipt = ? WHERE query = ?"
        self._connection.execute(statement, (acknowledgement, receipt, query))

    # ---- the coordinator's log, of which this site is a witness

    def witness_note(self, origin: str) -> bytes | None:
        """Return the last checkpoint of a log that this site has cosigned, or None."""
        row = self._connection.execute("SELECT note FROM witness WHERE origin = ?", (origin,)).fetchone()
        return None if row is None else bytes(row[0])

    def keep_witness_note(self, origin: str, previous: bytes | None, size: int, note: bytes) -> None:
        """Put a cosigned checkpoint in the place of the `previous` one, before its cosignature leaves.

        Raises: UnexpectedMessage, code WITNESS_CONFLICT, if another one has taken that place meanwhile.
        """
        with _transaction(self._connection):
            if self.witness_note(origin) != previous:
                raise UnexpectedMessage("another checkpoint was cosigned meanwhile", code="WITNESS_CONFLICT")
            self._connection.execute("INSERT OR REPLACE INTO witness VALUES (?, ?, ?)", (origin, size, note))

    def keep_split_view(self, origin: str, at: int, evidence: bytes) -> None:
        """Keep the first proof that a log has two histories: for good, and one is enough."""
        self._connection.execute("INSERT OR IGNORE INTO split_view VALUES (?, ?, ?)", (origin, at, evidence))

    def split_view(self, origin: str) -> bytes | None:
        """Return the proof that a log has two histories, or None."""
        row = self._connection.execute("SELECT evidence FROM split_view WHERE origin = ?", (origin,)).fetchone()
        return None if row is None else bytes(row[0])


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Run a write transaction that commits whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
