"""The message that carries a list of revocations to the nodes."""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar

from msgspec import Meta

from protocols.channel.wire import Message, encode


class RevocationNotice(Message, frozen=True):
    """An issuer's list, passed on. Reveals: handles of revoked consents, which name no enterprise."""

    OPEN: ClassVar[bool] = True

    revocations: Annotated[str, Meta(min_length=1, max_length=1 << 24)]

    def transcript(self) -> bytes:
        """Return the transcript under which the notice is signed, 32 bytes."""
        return hashlib.sha256(b"credit-federation/revocations/v1\0" + encode(self)).digest()
