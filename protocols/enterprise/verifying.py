"""What an enterprise recomputes of its record: every leaf's proof, and that nobody has withheld what others show.

Each query that a node lists must stand in the log, with that node's own answer; each answer that the log has of a node
must be listed by it. So a query is hidden only if *all* nodes that answered it, each under its own signature, leave it
out; and one node's omission convicts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocols.channel.identity import PartyCard, PartyId
from protocols.channel.wire import decode
from protocols.enterprise.messages import HeldObjection, LoggedEntries, ProvedLeaf, RecordEntry
from protocols.errors import MalformedMessage, VerificationFailed
from protocols.transparency.checkpoints import LogKeys
from protocols.transparency.leaves import LeafCommitment, LeafKind, decode_commitment
from protocols.transparency.log_proofs import LogProof
from protocols.transparency.statements import (
    SealedStatements,
    Statement,
    open_for_subject,
    reply_secret,
    verify_statements,
)

TRAINING: Final = "training"
GRACE_SECONDS: Final = 300
_ANSWERS: Final = (LeafKind.RELEASE, LeafKind.DENY)

Cards = Callable[[PartyId], Sequence[PartyCard]]


class Finding(StrEnum):
    """What does not fit between the nodes' lists and the log."""

    NO_ANSWER = "NO_ANSWER"
    REFUSED = "REFUSED"
    NOT_LOGGED = "NOT_LOGGED"
    EVIDENCE_DIFFERS = "EVIDENCE_DIFFERS"
    WITHHELD = "WITHHELD"
    STATEMENT_DIFFERS = "STATEMENT_DIFFERS"
    NOT_TOLD = "NOT_TOLD"


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing that does not fit: whose, about which query, b"" if about none; `code` is a node's own of a refusal."""

    finding: Finding
    party: str
    reference: bytes = b""
    code: str = ""


@dataclass(frozen=True, slots=True)
class VerifiedLeaf:
    """A leaf whose proof holds; `witnessed` if a quorum of witnesses stands behind it, else the log's own signature.

    `statement` is what its party says there about the enterprise, signed, None if it cannot be opened.
    """

    index: int
    leaf: LeafCommitment
    witnessed: bool
    statement: Statement | None = field(default=None, repr=False)


def verify_leaves(
    logged: LoggedEntries,
    keys: LogKeys,
    cards: Cards,
    readers: Sequence[X25519PrivateKey],
) -> list[VerifiedLeaf]:
    """Return every leaf that was shown, each proved under the log's key and, as far as it goes, the witnesses'.

    `cards` tells every card of a party, newest first: a leaf was stated under the one of its day.
    `readers` are the keys with which the enterprise opens what parties state about it; that a consent was withdrawn, it
    opens by what its CONSENT, which stands before, says.
    Raises: MalformedMessage, VerificationFailed for the first that is not proved, or stated by another than its party.
    """
    found, replies = [], dict[bytes, X25519PrivateKey]()
    for shown in logged.leaves:
        proved = _verify(shown, logged.notes, keys)
        sealed = _stated(shown, proved.leaf, cards)
        if sealed is not None:
            own = [replies[proved.leaf.reference]] if proved.leaf.reference in replies else []
            by = own if proved.leaf.kind is LeafKind.REVOKE else readers
            proved = replace(proved, statement=_statement(sealed, by))
            for reply in filter(None, (reply_secret(sealed, key) for key in readers)):
                replies[proved.leaf.reference] = reply
        found.append(proved)
    return found


def _stated(shown: ProvedLeaf, leaf: LeafCommitment, cards: Cards) -> SealedStatements | None:
    if not shown.statements:
        return None
    sealed, signers = decode(shown.statements, SealedStatements), cards(PartyId(leaf.actor))
    if not signers or sealed.head.leaf is not leaf.kind:
        raise VerificationFailed("a statement is of another leaf than the one that it came with", code="BODY_INVALID")
    verify_statements(sealed, *signers)
    return sealed


def _statement(sealed: SealedStatements, readers: Iterable[X25519PrivateKey]) -> Statement | None:
    for key in readers:
        opened = open_for_subject(sealed, key)
        if opened:
            return next(iter(opened.values()))
    return None


def _verify(shown: ProvedLeaf, notes: tuple[bytes, ...], keys: LogKeys) -> VerifiedLeaf:
    if shown.note >= len(notes):
        raise MalformedMessage("a leaf is proved in a tree that was not shown")
    leaf = decode_commitment(shown.leaf)
    proof = LogProof(shown.index, shown.path, notes[shown.note])
    try:
        if not keys.threshold:
            raise VerificationFailed("the log has no witnesses")
        proof.verify(shown.leaf, keys)
        witnessed = True
    except VerificationFailed:
        proof.verify(shown.leaf, LogKeys(keys.log))
        witnessed = False
    return VerifiedLeaf(shown.index, leaf, witnessed)


@dataclass(frozen=True, slots=True)
class Span:
    """The time that was asked for, the end not included. Units: seconds since 1970.

    What lies within `GRACE_SECONDS` of its ends is not judged: clocks differ, and a query takes time.
    """

    since: int
    until: int

    def covers(self, at: int) -> bool:
        """Tell whether what happened then must be in every list."""
        return (self.since == 0 or at >= self.since + GRACE_SECONDS) and at < self.until - GRACE_SECONDS


def compare(
    answers: Mapping[PartyId, Sequence[RecordEntry]], leaves: Iterable[VerifiedLeaf], span: Span, enterprise: str
) -> list[Discrepancy]:
    """Return what the lists of the nodes that answered, the proved leaves and the statements do not agree on."""
    by_reference: dict[bytes, list[LeafCommitment]] = {}
    stated = []
    for one in leaves:
        said = one.statement
        if said is not None and (said.enterprise or enterprise, said.reference) != (enterprise, one.leaf.reference):
            stated.append(Discrepancy(Finding.STATEMENT_DIFFERS, one.leaf.actor, one.leaf.reference))
        by_reference.setdefault(reference_of(one.leaf), []).append(one.leaf)
    lists = {node: {entry.reference for entry in entries} for node, entries in answers.items()}
    found = stated + [
        discrepancy
        for node, entries in answers.items()
        for entry in entries
        if span.covers(entry.at)
        for discrepancy in _unlogged(node, entry, by_reference.get(entry.reference, []))
    ]
    for reference in sorted(set().union(*lists.values())):
        for leaf in by_reference.get(reference, ()):
            node = PartyId(leaf.actor)
            due = leaf.kind in _ANSWERS and span.covers(leaf.timestamp_ms // 1000)
            if due and node in lists and reference not in lists[node]:
                found.append(Discrepancy(Finding.WITHHELD, node, reference))
    return found


def untold(
    held: Mapping[PartyId, Sequence[HeldObjection]], filed: Mapping[bytes, int], span: Span
) -> list[Discrepancy]:
    """Return which nodes do not hold an objection that they must have been told of: a receipt, or another node, has it.

    `filed` says when each objection was logged that the enterprise has a receipt of.
    """
    known = {one.objection: one.filed for objections in held.values() for one in objections} | dict(filed)
    return [
        Discrepancy(Finding.NOT_TOLD, node, objection)
        for node, objections in sorted(held.items())
        for objection, at in sorted(known.items())
        if span.covers(at) and objection not in {one.objection for one in objections}
    ]


def reference_of(leaf: LeafCommitment) -> bytes:
    """Return what a leaf is listed under: its query, its objection, or the transcript of the run that it opens."""
    if leaf.kind is LeafKind.TRAIN_STEP:
        return bytes.fromhex(str(dict(leaf.attributes).get("transcript_hash", "")))
    return leaf.reference


def _unlogged(node: PartyId, entry: RecordEntry, leaves: Sequence[LeafCommitment]) -> Iterator[Discrepancy]:
    """Yield that the log does not have what a node lists, or has another message of the node's."""
    own = [leaf for leaf in leaves if leaf.actor == node and leaf.kind in _ANSWERS]
    if entry.what == TRAINING:
        own = list(leaves)
    if not own:
        yield Discrepancy(Finding.NOT_LOGGED, node, entry.reference)
    elif entry.what != TRAINING and all(leaf.evidence != entry.evidence for leaf in own):
        yield Discrepancy(Finding.EVIDENCE_DIFFERS, node, entry.reference)
