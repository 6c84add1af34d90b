"""All that a node's ledger has about one enterprise: what was asked about it, and the runs whose cohorts it was in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from nodes.ledger.database import Database, Row

TRAINING: Final = "training"
_ASKED: Final = """
    SELECT at, query, 0 AS place, 'assessment' AS kind, bank, decision, code, model, response FROM answer
    WHERE subject = ? AND at >= ? AND at < ?
    UNION ALL
    SELECT a.at, e.query, e.position, 'batch', a.bank, CASE WHEN e.code = '' THEN 'RELEASE' ELSE 'DENY' END, e.code,
        a.model, a.response
    FROM batch_entry AS e JOIN answer AS a ON a.query = e.query WHERE e.subject = ? AND a.at >= ? AND a.at < ?
    ORDER BY at, query LIMIT ?
"""
_RUNS: Final = """
    SELECT min(r.at), c.transcript, c.bank, c.names FROM cohort AS c JOIN release AS r ON r.transcript = c.transcript
    GROUP BY c.transcript, c.bank, c.names HAVING min(r.at) >= ? AND min(r.at) < ? ORDER BY min(r.at)
"""


@dataclass(frozen=True, slots=True)
class SubjectEntry:
    """One query about an enterprise, or one run; `evidence` is the SHA-256 of what was answered, b"" of a run.

    `place` is the enterprise's in a batch, else 0.
    """

    at: int
    reference: bytes
    place: int
    kind: str
    bank: str
    decision: str
    code: str
    model: bytes
    evidence: bytes


class SubjectView:
    """Reads one node's ledger for the enterprise that it is about."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(self, subject: str, name: bytes, since: int, until: int, limit: int) -> list[SubjectEntry]:
        """Return what there is about an enterprise between two times, the oldest first, at most `limit`.

        `name` is the enterprise as cohorts name it. A batch that was denied as a whole names no enterprise.
        """
        span = (subject, since, until)
        asked = [_answered(*row) for row in self._database.rows(_ASKED, *span, *span, limit)]
        runs = [
            SubjectEntry(at, transcript, 0, TRAINING, bank, "RELEASE", "", b"", b"")
            for at, transcript, bank, names in self._database.rows(_RUNS, since, until)
            if _holds(names, name)
        ]
        return sorted([*asked, *runs], key=lambda entry: (entry.at, entry.reference))[:limit]


def _answered(*row: object) -> SubjectEntry:
    fields: Row = row
    at, query, place, kind, bank, decision, code, model, response = fields
    return SubjectEntry(at, query, place, kind, bank, decision, code, model or b"", hashlib.sha256(response).digest())


def _holds(names: bytes, name: bytes) -> bool:
    """Tell whether sorted names of equal length, one after the other, hold this one."""
    width = len(name)
    low, high = 0, len(names) // width
    while low < high:
        middle = (low + high) // 2
        found = names[middle * width : (middle + 1) * width]
        if found == name:
            return True
        low, high = (middle + 1, high) if found < name else (low, middle)
    return False
