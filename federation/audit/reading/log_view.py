"""Reading a log without its key: leaves in order, and a proof for each, from the coordinator's file or from an export.

Nothing here is verified but what `LogProof.verify` is asked to; `verify_directory` and `verify_export` judge the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from federation.audit.errors import HEAD_MISMATCH, damaged
from federation.audit.log.keys import read_log_keys, read_successions
from federation.audit.log.recovery import newest_witnessed
from federation.audit.storage.location import coordinator_home, log_location
from federation.audit.storage.rows import LogReader
from protocols.transparency.checkpoints import Checkpoint, LogKeys, verify_log_signature
from protocols.transparency.leaves import LeafCommitment, decode_commitment
from protocols.transparency.log_proofs import LogProof
from protocols.transparency.notes import parse_note
from protocols.transparency.prover import consistency_path, inclusion_path, tree_root

_PAGE: Final = 256


@dataclass(frozen=True, slots=True)
class LoggedLeaf:
    """One leaf as it is stored: its place, its canonical bytes, its sealed body."""

    index: int
    data: bytes = field(repr=False)
    body: bytes = field(repr=False)

    def commitment(self) -> LeafCommitment:
        """Return what the leaf says. Raises: MalformedMessage."""
        return decode_commitment(self.data)


class LogView(Protocol):
    """A log that can be read and whose leaves can be proved."""

    @property
    def keys(self) -> LogKeys:
        """The public keys that stand beside it."""
        ...

    @property
    def size(self) -> int:
        """How many leaves its last signature covers."""
        ...

    @property
    def witnessed_size(self) -> int:
        """How many of them a quorum of witnesses has seen."""
        ...

    def leaves(self, start: int = 0) -> Iterator[LoggedLeaf]:
        """Yield the leaves from `start` on in order, a page in memory at a time."""
        ...

    def leaf(self, index: int) -> LoggedLeaf:
        """Return one leaf. Raises: ValueError outside the log."""
        ...

    def prove(self, index: int) -> LogProof:
        """Return a proof against the last witnessed checkpoint, or against the log's own signature beyond that."""
        ...

    def checkpoints(self) -> Iterator[bytes]:
        """Yield the notes that it holds, the largest tree first."""
        ...

    def root_of(self, size: int) -> bytes | None:
        """Return the root over the first `size` leaves, None if this copy cannot tell it without reading them all."""
        ...

    def consistency(self, old: int, new: int) -> tuple[bytes, ...] | None:
        """Return the proof that the tree of `new` leaves extends that of `old`, None if this copy holds no such proof.

        Raises: ValueError for sizes that cannot be.
        """
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


class StoredLog:
    """The coordinator's own file, as of its last commit when it was opened. Implements `LogView`."""

    def __init__(self, directory: Path, home: Path | None = None) -> None:
        """Open the log of the federation in `directory`, or that of the coordinator's folder `home`, wherever it is.

        Raises: ConfigurationError, VerificationFailed.
        """
        home = coordinator_home(directory) if home is None else home
        self._reader = LogReader(log_location(home))
        try:
            self.keys: LogKeys = read_log_keys(home)
            self.successions = read_successions(home)
            head = self._reader.head()
            if head is None:
                raise damaged("it has no signed head", HEAD_MISMATCH)
            signed = self._signed(head)
            self.head, self.size, self.root = head, signed.size, signed.root
            self.witnessed = newest_witnessed(self._reader, self.keys, -1) if self.keys.threshold else None
            self.witnessed_size: int = 0 if self.witnessed is None else self._signed(self.witnessed).size
        except BaseException:
            self._reader.close()
            raise

    def _signed(self, note: bytes) -> Checkpoint:
        return verify_log_signature(parse_note(note), self.keys.log)

    def leaves(self, start: int = 0) -> Iterator[LoggedLeaf]:
        """Yield the leaves from `start` on in order, a page in memory at a time."""
        for page in range(start, self.size, _PAGE):
            for index, data, body, _ in self._reader.leaves(page, min(page + _PAGE, self.size)):
                yield LoggedLeaf(index, data, body)

    def leaf(self, index: int) -> LoggedLeaf:
        """Return one leaf. Raises: ValueError outside the log."""
        rows = self._reader.leaves(index, index + 1) if 0 <= index < self.size else []
        if not rows:
            raise ValueError(f"leaf {index} is outside a log of {self.size}")
        return LoggedLeaf(*rows[0][:3])

    def prove(self, index: int) -> LogProof:
        """Return a proof against the last witnessed checkpoint, or against the log's own signature beyond that.

        Raises: ValueError outside the log; VerificationFailed if subtree hashes are missing.
        """
        note, size = (self.head, self.size)
        if self.witnessed is not None and index < self.witnessed_size:
            note, size = self.witnessed, self.witnessed_size
        try:
            return LogProof(index, inclusion_path(self._reader, index, size), note)
        except KeyError:
            raise damaged("subtree hashes are missing", HEAD_MISMATCH) from None

    def checkpoints(self) -> Iterator[bytes]:
        """Yield the notes that were given out, the largest tree first."""
        return self._reader.checkpoints_covering(-1)

    def root_of(self, size: int) -> bytes | None:
        """Return the root over the first `size` leaves, None outside the log or if subtree hashes are missing."""
        try:
            return tree_root(self._reader, size) if 0 <= size <= self.size else None
        except KeyError:
            return None

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Return the proof that the tree of `new` leaves extends that of `old`.

        Raises: ValueError for sizes that cannot be, VerificationFailed if subtree hashes are missing.
        """
        if new > self.size:
            raise ValueError(f"a tree of {new} leaves is not part of a log of {self.size}")
        try:
            return consistency_path(self._reader, old, new)
        except KeyError:
            raise damaged("subtree hashes are missing", HEAD_MISMATCH) from None

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()
