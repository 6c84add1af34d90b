"""A ledger as its owner reads it: what left, when, to whom, about whom, under which rule; what was denied, and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from nodes.ledger.database import Database, Value
from nodes.ledger.location import Location
from nodes.ledger.reading import read_database

_EVENTS: Final = """
    SELECT at, 'assessment' AS kind, bank, subject, decision, code, rule, model, '' AS step, '' AS leak, query AS id
    FROM answer WHERE subject <> '' OR decision = 'DENY'
    UNION ALL
    SELECT a.at, 'batch', e.bank, e.subject, CASE WHEN e.code = '' THEN 'RELEASE' ELSE 'DENY' END, e.code, a.rule,
        a.model, '', '', e.query
    FROM batch_entry AS e JOIN answer AS a ON a.query = e.query
    UNION ALL
    SELECT r.at, 'training', run.bank, '', 'RELEASE', '', r.rule, NULL, r.step, r.leak, r.transcript
    FROM release AS r JOIN run ON run.transcript = r.transcript
"""


class EventKind(StrEnum):
    """What an event of a node's ledger is about."""

    ASSESSMENT = "assessment"
    BATCH = "batch"
    TRAINING = "training"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that left, or was denied. `subject` is "" for a training step, `step` and `leak` for all others.

    Units: `at` in seconds since 1970. Reveals: to the owner, which enterprise a bank asked about.
    """

    at: int
    kind: EventKind
    bank: str
    subject: str = field(repr=False)
    decision: str
    code: str
    rule: str
    model: str
    step: str
    leak: str
    reference: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events to show: those that match everything given. Units: `since` inclusive, `until` exclusive."""

    bank: str = ""
    subject: str = ""
    kind: str = ""
    decision: str = ""
    since: int | None = None
    until: int | None = None

    def conditions(self) -> tuple[str, list[Value]]:
        """Return the condition of a query, and its values."""
        equal = {"bank": self.bank, "subject": self.subject, "kind": self.kind, "decision": self.decision}
        parts: list[tuple[str, Value]] = [(f"{name} = ?", value) for name, value in equal.items() if value]
        parts += [("at >= ?", self.since)] if self.since is not None else []
        parts += [("at < ?", self.until)] if self.until is not None else []
        return " AND ".join(["1 = 1", *(part for part, _ in parts)]), [value for _, value in parts]


class OwnerView:
    """Reads one node's ledger for its owner."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def events(self, selection: Selection, limit: int) -> list[Event]:
        """Return the latest events that match, at most `limit`, the oldest first."""
        condition, values = selection.conditions()
        query = f"SELECT * FROM ({_EVENTS}) AS event WHERE {condition} ORDER BY at DESC, id LIMIT ?"  # noqa: S608
        return [_event(*row) for row in reversed(self._database.rows(query, *values, limit))]

    def count(self, selection: Selection) -> dict[str, int]:
        """Return how many events match, by decision."""
        condition, values = selection.conditions()
        query = f"SELECT decision, count(*) FROM ({_EVENTS}) AS event WHERE {condition} GROUP BY decision"  # noqa: S608
        return dict(self._database.rows(query, *values))


def _event(
    at: int,
    kind: str,
    bank: str,
    subject: str,
    decision: str,
    code: str,
    rule: str,
    model: bytes | None,
    step: str,
    leak: str,
    reference: bytes,
) -> Event:
    named = "" if model is None else model.hex()
    return Event(at, EventKind(kind), bank, subject, decision, code, rule, named, step, leak, reference.hex())


@contextmanager
def owner_view(location: Location) -> Iterator[OwnerView]:
    """Yield the owner's view of a ledger, without write access.

    Raises: ConfigurationError, code BAD_LEDGER, also while it is read: for no ledger, or one of an older version.
    """
    with read_database(location) as database:
        yield OwnerView(database)
