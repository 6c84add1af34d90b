"""The objections that a node was told of, and how each node concerned has decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nodes.ledger.database import Database, Row
from protocols.enterprise.objections import Ground, Verdict

_WAITING = """
    FROM objection_node AS n LEFT JOIN objection_decision AS d
        ON d.objection = n.objection AND d.node = n.node AND d.confirmed = 1
    WHERE d.objection IS NULL AND n.objection = """


@dataclass(frozen=True, slots=True)
class StoredObjection:
    """An objection as a node keeps it; `contested` are the nodes that must decide. Units: `filed` in seconds.

    `text` is what the enterprise wrote, "" where this node has nothing to decide.
    """

    id: bytes
    transcript: bytes
    subject: str = field(repr=False)
    ground: Ground
    entry: bytes
    filed: int
    text: str = field(repr=False)
    contested: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision; `confirmed` once the coordinator has passed it on, which it does when it is logged."""

    objection: bytes
    node: str
    verdict: Verdict
    reason: str
    corrections: int
    at: int
    envelope: bytes = field(repr=False)
    confirmed: bool


class ObjectionRecords:
    """A node's objections. An enterprise is marked until each node concerned has decided, and that is logged."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, objection: StoredObjection) -> None:
        """Record an objection; one that is on record stays as it is."""
        with self._database.transaction():
            if self.find(objection.id) is not None:
                return
            self._database.write(
                "INSERT INTO objection (id, transcript, subject, ground, entry, filed, text) VALUES (?,?,?,?,?,?,?)",
                *(objection.id, objection.transcript, objection.subject, objection.ground.value, objection.entry),
                *(objection.filed, objection.text),
            )
            for node in objection.contested:
                self._database.write("INSERT INTO objection_node VALUES (?, ?)", objection.id, node)

    def find(self, objection: bytes) -> StoredObjection | None:
        """Return an objection that is on record."""
        row = self._database.row(f"SELECT {_COLUMNS} FROM objection WHERE id = ?", objection)  # noqa: S608
        return None if row is None else self._stored(row)

    def of_subject(self, subject: str, limit: int) -> list[StoredObjection]:
        """Return the latest objections of an enterprise, the oldest first."""
        query = f"SELECT {_COLUMNS} FROM objection WHERE subject = ? ORDER BY filed DESC, id LIMIT ?"  # noqa: S608
        return [self._stored(row) for row in reversed(self._database.rows(query, subject, limit))]

    def contested_by(self, node: str) -> list[StoredObjection]:
        """Return all objections that a node must decide, or has decided, the oldest first."""
        query = (
            f"SELECT {_COLUMNS} FROM objection WHERE id IN (SELECT objection FROM objection_node WHERE node = ?) "  # noqa: S608
            "ORDER BY filed, id"
        )
        return [self._stored(row) for row in self._database.rows(query, node)]

    def waiting(self, objection: bytes) -> tuple[str, ...]:
        """Return the nodes whose decision is not logged yet."""
        rows = self._database.rows(f"SELECT n.node {_WAITING} ? ORDER BY n.node", objection)
        return tuple(node for (node,) in rows)

    def pending(self, subjects: Sequence[str]) -> list[bool]:
        """Tell of each enterprise whether an objection of it is not decided."""
        if len(subjects) == 1:
            return [self.pending_count(subjects[0]) > 0]
        query = f"SELECT DISTINCT o.subject FROM objection AS o WHERE EXISTS (SELECT 1 {_WAITING} o.id)"  # noqa: S608
        objecting = {subject for (subject,) in self._database.rows(query)}
        return [subject in objecting for subject in subjects]

    def pending_count(self, subject: str) -> int:
        """Return how many objections of an enterprise are not decided."""
        query = f"SELECT count(*) FROM objection AS o WHERE subject = ? AND EXISTS (SELECT 1 {_WAITING} o.id)"  # noqa: S608
        ((count,),) = self._database.rows(query, subject)
        return int(count)

    # ---- decisions

    def decide(self, decision: StoredDecision) -> bool:
        """Record a node's decision, and tell whether it is news; the first one stands, and may become confirmed."""
        with self._database.transaction():
            found = self.decision(decision.objection, decision.node)
            if found is None:
                self._database.write(
                    "INSERT INTO objection_decision VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    *(decision.objection, decision.node, decision.verdict.value, decision.reason),
                    *(decision.corrections, decision.at, decision.envelope, int(decision.confirmed)),
                )
            elif decision.confirmed and decision.envelope == found.envelope:
                self._database.write(
                    "UPDATE objection_decision SET confirmed = 1 WHERE objection = ? AND node = ?",
                    decision.objection,
                    decision.node,
                )
            return found is None

    def decision(self, objection: bytes, node: str) -> StoredDecision | None:
        """Return a node's decision, confirmed or not."""
        return next((found for found in self.decisions(objection) if found.node == node), None)

    def decisions(self, objection: bytes) -> list[StoredDecision]:
        """Return all decisions on an objection, by node."""
        rows = self._database.rows("SELECT * FROM objection_decision WHERE objection = ? ORDER BY node", objection)
        return [_decision(row) for row in rows]

    def unconfirmed(self, node: str) -> list[StoredDecision]:
        """Return a node's own decisions that the coordinator has not passed on yet."""
        query = "SELECT * FROM objection_decision WHERE node = ? AND confirmed = 0 ORDER BY at, objection"
        return [_decision(row) for row in self._database.rows(query, node)]

    def _stored(self, row: Row) -> StoredObjection:
        identifier, transcript, subject, ground, entry, filed, text = row
        nodes: Sequence[Row] = self._database.rows(
            "SELECT node FROM objection_node WHERE objection = ? ORDER BY node", identifier
        )
        contested = tuple(node for (node,) in nodes)
        return StoredObjection(identifier, transcript, subject, Ground(ground), entry, filed, text, contested)


_COLUMNS = "id, transcript, subject, ground, entry, filed, text"


def _decision(row: Row) -> StoredDecision:
    objection, node, verdict, reason, corrections, at, envelope, confirmed = row
    return StoredDecision(objection, node, Verdict(verdict), reason, corrections, at, envelope, bool(confirmed))
