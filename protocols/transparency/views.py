"""Auditors' own views: every look at the log is signed by who looks, logged, and receipted.

auditor     → AuditView (which view, what was looked for as a hash, how far it reached)
coordinator → LogReceipt and, for the view that opens a body, OpenedBody (sealed to the auditor)

A body is uncovered for nobody without such a leaf: an auditor who reads one cannot leave no trace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from protocols.channel.identity import Key32, PartyName
from protocols.channel.wire import Message, encode
from protocols.transparency.leaves import Leaf, LeafKind, attributes
from protocols.transparency.statements import SealedStatements

OPEN_VIEW: Final = "open"
VIEW_SECONDS: Final = 300
"""How old a view may be when it is logged."""

ViewName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9._-]*\Z")]
Count = Annotated[int, Meta(ge=0, lt=1 << 53)]


class AuditView(Message, frozen=True):
    """One look at the log. Reveals: to the log's readers, who looked, when, by which view, how far; never for what.

    `selection` is `selection_hash` of what was looked for, which the auditor keeps: so it can be shown later, and does
    not tell an enterprise's tag to others. Leaves `[first, last]` are those that the answer was taken from.
    """

    OPEN: ClassVar[bool] = True

    auditor: PartyName
    view: ViewName
    selection: Key32
    first: Count
    last: Count
    entries: Count
    issued: Annotated[int, Meta(ge=0, lt=1 << 40)]
    nonce: Annotated[bytes, Meta(min_length=16, max_length=16)]

    def transcript(self) -> bytes:
        """Return T, 32 bytes, under which the view and its answer are signed."""
        return hashlib.sha256(b"credit-federation/audit-view/v1\0" + encode(self)).digest()

    def leaf(self, at_ms: int, evidence: bytes) -> Leaf:
        """Return the leaf of this view; `evidence` is the SHA-256 of its signed message."""
        values: dict[str, str | int] = {
            "view": self.view,
            "selection_hash": self.selection.hex(),
            "first_leaf": self.first,
            "last_leaf": self.last,
            "entries": self.entries,
        }
        return Leaf(
            kind=LeafKind.AUDIT_VIEW,
            timestamp_ms=at_ms,
            actor=self.auditor,
            reference=self.nonce,
            attributes=attributes(values),
            evidence=evidence,
        )


class OpenedBody(Message, frozen=True):
    """A body without its cover. Reveals: to the auditor, what it can open of it; travels sealed."""

    leaf: Count
    statements: SealedStatements


def selection_hash(selection: Mapping[str, str]) -> bytes:
    """Return what names a selection without telling it: names and values in order, each with its length."""
    hasher = hashlib.sha256(b"credit-federation/selection/v1\0")
    for name, value in sorted(selection.items()):
        for text in (name.encode(), value.encode()):
            hasher.update(len(text).to_bytes(4) + text)
    return hasher.digest()
