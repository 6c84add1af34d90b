"""An enterprise's record in words: each query with who asked, who answered, and the leaves that prove it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from nodes.enterprise.fetching import Fetched
from protocols.channel.identity import PartyId
from protocols.enterprise.messages import HeldObjection, RecordEntry
from protocols.enterprise.objections import DAY_SECONDS, OBJECTION_SECONDS
from protocols.enterprise.verifying import TRAINING, VerifiedLeaf, reference_of
from protocols.transparency.leaves import CONSENT_KINDS, LeafKind

_LAST_SECOND: Final = 253_402_300_799


class StatementRecord(msgspec.Struct, frozen=True):
    """What a party says of the enterprise in a leaf's body, signed, and opened with the enterprise's own key."""

    leaf: int
    party: str
    kind: str
    decision: str
    code: str
    rule: str


class QueryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One query about the enterprise, or a run whose cohort it was in.

    `nodes` holds what each node says that it did; `outcome` is the bank's word on the answer, "" before it; `witnessed`
    whether a quorum of witnesses stands behind all its leaves. Units: times ISO 8601 UTC.
    """

    reference: str
    kind: str
    time: str
    bank: str
    purpose: str
    model: str
    objection: str
    nodes: dict[str, str]
    outcome: str
    leaves: tuple[int, ...]
    witnessed: bool
    statements: tuple[StatementRecord, ...]


class ConsentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One consent of the enterprise, as a bank first showed it. Units: times ISO 8601 UTC; `revoked` "" if it is not.

    `evidence` is the SHA-256 of the consent's slip, `statement` whether the bank's own word on it opened.
    """

    handle: str
    bank: str
    issuer: str
    shown: str
    valid_from: str
    valid_until: str
    revoked: str
    evidence: str
    leaves: tuple[int, ...]
    witnessed: bool
    statements: tuple[StatementRecord, ...]


class ObjectionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One objection of the enterprise. `days_left` is None once nobody has anything to decide; below 0 if overdue."""

    objection: str
    ground: str
    filed: str
    days_left: int | None
    waiting: tuple[str, ...]
    decisions: dict[str, str]
    leaves: tuple[int, ...]
    reassessments: tuple[str, ...]


class RepairRecord(msgspec.Struct, frozen=True):
    """What a node has put right."""

    node: str
    time: str
    what: str
    objection: str


class FindingRecord(msgspec.Struct, frozen=True):
    """What does not fit: `code` is the finding's, `detail` the node's own code of a refusal."""

    code: str
    party: str
    reference: str
    detail: str


class EnterpriseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that there is about one enterprise. `ok`: every node answered, every leaf is proved, everything fits."""

    ok: bool
    enterprise: str
    until: str
    nodes: tuple[str, ...]
    leaves: int
    queries: tuple[QueryRecord, ...]
    consents: tuple[ConsentRecord, ...]
    objections: tuple[ObjectionRecord, ...]
    repairs: tuple[RepairRecord, ...]
    findings: tuple[FindingRecord, ...]


def describe(fetched: Fetched, enterprise: str, now: int) -> EnterpriseRecord:
    """Return a fetched record in words. Reveals: it all, to whoever reads it."""
    leaves = sorted(fetched.leaves.values(), key=lambda leaf: leaf.index)
    queries = _queries(fetched.entries, leaves)
    return EnterpriseRecord(
        ok=not fetched.discrepancies,
        enterprise=enterprise,
        until=_utc(min(fetched.span.until, now)),
        nodes=tuple(sorted(fetched.entries)),
        leaves=len(leaves),
        queries=queries,
        consents=_consents(leaves),
        objections=_objections(fetched, leaves, queries, now),
        repairs=tuple(
            RepairRecord(node, _utc(repair.at), repair.what, repair.objection.hex())
            for node, repairs in sorted(fetched.repairs.items())
            for repair in repairs
        ),
        findings=tuple(
            FindingRecord(one.finding.value, one.party, one.reference.hex(), one.code) for one in fetched.discrepancies
        ),
    )


def _queries(lists: dict[PartyId, list[RecordEntry]], leaves: Sequence[VerifiedLeaf]) -> tuple[QueryRecord, ...]:
    by_reference: dict[bytes, dict[PartyId, RecordEntry]] = {}
    for node, entries in lists.items():
        for entry in entries:
            by_reference.setdefault(entry.reference, {})[node] = entry
    proved = _by_reference(leaves)
    found = [_query(reference, entries, proved.get(reference, [])) for reference, entries in by_reference.items()]
    return tuple(sorted(found, key=lambda query: (query.time, query.reference)))


def _query(reference: bytes, entries: dict[PartyId, RecordEntry], own: Sequence[VerifiedLeaf]) -> QueryRecord:
    first = min(entries.values(), key=lambda entry: entry.at)
    request = next((one.leaf for one in own if one.leaf.kind is LeafKind.REQUEST), None)
    outcome = next((dict(one.leaf.attributes)["decision"] for one in own if one.leaf.kind is LeafKind.ACK), "")
    return QueryRecord(
        reference=reference.hex(),
        kind=first.what,
        time=_utc(first.at),
        bank=first.bank,
        purpose=TRAINING if first.what == TRAINING else "" if request is None else request.purpose,
        model=first.model.hex(),
        objection="" if request is None else str(dict(request.attributes).get("objection", "")),
        nodes={node: entry.code or entry.decision for node, entry in sorted(entries.items())},
        outcome=str(outcome),
        leaves=tuple(one.index for one in own),
        witnessed=bool(own) and all(one.witnessed for one in own),
        statements=_statements(own),
    )


def _statements(leaves: Iterable[VerifiedLeaf]) -> tuple[StatementRecord, ...]:
    return tuple(
        StatementRecord(one.index, said.party, said.leaf.value, said.decision, said.code, said.rule)
        for one in leaves
        if (said := one.statement) is not None
    )


def _consents(leaves: Sequence[VerifiedLeaf]) -> tuple[ConsentRecord, ...]:
    """Return each consent that a bank has shown, and when it was withdrawn, oldest first."""
    found = []
    for own in _by_reference(one for one in leaves if one.leaf.kind in CONSENT_KINDS).values():
        first, values = own[0].leaf, dict(own[0].leaf.attributes)
        if first.kind is not LeafKind.CONSENT:
            continue
        withdrawn = next((one.leaf.timestamp_ms // 1000 for one in own if one.leaf.kind is LeafKind.REVOKE), None)
        found.append(
            ConsentRecord(
                handle=first.reference.hex(),
                bank=first.actor,
                issuer=str(values.get("issuer", "")),
                shown=_utc(first.timestamp_ms // 1000),
                valid_from=_utc(int(values.get("valid_from_ms", 0)) // 1000),
                valid_until=_utc(int(values.get("valid_until_ms", 0)) // 1000),
                revoked="" if withdrawn is None else _utc(withdrawn),
                evidence=first.evidence.hex(),
                leaves=tuple(one.index for one in own),
                witnessed=all(one.witnessed for one in own),
                statements=_statements(own),
            )
        )
    return tuple(found)


def _by_reference(leaves: Iterable[VerifiedLeaf]) -> dict[bytes, list[VerifiedLeaf]]:
    found: dict[bytes, list[VerifiedLeaf]] = {}
    for one in leaves:
        found.setdefault(reference_of(one.leaf), []).append(one)
    return found


def _objections(
    fetched: Fetched, leaves: Sequence[VerifiedLeaf], queries: Iterable[QueryRecord], now: int
) -> tuple[ObjectionRecord, ...]:
    """Return the objections, each by the node that has heard of most decisions; their times are the log's."""
    best: dict[bytes, HeldObjection] = {}
    for held in (one for objections in fetched.objections.values() for one in objections):
        known = best.get(held.objection)
        if known is None or len(held.decisions) > len(known.decisions):
            best[held.objection] = held
    found, proved = [], _by_reference(leaves)
    for held in best.values():
        own = proved.get(held.objection, [])
        filed = min((one.leaf.timestamp_ms // 1000 for one in own), default=held.filed)
        left = (filed + OBJECTION_SECONDS - now + DAY_SECONDS - 1) // DAY_SECONDS
        found.append(
            ObjectionRecord(
                objection=held.objection.hex(),
                ground=held.ground.value,
                filed=_utc(filed),
                days_left=left if held.waiting else None,
                waiting=held.waiting,
                decisions={one.node: f"{one.verdict}, {one.reason}" for one in held.decisions},
                leaves=tuple(one.index for one in own),
                reassessments=tuple(q.reference for q in queries if q.objection == held.objection.hex()),
            )
        )
    return tuple(sorted(found, key=lambda one: (one.filed, one.objection)))


def _utc(seconds: int) -> str:
    """Return a time as ISO 8601; a leaf may state one beyond the calendar's end."""
    return datetime.datetime.fromtimestamp(min(seconds, _LAST_SECOND), datetime.UTC).isoformat().replace("+00:00", "Z")
