"""Proofs that the server has checked by the verifier's own code, in the form in which the browser checks them again."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from federation.audit.reading.log_view import LoggedLeaf, LogView
from protocols.errors import CreditFederationError
from protocols.transparency.checkpoints import LogKeys, verify_cosignatures, verify_log_signature
from protocols.transparency.notes import VerifierKey, parse_note
from protocols.transparency.verifier import verify_consistency


class InclusionProof(msgspec.Struct, frozen=True):
    """That a leaf is in a tree. `note` is the number of the checkpoint among the page's; hashes and bytes in Base64."""

    index: int
    leaf: str
    path: tuple[str, ...]
    note: int


class ConsistencyProof(msgspec.Struct, frozen=True):
    """That the tree of the checkpoint `new` begins with that of `old`, both numbers among the page's."""

    old: int
    new: int
    path: tuple[str, ...]


class KeyShown(msgspec.Struct, frozen=True):
    """A public key: its name, its C2SP key id in hexadecimal, and its bytes in Base64."""

    name: str
    id: str
    key: str


class Trust(msgspec.Struct, frozen=True):
    """Whom the proofs rest on, and how many witnesses make a checkpoint count."""

    log: KeyShown
    witnesses: tuple[KeyShown, ...]
    quorum: int


@dataclass(frozen=True, slots=True)
class Checked:
    """One proof: what the server found, "" if it holds, and what the browser needs to find the same."""

    index: int
    code: str
    proof: str
    size: int
    witnessed: bool


class ProofSheet:
    """Collects the proofs of one page; each checkpoint stands on it once."""

    def __init__(self, log: LogView) -> None:
        self._log = log
        self._notes: list[bytes] = []

    def leaf(self, logged: LoggedLeaf) -> Checked:
        """Return a leaf's proof, checked against the log's own signature and, where it is witnessed, the quorum."""
        keys, witnessed = self._log.keys, logged.index < self._log.witnessed_size
        try:
            found = self._log.prove(logged.index)
            verified = found.verify(logged.data, keys if witnessed else LogKeys(keys.log))
        except CreditFederationError as error:
            return Checked(logged.index, error.code, "", 0, witnessed)
        path = tuple(_base64(digest) for digest in found.path)
        proof = InclusionProof(logged.index, _base64(logged.data), path, self.place(found.note))
        return Checked(logged.index, "", _json(proof), verified.checkpoint.size, witnessed)

    def consistency(self, old: bytes, new: bytes) -> Checked | None:
        """Return the proof that one checkpoint extends another; None if this copy of the log holds none."""
        smaller, larger = (verify_log_signature(parse_note(note), self._log.keys.log) for note in (old, new))
        try:
            path = self._log.consistency(smaller.size, larger.size)
            if path is None:
                return None
            verify_consistency(smaller.size, larger.size, smaller.root, larger.root, path)
        except CreditFederationError as error:
            return Checked(smaller.size, error.code, "", larger.size, witnessed=False)
        spelt = tuple(_base64(digest) for digest in path)
        proof = ConsistencyProof(self.place(old), self.place(new), spelt)
        return Checked(smaller.size, "", _json(proof), larger.size, witnessed=False)

    def place(self, note: bytes) -> int:
        """Return a checkpoint's number on the page."""
        if note not in self._notes:
            self._notes.append(note)
        return self._notes.index(note)

    @property
    def notes(self) -> str:
        """The checkpoints on which the page's proofs rest, as JSON."""
        return _json([note.decode("utf-8", "replace") for note in self._notes])

    @property
    def trust(self) -> str:
        """The public keys as JSON."""
        keys = self._log.keys
        return _json(Trust(shown_key(keys.log), tuple(shown_key(key) for key in keys.witnesses), keys.threshold))


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """One checkpoint: what it states, and who stands behind it. Units: seconds since 1970; 0 if nobody cosigned."""

    size: int
    root: str
    note: bytes
    cosigned: tuple[tuple[str, int], ...]
    first_cosigned: int
    code: str = ""


def checkpoint_row(note: bytes, keys: LogKeys) -> CheckpointRow:
    """Return a checkpoint with its signatures verified; `code` says what does not hold."""
    try:
        parsed = parse_note(note)
        checkpoint = verify_log_signature(parsed, keys.log)
        cosigned = tuple((one.witness, one.timestamp) for one in verify_cosignatures(parsed, keys.witnesses))
    except CreditFederationError as error:
        return CheckpointRow(0, "", note, (), 0, error.code)
    return CheckpointRow(
        checkpoint.size,
        checkpoint.root.hex(),
        note,
        cosigned,
        min((when for _, when in cosigned), default=0),
    )


def shown_key(key: VerifierKey) -> KeyShown:
    """Return a key as the page shows it."""
    return KeyShown(key.name, key.key_id.hex(), _base64(key.key))


def short_names(keys: Sequence[VerifierKey]) -> dict[str, str]:
    """Return each witness's name without the beginning that all of them share."""
    names = [key.name for key in keys]
    if len(names) < 2:
        return {name: name for name in names}
    shared = 0
    while all(len(name) > shared + 1 and name[shared] == names[0][shared] for name in names):
        shared += 1
    cut = max((place + 1 for place in range(shared) if names[0][place] in "/."), default=0)
    return {name: name[cut:] or name for name in names}


def moment(seconds: int) -> str:
    """Return a time in seconds as the pages write it, in UTC."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
