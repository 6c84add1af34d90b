"""An export read back as a log whose leaves can be searched and proved; `verify_export` judges it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import msgspec

from federation.audit.errors import NOT_A_LOG
from federation.audit.export.writing import (
    CHECKPOINT_FILE,
    FORMAT,
    HEAD_FILE,
    LEAVES_FILE,
    MANIFEST_FILE,
    PROOFS_FILE,
    ExportedProof,
    ExportManifest,
)
from federation.audit.log.keys import read_log_keys
from federation.audit.reading.log_view import LoggedLeaf
from federation.audit.reading.records import ExportedLeaf
from protocols.errors import ConfigurationError, MalformedMessage
from protocols.transparency.checkpoints import LogKeys, verify_log_signature
from protocols.transparency.leaves import MAX_BODY_BYTES
from protocols.transparency.lines import decode_base64, decode_hash
from protocols.transparency.log_proofs import LogProof
from protocols.transparency.notes import MAX_NOTE_BYTES, parse_note

MAX_LINE: Final = 2 * MAX_BODY_BYTES
_leaf_decoder: Final = msgspec.json.Decoder(ExportedLeaf)
_proof_decoder: Final = msgspec.json.Decoder(ExportedProof)
D = TypeVar("D")


def is_export(directory: Path) -> bool:
    """Tell whether a folder looks like an export."""
    return (directory / MANIFEST_FILE).is_file() and (directory / LEAVES_FILE).is_file()


def read_manifest(directory: Path) -> ExportManifest:
    """Return an export's manifest. Raises: ConfigurationError."""
    try:
        manifest = msgspec.json.decode((directory / MANIFEST_FILE).read_bytes(), type=ExportManifest)
    except (OSError, msgspec.DecodeError, UnicodeError) as error:
        raise ConfigurationError(f"{directory / MANIFEST_FILE}: not an export's manifest", code=NOT_A_LOG) from error
    if manifest.format != FORMAT:
        raise ConfigurationError(f"{directory / MANIFEST_FILE}: not in the format {FORMAT}", code=NOT_A_LOG)
    return manifest


def read_note(path: Path) -> bytes:
    """Return a note of the export, not yet parsed. Raises: ConfigurationError."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_NOTE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: missing or not readable", code=NOT_A_LOG) from error


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines, none longer than a leaf can make them. Raises: MalformedMessage."""
    while line := _line(file):
        yield line


def _line(file: BinaryIO) -> bytes:
    line = file.readline(MAX_LINE + 1)
    if len(line) > MAX_LINE:
        raise MalformedMessage("a line of the export is too long")
    return line


def parse_leaf(line: bytes) -> LoggedLeaf:
    """Return the leaf of a line of `leaves.jsonl`. Raises: MalformedMessage."""
    exported = _decode(line, _leaf_decoder)
    return LoggedLeaf(
        exported.index, decode_base64(exported.leaf, "a leaf"), decode_base64(exported.body, "a sealed body")
    )


def parse_proof(line: bytes) -> tuple[ExportedProof, tuple[bytes, ...]]:
    """Return a line of `proofs.jsonl`, and its path. Raises: MalformedMessage."""
    row = _decode(line, _proof_decoder)
    return row, tuple(decode_hash(digest, "a path line") for digest in row.path)


def _decode(line: bytes, decoder: msgspec.json.Decoder[D]) -> D:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise MalformedMessage("a line of the export is not what it must be") from None


def _seek(file: BinaryIO, index: int, index_of: Callable[[bytes], int]) -> None:
    """Go to the first line whose index is `index` or more, by halving: the lines stand in the order of their leaves.

    In an export whose lines were reordered it may miss the leaf, as reading on would find another in its place.
    Raises: MalformedMessage.
    """
    low, high = 0, file.seek(0, os.SEEK_END)
    while low < high:
        middle = (low + high) // 2
        file.seek(0)
        if middle:
            file.seek(middle - 1)
            _line(file)
        start = file.tell()
        line = _line(file) if start < high else b""
        if line and index_of(line) < index:
            low = start + len(line)
        else:
            high = middle
    file.seek(low)


class ExportedLog:
    """An export as a log to read. Implements `LogView`; `verify_export` is what judges it."""

    def __init__(self, directory: Path) -> None:
        """Raises: ConfigurationError, MalformedMessage, VerificationFailed."""
        self._directory = directory
        self.keys: LogKeys = read_log_keys(directory)
        manifest = read_manifest(directory)
        self.size, self.witnessed_size = manifest.leaves, manifest.witnessed_size

    def leaves(self, start: int = 0) -> Iterator[LoggedLeaf]:
        """Yield the leaves from `start` on in order. Raises: MalformedMessage."""
        with (self._directory / LEAVES_FILE).open("rb") as file:
            _seek(file, start, lambda line: parse_leaf(line).index)
            for line in _lines(file):
                yield parse_leaf(line)

    def leaf(self, index: int) -> LoggedLeaf:
        """Return one leaf. Raises: ValueError outside the log; MalformedMessage."""
        found = next(self.leaves(index), None) if index >= 0 else None
        if found is None or found.index != index:
            raise ValueError(f"leaf {index} is outside a log of {self.size}")
        return found

    def prove(self, index: int) -> LogProof:
        """Return the exported proof of a leaf. Raises: ValueError outside the log; MalformedMessage."""
        with (self._directory / PROOFS_FILE).open("rb") as file:
            _seek(file, index, lambda line: parse_proof(line)[0].index)
            for line in _lines(file):
                row, path = parse_proof(line)
                if row.index == index:
                    name = CHECKPOINT_FILE if index < self.witnessed_size else HEAD_FILE
                    return LogProof(index, path, read_note(self._directory / name))
                break
        raise ValueError(f"leaf {index} is outside a log of {self.size}")

    def checkpoints(self) -> Iterator[bytes]:
        """Yield the log's last note, and the newest witnessed checkpoint if it is another."""
        names = (HEAD_FILE, CHECKPOINT_FILE) if self.witnessed_size else (HEAD_FILE,)
        notes = [read_note(self._directory / name) for name in names]
        return iter(dict.fromkeys(notes))

    def root_of(self, size: int) -> bytes | None:
        """Return the root that the export's last note states, None for any other size."""
        note = parse_note(read_note(self._directory / HEAD_FILE))
        signed = verify_log_signature(note, self.keys.log)
        return signed.root if signed.size == size else None

    def consistency(self, old: int, new: int) -> None:
        """Return None: an export proves leaves, and holds no subtree hashes."""
        return

    def close(self) -> None:
        """Nothing is held open between calls."""
