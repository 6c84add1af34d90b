"""Find leaves by who, what, when and why, in one pass over the log.

Bank and model stand on a query's REQUEST alone; its later leaves match by the query they belong to. A batch's tags and
consents stand in the body of its REQUEST, to which that leaf commits, and which shows them to all who hold the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from federation.audit.reading.log_view import LoggedLeaf
from protocols.errors import MalformedMessage
from protocols.transparency.leaves import CONSENT_KINDS, LeafCommitment, LeafKind
from protocols.transparency.shredding import decode_body


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a leaf must be; None, or no kinds, asks nothing. Units: milliseconds since 1970, `until_ms` excluded.

    `model` is the beginning of a model's hash, `tag` an enterprise's, of a single question or in a batch; `consent` is
    the beginning of a consent's handle, in hex, and finds its own leaves and every question that showed it. `decision`
    is a denial's or release's kind, or what a leaf states.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    kinds: frozenset[LeafKind] = frozenset()
    actor: str | None = None
    bank: str | None = None
    purpose: str | None = None
    decision: str | None = None
    model: str | None = None
    tag: bytes | None = None
    consent: str | None = None

    def told(self) -> dict[str, str]:
        """Return what is asked for by name: what an auditor's view is the hash of."""
        spelt = {
            "since_ms": self.since_ms,
            "until_ms": self.until_ms,
            "kinds": ",".join(sorted(self.kinds)),
            "actor": self.actor,
            "bank": self.bank,
            "purpose": self.purpose,
            "decision": self.decision,
            "model": self.model,
            "tag": self.tag.hex() if self.tag else None,
            "consent": self.consent,
        }
        return {name: str(value) for name, value in spelt.items() if value not in (None, "")}


@dataclass(frozen=True, slots=True)
class _Story:
    """What a leaf inherits from its query's request."""

    bank: str
    model: str
    tagged: bool
    under: bool


def search(leaves: Iterable[LoggedLeaf], criteria: Criteria) -> Iterator[LoggedLeaf]:
    """Yield the leaves that match, in order; keeps in memory only the queries that are open at that place.

    Raises: MalformedMessage for a leaf that is none.
    """
    open_queries: dict[bytes, _Story] = {}
    for logged in leaves:
        leaf = logged.commitment()
        values = dict(leaf.attributes)
        if leaf.kind is LeafKind.REQUEST:
            tagged = criteria.tag is not None and criteria.tag in tags_of(logged)
            bank, model = str(values.get("bank", "")), str(values.get("model_hash", ""))
            under = criteria.consent is not None and _under(consents_of(logged), criteria)
            open_queries[leaf.reference] = _Story(bank, model, tagged, under)
        asked = open_queries.get(leaf.reference, _Story("", "", False, False))
        if leaf.kind in CONSENT_KINDS:  # no part of a question's story
            asked = _Story("", "", leaf.subject == criteria.tag, _under((leaf.reference.hex(),), criteria))
        bank, model = str(values.get("bank", asked.bank)), str(values.get("model_hash", asked.model))
        story = _Story(bank, model, asked.tagged, asked.under)
        if leaf.kind is LeafKind.ACK:
            open_queries.pop(leaf.reference, None)
        if _matches(leaf, story, criteria):
            yield logged


def tags_of(logged: LoggedLeaf) -> tuple[bytes, ...]:
    """Return the tags of the enterprises that a leaf is about: its own, or those of a batch by its body.

    A body that is none has no tags: what it should be, `verify_log` says.
    """
    subject = logged.commitment().subject
    if subject or not logged.body:
        return (subject,) if subject else ()
    try:
        return decode_body(logged.body).tags
    except MalformedMessage:
        return ()


def consents_of(logged: LoggedLeaf) -> tuple[str, ...]:
    """Return the handles (hex) of the consents that a REQUEST shows: its own, or a batch's by position, "" for none."""
    own = dict(logged.commitment().attributes).get("consent_hash")
    if own is not None or not logged.body:
        return () if own is None else (str(own),)
    try:
        return tuple(handle.hex() for handle in decode_body(logged.body).consents)
    except MalformedMessage:
        return ()


def _under(consents: tuple[str, ...], wanted: Criteria) -> bool:
    return wanted.consent is not None and any(one.startswith(wanted.consent) for one in consents)


def _matches(leaf: LeafCommitment, story: _Story, wanted: Criteria) -> bool:
    return (
        (wanted.since_ms is None or leaf.timestamp_ms >= wanted.since_ms)
        and (wanted.until_ms is None or leaf.timestamp_ms < wanted.until_ms)
        and (not wanted.kinds or leaf.kind in wanted.kinds)
        and (wanted.actor is None or leaf.actor == wanted.actor)
        and (wanted.bank is None or wanted.bank == story.bank)
        and (wanted.purpose is None or leaf.purpose == wanted.purpose)
        and (wanted.decision is None or decision_of(leaf) == wanted.decision)
        and (wanted.tag is None or story.tagged)
        and (wanted.consent is None or story.under)
        and (wanted.model is None or (story.model != "" and story.model.startswith(wanted.model)))
    )


def decision_of(leaf: LeafCommitment) -> str:
    """Return the decision that a leaf states: its attribute of that name, or RELEASE and DENY by kind; else nothing."""
    stated = dict(leaf.attributes).get("decision")
    if stated is not None:
        return str(stated)
    return leaf.kind.value if leaf.kind in (LeafKind.RELEASE, LeafKind.DENY) else ""
