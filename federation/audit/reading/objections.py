"""Objections as the log has them: who must decide, how many days are left, and what was decided.

    with closing(StoredLog(directory)) as log:
        found = read_objections(log.leaves(), now_ms)

Nothing is read but the leaves, so an export says the same as the coordinator's own log. Names no enterprise.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from federation.audit.reading.log_view import LoggedLeaf
from federation.audit.reading.records import utc
from protocols.enterprise.objections import OBJECTION_DAYS, Verdict
from protocols.transparency.leaves import LeafCommitment, LeafKind

_DAY_MS: Final = 86_400_000


class ObjectionState(StrEnum):
    """Where an objection stands at one node: open, open past its time, or decided."""

    PENDING = "pending"
    OVERDUE = "overdue"
    CORRECTED = "corrected"
    UPHELD = "upheld"
    REJECTED = "rejected"
    INADMISSIBLE = "inadmissible"


class LoggedObjection(msgspec.Struct, frozen=True, kw_only=True):
    """One objection at one node that must decide it; an objection to several nodes is several of these.

    Units: times ISO 8601 UTC; `days_left` whole days begun, 0 or less once it is overdue, None once it is decided.
    `enterprise` is the pseudonym of the enterprise's key; `entry` the query it is about, "" if about none; `reassessed`
    the leaves of the queries that were asked again after it. Reveals: which node's records are contested, to readers of
    the log.
    """

    objection: str
    enterprise: str
    node: str
    ground: str
    entry: str
    filed: str
    due: str
    state: ObjectionState
    days_left: int | None
    decided: str | None
    reason: str
    late: bool
    leaf: int
    decision_leaf: int | None
    reassessed: tuple[int, ...]


@dataclass(slots=True)
class _Case:
    index: int
    filed: LeafCommitment
    decision: tuple[int, LeafCommitment, Verdict] | None = None
    reassessed: list[int] = field(default_factory=list)


class ObjectionCases:
    """The objections of a log, leaf by leaf. Memory grows with the objections, not with the log.

    The first leaf of an objection at a node counts, and the first decision of that node after it.
    """

    def __init__(self) -> None:
        self._cases: dict[str, dict[str, _Case]] = {}

    def take(self, logged: LoggedLeaf) -> None:
        """Take the next leaf; one that is about no objection changes nothing. Raises: MalformedMessage."""
        leaf = logged.commitment()
        if leaf.kind is LeafKind.OBJECTION:
            node = str(dict(leaf.attributes).get("node", ""))
            self._cases.setdefault(leaf.reference.hex(), {}).setdefault(node, _Case(logged.index, leaf))
        elif leaf.kind is LeafKind.DECISION:
            _decide(self._cases.get(leaf.reference.hex(), {}).get(leaf.actor), logged.index, leaf)
        elif leaf.kind is LeafKind.REQUEST:
            for case in self._cases.get(str(dict(leaf.attributes).get("objection", "")), {}).values():
                case.reassessed.append(logged.index)

    def standing(self, now_ms: int, days: int = OBJECTION_DAYS) -> tuple[LoggedObjection, ...]:
        """Return every objection, in the order of filing, as it stands at `now_ms`."""
        found = [case for by_node in self._cases.values() for case in by_node.values()]
        return tuple(_standing(case, now_ms, days) for case in sorted(found, key=lambda case: case.index))


def read_objections(
    leaves: Iterable[LoggedLeaf], now_ms: int, days: int = OBJECTION_DAYS
) -> tuple[LoggedObjection, ...]:
    """Return every objection of a log, in the order of filing, as it stands at `now_ms`.

    Raises: MalformedMessage for a leaf that is none.
    """
    cases = ObjectionCases()
    for logged in leaves:
        cases.take(logged)
    return cases.standing(now_ms, days)


def _decide(case: _Case | None, index: int, leaf: LeafCommitment) -> None:
    """Note the first decision of a case; a verdict that this reader does not know decides nothing."""
    with suppress(ValueError):
        verdict = Verdict(str(dict(leaf.attributes).get("decision", "")))
        if case is not None and case.decision is None:
            case.decision = index, leaf, verdict


def _standing(case: _Case, now_ms: int, days: int) -> LoggedObjection:
    values, due = dict(case.filed.attributes), case.filed.timestamp_ms + days * _DAY_MS
    index, leaf, verdict = case.decision or (None, None, None)
    late = (now_ms if leaf is None else leaf.timestamp_ms) > due
    return LoggedObjection(
        objection=case.filed.reference.hex(),
        enterprise=case.filed.actor,
        node=str(values.get("node", "")),
        ground=str(values.get("code", "")),
        entry=str(values.get("entry", "")),
        filed=utc(case.filed.timestamp_ms),
        due=utc(due),
        state=_state(verdict, late),
        days_left=-((now_ms - due) // _DAY_MS) if leaf is None else None,
        decided=None if leaf is None else utc(leaf.timestamp_ms),
        reason="" if leaf is None else str(dict(leaf.attributes).get("code", "")),
        late=late,
        leaf=case.index,
        decision_leaf=index,
        reassessed=tuple(case.reassessed),
    )


def _state(verdict: Verdict | None, late: bool) -> ObjectionState:
    if verdict is None:
        return ObjectionState.OVERDUE if late else ObjectionState.PENDING
    return ObjectionState(verdict.value.lower())
