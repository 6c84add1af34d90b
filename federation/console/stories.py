"""One query across all parties: what each did and when, and what of it does not fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from federation.audit.reading.log_view import LoggedLeaf
from federation.audit.reading.records import LeafRecord, describe
from federation.audit.reading.search import decision_of
from federation.audit.reconciliation.discrepancy import Discrepancy
from federation.audit.reconciliation.precedents import MISSING
from federation.audit.reconciliation.reconcile import QUERY_KINDS, reconcile
from protocols.transparency.leaves import CONSENT_KINDS, LeafCommitment, LeafKind

LONGEST: Final = 400
"""How many entries of one query or training run a page shows."""


def told_as(kind: LeafKind) -> str:
    """Return what the reference of an entry names: a query, an objection, a run; "" if it names no story."""
    if kind in QUERY_KINDS:
        return "query"
    if kind in (LeafKind.OBJECTION, LeafKind.DECISION):
        return "objection"
    return "" if kind in CONSENT_KINDS | {LeafKind.AUDIT_VIEW} else "run"


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of the story. Units: `after_ms` since the story's first entry, below 0 for a consent shown before."""

    record: LeafRecord
    leaf: LeafCommitment
    logged: LoggedLeaf
    after_ms: int
    decision: str


@dataclass(frozen=True, slots=True)
class Lane:
    """What one party did, in order."""

    party: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """The entries under one reference, oldest first. `faults` are of the log alone; None if it is no query.

    `consents` are the entries of the consents that it shows. `cut`: there are more entries than are shown, so nothing
    is said of what fits.
    """

    reference: str
    steps: tuple[Step, ...]
    consents: tuple[Step, ...]
    lanes: tuple[Lane, ...]
    values: Mapping[str, str | int]
    purpose: str
    subject: str
    faults: tuple[Discrepancy, ...] | None
    cut: bool

    @property
    def took_ms(self) -> int:
        """From the first entry to the last."""
        return max((step.after_ms for step in self.steps), default=0)

    @property
    def outcome(self) -> str:
        """How the bank closed the query, or "" if it has not."""
        closed = [step.decision for step in self.steps if step.leaf.kind is LeafKind.ACK]
        return closed[-1] if closed else ""


def tell(reference: bytes, leaves: Sequence[LoggedLeaf], consents: Sequence[LoggedLeaf], cut: bool) -> Story:
    """Return the story of these leaves, all of one reference and in order; `consents` are those of its consents.

    Raises: MalformedMessage.
    """
    began = min((one.commitment().timestamp_ms for one in leaves), default=0)
    steps = tuple(_step(one, began) for one in leaves)
    lanes: dict[str, list[Step]] = {}
    for step in steps:
        lanes.setdefault(step.leaf.actor, []).append(step)
    first = next((step for step in steps if step.leaf.kind is LeafKind.REQUEST), steps[0] if steps else None)
    query = any(step.leaf.kind in QUERY_KINDS for step in steps)
    faults = _faults(leaves, consents) if query and not cut else None
    return Story(
        reference=reference.hex(),
        steps=steps,
        consents=tuple(_step(one, began) for one in consents),
        lanes=tuple(Lane(party, tuple(done)) for party, done in lanes.items()),
        values=dict(first.leaf.attributes) if first else {},
        purpose=first.leaf.purpose if first else "",
        subject=first.leaf.subject.hex() if first else "",
        faults=faults,
        cut=cut,
    )


def _faults(leaves: Sequence[LoggedLeaf], consents: Sequence[LoggedLeaf]) -> tuple[Discrepancy, ...]:
    """Return what does not fit in these leaves; what must stand before them, and is not at hand, is not missed."""
    missed = {"CONSENT_MISSING"} if consents_of(leaves) else set()
    found = reconcile([*consents, *leaves], {}).discrepancies
    return tuple(one for one in found if one.code not in MISSING - missed)


def consents_of(leaves: Sequence[LoggedLeaf]) -> list[bytes]:
    """Return the handles of the consents that questions among these leaves show. Raises: MalformedMessage."""
    requests = (leaf for one in leaves if (leaf := one.commitment()).kind is LeafKind.REQUEST)
    return [bytes.fromhex(str(found)) for leaf in requests if (found := dict(leaf.attributes).get("consent_hash"))]


def _step(logged: LoggedLeaf, began: int) -> Step:
    leaf = logged.commitment()
    code = str(dict(leaf.attributes).get("code", ""))
    return Step(describe(logged), leaf, logged, leaf.timestamp_ms - began, code or decision_of(leaf))
