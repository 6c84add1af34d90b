"""How the messages of an enrolment are told apart on a connection: four bytes of length, then the message."""

from __future__ import annotations

from typing import Final

from protocols.errors import MalformedMessage

HEADER_BYTES: Final = 4


def frame(message: bytes) -> bytes:
    """Return a message with its length before it. Raises: ValueError for one of 4 GiB."""
    if len(message) >= 1 << 32:
        raise ValueError(f"a message of {len(message)} bytes")
    return len(message).to_bytes(HEADER_BYTES, "big") + message


def framed_size(header: bytes, limit: int) -> int:
    """Return how long the message is whose length `header` states. Raises: MalformedMessage beyond `limit`."""
    if len(header) != HEADER_BYTES:
        raise MalformedMessage(f"a length of {len(header)} bytes where {HEADER_BYTES} are due")
    size = int.from_bytes(header, "big")
    if size > limit:
        raise MalformedMessage(f"a message of {size} bytes where {limit} are the most")
    return size
