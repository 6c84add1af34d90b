"""The leaves of some queries, each with the proof that it is in the log: nothing about any other query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from federation.audit import AuditLog
from protocols.enterprise.messages import LoggedEntries, ProvedLeaf
from protocols.transparency.checkpoints import verify_log_signature
from protocols.transparency.leaves import encode_leaf
from protocols.transparency.notes import parse_note

MAX_LEAVES: Final = 1 << 14


def prove_leaves(log: AuditLog, leaves: Sequence[int]) -> LoggedEntries:
    """Return these leaves with proofs against the last witnessed checkpoint, or the log's newest where that ends.

    At most `MAX_LEAVES`, the first ones. Reveals: these leaves, to whoever reads the answer.
    """
    notes: list[bytes] = []
    sizes: list[int] = []
    for note in _notes(log, leaves):
        notes.append(note)
        sizes.append(verify_log_signature(parse_note(note), log.keys.log).size)
    found = []
    for index in leaves[:MAX_LEAVES]:
        place = next(place for place, size in enumerate(sizes) if index < size)
        (entry,) = log.entries(index, index + 1)
        path = log.inclusion_proof(index, sizes[place])
        found.append(ProvedLeaf(index, encode_leaf(entry.leaf), entry.leaf.body, path, place))
    return LoggedEntries(tuple(notes), tuple(found))


def _notes(log: AuditLog, leaves: Sequence[int]) -> list[bytes]:
    """Return the witnessed checkpoint if there is one, and the newest if some leaf lies beyond it."""
    witnessed = log.witnessed_size
    notes = [log.prove(0).note] if witnessed else []
    return notes if not leaves or leaves[-1] < witnessed else [*notes, log.checkpoint()]
