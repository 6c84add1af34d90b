"""The part of the index that knows what entries are about: one enterprise, or one consent.

An entry carries the enterprise's tag; a consent's own entries carry its handle as their reference. The rest, and each
entry of a batch, is found by the question that it belongs to: the question's request names tags and handles.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from federation.audit.reading.log_view import LoggedLeaf
from federation.audit.reading.search import consents_of, tags_of

ABOUT_TABLES: Final = """
CREATE TABLE IF NOT EXISTS batched (tag BLOB, reference BLOB, PRIMARY KEY (tag, reference)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shown (consent BLOB, reference BLOB, PRIMARY KEY (consent, reference)) WITHOUT ROWID;"""
ABOUT_NAMES: Final = ("batched", "shown")
_OF_TAG: Final = """
SELECT at, leaf, shape FROM entry WHERE subject = ?
UNION SELECT e.at, e.leaf, e.shape FROM batched b JOIN entry e ON e.reference = b.reference WHERE b.tag = ?"""
_OF_CONSENT: Final = """
SELECT at, leaf, shape FROM entry WHERE reference = ?
UNION SELECT e.at, e.leaf, e.shape FROM shown s JOIN entry e ON e.reference = s.reference WHERE s.consent = ?"""

Row = tuple[int, int, int]
"""An entry's time, leaf and shape."""


def add_request(work: sqlite3.Connection, request: LoggedLeaf) -> None:
    """Keep under which tags and handles a question's entries are found."""
    leaf = request.commitment()
    if not leaf.subject:
        tags = ((tag, leaf.reference) for tag in tags_of(request))
        work.executemany("INSERT OR IGNORE INTO batched VALUES (?, ?)", tags)
    shown = ((bytes.fromhex(handle), leaf.reference) for handle in consents_of(request) if handle)
    work.executemany("INSERT OR IGNORE INTO shown VALUES (?, ?)", shown)


def entries_about(work: sqlite3.Connection, subject: bytes, consent: bytes) -> set[Row]:
    """Return the entries about an enterprise, under a consent, or both; b"" asks nothing, and one of them must ask."""
    found = [
        set[Row](work.execute(query, (wanted, wanted)))
        for query, wanted in ((_OF_TAG, subject), (_OF_CONSENT, consent))
        if wanted
    ]
    return set.intersection(*found)
