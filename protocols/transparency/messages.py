"""The messages between a log and its witnesses, all open, and what each reveals.

coordinator → CheckpointOffer (the log's C2SP add-checkpoint request)
witness     → CheckpointCosignature, or CheckpointRefusal with what the witness holds against the log
"""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from protocols.channel.identity import Key32
from protocols.channel.wire import Message, encode
from protocols.transparency.notes import MAX_NOTE_BYTES
from protocols.transparency.witness import MAX_PROOF_LINES, MAX_REQUEST_BYTES, SplitView

OFFER: Final = "CheckpointOffer"

Note = Annotated[bytes, Meta(max_length=MAX_NOTE_BYTES)]
Code = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Z_]+\Z")]


class CheckpointOffer(Message, frozen=True):
    """The log has grown to this checkpoint. Reveals: to a witness, the log's size and root."""

    OPEN: ClassVar[bool] = True

    request: Annotated[bytes, Meta(max_length=MAX_REQUEST_BYTES)]

    def transcript(self) -> bytes:
        """Return T, 32 bytes, under which the offer and its answer are signed."""
        return hashlib.sha256(b"credit-federation/checkpoint/v1\0" + encode(self)).digest()


class CheckpointCosignature(Message, frozen=True):
    """The witness agrees. Reveals: that it does, and when."""

    OPEN: ClassVar[bool] = True

    line: Annotated[bytes, Meta(max_length=1024)]


class SplitViewProof(Message, frozen=True):
    """A `SplitView` on its way: two notes under the log's own signature that no single history can hold."""

    first: Note
    second: Note
    prefix_root: Key32
    proof: Annotated[tuple[Key32, ...], Meta(max_length=MAX_PROOF_LINES)]

    @classmethod
    def of(cls, evidence: SplitView) -> SplitViewProof:
        """Return the message that carries this evidence."""
        return cls(evidence.first, evidence.second, evidence.prefix_root, evidence.proof)

    def evidence(self) -> SplitView:
        """Return what `verify_split_view` judges."""
        return SplitView(self.first, self.second, self.prefix_root, self.proof)


class CheckpointRefusal(Message, frozen=True):
    """The witness does not agree. Reveals: why, the last note it cosigned, and proof of a split view if it has one."""

    OPEN: ClassVar[bool] = True

    code: Code
    last_note: Note = b""
    split_view: SplitViewProof | None = None
