"""Leaves of questions at any time, of one enterprise or many, denied, left open or never closed."""

from __future__ import annotations

from collections.abc import Sequence

from stories import HOUR_MS, NODES, START_MS, model_hash

from federation.audit.alarms import Period
from protocols.transparency import Leaf, LeafKind, attributes

DAY_MS = 24 * HOUR_MS
NOON_MS = START_MS + 12 * HOUR_MS  # a Sunday
LATER = Period(NOON_MS + 400 * DAY_MS)


def leaf(kind: LeafKind, actor: str, number: int, at: int, values: dict[str, str | int], tag: bytes = b"") -> Leaf:
    return Leaf(
        kind=kind,
        timestamp_ms=at,
        actor=actor,
        reference=number.to_bytes(16, "big"),
        subject=tag,
        attributes=attributes(values),
    )


def query(
    number: int,
    at: int = NOON_MS,
    *,
    bank: str = "bank",
    enterprises: int | None = None,
    consent: str = "",
    tag: bytes = b"",
    denying: dict[str, str] | None = None,
    silent: Sequence[str] = (),
    denied: int = 0,
    takes: int = 100,
    acknowledged: bool = True,
) -> list[Leaf]:
    """A question's leaves: who of the nodes denies with which code, who is silent, and how long answers take."""
    asked: dict[str, str | int] = {"bank": bank, "nodes": len(NODES), "model_hash": model_hash(bank)}
    if enterprises is not None:
        asked["enterprises"] = enterprises
    if consent:
        asked["consent_hash"] = consent
    found = [leaf(LeafKind.REQUEST, bank, number, at, asked, tag)]
    for node in NODES:
        code = (denying or {}).get(node)
        if code is not None:
            found.append(leaf(LeafKind.DENY, node, number, at + takes, {"code": code}))
        elif node not in silent:
            shares: dict[str, str | int] = {} if enterprises is None else {"enterprises": enterprises, "denied": denied}
            found.append(leaf(LeafKind.RELEASE, node, number, at + takes, shares))
    if not denying and not silent:
        found.append(leaf(LeafKind.RESULT, "coordinator", number, at + takes, {}))
    if acknowledged:
        found.append(leaf(LeafKind.ACK, bank, number, at + takes, {"decision": "ACCEPTED"}))
    return found
