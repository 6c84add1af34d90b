"""What a party has sent in training runs, by hash, to be held against the coordinator's log."""

from __future__ import annotations

from collections.abc import Sequence

from nodes.ledger.database import Database
from protocols.channel.envelope import Envelope
from protocols.channel.wire import digest


class TrainingMessageRecords:
    """A party's own word on each message of a run: on record before it leaves, its content not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, sent: Sequence[Envelope], at: int) -> None:
        """Record messages that are about to leave, all with one wait for the disk. Units: `at` seconds since 1970."""
        if not sent:
            return
        with self._database.transaction():
            for envelope in sent:
                statement = "INSERT INTO training_message VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
                self._database.write(statement, digest(envelope), envelope.transcript, envelope.message, at)
