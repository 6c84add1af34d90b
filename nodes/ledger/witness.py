"""What a party has cosigned of the coordinator's log, and the proof, if it ever found one, that the log forked."""

from __future__ import annotations

from nodes.ledger.database import Database
from protocols.errors import UnexpectedMessage


class WitnessRecords:
    """A party's duty as a witness, on record before any cosignature leaves."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, origin: str) -> bytes | None:
        """Return the last checkpoint of a log that this site has cosigned, or None."""
        return self._bytes("SELECT note FROM witness WHERE origin = ?", origin)

    def keep_note(self, origin: str, previous: bytes | None, size: int, note: bytes) -> None:
        """Put a cosigned checkpoint in the place of the `previous` one, before its cosignature leaves.

        Raises: UnexpectedMessage, code WITNESS_CONFLICT, if another one has taken that place meanwhile.
        """
        statement = (
            "INSERT INTO witness VALUES (?, ?, ?) "
            "ON CONFLICT (origin) DO UPDATE SET size = excluded.size, note = excluded.note"
        )
        with self._database.transaction():
            if self.note(origin) != previous:
                raise UnexpectedMessage("another checkpoint was cosigned meanwhile", code="WITNESS_CONFLICT")
            self._database.write(statement, origin, size, note)

    def keep_split_view(self, origin: str, at: int, evidence: bytes) -> None:
        """Keep the first proof that a log has two histories: for good, and one is enough."""
        self._database.write("INSERT INTO split_view VALUES (?, ?, ?) ON CONFLICT DO NOTHING", origin, at, evidence)

    def split_view(self, origin: str) -> bytes | None:
        """Return the proof that a log has two histories, or None."""
        return self._bytes("SELECT evidence FROM split_view WHERE origin = ?", origin)

    def _bytes(self, query: str, origin: str) -> bytes | None:
        row = self._database.row(query, origin)
        return None if row is None else bytes(row[0])
