"""What a log must show of itself before it may go on: that its end is signed, and that it holds what was witnessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from federation.audit.errors import BEHIND_WITNESSES, DAMAGED, FORKED, HEAD_MISMATCH, RECORD_MISSING, damaged
from federation.audit.log.witnessed import read_record
from federation.audit.storage.rows import CHAIN_START, LogReader
from protocols.transparency.checkpoints import (
    Checkpoint,
    LogKeys,
    verify_checkpoint,
    verify_cosignatures,
    verify_log_signature,
)
from protocols.transparency.notes import NoteSigner, parse_note
from protocols.transparency.prover import Frontier, read_frontier, tree_root


@dataclass(frozen=True, slots=True)
class Tail:
    """All of the tree that an append needs, as of the last commit."""

    frontier: Frontier
    chain: bytes
    head: bytes


def read_tail(reader: LogReader, signer: NoteSigner) -> Tail | None:
    """Return the end of the stored log, None if nothing was ever committed.

    Raises: VerificationFailed unless the stored head is the log's own signature over exactly the stored tree.
    """
    size, head = reader.size(), reader.head()
    if head is None:
        if size:
            raise damaged(f"{size} leaves and no signed head", HEAD_MISMATCH)
        return None
    signed = verify_log_signature(parse_note(head), signer.verifier)
    try:
        frontier, chain = read_frontier(reader, size), reader.chain(size)
    except KeyError:
        raise damaged(f"subtree hashes of its {size} leaves are missing", DAMAGED) from None
    if (signed.size, signed.root) != (size, frontier.root()):
        code = BEHIND_WITNESSES if size < signed.size else HEAD_MISMATCH
        raise damaged(f"it holds {size} leaves, its last signature is over {signed.size}", code)
    return Tail(frontier, chain, head)


def empty_tail(head: bytes) -> Tail:
    """Return the tail of a log that holds nothing, under its first signature."""
    return Tail(Frontier(), CHAIN_START, head)


def check_witnessed(reader: LogReader, size: int, witnessed: Checkpoint) -> None:
    """Accept only a log whose first leaves are those that the witnesses saw.

    Raises: VerificationFailed: `LOG_ROLLED_BACK` if leaves are gone, `LOG_FORKED` if others stand in their place.
    """
    if size < witnessed.size:
        raise damaged(f"it holds {size} leaves where {witnessed.size} were witnessed", BEHIND_WITNESSES)
    try:
        root = tree_root(reader, witnessed.size)
    except KeyError:
        raise damaged(f"subtree hashes of the {witnessed.size} witnessed leaves are missing", DAMAGED) from None
    if root != witnessed.root:
        raise damaged(f"its first {witnessed.size} leaves are not those that were witnessed", FORKED)


def known_checkpoints(
    path: Path, reader: LogReader, keys: LogKeys, notes: Sequence[bytes]
) -> tuple[Checkpoint | None, tuple[Checkpoint, ...]]:
    """Return the record beside the log, and it and every passed-in note as checkpoints that the log must contain.

    Raises: VerificationFailed if a note is not the log's, or cosigned checkpoints are stored but the record is gone;
    MalformedMessage.
    """
    record = read_record(path, keys)
    if record is None and keys.threshold and _any_quorum(reader, keys):
        raise damaged("the witnessed record that stood beside it is gone", RECORD_MISSING)
    passed = tuple(verify_log_signature(parse_note(note), keys.log) for note in notes)
    return record, passed if record is None else (record, *passed)


def _any_quorum(reader: LogReader, keys: LogKeys) -> bool:
    """Tell whether any stored checkpoint was cosigned by a quorum; looks no further than the latest such one."""
    return any(
        len(verify_cosignatures(parse_note(note), keys.witnesses)) >= keys.threshold
        for note in reader.checkpoints_covering(-1)
    )


def newest_witnessed(reader: LogReader, keys: LogKeys, index: int) -> bytes | None:
    """Return the latest stored note over leaf `index` that counts for others, None if none does yet."""
    for note in reader.checkpoints_covering(index):
        if len(verify_cosignatures(parse_note(note), keys.witnesses)) >= keys.threshold:
            verify_checkpoint(note, keys.log, keys.witnesses, keys.quorum)
            return note
    return None
