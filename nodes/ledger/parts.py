"""The models that a node serves: its own part of each, with the manifest it signed."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodes.ledger.database import Database


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A node's part of a model, as encoded messages."""

    manifest: bytes
    tables: bytes = field(repr=False)
    binnings: bytes = field(repr=False)


class PartRecords:
    """A node's parts by model; a part once stored is never replaced."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, model: bytes, part: StoredPart) -> None:
        """Store this node's part of a signed model, if none is stored."""
        statement = "INSERT INTO part VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
        self._database.write(statement, model, part.manifest, part.tables, part.binnings)

    def find(self, model: bytes) -> StoredPart | None:
        """Return this node's part of a model, or None."""
        row = self._database.row("SELECT manifest, tables, binnings FROM part WHERE model = ?", model)
        return None if row is None else StoredPart(*row)
