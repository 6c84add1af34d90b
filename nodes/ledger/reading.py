"""A ledger as an auditor of its owner reads it: what left, by hash, and what was cosigned; no enterprise, no answer.

Opened without write access; the agent that owns the ledger may be at work meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from nodes.ledger.database import Database, Row
from nodes.ledger.location import BAD_LEDGER, Location, connect, name_of
from nodes.ledger.witness import WitnessRecords
from protocols.assessment.batch.messages import BatchShares
from protocols.assessment.messages import Denial, ScoreShare
from protocols.channel.envelope import Envelope
from protocols.channel.wire import decode
from protocols.errors import ConfigurationError, MalformedMessage

_TABLES = ("answer", "witness", "split_view", "question", "training_message")
_PAGE = 1000
_ANSWERS: Final[dict[str, type[ScoreShare | BatchShares | Denial]]] = {
    kind.__name__: kind for kind in (ScoreShare, BatchShares, Denial)
}
_POLICY = """(SELECT policy FROM release
    WHERE release.transcript = training_message.transcript AND policy IS NOT NULL LIMIT 1)"""


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """One answer that a node gave: RELEASE or DENY, the SHA-256 of the signed message, the policy that it names."""

    query: bytes
    decision: str
    evidence: bytes
    policy: bytes


@dataclass(frozen=True, slots=True)
class RecordedQuestion:
    """One query that a bank asked: the SHA-256 of its signed request, and of its acknowledgement once it closed."""

    query: bytes
    request: bytes
    acknowledgement: bytes | None


@dataclass(frozen=True, slots=True)
class RecordedMessage:
    """One message that a party sent in a training run: the run's transcript, the SHA-256 of the signed message.

    `policy` is that under which a node has released in this run, b"" if it has released nothing.
    """

    transcript: bytes
    evidence: bytes
    policy: bytes


class LedgerReader:
    """Reads one ledger. Reveals: to the reader, query ids, decisions and hashes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._witness = WitnessRecords(database)

    def answers(self) -> Iterator[RecordedAnswer]:
        """Yield what a data node answered, in the order of query ids."""
        for query, decision, response in self._pages("query, decision, response", "answer"):
            if decision not in ("RELEASE", "DENY") or not (isinstance(query, bytes) and isinstance(response, bytes)):
                raise ConfigurationError("a ledger holds an answer that no node gives", code=BAD_LEDGER)
            yield RecordedAnswer(query, decision, hashlib.sha256(response).digest(), _policy_of(response))

    def questions(self) -> Iterator[RecordedQuestion]:
        """Yield what a bank asked, in the order of query ids."""
        for row in self._pages("query, request, acknowledgement", "question"):
            yield RecordedQuestion(*row)

    def training_messages(self) -> Iterator[RecordedMessage]:
        """Yield what the party sent in training runs, in the order of hashes."""
        for message, transcript, policy in self._pages(
            f"message, transcript, {_POLICY}", "training_message", "message"
        ):
            yield RecordedMessage(transcript, message, policy or b"")

    def _pages(self, columns: str, table: str, key: str = "query") -> Iterator[Row]:
        """Yield a table in the order of a key of bytes, so many rows at a time that memory stays bounded."""
        statement = f"SELECT {columns} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT {_PAGE}"  # noqa: S608
        rows: list[Row] = [(b"",)]
        while rows:
            rows = self._database.rows(statement, rows[-1][0])
            yield from rows

    def log_notes(self, origin: str) -> list[bytes]:
        """Return what the owner holds of a log: the last checkpoint it cosigned, the notes of its latest receipts."""
        cosigned = self._witness.note(origin)
        latest = (
            "SELECT DISTINCT receipt FROM question WHERE receipt IS NOT NULL "
            "AND at = (SELECT max(at) FROM question WHERE receipt IS NOT NULL)"
        )
        receipts = [note for (note,) in self._database.rows(latest)]
        return receipts if cosigned is None else [cosigned, *receipts]

    def split_view(self, origin: str) -> bytes | None:
        """Return the encoded `SplitViewProof` that the owner holds against a log, or None."""
        return self._witness.split_view(origin)


def _policy_of(response: bytes) -> bytes:
    """Return the policy that an answer names, b"" for one that is none of those that this code gives."""
    try:
        envelope = decode(response, Envelope)
        kind = _ANSWERS.get(envelope.message)
        return b"" if kind is None else decode(envelope.body, kind).policy
    except MalformedMessage:
        return b""


@contextmanager
def read_ledger(location: Location) -> Iterator[LedgerReader]:
    """Yield a reader of a ledger. Raises: ConfigurationError, code BAD_LEDGER, also while it is read."""
    with read_database(location) as database:
        yield LedgerReader(database)


@contextmanager
def read_database(location: Location) -> Iterator[Database]:
    """Yield a ledger's tables, without write access. Raises: ConfigurationError, code BAD_LEDGER."""
    database = Database(connect(location, read_only=True))
    try:
        for table in _TABLES:
            database.rows(f"SELECT 1 FROM {table} WHERE 1 = 0")  # noqa: S608
        yield database
    except database.error as error:
        raise ConfigurationError(f"{name_of(location)}: cannot be read as a ledger", code=BAD_LEDGER) from error
    finally:
        database.close()
