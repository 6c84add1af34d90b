"""Orders to shred: signed by the coordinator's own operator, and logged before a key is destroyed."""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from protocols.channel.identity import Key32, PartyName
from protocols.channel.wire import Message, encode
from protocols.transparency.leaves import Leaf, LeafKind, attributes

RETENTION_YEARS: Final = 5
"""How many whole years after its own a body is kept, unless its enterprise's keys are destroyed before."""


class ShredOrder(Message, frozen=True):
    """Destroy the keys of these tags, and of all years before one, for good. Reveals: to the log's readers, all of it.

    `before_year` 0 asks for no year.
    """

    OPEN: ClassVar[bool] = True

    coordinator: PartyName
    tags: Annotated[tuple[Key32, ...], Meta(max_length=1024)]
    before_year: Annotated[int, Meta(ge=0, lt=10_000)]
    issued: Annotated[int, Meta(ge=0, lt=1 << 40)]
    nonce: Annotated[bytes, Meta(min_length=16, max_length=16)]

    def transcript(self) -> bytes:
        """Return T, 32 bytes, under which the order is signed."""
        return hashlib.sha256(b"credit-federation/shred-order/v1\0" + encode(self)).digest()

    def leaves(self, at_ms: int, evidence: bytes) -> list[Leaf]:
        """Return a leaf for each tag, and one for the years; `evidence` is the SHA-256 of the signed order."""
        told = [(tag, attributes({})) for tag in self.tags]
        if self.before_year:
            told.append((b"", attributes({"before_year": self.before_year})))
        return [
            Leaf(
                kind=LeafKind.SHRED,
                timestamp_ms=at_ms,
                actor=self.coordinator,
                reference=self.nonce,
                subject=subject,
                attributes=values,
                evidence=evidence,
            )
            for subject, values in told
        ]
