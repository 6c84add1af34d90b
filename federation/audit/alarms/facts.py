"""The log's questions, answers, results, acknowledgements and objections in a temporary SQLite file, memory bounded."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Final

from federation.audit.reading.log_view import LoggedLeaf
from federation.audit.reading.search import consents_of, tags_of
from federation.audit.reconciliation.reconcile import RUN_KINDS
from protocols.transparency.leaves import LeafCommitment, LeafKind

_SCHEMA: Final = """
CREATE TABLE question (
    leaf INTEGER PRIMARY KEY, query BLOB, bank TEXT, at INTEGER, batch INTEGER, enterprises INTEGER, nodes INTEGER,
    model TEXT);
CREATE TABLE about (leaf INTEGER, subject BLOB);
CREATE TABLE under (leaf INTEGER, consent TEXT);
CREATE INDEX question_of ON question (query);
CREATE TABLE answer (
    leaf INTEGER PRIMARY KEY, query BLOB, asked INTEGER, node TEXT, at INTEGER, released INTEGER, code TEXT,
    denied INTEGER, crowded INTEGER);
CREATE TABLE ack (leaf INTEGER PRIMARY KEY, query BLOB, asked INTEGER, at INTEGER);
CREATE TABLE result (leaf INTEGER PRIMARY KEY, query BLOB, asked INTEGER, at INTEGER);
CREATE TABLE step (leaf INTEGER PRIMARY KEY, query BLOB, at INTEGER);
CREATE TABLE objection (leaf INTEGER PRIMARY KEY, id BLOB, node TEXT, at INTEGER);
CREATE TABLE decision (leaf INTEGER PRIMARY KEY, id BLOB, node TEXT, at INTEGER);
"""
_INDEXES: Final = """
CREATE INDEX answer_to ON answer (asked, node);
CREATE INDEX answer_of ON answer (query);
CREATE INDEX ack_to ON ack (asked);
CREATE INDEX ack_of ON ack (query);
CREATE INDEX result_of ON result (query);
CREATE INDEX step_of ON step (query);
CREATE INDEX decision_of ON decision (id, node);
CREATE TABLE roster AS
SELECT DISTINCT q.model, a.node FROM answer a JOIN question q ON q.leaf = a.asked WHERE a.released;
CREATE VIEW undenied AS
SELECT * FROM question q WHERE NOT EXISTS (SELECT 1 FROM answer WHERE asked = q.leaf AND NOT released);
CREATE VIEW counted AS
SELECT *, min(enterprises, ifnull((
    SELECT max(CASE WHEN released THEN denied ELSE enterprises END) FROM answer WHERE asked = question.leaf
), 0)) AS denied FROM question;
"""
_ADD_ANSWER: Final = """
INSERT INTO answer VALUES (?1, ?2, (SELECT max(leaf) FROM question WHERE query = ?2), ?3, ?4, ?5, ?6, ?7, ?8)"""
_ADD_ACK: Final = "INSERT INTO ack VALUES (?1, ?2, (SELECT max(leaf) FROM question WHERE query = ?2), ?3)"
_ADD_RESULT: Final = "INSERT INTO result VALUES (?1, ?2, (SELECT max(leaf) FROM question WHERE query = ?2), ?3)"
_MOST_ENTERPRISES: Final = 1 << 20
"""What one leaf may count for: more than any batch holds, and too little for a sum to overflow."""


@contextmanager
def facts(leaves: Iterable[LoggedLeaf], until_ms: int | None = None) -> Iterator[sqlite3.Connection]:
    """Yield the tables of all leaves before `until_ms`.

    A question's bank is who signed the REQUEST. An answer belongs to the last question before it under its id (`asked`,
    that question's leaf), so that an id which is used twice hides neither. The roster of a model is every node that has
    released with it; `undenied` are the questions that nobody denied; `counted` says of how many enterprises each was
    denied: of a batch, the most that one node denied, as at least so many were. Raises: MalformedMessage.
    """
    with closing(sqlite3.connect("", isolation_level=None)) as work:
        work.executescript(_SCHEMA + "BEGIN;")
        for logged in leaves:
            leaf = logged.commitment()
            if until_ms is None or leaf.timestamp_ms < until_ms:
                _take(work, logged, leaf)
        work.executescript(_INDEXES)
        yield work


def _take(work: sqlite3.Connection, logged: LoggedLeaf, leaf: LeafCommitment) -> None:
    index, values, at = logged.index, dict(leaf.attributes), leaf.timestamp_ms
    if leaf.kind is LeafKind.REQUEST:
        enterprises = values.get("enterprises")
        asked = 1 if enterprises is None else _capped(enterprises)
        terms = (values.get("nodes"), values.get("model_hash"))
        row = (index, leaf.reference, leaf.actor, at, enterprises is not None, asked, *terms)
        work.execute("INSERT INTO question VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        work.executemany("INSERT INTO about VALUES (?, ?)", ((index, tag) for tag in tags_of(logged)))
        work.executemany("INSERT INTO under VALUES (?, ?)", ((index, one) for one in consents_of(logged) if one))
    elif leaf.kind in (LeafKind.RELEASE, LeafKind.DENY):
        denied = (values.get("code"), _capped(values.get("denied", 0)), _capped(values.get("crowded", 0)))
        reply = (index, leaf.reference, leaf.actor, at, leaf.kind is LeafKind.RELEASE, *denied)
        work.execute(_ADD_ANSWER, reply)
    elif leaf.kind is LeafKind.ACK:
        work.execute(_ADD_ACK, (index, leaf.reference, at))
    elif leaf.kind is LeafKind.RESULT:
        work.execute(_ADD_RESULT, (index, leaf.reference, at))
    elif leaf.kind in RUN_KINDS:
        run = bytes.fromhex(str(values.get("transcript_hash", "")))
        work.execute("INSERT INTO step VALUES (?, ?, ?)", (index, run, at))
    elif leaf.kind is LeafKind.OBJECTION:
        work.execute("INSERT INTO objection VALUES (?, ?, ?, ?)", (index, leaf.reference, values.get("node", ""), at))
    elif leaf.kind is LeafKind.DECISION:
        work.execute("INSERT INTO decision VALUES (?, ?, ?, ?)", (index, leaf.reference, leaf.actor, at))


def _capped(value: str | int) -> int:
    return min(int(value), _MOST_ENTERPRISES)
