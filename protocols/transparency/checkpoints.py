"""Checkpoints: the log's signed statement "my tree has this many leaves and this root", cosigned by witnesses.

    <origin>
    <tree size>
    <base64 root hash>
                                                    (empty line)
    — <origin> <signature of the log>
    — <witness> <timestamped cosignature>           any number of these

A checkpoint convinces only with the log's signature *and* cosignatures of a quorum of witnesses: a log key alone can
sign two histories, witnesses refuse the second. Source: c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.errors import MalformedMessage, VerificationFailed
from protocols.transparency.hashing import EMPTY_ROOT, HASH_SIZE, MAX_TREE_SIZE
from protocols.transparency.lines import decode_hash, decode_size, encode_base64
from protocols.transparency.notes import (
    NoteSigner,
    SignatureLine,
    SignatureType,
    SignedNote,
    VerifierKey,
    parse_note,
)

NOT_SIGNED: Final = "CHECKPOINT_NOT_SIGNED"
NO_QUORUM: Final = "CHECKPOINT_NO_QUORUM"
_MAX_TEXT: Final = 4096
_TIMESTAMP_BYTES: Final = 8
_ED25519_SIGNATURE_BYTES: Final = 64
_MAX_TIMESTAMP: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: of which log, of how many leaves, with which root."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.origin or "\n" in self.origin or not all(self.extensions):
            raise ValueError("a checkpoint line is empty or broken")
        if not 0 <= self.size <= MAX_TREE_SIZE or len(self.root) != HASH_SIZE:
            raise ValueError(f"no tree of {self.size} leaves has a root of {len(self.root)} bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise ValueError("the empty tree has one root only")

    def text(self) -> str:
        """Return the note text that a log signs."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, encode_base64(self.root), *self.extensions))


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint whose text is exactly this. Raises: MalformedMessage."""
    if len(text) > _MAX_TEXT:
        raise MalformedMessage(f"a checkpoint of {len(text)} characters is too long")
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() or not all(lines):
        raise MalformedMessage("a checkpoint has three or more lines, none empty")
    origin, size, root, *extensions = lines
    try:
        return Checkpoint(origin, decode_size(size, "a tree size"), decode_hash(root, "a root hash"), tuple(extensions))
    except ValueError:
        raise MalformedMessage("a checkpoint of an empty tree with leaves") from None


@dataclass(frozen=True, slots=True)
class LogKeys:
    """Whom to believe about one log: its own key, its witnesses, and how many of them make a checkpoint count.

    `quorum` None means ⌈2/3⌉ of the witnesses.
    """

    log: VerifierKey
    witnesses: tuple[VerifierKey, ...] = ()
    quorum: int | None = None

    def __post_init__(self) -> None:
        if self.log.type is not SignatureType.NOTE:
            raise ValueError("a log key signs notes, it does not cosign")
        if any(witness.type is not SignatureType.COSIGNATURE for witness in self.witnesses):
            raise ValueError("a witness key is of the cosignature type")
        names = {witness.name for witness in self.witnesses}
        keys = [k for key in (self.log, *self.witnesses) for k in (key.key, *(old.key for old in key.earlier))]
        if len(names) < len(self.witnesses) or len(set(keys)) < len(keys):
            raise ValueError("a witness is named twice, shares a key, or is the log itself")
        if not 0 <= self.threshold <= len(self.witnesses):
            raise ValueError(f"{self.threshold} of {len(self.witnesses)} witnesses cannot be a quorum")

    @property
    def threshold(self) -> int:
        """How many distinct witnesses must have cosigned."""
        return -(-2 * len(self.witnesses) // 3) if self.quorum is None else self.quorum


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness's verified statement that, at this POSIX time in seconds, the checkpoint extended all it had seen."""

    witness: str
    timestamp: int


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint whose log signature and listed cosignatures have been verified."""

    checkpoint: Checkpoint
    cosignatures: tuple[Cosignature, ...]


def sign_checkpoint(signer: NoteSigner, size: int, root: bytes) -> SignedNote:
    """Return the log's signed statement about its tree; its origin is the signer's name."""
    return signer.sign(Checkpoint(signer.name, size, root).text())


def _cosigned_message(text: str, timestamp: int) -> bytes:
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


@dataclass(frozen=True, slots=True)
class CosignatureSigner:
    """A witness's signing key under its name. Reveals: nothing of the key, in repr or otherwise."""

    name: str
    key: Ed25519PrivateKey = field(repr=False)

    @property
    def verifier(self) -> VerifierKey:
        """The public key by which others recognise this witness."""
        return VerifierKey(self.name, self.key.public_key().public_bytes_raw(), SignatureType.COSIGNATURE)

    def cosign(self, text: str, timestamp: int) -> SignatureLine:
        """Return the cosignature/v1 of a checkpoint's text. Units: POSIX seconds. Raises: ValueError."""
        if not 0 <= timestamp <= _MAX_TIMESTAMP:
            raise ValueError("a cosignature's time is a 63-bit number of seconds")
        signature = self.key.sign(_cosigned_message(text, timestamp))
        return SignatureLine(self.name, self.verifier.key_id, timestamp.to_bytes(_TIMESTAMP_BYTES, "big") + signature)


def verify_cosignature(text: str, line: SignatureLine, witness: VerifierKey) -> Cosignature:
    """Return what `witness` stated with this line, under its newest key or an earlier one in its time.

    Raises: MalformedMessage, VerificationFailed.
    """
    if witness.type is not SignatureType.COSIGNATURE:
        raise ValueError("a witness key is of the cosignature type")
    if len(line.signature) != _TIMESTAMP_BYTES + _ED25519_SIGNATURE_BYTES:
        raise MalformedMessage(f"a cosignature has {len(line.signature)} bytes")
    timestamp = int.from_bytes(line.signature[:_TIMESTAMP_BYTES], "big")
    if timestamp > _MAX_TIMESTAMP:
        raise MalformedMessage("a cosignature's time is out of range")
    key = witness.behind(line.key_id, parse_checkpoint(text).size)
    if key is None:
        raise VerificationFailed(f"a cosignature of {line.name} where {witness.name} is due", code=NOT_SIGNED)
    key.verify(_cosigned_message(text, timestamp), line.signature[_TIMESTAMP_BYTES:])
    return Cosignature(witness.name, timestamp)


def verify_log_signature(note: SignedNote, log_key: VerifierKey) -> Checkpoint:
    """Return the checkpoint that `log_key`, or one that it has replaced in its time, signed; its origin is their name.

    Raises: MalformedMessage, VerificationFailed.
    """
    checkpoint = parse_checkpoint(note.text)
    signed = False
    for line in note.signatures:
        key = log_key.behind(line.key_id, checkpoint.size) if line.name == log_key.name else None
        if key is not None:
            key.verify(note.text.encode(), line.signature)
            signed = True
    if checkpoint.origin != log_key.name or not signed:
        raise VerificationFailed(f"no signature of log {log_key.name} under the checkpoint", code=NOT_SIGNED)
    return checkpoint


def verify_cosignatures(note: SignedNote, witness_keys: Sequence[VerifierKey]) -> tuple[Cosignature, ...]:
    """Return what known witnesses stated, one entry for each; unknown signers are passed over.

    Raises: MalformedMessage, VerificationFailed if a line in a known witness's name does not hold.
    """
    found: dict[str, Cosignature] = {}
    for witness in witness_keys:
        for line in note.signatures:
            if line.claims(witness):
                found.setdefault(witness.name, verify_cosignature(note.text, line, witness))
    return tuple(found.values())


def verify_checkpoint(
    note: bytes, log_key: VerifierKey, witness_keys: Sequence[VerifierKey] = (), quorum: int | None = None
) -> VerifiedCheckpoint:
    """Accept only a checkpoint signed by the log and cosigned by at least `quorum` of the witnesses.

    `quorum` None means ⌈2/3⌉ of them. Raises: MalformedMessage; VerificationFailed if a signature in a known key's
    name does not hold, the log's is missing, or too few witnesses cosigned; ValueError for keys that cannot be.
    """
    keys = LogKeys(log_key, tuple(witness_keys), quorum)
    signed = parse_note(note)
    checkpoint = verify_log_signature(signed, keys.log)
    cosignatures = verify_cosignatures(signed, keys.witnesses)
    if len(cosignatures) < keys.threshold:
        raise VerificationFailed(
            f"{len(cosignatures)} of {len(keys.witnesses)} witnesses cosigned, {keys.threshold} are needed",
            code=NO_QUORUM,
        )
    return VerifiedCheckpoint(checkpoint, cosignatures)
