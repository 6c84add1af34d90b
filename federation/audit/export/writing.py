"""A log as a folder of files that stand on their own: to read, to load elsewhere, and to verify offline for years.

    leaves.jsonl     every leaf: its fields, and the bytes that they are read from
    leaves.csv       the same fields as a table
    proofs.jsonl     for each leaf, the path that ties it to the root of `checkpoint.txt` or, after that, of `head.txt`
    checkpoint.txt   the last checkpoint that a quorum of witnesses cosigned; missing if there is none
    head.txt         the log's own signature over every leaf
    log.pub, witnesses.txt, and successions.txt if a key of these was ever replaced
    manifest.json    what the log is, and the size and SHA-256 of every other file

Each line is a function of its leaf, so that `verify_export` holds the readable forms against the signed bytes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from federation.audit.errors import EXPORT_NOT_MADE
from federation.audit.log.keys import LOG_KEY_FILE, SUCCESSION_FILE, WITNESS_FILE, succession_lines, write_log_keys
from federation.audit.reading.log_view import LoggedLeaf, StoredLog
from federation.audit.reading.records import csv_header, csv_line, export_line
from federation.audit.verify import LogReport
from protocols.errors import ConfigurationError
from protocols.transparency.hashing import leaf_hash
from protocols.transparency.lines import encode_base64
from protocols.transparency.log_proofs import LogProof

FORMAT: Final = "credfed-log-export/1"
LEAVES_FILE: Final = "leaves.jsonl"
CSV_FILE: Final = "leaves.csv"
PROOFS_FILE: Final = "proofs.jsonl"
CHECKPOINT_FILE: Final = "checkpoint.txt"
HEAD_FILE: Final = "head.txt"
MANIFEST_FILE: Final = "manifest.json"


class ExportedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of an export."""

    bytes: int
    sha256: str


class ExportManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `manifest.json`. It is not signed; all that it says is recomputed by `verify_export`."""

    format: str
    origin: str
    leaves: int
    root: str
    witnessed_size: int
    files: dict[str, ExportedFile]


class ExportedProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of `proofs.jsonl`: the inclusion path of a leaf in the tree of `tree_size` leaves, base64."""

    index: int
    tree_size: int
    leaf_hash: str
    path: tuple[str, ...]


def proof_line(logged: LoggedLeaf, proof: LogProof, tree_size: int) -> bytes:
    """Return the one line of `proofs.jsonl` that this leaf has for this proof."""
    path = tuple(encode_base64(digest) for digest in proof.path)
    line = ExportedProof(logged.index, tree_size, encode_base64(leaf_hash(logged.data)), path)
    return msgspec.json.encode(line) + b"\n"


class _HashedFile:
    """A file being written, and what the manifest will say of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash, self._bytes = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self._bytes += len(data)

    def entry(self) -> ExportedFile:
        return ExportedFile(self._bytes, self._hash.hexdigest())


def export_log(
    directory: Path, out: Path, report: LogReport, on_leaf: Callable[[int], None] = lambda index: None
) -> ExportManifest:
    """Write the log of the federation in `directory` to the folder `out`, whole or not at all; memory does not grow.

    `report` is its verification: an export is made of a log that holds. Raises: ConfigurationError, code
    OUT_NOT_EMPTY, if something is at `out`; ValueError for a report of a broken log; OSError; as `StoredLog`.
    """
    if not report.ok:
        raise ValueError("a log that does not verify is not exported")
    target = out.resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"{out} exists and is not an empty folder", code=EXPORT_NOT_MADE)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        with closing(StoredLog(directory)) as log:
            manifest = _write(log, partial, on_leaf)
        if target.exists():
            target.rmdir()
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def _write(log: StoredLog, folder: Path, on_leaf: Callable[[int], None]) -> ExportManifest:
    entries = _write_leaves(log, folder, on_leaf)
    (folder / HEAD_FILE).write_bytes(log.head)
    if log.witnessed is not None:
        (folder / CHECKPOINT_FILE).write_bytes(log.witnessed)
    write_log_keys(folder, log.keys)
    if log.successions:
        (folder / SUCCESSION_FILE).write_bytes(succession_lines(log.successions))
    for name in (HEAD_FILE, CHECKPOINT_FILE, LOG_KEY_FILE, WITNESS_FILE, SUCCESSION_FILE):
        if (folder / name).exists():
            data = (folder / name).read_bytes()
            entries[name] = ExportedFile(len(data), hashlib.sha256(data).hexdigest())
    manifest = ExportManifest(FORMAT, log.keys.log.name, log.size, log.root.hex(), log.witnessed_size, entries)
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    return manifest


def _write_leaves(log: StoredLog, folder: Path, on_leaf: Callable[[int], None]) -> dict[str, ExportedFile]:
    names = (LEAVES_FILE, CSV_FILE, PROOFS_FILE)
    with ExitStack() as opened:
        raw = [opened.enter_context((folder / name).open("wb")) for name in names]
        leaves, table, proofs = (_HashedFile(file) for file in raw)
        table.write(csv_header())
        for logged in log.leaves():
            leaves.write(export_line(logged))
            table.write(csv_line(logged))
            size = log.witnessed_size if logged.index < log.witnessed_size else log.size
            proofs.write(proof_line(logged, log.prove(logged.index), size))
            on_leaf(logged.index)
        for file in raw:
            file.flush()
            os.fsync(file.fileno())
        return dict(zip(names, (leaves.entry(), table.entry(), proofs.entry()), strict=True))
