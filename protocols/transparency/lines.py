"""The two scalars of the C2SP text formats, in their one accepted spelling each.

Standard base64 decoders accept several spellings of the same bytes (stray bits, missing padding). A transparency log
signs text, so a second spelling would be a second message: both functions accept only what our encoder writes.
"""

from __future__ import annotations

import base64
import binascii

from protocols.errors import MalformedMessage
from protocols.transparency.hashing import HASH_SIZE, MAX_TREE_SIZE


def encode_base64(data: bytes) -> str:
    """Return the standard base64 of `data`, padded, on one line. Source: RFC 4648 §4."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str, what: str) -> bytes:
    """Return the bytes that `encode_base64` spells as `text`. Raises: MalformedMessage for any other spelling."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise MalformedMessage(f"{what} is not base64") from None
    if encode_base64(data) != text:
        raise MalformedMessage(f"{what} is not canonical base64")
    return data


def decode_hash(text: str, what: str) -> bytes:
    """Return the SHA-256 hash that `text` spells in base64. Raises: MalformedMessage."""
    digest = decode_base64(text, what)
    if len(digest) != HASH_SIZE:
        raise MalformedMessage(f"{what} has {len(digest)} bytes, not {HASH_SIZE}")
    return digest


def decode_size(text: str, what: str) -> int:
    """Return a tree size or index written in ASCII decimal without leading zeroes. Raises: MalformedMessage."""
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(MAX_TREE_SIZE)) or (text[0] == "0" != text):
        raise MalformedMessage(f"{what} is not a plain decimal number")
    value = int(text)
    if value > MAX_TREE_SIZE:
        raise MalformedMessage(f"{what} is beyond the accepted range")
    return value
