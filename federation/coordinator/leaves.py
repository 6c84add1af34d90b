"""Leaves that wait for one commit, and the receipts that wait for them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from federation.coordinator.site import CoordinatorSite
from federation.traffic import Routed
from protocols.assessment.messages import LogReceipt
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import encode
from protocols.transparency.leaves import Leaf, LeafKind, attributes
from protocols.transparency.log_proofs import Receipt

Values = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class ReceiptDue:
    """The place of a receipt that is written once the leaf it is for is durable. Units: `leaf` counts in its group."""

    channel: Channel
    leaf: int


Accepted = list[tuple[PartyId, Envelope | ReceiptDue]]


class LeafWriter:
    """Collects the leaves of a group; `flush` makes them durable."""

    def __init__(self, site: CoordinatorSite) -> None:
        self._site = site
        self._waiting: list[Leaf] = []

    def write(
        self,
        kind: LeafKind,
        actor: str,
        reference: bytes,
        values: Values,
        *,
        purpose: str = "",
        subject: bytes = b"",
        evidence: Envelope | str | None = None,
        body: bytes = b"",
    ) -> int:
        """Let a leaf wait; return its place in the group. `evidence` is a signed message, or the text of a token.

        Raises: ValueError for what no leaf may hold.
        """
        leaf = Leaf(
            kind=kind,
            timestamp_ms=self._site.clock_ms(),
            actor=actor,
            reference=reference,
            purpose=purpose,
            subject=subject,
            attributes=attributes(values),
            evidence=_digest(evidence),
            body=body,
        )
        self._waiting.append(leaf)
        return len(self._waiting) - 1

    def flush(self) -> tuple[Receipt, ...]:
        """Make all waiting leaves durable; return their receipts. Raises: ConfigurationError if the log cannot."""
        leaves, self._waiting = self._waiting, []
        try:
            receipts = self._site.log.append(leaves)
        except BaseException:
            self._site.book.abandon(leaves)
            raise
        self._site.book.settle(leaves, receipts)
        return receipts


def _digest(evidence: Envelope | str | None) -> bytes:
    if evidence is None:
        return b""
    return hashlib.sha256(evidence.encode() if isinstance(evidence, str) else encode(evidence)).digest()


def with_receipts(accepted: Accepted, receipts: Sequence[Receipt]) -> Routed:
    """Return what goes out, each receipt that is due written and signed."""
    routed: Routed = []
    for party, step in accepted:
        if isinstance(step, ReceiptDue):
            receipt = receipts[step.leaf]
            message = LogReceipt(receipt.index, receipt.note)
            routed.append((party, step.channel.wrap(party, message, sealed=False)))
        else:
            routed.append((party, step))
    return routed
