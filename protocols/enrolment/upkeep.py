"""What an enrolled party asks of the coordinator over its stream, and what the coordinator tells it.

    party → coordinator   CertificateRequest   a certificate for a new TLS key
                          CardNotice           "this is my next card": under the signature of the one it replaces
                          PolicyNotice         "by these rules I decide from now on": a data node's, for the log
                          KeysNotice           "these are my next keys as a witness, or of my SuperNode"
    coordinator → party   CertificateGrant
                          RosterNotice         everybody's cards, as they are now

A party goes on with its earlier card until it sees the next one in a roster: by then all others have it.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from protocols.channel.identity import Key32, PartyCard
from protocols.channel.succession import Succession
from protocols.channel.wire import Message, digest
from protocols.enrolment.certificates import MAX_REQUEST_BYTES
from protocols.enrolment.roster import OtherKeys, SignedRoster
from protocols.transparency.succession import KeySuccession


class CertificateRequest(Message, frozen=True):
    """A signing request for a party's next TLS key. Reveals: the public key."""

    OPEN: ClassVar[bool] = True

    csr: Annotated[bytes, Meta(max_length=MAX_REQUEST_BYTES)]

    def transcript(self) -> bytes:
        """Return T, 32 bytes."""
        return digest(self)


class CertificateGrant(Message, frozen=True):
    """A certificate, and the authority that streams rest on, both PEM."""

    OPEN: ClassVar[bool] = True

    certificate: bytes
    authority: bytes


class CardNotice(Message, frozen=True):
    """A party's next card, and the word of the one that it replaces."""

    OPEN: ClassVar[bool] = True

    card: PartyCard
    replaced: Succession

    def transcript(self) -> bytes:
        """Return T, 32 bytes."""
        return digest(self)


class PolicyNotice(Message, frozen=True):
    """The hash of the policy that a data node goes by, since `at`: said of each stream and of each change.

    Units: `at` in seconds since 1970. Reveals: that the rules are others than before, not what they say.
    """

    OPEN: ClassVar[bool] = True

    policy: Key32
    at: Annotated[int, Meta(ge=0, le=1 << 40)]

    def transcript(self) -> bytes:
        """Return T, 32 bytes."""
        return digest(self)


class KeysNotice(Message, frozen=True):
    """A party's further keys as they are to be; a witness's key comes with the word of the one it replaces."""

    OPEN: ClassVar[bool] = True

    stated: OtherKeys
    succession: KeySuccession | None = None

    def transcript(self) -> bytes:
        """Return T, 32 bytes."""
        return digest(self)


class RosterNotice(Message, frozen=True):
    """The newest roster, from the coordinator to one party."""

    OPEN: ClassVar[bool] = True

    signed: SignedRoster

    def transcript(self) -> bytes:
        """Return T, 32 bytes."""
        return digest(self)
