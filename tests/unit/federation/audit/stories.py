"""Leaves of whole queries, as a coordinator logs them."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from federation.audit.reading.log_view import LoggedLeaf
from federation.audit.reconciliation.reconcile import OwnEntry
from protocols.transparency import Leaf, LeafKind, attributes, encode_leaf

NODES = ("social", "tax")
START_MS = 1_772_323_200_000  # 2026-03-01T00:00:00Z
HOUR_MS = 3_600_000
POLICY = "a" * 64


def model_hash(bank: str) -> str:
    return sha256(bank.encode()).hexdigest()


def leaf(
    number: int,
    kind: LeafKind,
    actor: str,
    hour: int = 0,
    values: dict[str, str | int] | None = None,
    variant: str = "",
) -> Leaf:
    """One leaf of query `number`; its evidence is a function of query, kind, actor and variant."""
    return Leaf(
        kind=kind,
        timestamp_ms=START_MS + hour * HOUR_MS,
        actor=actor,
        reference=number.to_bytes(16, "big"),
        purpose="assessment",
        attributes=attributes(values or {}),
        evidence=sha256(f"{number} {kind} {actor}".encode()).digest(),
    )


def policy(node: str, named: str = POLICY) -> Leaf:
    """A node's word on the policy under which it works."""
    return Leaf(kind=LeafKind.POLICY, timestamp_ms=START_MS, actor=node, attributes=attributes({"policy_hash": named}))


def query(
    number: int, bank: str = "bank", denying: tuple[str, ...] = (), hour: int = 0, policy: str = ""
) -> list[Leaf]:
    """All leaves of one whole query, in order; its answers name `policy`, if there is one."""
    request: dict[str, str | int] = {"bank": bank, "nodes": len(NODES), "model_hash": model_hash(bank)}
    leaves = [leaf(number, LeafKind.REQUEST, bank, hour, request)]
    for node in NODES:
        kind, values = (LeafKind.DENY, {"code": "CONSENT_MISSING"}) if node in denying else (LeafKind.RELEASE, {})
        leaves.append(leaf(number, kind, node, hour, values | ({"policy_hash": policy} if policy else {})))
    if not denying:
        leaves.append(leaf(number, LeafKind.RESULT, "coordinator", hour, {"ciphertext_hash": "1" * 64}))
    outcome = "DENIED" if denying else "ACCEPTED"
    return [*leaves, leaf(number, LeafKind.ACK, bank, hour, {"decision": outcome})]


def logged(leaves: list[Leaf]) -> Iterator[LoggedLeaf]:
    """The leaves as a log holds them."""
    return (LoggedLeaf(index, encode_leaf(one), one.body) for index, one in enumerate(leaves))


def own(leaves: list[Leaf], *parties: str) -> dict[str, list[OwnEntry]]:
    """What honest parties have on record of these leaves."""

    def named(one: Leaf) -> bytes:
        return bytes.fromhex(str(dict(one.attributes).get("policy_hash", "")))

    kinds = (LeafKind.REQUEST, LeafKind.RELEASE, LeafKind.DENY, LeafKind.ACK)
    return {
        party: [
            OwnEntry(one.reference, one.kind, one.evidence, named(one))
            for one in leaves
            if one.actor == party and one.kind in kinds
        ]
        for party in parties
    }
