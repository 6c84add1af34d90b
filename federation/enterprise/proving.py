"""The leaves of some queries, each with the proof that it is in the log: nothing about any other query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from federation.audit import AuditLog
from federation.audit.bodies.shredder import Shredder
from federation.audit.reading.log_view import LoggedLeaf
from federation.audit.reading.search import tags_of
from protocols.channel.wire import encode
from protocols.enterprise.messages import LoggedEntries, ProvedLeaf
from protocols.transparency.checkpoints import verify_log_signature
from protocols.transparency.leaves import CONSENT_KINDS, Leaf, LeafKind
from protocols.transparency.notes import parse_note

MAX_LEAVES: Final = 1 << 14


def prove_leaves(
    log: AuditLog, leaves: Sequence[int], places: Mapping[bytes, int], shredder: Shredder
) -> LoggedEntries:
    """Return these leaves with proofs against the last witnessed checkpoint, or the log's newest where that ends.

    `places` says by reference which statement of a leaf's body is about the enterprise; no other goes out.
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
        found.append(ProvedLeaf(index, log.leaf_bytes(index), _statement(entry.leaf, places, shredder), path, place))
    return LoggedEntries(tuple(notes), tuple(found))


def subjects_of(log: AuditLog, leaves: Sequence[int], places: Mapping[bytes, int]) -> set[bytes]:
    """Return the enterprise's own tags, one for each bank: of the questions among `leaves`, by its place there."""
    found: set[bytes] = set()
    for index in leaves:
        (entry,) = log.entries(index, index + 1)
        if entry.leaf.kind is LeafKind.REQUEST:
            tags = tags_of(LoggedLeaf(index, log.leaf_bytes(index), entry.leaf.body))
            found.update(tags[places.get(entry.leaf.reference, 0) :][:1])
    return found


def _statement(leaf: Leaf, places: Mapping[bytes, int], shredder: Shredder) -> bytes:
    """Return what a leaf's body states about one enterprise, still sealed; nothing if there is nothing to open."""
    place = 0 if leaf.kind in CONSENT_KINDS else places.get(leaf.reference)
    if not leaf.body or place is None:
        return b""
    sealed = shredder.uncover(leaf.body)
    own = tuple(entry if position == place else b"" for position, entry in enumerate(sealed.entries))
    return encode(msgspec.structs.replace(sealed, entries=own)) if any(own) else b""


def _notes(log: AuditLog, leaves: Sequence[int]) -> list[bytes]:
    """Return the witnessed checkpoint if there is one, and the newest if some leaf lies beyond it."""
    witnessed = log.witnessed_size
    notes = [log.prove(0).note] if witnessed else []
    return notes if not leaves or leaves[-1] < witnessed else [*notes, log.checkpoint()]
