"""Signed notes: text under one or more Ed25519 signatures, byte for byte as C2SP writes them.

    <text, ending in a newline>
    <empty line>
    — <key name> base64(key id || signature)        one line per signature

A key is known by its name *and* the first four bytes of a hash over name, signature type and public key, so the same
key cannot sign for two purposes by accident. Source: c2sp.org/signed-note.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocols.errors import MalformedMessage, VerificationFailed
from protocols.transparency.lines import decode_base64, encode_base64

MAX_NOTE_BYTES: Final = 1 << 16
MAX_SIGNATURES: Final = 100
KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 4
SIGNATURE_FAILED: Final = "NOTE_SIGNATURE"
KEY_REPLACED: Final = "KEY_REPLACED"
_MAX_NAME_BYTES: Final = 255
_MARK: Final = "— "
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")


class SignatureType(IntEnum):
    """What a key signs. Source: c2sp.org/signed-note, "Signature types"."""

    NOTE = 0x01
    """Ed25519 over the note's text: the log's own signature."""
    COSIGNATURE = 0x04
    """Ed25519 over a timestamp and the text: a witness's cosignature/v1."""


def is_key_name(name: str) -> bool:
    """Tell whether `name` may name a key: not empty, no space, no plus, no control character."""
    return (
        0 < len(name.encode("utf-8", "replace")) <= _MAX_NAME_BYTES
        and "+" not in name
        and name.isprintable()  # which no space is, but the plain one
        and " " not in name
    )


@dataclass(frozen=True, slots=True)
class EarlierKey:
    """A key that was replaced: what it signed counts for trees of at most `size` leaves."""

    key: bytes
    size: int


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name and purpose under which its signatures are recognised.

    `earlier` are those that it has replaced, newest first; `transparency/succession.py` says when they are believed.
    """

    name: str
    key: bytes
    type: SignatureType = SignatureType.NOTE
    earlier: tuple[EarlierKey, ...] = ()

    def __post_init__(self) -> None:
        if not is_key_name(self.name):
            raise ValueError("a key name is printable text without spaces or plus")
        if len(self.key) != KEY_BYTES:
            raise ValueError(f"an Ed25519 public key has {KEY_BYTES} bytes, not {len(self.key)}")

    @property
    def key_id(self) -> bytes:
        """The four bytes by which signature lines refer to this key."""
        return sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.key).digest()[:KEY_ID_BYTES]

    def behind(self, key_id: bytes, size: int) -> VerifierKey | None:
        """Return the one key, this or an earlier one, that a key id stands for, None if none.

        Raises: VerificationFailed, code KEY_REPLACED, if that key was replaced before the tree had `size` leaves.
        """
        if key_id == self.key_id:
            return self
        for earlier in self.earlier:
            key = VerifierKey(self.name, earlier.key, self.type)
            if key_id == key.key_id:
                if size > earlier.size:
                    text = f"a tree of {size} leaves under key {key.name}+{key_id.hex()}, replaced at {earlier.size}"
                    raise VerificationFailed(text, code=KEY_REPLACED)
                return key
        return None

    def vkey(self) -> str:
        """Return the one-line text form of the newest key, which `parse_vkey` reads back."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.type]) + self.key)}"

    def verify(self, message: bytes, signature: bytes) -> None:
        """Accept only an Ed25519 signature of this key over `message`. Raises: VerificationFailed."""
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise VerificationFailed(
                f"the signature of key {self.name}+{self.key_id.hex()} does not hold", code=SIGNATURE_FAILED
            ) from None


def parse_vkey(line: str) -> VerifierKey:
    """Return the key of a vkey line, `name+id+base64(type || key)`, whose id fits. Raises: MalformedMessage."""
    parts = line.split("+", 2)
    if len(parts) != 3:
        raise MalformedMessage("a verifier key has three parts joined by plus")
    name, key_id, encoded = parts
    material = decode_base64(encoded, "a verifier key")
    if not is_key_name(name) or len(material) != 1 + KEY_BYTES:
        raise MalformedMessage("a verifier key has an unusable name or length")
    try:
        key = VerifierKey(name, material[1:], SignatureType(material[0]))
    except ValueError:
        raise MalformedMessage(f"a verifier key of unknown type {material[0]}") from None
    if key.key_id.hex() != key_id:
        raise MalformedMessage("a verifier key does not fit its own key id")
    return key


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature under a note: who claims it, and the bytes after the key id."""

    name: str
    key_id: bytes
    signature: bytes

    def encode(self) -> str:
        """Return the line with its final newline."""
        return f"{_MARK}{self.name} {encode_base64(self.key_id + self.signature)}\n"

    def claims(self, key: VerifierKey) -> bool:
        """Tell whether the line says that `key`, or one that it has replaced, made it; `name` and id must both fit."""
        return self.name == key.name and key.behind(self.key_id, 0) is not None


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text and the signatures under it. Nothing here is trusted before a known key has verified it."""

    text: str
    signatures: tuple[SignatureLine, ...]

    def encode(self) -> bytes:
        """Return the exact bytes of the note."""
        return (self.text + "\n" + "".join(line.encode() for line in self.signatures)).encode()

    def with_signatures(self, lines: Sequence[SignatureLine]) -> SignedNote:
        """Return the note with further signatures, each key's first one kept."""
        by_key: dict[tuple[str, bytes], SignatureLine] = {}
        for line in (*self.signatures, *lines):
            by_key.setdefault((line.name, line.key_id), line)
        return SignedNote(self.text, tuple(by_key.values()))


def parse_note(data: bytes) -> SignedNote:
    """Return the note that encodes to exactly `data`. Raises: MalformedMessage."""
    if len(data) > MAX_NOTE_BYTES:
        raise MalformedMessage(f"a note of {len(data)} bytes is too long")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedMessage("a note is not UTF-8") from None
    if _CONTROL.search(whole):
        raise MalformedMessage("a note holds a control character")
    text, separator, lines = whole.rpartition("\n\n")
    if not (text and separator and lines):
        raise MalformedMessage("a note has no text or no signature")
    return SignedNote(text + "\n", parse_signature_lines(lines))


def parse_signature_lines(text: str) -> tuple[SignatureLine, ...]:
    """Return the signatures of one or more lines, each ending in a newline. Raises: MalformedMessage."""
    if not text.endswith("\n"):
        raise MalformedMessage("a signature line does not end in a newline")
    lines = text[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise MalformedMessage(f"{len(lines)} signatures are more than {MAX_SIGNATURES}")
    return tuple(_parse_signature_line(line) for line in lines)


def _parse_signature_line(line: str) -> SignatureLine:
    name, _, encoded = line.removeprefix(_MARK).partition(" ")
    if not line.startswith(_MARK) or not is_key_name(name):
        raise MalformedMessage("a signature line has no mark or no key name")
    data = decode_base64(encoded, "a note signature")
    if len(data) <= KEY_ID_BYTES:
        raise MalformedMessage("a note signature is empty")
    return SignatureLine(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


@dataclass(frozen=True, slots=True)
class NoteSigner:
    """A log's signing key under its name. Reveals: nothing of the key, in repr or otherwise."""

    name: str
    key: Ed25519PrivateKey = field(repr=False)
    earlier: tuple[EarlierKey, ...] = ()

    @property
    def verifier(self) -> VerifierKey:
        """The public key by which others recognise this signer, with those that it has replaced."""
        return VerifierKey(self.name, self.key.public_key().public_bytes_raw(), SignatureType.NOTE, self.earlier)

    def sign(self, text: str) -> SignedNote:
        """Return the note of `text` under this key alone. Raises: ValueError unless `text` ends in a newline."""
        if not text.endswith("\n"):
            raise ValueError("the text of a note ends in a newline")
        line = SignatureLine(self.name, self.verifier.key_id, self.key.sign(text.encode()))
        return SignedNote(text, (line,))
