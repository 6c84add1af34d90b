"""Bodies on their way into the log: the sealed statements that come with a message, and cover its leaf.

A party sends its statements right before the message that they are about, in one parcel. The coordinator checks that
they are the party's own and complete, and reads none. Their own signature is the one that counts, in the log and here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from federation.audit.bodies.shredder import Shredder
from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyCard, PartyId
from protocols.channel.wire import decode
from protocols.errors import VerificationFailed
from protocols.transparency.leaves import LeafKind
from protocols.transparency.statements import SealedStatements, verify_statements

STATEMENTS = SealedStatements.__name__


class BodyDesk:
    """The statements of one parcel, by what they are about; what is not used with its parcel is forgotten."""

    def __init__(self, signers: Mapping[PartyId, tuple[PartyCard, ...]], shredder: Shredder) -> None:
        """`signers` are the cards of each party whose signatures are accepted."""
        self._signers, self._shredder = signers, shredder
        self._waiting: dict[tuple[bytes, str, LeafKind], SealedStatements] = {}

    def clear(self) -> None:
        """Forget what a parcel has left."""
        self._waiting.clear()

    def take(self, envelope: Envelope) -> None:
        """Keep what a party states until its message comes. Raises: MalformedMessage, VerificationFailed."""
        sealed = decode(envelope.body, SealedStatements)
        cards = self._signers.get(PartyId(envelope.sender), ())
        of_consent = sealed.head.leaf is LeafKind.CONSENT  # bound to its consent, whichever question shows it
        if not cards or (sealed.head.transcript != envelope.transcript and not of_consent):
            raise VerificationFailed(f"statements of {envelope.sender} are of another question", code="BODY_INVALID")
        verify_statements(sealed, *cards)
        self._waiting[sealed.head.transcript, envelope.sender, sealed.head.leaf] = sealed

    def require(self, envelope: Envelope, kind: LeafKind, tags: Sequence[bytes]) -> None:
        """Return if a message came with one statement for each tag. Raises: VerificationFailed, code BODY_MISSING."""
        sealed = self._waiting.get((envelope.transcript, envelope.sender, kind))
        if sealed is None or len(sealed.entries) != len(tags):
            raise VerificationFailed(
                f"{envelope.message} of {envelope.sender} came without a body", code="BODY_MISSING"
            )

    def crowded(self, envelope: Envelope, kind: LeafKind) -> int:
        """Return about how many of a message's enterprises many banks ask, by its node's word; 0 without a body."""
        sealed = self._waiting.get((envelope.transcript, envelope.sender, kind))
        return 0 if sealed is None else sealed.head.crowded

    def of_consent(self, handle: bytes, bank: str) -> SealedStatements | None:
        """Return what a bank has stated in this parcel about a consent, None if nothing that can be logged."""
        sealed = self._waiting.get((handle, bank, LeafKind.CONSENT))
        return sealed if sealed is not None and len(sealed.entries) == 1 and sealed.head.reply else None

    def cover_consent(self, sealed: SealedStatements, tag: bytes, at_ms: int) -> bytes:
        """Return the body of a consent's leaf, as it is logged. Raises: OSError."""
        return self._shredder.cover(sealed, (tag,), at_ms)

    def cover(
        self, envelope: Envelope, kind: LeafKind, tags: Sequence[bytes], at_ms: int, consents: Sequence[bytes] = ()
    ) -> bytes:
        """Return the body of the leaf of a message, as it is logged, and forget it. Raises: as `require`; OSError."""
        self.require(envelope, kind, tags)
        sealed = self._waiting.pop((envelope.transcript, envelope.sender, kind))
        return self._shredder.cover(sealed, tags, at_ms, consents)
