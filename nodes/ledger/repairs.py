"""What an owner has put right in its own records: values of features, and events of raw records.

A repair stands until it is withdrawn, which an owner does once its own source says the same. None is ever deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from nodes.ledger.database import Database, Row

Change = Mapping[str, str | None]


class RepairKind(StrEnum):
    """What was put right: the value of a feature, or an event in a table of raw records."""

    VALUE = "value"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Repair:
    """One repair of one enterprise's records; `number` is 0 before it is recorded. Units: `at` in seconds.

    `place` is a feature, or a table. `event` names the event by its columns, and is empty for a value. `change` holds
    the right values by column (of a value, by the feature's own name), None for one that is not known; None in its
    place means that the event leaves the records. `objection` is what led to it, b"" if nothing did.
    """

    kind: RepairKind
    subject: str = field(repr=False)
    place: str
    event: Change = field(repr=False)
    change: Change | None = field(repr=False)
    at: int
    objection: bytes = b""
    number: int = 0

    def describe(self) -> str:
        """Return what was put right, without the values: a feature, or a table and which of its events."""
        return self.place if self.kind is RepairKind.VALUE else f"{self.place} {_spelled(self.event)}"


class RepairRecords:
    """A node's repairs, in the order in which they were made."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, repair: Repair) -> int:
        """Record a repair and return its number."""
        with self._database.transaction():
            ((last,),) = self._database.rows("SELECT coalesce(max(number), 0) FROM repair")
            self._database.write(
                "INSERT INTO repair VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                *(last + 1, repair.at, repair.kind.value, repair.subject, repair.place),
                *(_json(repair.event), _json(repair.change), repair.objection, 0),
            )
            return int(last) + 1

    def withdraw(self, number: int) -> bool:
        """Let a repair stand no longer; tell whether it did until now."""
        with self._database.transaction():
            if self._database.row("SELECT 1 FROM repair WHERE number = ? AND withdrawn = 0", number) is None:
                return False
            self._database.write("UPDATE repair SET withdrawn = 1 WHERE number = ?", number)
            return True

    def standing(self) -> list[Repair]:
        """Return all repairs that stand, in the order in which they were made."""
        return [_repair(row) for row in self._database.rows("SELECT * FROM repair WHERE withdrawn = 0 ORDER BY number")]

    def of_subject(self, subject: str, limit: int) -> list[Repair]:
        """Return the latest repairs of an enterprise's records that stand, the oldest first."""
        query = "SELECT * FROM repair WHERE withdrawn = 0 AND subject = ? ORDER BY number DESC LIMIT ?"
        return [_repair(row) for row in reversed(self._database.rows(query, subject, limit))]

    def count_for(self, objection: bytes) -> int:
        """Return how many repairs that stand were made for an objection."""
        ((count,),) = self._database.rows(
            "SELECT count(*) FROM repair WHERE withdrawn = 0 AND objection = ?", objection
        )
        return int(count)

    def version(self) -> tuple[int, int]:
        """Return what changes whenever a repair is made or withdrawn."""
        ((made, withdrawn),) = self._database.rows(
            "SELECT coalesce(max(number), 0), coalesce(sum(withdrawn), 0) FROM repair"
        )
        return int(made), int(withdrawn)


def _repair(row: Row) -> Repair:
    number, at, kind, subject, place, event, change, objection, _ = row
    found = msgspec.json.decode(event, type=dict[str, str | None])
    new = msgspec.json.decode(change, type=dict[str, str | None] | None)
    return Repair(RepairKind(kind), subject, place, found, new, at, objection, number)


def _json(change: Change | None) -> str:
    return msgspec.json.encode(change).decode()


def _spelled(event: Change) -> str:
    return ", ".join(f"{column} {value}" for column, value in sorted(event.items()))
