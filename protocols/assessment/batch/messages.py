"""The messages of a batch, and what each reveals.

bank        ⇒ BatchQuery (open: who asks, for which model, until when; the subjects only as keyed tags)
            → BatchSlips (to the coordinator: each one's slip)
            → BatchSubjects (sealed to each node: who, and each one's consent)
coordinator → BatchDecisions (a code for each slip that it refuses)
node        → BatchDecisions (a code for each enterprise that it denies), or Denial (of all)
bank        ⇒ BatchOpening (whom the coordinator and every node have admitted)
node        → BatchShares (masked, packed, under the bank's key)
coordinator → CombinedBatch (the product of all shares)
bank        → Acknowledgement (whether the answer verified)
"""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from protocols.assessment.messages import CardName, IsoDate, Seconds, Subject
from protocols.channel.identity import Key32, PartyName
from protocols.channel.wire import Message, encode

BATCH_LIMIT: Final = 1024
"""The most enterprises in one batch; a longer list is asked about in several."""

Decision = Annotated[str, Meta(max_length=64, pattern=r"^[A-Z_]*\Z")]
Handle = Annotated[bytes, Meta(max_length=32)]
"""The name of a consent, as its slip shows it; b"" if there is none."""

Position = Annotated[int, Meta(ge=0, lt=BATCH_LIMIT)]


class BatchQuery(Message, frozen=True):
    """The fields that a batch's transcript binds; `cards` as in a query.

    Reveals: to the coordinator, all of it; it names no enterprise.
    """

    OPEN: ClassVar[bool] = True

    batch: Annotated[bytes, Meta(min_length=16, max_length=16)]
    bank: PartyName
    bank_card: Annotated[str, Meta(min_length=64, max_length=64)]
    model: Key32
    purpose: Annotated[str, Meta(max_length=64)]
    nodes: Annotated[tuple[PartyName, ...], Meta(min_length=1, max_length=1024)]
    issued: Seconds
    expires: Seconds
    subject_tags: Annotated[tuple[Key32, ...], Meta(min_length=1, max_length=BATCH_LIMIT)]
    handles: Annotated[tuple[Handle, ...], Meta(min_length=1, max_length=BATCH_LIMIT)]
    cards: Annotated[tuple[CardName, ...], Meta(max_length=1024)] = ()

    def transcript(self) -> bytes:
        """Return T, 32 bytes."""
        return hashlib.sha256(b"credit-federation/batch/v1\0" + encode(self)).digest()


class BatchSlips(Message, frozen=True):
    """The slips of a batch's consents, in the order of its tags, "" for none. Reveals: to the coordinator, what each
    slip does: that a consent exists, for this bank, and its handle.
    """

    OPEN: ClassVar[bool] = True

    slips: Annotated[tuple[Annotated[str, Meta(max_length=4096)], ...], Meta(min_length=1, max_length=BATCH_LIMIT)]


class BatchSubjects(Message, frozen=True):
    """Whom the batch is about, with their consents, in the order of the query's tags. Reveals them, to one node."""

    subjects: Annotated[tuple[Subject, ...], Meta(min_length=1, max_length=BATCH_LIMIT)]


class BatchDecisions(Message, frozen=True):
    """A node's or the coordinator's word on each: "" admits it, a code denies it. Reveals: the codes, by position."""

    OPEN: ClassVar[bool] = True

    codes: Annotated[tuple[Decision, ...], Meta(min_length=1, max_length=BATCH_LIMIT)]
    policy: Key32


class BatchOpening(Message, frozen=True):
    """The positions that all have admitted, ascending. Reveals: nothing that the decisions do not."""

    OPEN: ClassVar[bool] = True

    accepted: Annotated[tuple[Position, ...], Meta(max_length=BATCH_LIMIT)]

    def binding(self, transcript: bytes) -> bytes:
        """Return what names this opening of this batch, 32 bytes: an answer is given for one opening only."""
        return hashlib.sha256(b"credit-federation/batch-opening/v1\0" + transcript + encode(self)).digest()


class BatchShares(Message, frozen=True):
    """One node's part of the answers. Reveals: as `ScoreShare`."""

    OPEN: ClassVar[bool] = True

    vector: bytes
    policy: Key32
    as_of: IsoDate = ""


class CombinedBatch(Message, frozen=True):
    """The product of all nodes' shares. Reveals: to the bank, per accepted enterprise, what one assessment does."""

    OPEN: ClassVar[bool] = True

    vector: bytes
