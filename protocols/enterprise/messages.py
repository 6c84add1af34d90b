"""The messages between an enterprise, the coordinator and the data nodes, and what each reveals.

Its record
    enterprise  ⇒ RecordRequest (open: a pseudonymous card, its slip, the nodes, from when until when)
                → RecordSubject (sealed to each node: who it is, and the credential)
    node        → RecordReferences (open, to the coordinator: the queries that are about it), or RecordRefusal
                → RecordEntries (sealed to the enterprise: the same queries, and all that the node has of them)
    coordinator → LoggedEntries (sealed to the enterprise: every leaf of those queries, each with its proof)

An objection
    enterprise  ⇒ Objection (open: on what ground, to which nodes' records, about which query)
                → ObjectionSubject (sealed to each node: who it is, the credential; the text for those concerned alone)
    coordinator → ObjectionFiled (the leaves that start the clock)
                → ObjectionPoll, and every Objection and ObjectionDecision until each node has it
    node        → ObjectionReceipt
                ⇒ ObjectionDecision
"""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from protocols.assessment.messages import Code, Seconds
from protocols.channel.identity import Key32, PartyCard, PartyName
from protocols.channel.wire import Message, encode
from protocols.enterprise.objections import Ground, Verdict
from protocols.errors import VerificationFailed
from protocols.transparency.statements import MAX_ENTRIES

ENTRY_LIMIT: Final = 100
"""The most queries of one node in one answer; an enterprise asks again for those after them."""

TEXT_LIMIT: Final = 4000
REQUEST_SECONDS: Final = 120
CLOCK_SKEW: Final = 60
MAX_NODES: Final = 1024

Id = Annotated[bytes, Meta(min_length=16, max_length=16)]
Reference = Annotated[bytes, Meta(min_length=16, max_length=32)]
Nodes = Annotated[tuple[PartyName, ...], Meta(min_length=1, max_length=MAX_NODES)]
Count = Annotated[int, Meta(ge=0, lt=1 << 53)]
Name = Annotated[str, Meta(max_length=128)]
Place = Annotated[int, Meta(ge=0, lt=MAX_ENTRIES)]


class RecordRequest(Message, frozen=True):
    """An enterprise asks for what there is about it between two times, the second not included.

    Reveals: to the coordinator, that the enterprise behind this key asks; not who it is.
    """

    OPEN: ClassVar[bool] = True

    request: Id
    card: PartyCard
    slip: Annotated[str, Meta(max_length=4096)]
    nodes: Nodes
    since: Seconds
    until: Seconds
    issued: Seconds
    expires: Seconds

    def transcript(self) -> bytes:
        """Return T, 32 bytes."""
        return hashlib.sha256(b"credit-federation/record/v1\0" + encode(self)).digest()


class RecordSubject(Message, frozen=True):
    """Who asks. Reveals, to one node, that this enterprise asks for its record."""

    enterprise: Annotated[str, Meta(min_length=1, max_length=128)]
    credential: Annotated[str, Meta(max_length=8192)]


class RecordReferences(Message, frozen=True):
    """The queries, runs and objections about the enterprise, by their ids in the log, with its place in a batch.

    Reveals: to the coordinator, which of them are about one enterprise.
    """

    OPEN: ClassVar[bool] = True

    references: Annotated[tuple[tuple[Reference, Place], ...], Meta(max_length=2 * ENTRY_LIMIT)]


class RecordRefusal(Message, frozen=True):
    """A node does not answer. Reveals: why, by code."""

    OPEN: ClassVar[bool] = True

    code: Code


class RecordEntry(Message, frozen=True):
    """One query that a node has answered, or denied, about the enterprise; or a run whose cohort it was in.

    `reference` is the query's id, or a run's transcript; `place` the enterprise's in a batch, else 0; `evidence` the
    SHA-256 of what the node answered, as its leaf states it, empty for a run. Units: `at` in seconds since 1970.
    """

    reference: Reference
    place: Place
    what: Name
    bank: Name
    at: Seconds
    decision: Name
    code: Name
    model: Annotated[bytes, Meta(max_length=32)]
    evidence: Annotated[bytes, Meta(max_length=32)]


class HeldDecision(Message, frozen=True):
    """How a node decided an objection, as it was told."""

    node: PartyName
    verdict: Verdict
    reason: Code
    at: Seconds


class HeldObjection(Message, frozen=True):
    """An objection of the enterprise as a node holds it; `waiting` are the nodes that have not decided."""

    objection: Id
    ground: Ground
    filed: Seconds
    waiting: Annotated[tuple[PartyName, ...], Meta(max_length=MAX_NODES)]
    decisions: Annotated[tuple[HeldDecision, ...], Meta(max_length=MAX_NODES)]


class HeldRepair(Message, frozen=True):
    """What a node has put right in the enterprise's own records. `what` names a feature, or a table and an event."""

    at: Seconds
    what: Annotated[str, Meta(max_length=512)]
    objection: Annotated[bytes, Meta(max_length=16)]


class RecordEntries(Message, frozen=True):
    """All that one node has about the enterprise in the time asked for, the oldest first, at most `ENTRY_LIMIT`.

    `more` tells that there is more, from the last one's time on. Reveals: to the enterprise, who asked about it.
    """

    entries: Annotated[tuple[RecordEntry, ...], Meta(max_length=ENTRY_LIMIT)]
    more: bool
    objections: Annotated[tuple[HeldObjection, ...], Meta(max_length=ENTRY_LIMIT)]
    repairs: Annotated[tuple[HeldRepair, ...], Meta(max_length=ENTRY_LIMIT)]


class ProvedLeaf(Message, frozen=True):
    """A leaf, and its path to the tree of the `note`-th note.

    `statements` are the encoded `SealedStatements` of its body, with the enterprise's own entry alone; empty if it has
    none, or if they were shredded.
    """

    index: Count
    leaf: Annotated[bytes, Meta(max_length=1 << 13)]
    statements: Annotated[bytes, Meta(max_length=1 << 17)]
    path: Annotated[tuple[Key32, ...], Meta(max_length=64)]
    note: Annotated[int, Meta(ge=0, lt=2)]


class LoggedEntries(Message, frozen=True):
    """Every leaf of the queries that the nodes named, with proofs. `notes`: the witnessed checkpoint, the newest."""

    notes: Annotated[tuple[Annotated[bytes, Meta(max_length=65536)], ...], Meta(max_length=2)]
    leaves: Annotated[tuple[ProvedLeaf, ...], Meta(max_length=1 << 16)]


class Objection(Message, frozen=True):
    """An enterprise objects to the records of some nodes, or to how a query used them; all nodes are told.

    `contested` are the nodes that must decide, `nodes` all data nodes. Reveals: to the coordinator and the log, that
    the enterprise behind this key objects, on which ground, to whose records, and about which query if any.
    """

    OPEN: ClassVar[bool] = True

    objection: Id
    card: PartyCard
    slip: Annotated[str, Meta(max_length=4096)]
    ground: Ground
    entry: Annotated[bytes, Meta(max_length=32)]
    contested: Nodes
    nodes: Nodes
    issued: Seconds
    expires: Seconds

    def transcript(self) -> bytes:
        """Return T, 32 bytes."""
        return hashlib.sha256(b"credit-federation/objection/v1\0" + encode(self)).digest()


class ObjectionSubject(Message, frozen=True):
    """Who objects, and in its own words why; `text` is "" for a node that has nothing to decide."""

    enterprise: Annotated[str, Meta(min_length=1, max_length=128)]
    credential: Annotated[str, Meta(max_length=8192)]
    text: Annotated[str, Meta(max_length=TEXT_LIMIT)]


class ObjectionFiled(Message, frozen=True):
    """The coordinator's word that an objection is logged: its first leaf, and the log's signature over it."""

    OPEN: ClassVar[bool] = True

    objection: Id
    leaf: Count
    leaves: Annotated[int, Meta(ge=1, le=MAX_NODES)]
    at: Seconds
    note: Annotated[bytes, Meta(max_length=65536)]


class ObjectionPoll(Message, frozen=True):
    """The coordinator asks a node for decisions that are not logged yet. Reveals nothing."""

    OPEN: ClassVar[bool] = True

    issued: Seconds

    def transcript(self) -> bytes:
        """Return the transcript under which the poll is signed, 32 bytes."""
        return hashlib.sha256(b"credit-federation/objection-poll/v1\0" + encode(self)).digest()


class ObjectionReceipt(Message, frozen=True):
    """A node has an objection on record, or the decision of `decided_by` on it. Reveals that."""

    OPEN: ClassVar[bool] = True

    objection: Id
    decided_by: Annotated[str, Meta(max_length=64)]


class ObjectionDecision(Message, frozen=True):
    """A node decides, once. Reveals: to all parties and the log, how, and how many of its records it put right."""

    OPEN: ClassVar[bool] = True

    objection: Id
    verdict: Verdict
    reason: Code
    corrections: Annotated[int, Meta(ge=0, le=1 << 20)]
    at: Seconds


def check_time(asked: RecordRequest | Objection, now: int) -> None:
    """Return if what an enterprise signed holds at `now`, and for no longer than it may. Units: seconds.

    Raises: VerificationFailed, code REQUEST_EXPIRED.
    """
    lasting = asked.expires - asked.issued
    if not asked.issued - CLOCK_SKEW <= now < asked.expires + CLOCK_SKEW or not 0 < lasting <= REQUEST_SECONDS:
        raise VerificationFailed("the request does not hold at this time", code="REQUEST_EXPIRED")
