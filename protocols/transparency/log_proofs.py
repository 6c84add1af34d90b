"""A proof that one leaf is in the log, complete in itself: check it offline, years later, with public keys alone.

    c2sp.org/tlog-proof@v1
    extra <base64>                                  optional, not authenticated
    index <leaf index>
    <base64 hash>                                   the inclusion path, leaf's sibling first
                                                    (empty line)
    <the cosigned checkpoint>

Source: c2sp.org/tlog-proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.errors import MalformedMessage
from protocols.transparency.checkpoints import LogKeys, VerifiedCheckpoint, verify_checkpoint
from protocols.transparency.hashing import leaf_hash
from protocols.transparency.lines import decode_base64, decode_hash, decode_size, encode_base64
from protocols.transparency.notes import MAX_NOTE_BYTES
from protocols.transparency.verifier import verify_inclusion

_FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
_MAX_EXTRA_BYTES: Final = 1 << 20
_MAX_PROOF_BYTES: Final = MAX_NOTE_BYTES + 2 * _MAX_EXTRA_BYTES


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an append returns once the leaf is durable: where it is, its hash, and the log's signature over that tree.

    The note is the log's promise: a tree that later lacks the leaf contradicts it. It carries no cosignature yet;
    a `LogProof` is the proof.
    """

    index: int
    leaf_hash: bytes
    note: bytes


@dataclass(frozen=True, slots=True)
class LogProof:
    """That the leaf at `index` is in the tree of the checkpoint `note`."""

    index: int
    path: tuple[bytes, ...]
    note: bytes
    extra: bytes = b""

    def encode(self) -> bytes:
        """Return the text form."""
        extra = [f"extra {encode_base64(self.extra)}"] if self.extra else []
        lines = (_FIRST_LINE, *extra, f"index {self.index}", *(encode_base64(digest) for digest in self.path), "", "")
        return "\n".join(lines).encode() + self.note

    def verify(self, leaf: bytes, keys: LogKeys) -> VerifiedCheckpoint:
        """Accept only if these leaf bytes stand at `index` of a tree that the log signed and a quorum cosigned.

        Raises: MalformedMessage, VerificationFailed.
        """
        verified = verify_checkpoint(self.note, keys.log, keys.witnesses, keys.quorum)
        verify_inclusion(leaf_hash(leaf), self.index, verified.checkpoint.size, self.path, verified.checkpoint.root)
        return verified


def parse_log_proof(data: bytes) -> LogProof:
    """Return the proof that encodes to exactly `data`; its note is not yet verified. Raises: MalformedMessage."""
    if len(data) > _MAX_PROOF_BYTES:
        raise MalformedMessage(f"a log proof of {len(data)} bytes is too long")
    head, separator, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise MalformedMessage("a log proof's head is not ASCII") from None
    if not separator or lines.pop(0) != _FIRST_LINE:
        raise MalformedMessage("this is not a log proof")
    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0).removeprefix("extra "), "the extra data")
        if not extra:
            raise MalformedMessage("the extra data is empty")
    if not lines or not lines[0].startswith("index "):
        raise MalformedMessage("a log proof has no index")
    index = decode_size(lines.pop(0).removeprefix("index "), "a leaf index")
    return LogProof(index, tuple(decode_hash(line, "a path line") for line in lines), note, extra)
