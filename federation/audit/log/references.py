"""Which leaves belong to which query, run, objection, or policy of a node: an index beside the log.

It is made anew from the log whenever it lacks. It proves nothing and is trusted with nothing: whoever is shown a leaf
verifies its proof.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Final

from federation.audit.log.audit_log import AuditLog
from protocols.transparency.leaves import CONSENT_KINDS, LeafCommitment, LeafKind

FILE: Final = "references.sqlite"
_SHORTEST: Final = 16
_VERSION: Final = 2
"""Of what is indexed: an index of another version is begun anew."""

_PAGE: Final = 2048
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS leaf_of (reference BLOB, leaf INTEGER, PRIMARY KEY (reference, leaf)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS covered (leaves INTEGER NOT NULL);
"""


class References:
    """The index of one log. For any number of threads."""

    def __init__(self, path: Path, log: AuditLog) -> None:
        """Open or begin the index at `path`; one of another log, a longer one or another version is begun anew."""
        self._log, self._lock = log, Lock()
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version != _VERSION or self._covered() > log.size:
            self._database.executescript("DELETE FROM leaf_of; DELETE FROM covered;")
            self._database.execute(f"PRAGMA user_version = {_VERSION}")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    def follow(self) -> None:
        """Take what the log has gained."""
        with self._lock:
            self._catch_up()

    def leaves_of(self, references: Iterable[bytes]) -> list[int]:
        """Return the leaves of these queries, runs, objections and `policies_of` nodes, in the log's order."""
        found: set[int] = set()
        with self._lock:
            self._catch_up()
            for reference in references:
                rows = self._database.execute("SELECT leaf FROM leaf_of WHERE reference = ?", (reference,))
                found.update(leaf for (leaf,) in rows)
        return sorted(found)

    def _covered(self) -> int:
        with closing(self._database.execute("SELECT coalesce(max(leaves), 0) FROM covered")) as rows:
            return int(rows.fetchone()[0])

    def _catch_up(self) -> None:
        """Take the leaves that have come since, so many at a time that memory stays bounded."""
        start, size = self._covered(), self._log.size
        while start < size:
            end = min(start + _PAGE, size)
            leaves = enumerate(self._log.commitments(start, end), start)
            rows = [(reference, index) for index, leaf in leaves for reference in references_of(leaf)]
            self._database.execute("BEGIN")
            self._database.executemany("INSERT OR IGNORE INTO leaf_of VALUES (?, ?)", rows)
            self._database.execute("DELETE FROM covered")
            self._database.execute("INSERT INTO covered VALUES (?)", (end,))
            self._database.execute("COMMIT")
            start = end


def policies_of(node: str) -> bytes:
    """Return what a node's POLICY leaves are found by, 32 bytes."""
    return sha256(b"credit-federation/policies-of/v1\0" + node.encode()).digest()


def references_of(leaf: LeafCommitment) -> Iterator[bytes]:
    """Yield what a leaf belongs to: its query or objection, the objection it follows, the run it opens, its node.

    A consent's leaves belong to the tag of their enterprise.
    """
    values = dict(leaf.attributes)
    if leaf.kind is LeafKind.TRAIN_STEP:
        if str(values.get("step", "")).endswith("Spec"):
            yield bytes.fromhex(str(values["transcript_hash"]))
    elif leaf.kind is LeafKind.POLICY:
        yield policies_of(leaf.actor)
    elif leaf.kind in CONSENT_KINDS:
        yield from (leaf.subject,) if leaf.subject else ()
    elif len(leaf.reference) >= _SHORTEST:
        yield leaf.reference
    if leaf.kind is LeafKind.REQUEST and "objection" in values:
        yield bytes.fromhex(str(values["objection"]))
