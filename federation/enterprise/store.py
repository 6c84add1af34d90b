"""Objections and decisions on their way: what was filed, what is logged, and which node has what.

    coordinator/objections.sqlite

Everything is put down here before it is logged, and is brought to each node until that has it; so nothing is lost if a
node is away, or if the coordinator stops in between.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Final

FILE: Final = "objections.sqlite"
_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS objection (
    id BLOB PRIMARY KEY, transcript BLOB NOT NULL, enterprise TEXT NOT NULL, filed INTEGER NOT NULL,
    envelope BLOB NOT NULL, answer BLOB);
CREATE INDEX IF NOT EXISTS objection_of ON objection (enterprise, filed);
CREATE TABLE IF NOT EXISTS contested (objection BLOB NOT NULL, node TEXT NOT NULL, PRIMARY KEY (objection, node));
CREATE TABLE IF NOT EXISTS decision (
    objection BLOB NOT NULL, node TEXT NOT NULL, envelope BLOB NOT NULL, logged INTEGER NOT NULL,
    PRIMARY KEY (objection, node));
CREATE TABLE IF NOT EXISTS delivery (
    number INTEGER PRIMARY KEY, node TEXT NOT NULL, objection BLOB NOT NULL, decided_by TEXT NOT NULL,
    parcel BLOB NOT NULL, done INTEGER NOT NULL DEFAULT 0, UNIQUE (node, objection, decided_by));
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (done, node, number);
"""


@dataclass(frozen=True, slots=True)
class FiledObjection:
    """An objection as it was filed; `answer` is what the enterprise was told once it was logged, None before."""

    id: bytes
    transcript: bytes
    enterprise: str
    filed: int
    envelope: bytes = field(repr=False)
    contested: tuple[str, ...]
    answer: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something that a node does not have yet: an objection, or the decision of `decided_by` on one."""

    number: int
    node: str
    objection: bytes
    decided_by: str
    parcel: bytes = field(repr=False)


class ObjectionStore:
    """The coordinator's objections. For any number of threads."""

    def __init__(self, path: Path) -> None:
        """Open or begin the store."""
        self._lock = RLock()
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run writes that are durable together, or not at all."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    # ---- objections

    def file(self, objection: FiledObjection, parcels: dict[str, bytes]) -> None:
        """Put an objection down, and what each node is to be brought of it."""
        one = objection
        with self.transaction():
            self._database.execute(
                "INSERT INTO objection VALUES (?, ?, ?, ?, ?, NULL)",
                (one.id, one.transcript, one.enterprise, one.filed, one.envelope),
            )
            self._database.executemany("INSERT INTO contested VALUES (?, ?)", [(one.id, n) for n in one.contested])
            self._deliver(one.id, "", parcels)

    def answered(self, objection: bytes, answer: bytes) -> None:
        """Note that an objection is logged, and what its enterprise is told."""
        with self._lock:
            self._database.execute("UPDATE objection SET answer = ? WHERE id = ?", (answer, objection))

    def find(self, objection: bytes) -> FiledObjection | None:
        """Return an objection that was filed."""
        return next(iter(self._objections("WHERE id = ?", objection)), None)

    def unlogged(self) -> list[FiledObjection]:
        """Return the objections that were put down and not logged."""
        return self._objections("WHERE answer IS NULL")

    def count(self, enterprise: str, since: int) -> tuple[int, int]:
        """Return how many objections of a key are open, and how many were filed since a time."""
        with self._lock:
            (row,) = self._database.execute(
                "SELECT coalesce(sum(EXISTS (SELECT 1 FROM contested c WHERE c.objection = o.id AND NOT EXISTS ("
                "SELECT 1 FROM decision d WHERE d.objection = o.id AND d.node = c.node AND d.logged))), 0), "
                "coalesce(sum(filed >= ?), 0) FROM objection o WHERE enterprise = ?",
                (since, enterprise),
            )
        return int(row[0]), int(row[1])

    def open_at(self, nodes: Sequence[str]) -> list[str]:
        """Return those of these nodes that have something to decide."""
        query = (
            "SELECT DISTINCT node FROM contested c WHERE NOT EXISTS (SELECT 1 FROM decision d "
            "WHERE d.objection = c.objection AND d.node = c.node AND d.logged)"
        )
        with self._lock:
            waiting = {node for (node,) in self._database.execute(query)}
        return [node for node in nodes if node in waiting]

    def _objections(self, condition: str, *values: bytes) -> list[FiledObjection]:
        query = f"SELECT id, transcript, enterprise, filed, envelope, answer FROM objection {condition}"  # noqa: S608
        with self._lock:
            rows = self._database.execute(query, values).fetchall()
            return [
                FiledObjection(identifier, transcript, enterprise, filed, envelope, self._contested(identifier), answer)
                for identifier, transcript, enterprise, filed, envelope, answer in rows
            ]

    def _contested(self, objection: bytes) -> tuple[str, ...]:
        rows = self._database.execute("SELECT node FROM contested WHERE objection = ? ORDER BY node", (objection,))
        return tuple(node for (node,) in rows)

    # ---- decisions

    def decide(self, objection: bytes, node: str, envelope: bytes) -> bool:
        """Put a node's decision down; tell whether it is to be logged now: the first one, until it is."""
        with self.transaction():
            self._database.execute("INSERT OR IGNORE INTO decision VALUES (?, ?, ?, 0)", (objection, node, envelope))
            kept, logged = self._database.execute(
                "SELECT envelope, logged FROM decision WHERE objection = ? AND node = ?", (objection, node)
            ).fetchone()
        return kept == envelope and not logged

    def decided(self, objection: bytes, node: str, parcels: dict[str, bytes]) -> None:
        """Note that a decision is logged, and what each node is to be brought of it."""
        with self.transaction():
            self._database.execute("UPDATE decision SET logged = 1 WHERE objection = ? AND node = ?", (objection, node))
            self._deliver(objection, node, parcels)

    # ---- deliveries

    def due(self, node: str, limit: int) -> list[Delivery]:
        """Return what a node does not have yet, in the order in which it came; only of objections that are logged."""
        query = (
            "SELECT number, d.node, d.objection, decided_by, parcel FROM delivery d JOIN objection o "
            "ON o.id = d.objection WHERE done = 0 AND d.node = ? AND o.answer IS NOT NULL ORDER BY number LIMIT ?"
        )
        with self._lock:
            return [Delivery(*row) for row in self._database.execute(query, (node, limit))]

    def done(self, node: str, objection: bytes, decided_by: str) -> None:
        """Note that a node has something."""
        with self._lock:
            self._database.execute(
                "UPDATE delivery SET done = 1, parcel = x'' WHERE node = ? AND objection = ? AND decided_by = ?",
                (node, objection, decided_by),
            )

    def _deliver(self, objection: bytes, decided_by: str, parcels: dict[str, bytes]) -> None:
        rows = [(node, objection, decided_by, parcel) for node, parcel in parcels.items()]
        self._database.executemany(
            "INSERT OR IGNORE INTO delivery (node, objection, decided_by, parcel) VALUES (?, ?, ?, ?)", rows
        )
