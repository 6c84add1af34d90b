"""Canonical bytes of a message: one encoding for each value, and nothing else decodes.

MessagePack through `msgspec`, with a tag that names the message class. Decoding is strict: unknown fields, other
types, out-of-range numbers and every non-canonical spelling of the same value are refused, so that a signature over
the bytes is a signature over the value.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar, TypeVar

import msgspec

from protocols.errors import MalformedMessage

MAX_MESSAGE_BYTES = 1 << 30

_encoder = msgspec.msgpack.Encoder(order="deterministic")


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag=True):
    """The root of everything that crosses a boundary; a subclass is a noun and holds only plain values.

    `OPEN` says that a relay may read the kind: it holds ciphertexts and public facts only. All others travel sealed.
    """

    OPEN: ClassVar[bool] = False


M = TypeVar("M", bound=Message)


def encode(message: Message) -> bytes:
    """Return the one canonical encoding of `message`."""
    return _encoder.encode(message)


def decode(data: bytes, kind: type[M]) -> M:
    """Return the `kind` that `data` encodes, or raise; never anything but the declared class.

    Raises: MalformedMessage for anything that is not the canonical encoding of a `kind`.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise MalformedMessage(f"{kind.__name__}: {len(data)} bytes are more than {MAX_MESSAGE_BYTES}")
    try:
        message = msgspec.msgpack.decode(data, type=kind)
        canonical = _encoder.encode(message)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MalformedMessage(f"not a {kind.__name__} ({len(data)} bytes)") from error
    if canonical != data:
        raise MalformedMessage(f"{kind.__name__}: not in canonical form")
    return message


def digest(message: Message) -> bytes:
    """Return the SHA-256 of the canonical encoding, 32 bytes."""
    return hashlib.sha256(encode(message)).digest()
