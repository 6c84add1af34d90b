"""The messages of one assessment, and what each reveals.

bank        ⇒ Query (open: who asks, for which model, until when; the subject only as a keyed tag)
            → Subject (sealed to each node: who, and the consent)
node        → ScoreShare (masked, under the bank's key), or Denial (a code)
coordinator → CombinedScore (the product of all shares)
bank        → Acknowledgement (whether the answer verified)
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta

from protocols.channel.identity import Key32, PartyName
from protocols.channel.wire import Message, encode

Code = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Z_]+\Z")]
CardName = Annotated[str, Meta(min_length=64, max_length=64)]
IsoDate = Annotated[str, Meta(max_length=10, pattern=r"^(\d{4}-\d{2}-\d{2})?\Z")]
Seconds = Annotated[int, Meta(ge=0, lt=1 << 40)]


class Query(Message, frozen=True):
    """The fields that a query's transcript binds. Reveals: to the coordinator, all of it; it names no enterprise.

    `cards` are those under which the nodes answer, in their order, once one has replaced the card that the model's
    manifest names; empty means the manifest's. The masks are those of these cards. `objection` names the one after
    which it is asked again.
    """

    OPEN: ClassVar[bool] = True

    query: Annotated[bytes, Meta(min_length=16, max_length=16)]
    bank: PartyName
    bank_card: Annotated[str, Meta(min_length=64, max_length=64)]
    model: Key32
    purpose: Annotated[str, Meta(max_length=64)]
    nodes: Annotated[tuple[PartyName, ...], Meta(min_length=1, max_length=1024)]
    issued: Seconds
    expires: Seconds
    subject_tag: Key32
    slip: Annotated[str, Meta(max_length=4096)] = ""
    objection: Annotated[bytes, Meta(max_length=16)] = b""
    cards: Annotated[tuple[CardName, ...], Meta(max_length=1024)] = ()

    def transcript(self) -> bytes:
        """Return T, 32 bytes."""
        return hashlib.sha256(b"credit-federation/query/v1\0" + encode(self)).digest()


class Subject(Message, frozen=True):
    """Whom the query is about, and its consent. Reveals, to one node, that the bank asks about this enterprise."""

    enterprise: Annotated[str, Meta(min_length=1, max_length=128)]
    consent: Annotated[str, Meta(max_length=8192)]


class ScoreShare(Message, frozen=True):
    """One node's part of the answer. Reveals nothing short of the product over all nodes of the query; `as_of`, the
    same for all enterprises, as of which day the node's records speak.
    """

    OPEN: ClassVar[bool] = True

    ciphertext: bytes
    policy: Key32
    as_of: IsoDate = ""


class Denial(Message, frozen=True):
    """A node's refusal. Reveals: the code of the rule that decided."""

    OPEN: ClassVar[bool] = True

    code: Code
    policy: Key32


class CombinedScore(Message, frozen=True):
    """The product of all nodes' shares. Reveals: to the bank, one total, its themes and the coverage by domain."""

    OPEN: ClassVar[bool] = True

    ciphertext: bytes


class LogReceipt(Message, frozen=True):
    """The log's word that the query and its result are recorded. Reveals: position and root of the public log."""

    OPEN: ClassVar[bool] = True

    leaf: Annotated[int, Meta(ge=0, lt=1 << 53)]
    note: Annotated[bytes, Meta(max_length=65536)]


class Outcome(StrEnum):
    """How a query ended at the bank."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DENIED = "denied"


class Acknowledgement(Message, frozen=True):
    """The bank closes a query. Reveals: whether the answer verified, not what it was."""

    OPEN: ClassVar[bool] = True

    outcome: Outcome
