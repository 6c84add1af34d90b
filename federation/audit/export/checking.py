"""Verify an export offline: every leaf, its readable forms and its proof, line by line, against the signed notes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO

from federation.audit.bodies.retention import ErasedBodies
from federation.audit.errors import (
    CHECKPOINT_INVALID,
    EXPORT_ALTERED,
    LEAF_ALTERED,
    LEAF_MALFORMED,
    LEAF_MISSING,
    LEAF_NOT_SIGNED,
    NOT_WITNESSED,
    ROOT_MISMATCH,
)
from federation.audit.export.reading import MAX_LINE, parse_leaf, parse_proof, read_manifest, read_note
from federation.audit.export.writing import (
    CHECKPOINT_FILE,
    CSV_FILE,
    HEAD_FILE,
    LEAVES_FILE,
    MANIFEST_FILE,
    PROOFS_FILE,
    proof_line,
)
from federation.audit.log.keys import read_log_keys
from federation.audit.reading.log_view import LoggedLeaf
from federation.audit.reading.records import csv_header, csv_line, export_line
from federation.audit.verify import LogFailure, LogReport
from protocols.errors import ConfigurationError, CreditFederationError, MalformedMessage
from protocols.transparency.checkpoints import Checkpoint, LogKeys, verify_cosignatures, verify_log_signature
from protocols.transparency.hashing import leaf_hash
from protocols.transparency.log_proofs import LogProof
from protocols.transparency.notes import parse_note
from protocols.transparency.prover import Frontier
from protocols.transparency.verifier import verify_inclusion


@dataclass(frozen=True, slots=True)
class _Claim:
    """A signed statement about the tree, its signatures already verified."""

    checkpoint: Checkpoint
    witnesses: int
    source: str

    @property
    def size(self) -> int:
        return self.checkpoint.size


@dataclass(frozen=True, slots=True)
class _Rows:
    """The three files that have one row for each leaf."""

    leaves: BinaryIO
    table: BinaryIO
    proofs: BinaryIO


class _Broken(Exception):
    """Carries the first failure out of the walk."""

    def __init__(self, leaf: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.failure = LogFailure(leaf, code, reason)


def verify_export(directory: Path, keys: LogKeys | None = None, known: Sequence[bytes] = ()) -> LogReport:
    """Return a report whose `failure` is the first thing wrong with the export, None if nothing is.

    Every leaf's bytes, its readable forms and its proof are recomputed against the signed notes. `keys` are the
    verifier's own; by default those in the export. Raises: ConfigurationError if the folder is no export;
    MalformedMessage or VerificationFailed if a `known` note is not the log's.
    """
    return _Walk(directory, keys or read_log_keys(directory), known).run()


class _Walk:
    """One pass over the three files of leaves, side by side."""

    def __init__(self, directory: Path, keys: LogKeys, known: Sequence[bytes]) -> None:
        self._directory, self._keys = directory, keys
        self._manifest = read_manifest(directory)
        self._known = [self._claim(note, "a checkpoint known from elsewhere") for note in known]
        self._frontier, self._witnessed, self._stated_witnessed = Frontier(), 0, 0
        self._claims: list[_Claim] = []
        self._erased = ErasedBodies()

    def _claim(self, note: bytes, source: str) -> _Claim:
        signed = parse_note(note)
        checkpoint = verify_log_signature(signed, self._keys.log)
        return _Claim(checkpoint, len(verify_cosignatures(signed, self._keys.witnesses)), source)

    def run(self) -> LogReport:
        failure = None
        try:
            self._walk()
        except _Broken as broken:
            failure = broken.failure
        except OSError:
            failure = LogFailure(self._frontier.size, EXPORT_ALTERED, "a file of the export is missing or unreadable")
        return LogReport(
            origin=self._keys.log.name,
            leaves=self._frontier.size,
            root=self._frontier.root(),
            checkpoints=len(self._claims),
            cosignatures=sum(claim.witnesses for claim in self._claims),
            witnessed_size=self._witnessed,
            failure=failure,
        )

    def _walk(self) -> None:
        head = self._stated(HEAD_FILE)
        self._claims.append(head)
        trees = {head.size: head.checkpoint.root}
        if (self._directory / CHECKPOINT_FILE).exists():
            witnessed = self._stated(CHECKPOINT_FILE)
            self._claims.append(witnessed)
            trees[witnessed.size] = witnessed.checkpoint.root
            self._stated_witnessed = witnessed.size
            if 0 < self._keys.threshold <= witnessed.witnesses:
                self._witnessed = witnessed.size
        if self._keys.threshold and head.size and not self._witnessed:
            raise _Broken(0, NOT_WITNESSED, f"no checkpoint has {self._keys.threshold} witnesses")
        due = sorted((*self._claims, *self._known), key=attrgetter("size"))
        self._settle(due)
        with ExitStack() as opened:
            names = (LEAVES_FILE, CSV_FILE, PROOFS_FILE)
            leaves, table, proofs = (opened.enter_context((self._directory / name).open("rb")) for name in names)
            self._take_rows(_Rows(leaves, table, proofs), head, trees, due)
        self._check_manifest()

    def _stated(self, name: str) -> _Claim:
        try:
            return self._claim(read_note(self._directory / name), name)
        except ConfigurationError:
            raise
        except CreditFederationError as error:
            raise _Broken(0, CHECKPOINT_INVALID, f"{name}: {error}") from None

    def _take_rows(self, rows: _Rows, head: _Claim, trees: dict[int, bytes], due: list[_Claim]) -> None:
        if rows.table.readline(MAX_LINE) != csv_header():
            raise _Broken(0, EXPORT_ALTERED, f"{CSV_FILE} does not begin with its columns")
        while line := rows.leaves.readline(MAX_LINE + 1):
            index = self._frontier.size
            if index >= head.size:
                raise _Broken(index, LEAF_NOT_SIGNED, "it stands beyond the log's last signature")
            logged = self._take_leaf(index, line)
            if rows.table.readline(MAX_LINE) != csv_line(logged):
                raise _Broken(index, EXPORT_ALTERED, f"its row in {CSV_FILE} is not what the leaf says")
            self._check_proof(logged, rows.proofs.readline(MAX_LINE), trees)
            self._frontier, _ = self._frontier.push(leaf_hash(logged.data))
            self._settle(due)
        if (bare := self._erased.unexplained()) is not None:
            raise _Broken(bare, LEAF_ALTERED, "its sealed body is gone, and no order ended its retention")
        if due:
            size = self._frontier.size
            raise _Broken(size, LEAF_MISSING, f"{due[0].source} covers {due[0].size} leaves, the export ends at {size}")
        for file, name in ((rows.table, CSV_FILE), (rows.proofs, PROOFS_FILE)):
            if file.read(1):
                raise _Broken(self._frontier.size, EXPORT_ALTERED, f"{name} has more rows than there are leaves")

    def _take_leaf(self, index: int, line: bytes) -> LoggedLeaf:
        try:
            logged = parse_leaf(line)
            self._erased.take(index, logged.commitment(), logged.body)
        except MalformedMessage as error:
            raise _Broken(index, LEAF_MALFORMED, str(error)) from None
        if logged.index != index:
            raise _Broken(index, LEAF_MISSING, f"the next leaf in the export is numbered {logged.index}")
        if export_line(logged) != line:
            raise _Broken(index, EXPORT_ALTERED, f"its line in {LEAVES_FILE} is not what the leaf says")
        return logged

    def _check_proof(self, logged: LoggedLeaf, line: bytes, trees: dict[int, bytes]) -> None:
        """Tie one leaf to a signed root: this is what names the leaf that was altered."""
        try:
            row, path = parse_proof(line)
            if row.tree_size not in trees:
                raise MalformedMessage(f"its proof is for a tree of {row.tree_size} leaves")
            if row.index == logged.index:
                root = trees[row.tree_size]
                verify_inclusion(leaf_hash(logged.data), logged.index, row.tree_size, path, root)
        except CreditFederationError as error:
            raise _Broken(logged.index, LEAF_ALTERED, f"it is not the leaf that was signed: {error}") from None
        if proof_line(logged, LogProof(logged.index, path, b""), row.tree_size) != line:
            raise _Broken(logged.index, EXPORT_ALTERED, f"its line in {PROOFS_FILE} is another leaf's")

    def _settle(self, due: list[_Claim]) -> None:
        """Hold every statement about a tree of the present size against the leaves seen so far."""
        while due and due[0].size == self._frontier.size:
            claim = due.pop(0)
            if claim.checkpoint.root != self._frontier.root():
                raise _Broken(0, ROOT_MISMATCH, f"the first {claim.size} leaves are not those of {claim.source}")

    def _check_manifest(self) -> None:
        size, root = self._frontier.size, self._frontier.root().hex()
        manifest = self._manifest
        stated = (manifest.origin, manifest.leaves, manifest.root, manifest.witnessed_size)
        if stated != (self._keys.log.name, size, root, self._stated_witnessed):
            raise _Broken(size, EXPORT_ALTERED, f"{MANIFEST_FILE} describes another log")
        present = {path.name for path in self._directory.iterdir()} - {MANIFEST_FILE}
        if present != set(manifest.files):
            raise _Broken(size, EXPORT_ALTERED, f"{MANIFEST_FILE} names other files than there are")
        for name, entry in manifest.files.items():
            with (self._directory / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
                    raise _Broken(size, EXPORT_ALTERED, f"{name} is not the file that {MANIFEST_FILE} describes")
