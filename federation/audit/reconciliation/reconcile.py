"""Hold the log's queries and training runs against what each party has on record, and say what is missing.

A query is whole if the log has one REQUEST; a RELEASE of every node and one RESULT, or at least one DENY and no
RESULT; one ACK; if it was answered, what must stand before (`precedents`); and if each party whose record is at hand
has exactly what the log says of it, by the hash of the signed message. Of a training run, which goes by its transcript,
the log has exactly the messages that each such party has sent. Both sides are joined in a temporary SQLite file, in
memory that does not grow with the log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from federation.audit.reading.log_view import LoggedLeaf
from federation.audit.reconciliation.discrepancy import Discrepancy
from federation.audit.reconciliation.precedents import INDEXES, SCHEMA, missing_precedents, note, note_own
from protocols.transparency.leaves import LeafKind

QUERY_KINDS: Final = frozenset({LeafKind.REQUEST, LeafKind.RELEASE, LeafKind.DENY, LeafKind.RESULT, LeafKind.ACK})
RUN_KINDS: Final = frozenset({LeafKind.TRAIN_STEP, LeafKind.MANIFEST})
_SCHEMA: Final = """
CREATE TABLE logged (
    query BLOB, kind TEXT, actor TEXT, evidence BLOB, leaf INTEGER, nodes INTEGER, consent TEXT, policy BLOB);
CREATE TABLE own (query BLOB, kind TEXT, party TEXT, evidence BLOB, policy BLOB);
CREATE TABLE present (party TEXT PRIMARY KEY);
"""
_INDEXES: Final = """
CREATE INDEX by_query ON logged (query, kind, actor);
CREATE INDEX own_by_query ON own (query, kind, party);
"""


@dataclass(frozen=True, slots=True)
class OwnEntry:
    """One thing that a party has on its own record: which query, what it did, the hash of its signed message.

    `query` is the run's transcript for a TRAIN_STEP, which stands for the leaves of kind MANIFEST too. `policy` is the
    hash of the policy that the message names, b"" for one that names none.
    """

    query: bytes
    kind: LeafKind
    evidence: bytes
    policy: bytes = b""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """How many queries and runs the log holds, whose records were at hand, and all that does not fit."""

    queries: int
    parties: tuple[str, ...]
    discrepancies: tuple[Discrepancy, ...] = field(default=())
    runs: int = 0

    @property
    def ok(self) -> bool:
        """Whether everything fits."""
        return not self.discrepancies


def reconcile(leaves: Iterable[LoggedLeaf], records: Mapping[str, Iterable[OwnEntry]]) -> Reconciliation:
    """Return what does not fit between a log's leaves and the parties' own `records`, ordered by query.

    Raises: MalformedMessage for a leaf that is none.
    """
    with closing(sqlite3.connect("", isolation_level=None)) as work:
        work.executescript(_SCHEMA + SCHEMA + "BEGIN;")
        work.executemany("INSERT INTO logged VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _logged_rows(leaves, work))
        for party, entries in records.items():
            work.execute("INSERT INTO present VALUES (?)", (party,))
            work.executemany("INSERT INTO own VALUES (?, ?, ?, ?, ?)", _own_rows(party, entries, work))
        work.executescript(_INDEXES + INDEXES)
        queries, runs = work.execute(
            "SELECT count(DISTINCT CASE WHEN kind <> 'TRAIN_STEP' THEN query END),"
            " count(DISTINCT CASE WHEN kind = 'TRAIN_STEP' THEN query END) FROM logged"
        ).fetchone()
        found = [*_within_log(work), *missing_precedents(work), *_not_logged(work)]
        found += [*_policies_differ(work), *_not_on_record(work), *_runs(work)]
    found.sort(key=lambda discrepancy: (discrepancy.query, discrepancy.code, discrepancy.party))
    return Reconciliation(queries, tuple(sorted(records)), tuple(found), runs)


def _logged_rows(
    leaves: Iterable[LoggedLeaf], work: sqlite3.Connection
) -> Iterator[tuple[bytes, str, str, bytes, int, int | None, str, bytes]]:
    """Yield the leaves of queries and runs; what must stand before them goes into tables of its own."""
    for logged in leaves:
        leaf = logged.commitment()
        values = dict(leaf.attributes)
        policy, nodes = bytes.fromhex(str(values.get("policy_hash", ""))), values.get("nodes")
        query = leaf.reference
        if leaf.kind in RUN_KINDS:
            query = bytes.fromhex(str(values.get("transcript_hash", "")))
            yield query, LeafKind.TRAIN_STEP.value, leaf.actor, leaf.evidence, logged.index, None, "", policy
        elif leaf.kind in QUERY_KINDS:
            asked, consent = nodes if isinstance(nodes, int) else None, str(values.get("consent_hash", ""))
            yield query, leaf.kind.value, leaf.actor, leaf.evidence, logged.index, asked, consent, policy
        note(work, logged, leaf, query)


def _own_rows(
    party: str, entries: Iterable[OwnEntry], work: sqlite3.Connection
) -> Iterator[tuple[bytes, str, str, bytes, bytes]]:
    for entry in entries:
        if entry.policy:
            note_own(work, party, entry.query, entry.policy)
        yield entry.query, entry.kind.value, party, entry.evidence, entry.policy


@dataclass(frozen=True, slots=True)
class _Counts:
    """What the log has of one query."""

    query: bytes
    requests: int
    releases: int
    releasing: int
    denials: int
    denying: int
    answering: int
    results: int
    acknowledgements: int
    nodes: int | None


def _within_log(work: sqlite3.Connection) -> Iterator[Discrepancy]:
    rows = work.execute(
        """SELECT query, sum(kind = 'REQUEST'),
            sum(kind = 'RELEASE'), count(DISTINCT CASE kind WHEN 'RELEASE' THEN actor END),
            sum(kind = 'DENY'), count(DISTINCT CASE kind WHEN 'DENY' THEN actor END),
            count(DISTINCT CASE WHEN kind IN ('RELEASE', 'DENY') THEN actor END),
            sum(kind = 'RESULT'), sum(kind = 'ACK'), max(nodes)
        FROM logged WHERE kind <> 'TRAIN_STEP' GROUP BY query"""
    )
    for row in rows:
        counts = _Counts(*row)
        for code, text in _faults(counts):
            yield Discrepancy(counts.query.hex(), code, "", text)


def _faults(found: _Counts) -> Iterator[tuple[str, str]]:
    if found.requests != 1:
        yield ("REQUEST_REPEATED" if found.requests else "REQUEST_MISSING"), f"{found.requests} REQUEST leaves, not 1"
    answers = found.releases + found.denials
    if answers != found.answering:
        yield "ANSWER_REPEATED", f"{answers} answers of {found.answering} nodes"
    if found.nodes is not None and found.answering > found.nodes:
        yield "ANSWER_UNASKED", f"{found.answering} nodes answered, {found.nodes} were asked"
    if found.nodes is not None and not found.denials and found.releasing < found.nodes:
        yield "RELEASE_MISSING", f"{found.releasing} of {found.nodes} nodes released, and none denied"
    expected = 0 if found.denials or (found.nodes is not None and found.releasing < found.nodes) else 1
    if found.results < expected:
        yield "RESULT_MISSING", "every node released, and there is no RESULT"
    elif found.results > expected:
        text = f"{found.results} RESULT leaves, not {expected}"
        yield ("RESULT_REPEATED" if expected else "RESULT_UNEXPECTED"), text
    if found.acknowledgements != 1:
        text = f"{found.acknowledgements} ACK leaves, not 1"
        yield ("ACK_REPEATED" if found.acknowledgements else "ACK_MISSING"), text


def _not_logged(work: sqlite3.Connection) -> Iterator[Discrepancy]:
    """Yield what a party has on record and the log has not, or has with another message."""
    rows = work.execute(
        """SELECT own.query, own.kind, own.party, count(logged.leaf)
        FROM own LEFT JOIN logged ON logged.query = own.query AND logged.kind = own.kind AND logged.actor = own.party
        WHERE own.kind <> 'TRAIN_STEP'
        GROUP BY own.query, own.kind, own.party
        HAVING sum(logged.evidence IS own.evidence AND logged.leaf IS NOT NULL) = 0"""
    )
    for query, kind, party, leaves in rows:
        if leaves:
            text = f"the log's {kind} of {party} is of another message than the one on its record"
            yield Discrepancy(query.hex(), "EVIDENCE_DIFFERS", party, text)
        else:
            text = f"{party} has a {kind} on record, the log has none"
            yield Discrepancy(query.hex(), f"{kind}_NOT_LOGGED", party, text)


def _policies_differ(work: sqlite3.Connection) -> Iterator[Discrepancy]:
    """Yield answers of which the log names another policy than the very message on its node's record."""
    rows = work.execute(
        """SELECT own.query, own.kind, own.party, logged.leaf
        FROM own JOIN logged ON logged.query = own.query AND logged.kind = own.kind AND logged.actor = own.party
        WHERE own.policy <> x'' AND logged.evidence = own.evidence AND logged.policy <> own.policy"""
    )
    for query, kind, party, leaf in rows:
        text = f"the {kind} of {party} in leaf {leaf} names another policy than the message on its record"
        yield Discrepancy(query.hex(), "POLICY_DIFFERS", party, text)


def _not_on_record(work: sqlite3.Connection) -> Iterator[Discrepancy]:
    """Yield what the log says of a party whose record is at hand and does not have it."""
    rows = work.execute(
        """SELECT logged.query, logged.kind, logged.actor, logged.leaf
        FROM logged JOIN present ON present.party = logged.actor
        WHERE logged.kind <> 'TRAIN_STEP' AND NOT EXISTS (
            SELECT 1 FROM own
            WHERE own.query = logged.query AND own.kind = logged.kind AND own.party = logged.actor)"""
    )
    for query, kind, party, leaf in rows:
        yield Discrepancy(query.hex(), f"{kind}_NOT_ON_RECORD", party, f"leaf {leaf} has no counterpart at {party}")


def _runs(work: sqlite3.Connection) -> Iterator[Discrepancy]:
    """Yield what of training runs the log has and a party whose record is at hand has not sent, or the reverse."""
    missing = """SELECT query, party, count(*) FROM own WHERE kind = 'TRAIN_STEP' AND NOT EXISTS (
            SELECT 1 FROM logged WHERE kind = 'TRAIN_STEP' AND logged.query = own.query
                AND logged.actor = own.party AND logged.evidence = own.evidence)
        GROUP BY query, party"""
    for run, party, messages in work.execute(missing):
        text = f"{party} has {messages} messages of a run on record that the log has not"
        yield Discrepancy(run.hex(), "TRAIN_STEP_NOT_LOGGED", party, text)
    invented = """SELECT query, actor, count(*), min(leaf) FROM logged JOIN present ON present.party = logged.actor
        WHERE kind = 'TRAIN_STEP' AND NOT EXISTS (
            SELECT 1 FROM own WHERE own.kind = 'TRAIN_STEP' AND own.query = logged.query
                AND own.party = logged.actor AND own.evidence = logged.evidence)
        GROUP BY query, actor"""
    for run, party, leaves, first in work.execute(invented):
        text = f"{leaves} leaves of a run, from leaf {first} on, have no counterpart at {party}"
        yield Discrepancy(run.hex(), "TRAIN_STEP_NOT_ON_RECORD", party, text)
