"""What an enterprise recomputes of its record: every leaf's proof, and that nobody has withheld what others show.

Each query that a node lists must stand in the log, with that node's own answer; each answer that the log has of a node
must be listed by it. So a query is hidden only if *all* nodes that answered it, each under its own signature, leave it
out; and one node's omission convicts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from protocols.channel.identity import PartyId
from protocols.enterprise.messages import LoggedEntries, ProvedLeaf, RecordEntry
from protocols.errors import MalformedMessage, VerificationFailed
from protocols.transparency.checkpoints import LogKeys
from protocols.transparency.leaves import LeafCommitment, LeafKind, decode_leaf
from protocols.transparency.log_proofs import LogProof

TRAINING: Final = "training"
_ANSWERS: Final = (LeafKind.RELEASE, LeafKind.DENY)


class Finding(StrEnum):
    """What does not fit between the nodes' lists and the log."""

    NO_ANSWER = "NO_ANSWER"
    REFUSED = "REFUSED"
    NOT_LOGGED = "NOT_LOGGED"
    EVIDENCE_DIFFERS = "EVIDENCE_DIFFERS"
    WITHHELD = "WITHHELD"


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing that does not fit: whose, about which query, b"" if about none; `code` is a node's own of a refusal."""

    finding: Finding
    party: str
    reference: bytes = b""
    code: str = ""


@dataclass(frozen=True, slots=True)
class VerifiedLeaf:
    """A leaf whose proof holds; `witnessed` if a quorum of witnesses stands behind it, else the log's own signature."""

    index: int
    leaf: LeafCommitment
    body: bytes = field(repr=False)
    witnessed: bool


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """What one node listed, all pages together."""

    entries: tuple[RecordEntry, ...] = field(repr=False)


def verify_leaves(logged: LoggedEntries, keys: LogKeys) -> list[VerifiedLeaf]:
    """Return every leaf that was shown, each proved under the log's key and, as far as it goes, the witnesses'.

    Raises: MalformedMessage, VerificationFailed for the first that is not proved.
    """
    return [_verify(shown, logged.notes, keys) for shown in logged.leaves]


def _verify(shown: ProvedLeaf, notes: tuple[bytes, ...], keys: LogKeys) -> VerifiedLeaf:
    if shown.note >= len(notes):
        raise MalformedMessage("a leaf is proved in a tree that was not shown")
    leaf = decode_leaf(shown.leaf, shown.body)
    proof = LogProof(shown.index, shown.path, notes[shown.note])
    try:
        if not keys.threshold:
            raise VerificationFailed("the log has no witnesses")
        proof.verify(shown.leaf, keys)
        witnessed = True
    except VerificationFailed:
        proof.verify(shown.leaf, LogKeys(keys.log))
        witnessed = False
    return VerifiedLeaf(shown.index, leaf.commitment(), shown.body, witnessed)


def compare(
    answers: Mapping[PartyId, NodeAnswer], leaves: Iterable[VerifiedLeaf], nodes: Iterable[PartyId]
) -> list[Discrepancy]:
    """Return what the lists of the nodes that answered and the proved leaves do not agree on.

    `nodes` are all data nodes; one that did not answer is not compared. A query that lies outside the time asked for is
    in no list, and in no leaf that was asked for.
    """
    by_reference: dict[bytes, list[LeafCommitment]] = {}
    for leaf in leaves:
        by_reference.setdefault(leaf.leaf.reference, []).append(leaf.leaf)
        if leaf.leaf.kind is LeafKind.TRAIN_STEP:
            transcript = bytes.fromhex(str(dict(leaf.leaf.attributes).get("transcript_hash", "")))
            by_reference.setdefault(transcript, []).append(leaf.leaf)
    found = [one for node, answer in answers.items() for one in _unlogged(node, answer, by_reference)]
    listed = {entry.reference for answer in answers.values() for entry in answer.entries if entry.kind != TRAINING}
    known = set(nodes)
    for reference in sorted(listed):
        for leaf in by_reference.get(reference, ()):
            answered = leaf.kind in _ANSWERS and leaf.actor in known and PartyId(leaf.actor) in answers
            if answered and not _lists(answers[PartyId(leaf.actor)], reference):
                found.append(Discrepancy(Finding.WITHHELD, leaf.actor, reference))
    return found


def _lists(answer: NodeAnswer, reference: bytes) -> bool:
    return any(entry.reference == reference for entry in answer.entries)


def _unlogged(
    node: PartyId, answer: NodeAnswer, by_reference: Mapping[bytes, list[LeafCommitment]]
) -> Iterable[Discrepancy]:
    """Yield what a node lists and the log does not have, or has as another message of the node's."""
    for entry in answer.entries:
        leaves = by_reference.get(entry.reference, [])
        if entry.kind == TRAINING:
            if not leaves:
                yield Discrepancy(Finding.NOT_LOGGED, node, entry.reference)
            continue
        own = [leaf for leaf in leaves if leaf.actor == node and leaf.kind in _ANSWERS]
        if not own:
            yield Discrepancy(Finding.NOT_LOGGED, node, entry.reference)
        elif all(leaf.evidence != entry.evidence for leaf in own):
            yield Discrepancy(Finding.EVIDENCE_DIFFERS, node, entry.reference)
