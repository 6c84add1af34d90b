"""What must stand in the log before an answer: the consents that it rests on, and the policy of its node.

A single question names its consent in its REQUEST, a batch those of all its positions in that leaf's body: as many of
them as there are enterprises answered about have a CONSENT before the first RELEASE. Every leaf of a node that names a
policy has that node's POLICY before it, as has whatever the node has on its own record.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

from federation.audit.reading.log_view import LoggedLeaf
from federation.audit.reading.search import consents_of
from federation.audit.reconciliation.discrepancy import Discrepancy
from protocols.transparency.leaves import LeafCommitment, LeafKind

MISSING: Final = frozenset({"CONSENT_MISSING", "POLICY_MISSING"})
"""The codes of what is not there; who holds a part of a log against these rules must leave them out."""

SCHEMA: Final = """
CREATE TABLE shown (consent TEXT, leaf INTEGER, entry TEXT);
CREATE TABLE under (query BLOB, consent TEXT);
CREATE TABLE batch (query BLOB PRIMARY KEY);
CREATE TABLE answered (query BLOB PRIMARY KEY, enterprises INTEGER, leaf INTEGER);
CREATE TABLE policy (node TEXT, hash TEXT, leaf INTEGER, PRIMARY KEY (node, hash));
CREATE TABLE named (node TEXT, hash TEXT, query BLOB, leaf INTEGER, leaves INTEGER, PRIMARY KEY (node, hash));
CREATE TABLE own_policy (node TEXT, hash TEXT, query BLOB, PRIMARY KEY (node, hash));
"""
INDEXES: Final = """
CREATE INDEX shown_by_consent ON shown (consent);
CREATE INDEX under_query ON under (query);
"""
_NAME: Final = "INSERT INTO named VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET leaves = leaves + 1"
_ANSWER: Final = """
INSERT INTO answered VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET enterprises = max(enterprises, excluded.enterprises)"""
_IN_BATCHES: Final = """
SELECT query, enterprises, found FROM (
    SELECT a.query AS query, a.enterprises AS enterprises, (
        SELECT count(*) FROM under u WHERE u.query = a.query
            AND EXISTS (SELECT 1 FROM shown s WHERE s.consent = u.consent AND s.leaf < a.leaf)) AS found
    FROM answered a JOIN batch b ON b.query = a.query)
WHERE found < enterprises"""


def note(work: sqlite3.Connection, logged: LoggedLeaf, leaf: LeafCommitment, query: bytes) -> None:
    """Take what one leaf shows, asks under, or names; `query` is what it belongs to, b"" for nothing."""
    values = dict(leaf.attributes)
    if leaf.kind is LeafKind.CONSENT:
        entry = str(values.get("entry", ""))
        work.execute("INSERT INTO shown VALUES (?, ?, ?)", (values.get("consent_hash", ""), logged.index, entry))
    elif leaf.kind is LeafKind.POLICY:
        row = (leaf.actor, values.get("policy_hash", ""), logged.index)
        work.execute("INSERT OR IGNORE INTO policy VALUES (?, ?, ?)", row)
    elif "policy_hash" in values:
        work.execute(_NAME, (leaf.actor, values["policy_hash"], query, logged.index))
    if leaf.kind is LeafKind.REQUEST and "enterprises" in values and logged.body:
        work.execute("INSERT OR IGNORE INTO batch VALUES (?)", (query,))
        rows = ((query, consent) for consent in consents_of(logged) if consent)
        work.executemany("INSERT INTO under VALUES (?, ?)", rows)
    elif leaf.kind is LeafKind.RELEASE and "enterprises" in values:
        work.execute(_ANSWER, (query, values["enterprises"], logged.index))


def note_own(work: sqlite3.Connection, party: str, query: bytes, policy: bytes) -> None:
    """Take the policy under which a party has something on its own record."""
    work.execute("INSERT OR IGNORE INTO own_policy VALUES (?, ?, ?)", (party, policy.hex(), query))


def missing_precedents(work: sqlite3.Connection) -> Iterator[Discrepancy]:
    """Yield consents and policies that do not stand before what rests on them, and consents that stand twice."""
    repeated = "SELECT min(entry), count(*), max(leaf) FROM shown GROUP BY consent HAVING count(*) > 1"
    for entry, leaves, last in work.execute(repeated):
        yield Discrepancy(entry, "CONSENT_REPEATED", "", f"{leaves} CONSENT leaves of one consent, the last is {last}")
    missing = """SELECT DISTINCT q.query FROM logged AS q JOIN logged AS a ON a.query = q.query AND a.kind = 'RELEASE'
        WHERE q.kind = 'REQUEST' AND q.consent <> ''
            AND NOT EXISTS (SELECT 1 FROM shown WHERE consent = q.consent AND leaf < q.leaf)"""
    for (query,) in work.execute(missing):
        text = "answered under a consent that has no CONSENT leaf before"
        yield Discrepancy(query.hex(), "CONSENT_MISSING", "", text)
    for query, enterprises, found in work.execute(_IN_BATCHES):
        text = f"answered about {enterprises} enterprises, and {found} of its consents have a CONSENT leaf before"
        yield Discrepancy(query.hex(), "CONSENT_MISSING", "", text)
    yield from _policies(work)


def _policies(work: sqlite3.Connection) -> Iterator[Discrepancy]:
    named = """SELECT query, node, hash, leaf, leaves FROM named WHERE NOT EXISTS (
            SELECT 1 FROM policy WHERE node = named.node AND hash = named.hash AND leaf < named.leaf)"""
    for query, node, policy, leaf, leaves in work.execute(named):
        text = (
            f"{leaves} leaves from leaf {leaf} on name policy {policy[:12]}, of which {node} has no POLICY leaf before"
        )
        yield Discrepancy(query.hex(), "POLICY_MISSING", node, text)
    own = """SELECT query, node, hash FROM own_policy WHERE NOT EXISTS (
            SELECT 1 FROM policy WHERE node = own_policy.node AND hash = own_policy.hash)"""
    for query, node, policy in work.execute(own):
        text = f"{node} has an answer under policy {policy[:12]} on record, of which the log has no POLICY leaf"
        yield Discrepancy(query.hex(), "POLICY_NOT_LOGGED", node, text)
