"""Find leaves by who, what, when and why, in one pass over the log.

Bank and model stand on a query's REQUEST alone; its later leaves match by the query they belong to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from federation.audit.reading import LoggedLeaf
from protocols.transparency.leaves import LeafCommitment, LeafKind


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a leaf must be; None, or no kinds, asks nothing. Units: milliseconds since 1970, `until_ms` excluded.

    `model` is the beginning of a model's hash. `decision` is a denial's or release's kind, or what a leaf states.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    kinds: frozenset[LeafKind] = frozenset()
    actor: str | None = None
    bank: str | None = None
    purpose: str | None = None
    decision: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class _Story:
    """What a leaf inherits from its query's request."""

    bank: str
    model: str


def search(leaves: Iterable[LoggedLeaf], criteria: Criteria) -> Iterator[LoggedLeaf]:
    """Yield the leaves that match, in order; keeps in memory only the queries that are open at that place.

    Raises: MalformedMessage for a leaf that is none.
    """
    open_queries: dict[bytes, _Story] = {}
    for logged in leaves:
        leaf = logged.commitment()
        values = dict(leaf.attributes)
        if leaf.kind is LeafKind.REQUEST:
            open_queries[leaf.reference] = _Story(str(values.get("bank", "")), str(values.get("model_hash", "")))
        asked = open_queries.get(leaf.reference, _Story("", ""))
        story = _Story(str(values.get("bank", asked.bank)), str(values.get("model_hash", asked.model)))
        if leaf.kind is LeafKind.ACK:
            open_queries.pop(leaf.reference, None)
        if _matches(leaf, story, criteria):
            yield logged


def _matches(leaf: LeafCommitment, story: _Story, wanted: Criteria) -> bool:
    return (
        (wanted.since_ms is None or leaf.timestamp_ms >= wanted.since_ms)
        and (wanted.until_ms is None or leaf.timestamp_ms < wanted.until_ms)
        and (not wanted.kinds or leaf.kind in wanted.kinds)
        and (wanted.actor is None or leaf.actor == wanted.actor)
        and (wanted.bank is None or wanted.bank == story.bank)
        and (wanted.purpose is None or leaf.purpose == wanted.purpose)
        and (wanted.decision is None or decision_of(leaf) == wanted.decision)
        and (wanted.model is None or (story.model != "" and story.model.startswith(wanted.model)))
    )


def decision_of(leaf: LeafCommitment) -> str:
    """Return the decision that a leaf states: its attribute of that name, or RELEASE and DENY by kind; else nothing."""
    stated = dict(leaf.attributes).get("decision")
    if stated is not None:
        return str(stated)
    return leaf.kind.value if leaf.kind in (LeafKind.RELEASE, LeafKind.DENY) else ""
