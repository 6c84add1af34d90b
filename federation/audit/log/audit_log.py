"""The audit log itself: whatever `append` acknowledged is durable, ordered and under the log's signature.

    with AuditLog(path, signer, witnesses) as log:
        (receipt,) = log.append([leaf])       # on disk when it returns; only then let the answer out
        request = log.witness_request(witness_size)
        log.record_cosignatures(size, lines)
        proof = log.prove(receipt.index)      # convinces whoever holds the public keys

All methods may be called from any thread.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from types import TracebackType

from federation.audit.bodies.retention import bodies_before
from federation.audit.errors import LOCKED, NOT_COVERED, NOT_WRITABLE
from federation.audit.log.contents import LogContents
from federation.audit.log.cosigners import Cosigners
from federation.audit.log.recovery import (
    Tail,
    check_witnessed,
    empty_tail,
    known_checkpoints,
    newest_witnessed,
    read_tail,
)
from federation.audit.log.waiting import Pending, Waiting
from federation.audit.storage.location import LogLocation, as_location
from federation.audit.storage.rows import LeafRow, LogReader, LogWriter, running_hash
from protocols.errors import ConfigurationError, MalformedMessage, UnexpectedMessage
from protocols.transparency.checkpoints import (
    Checkpoint,
    LogKeys,
    sign_checkpoint,
    verify_log_signature,
)
from protocols.transparency.hashing import EMPTY_ROOT, leaf_hash
from protocols.transparency.leaves import Leaf, encode_leaf
from protocols.transparency.log_proofs import LogProof, Receipt
from protocols.transparency.notes import NoteSigner, VerifierKey, parse_note, parse_signature_lines
from protocols.transparency.prover import CompletedNode
from protocols.transparency.witness import AddCheckpoint


class AuditLog(LogContents):
    """An append-only log in one SQLite file or PostgreSQL database, under one signing key, for one process at a time.

    Reveals: to whoever reads that, all of every leaf but the content of its sealed body.
    """

    def __init__(
        self,
        place: Path | LogLocation,
        signer: NoteSigner,
        witnesses: Sequence[VerifierKey] = (),
        quorum: int | None = None,
        known: Sequence[bytes] = (),
    ) -> None:
        """Open or create the log at `place`, if it holds what its signatures and the `known` notes say.

        `quorum` None means ⌈2/3⌉ of the witnesses. `known` are notes of this log from elsewhere, such as each
        witness's last one; the record beside the file is always checked. Raises: ConfigurationError if the file is in
        use or no log; VerificationFailed if it was rolled back, forked or damaged; ValueError for impossible keys.
        """
        keys, location = LogKeys(signer.verifier, tuple(witnesses), quorum), as_location(place)
        self._location, self._signer = location, signer
        self._waiting, self._commit_lock = Waiting(), Lock()
        with ExitStack() as opening:
            opening.callback(os.close, _lock(location.path))
            self._writer = LogWriter(location)
            opening.callback(self._writer.close)
            super().__init__(LogReader(location))
            opening.callback(self._reader.close)
            tail = self._recover()
            record, claims = known_checkpoints(location.path, self._reader, keys, known)
            for claim in claims:
                check_witnessed(self._reader, tail.frontier.size, claim)
            self._opened = opening.pop_all()
        self._tail: Tail | None = tail
        self.cosigners = Cosigners(location.path, keys, 0 if record is None else record.size)

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        with self._commit_lock:
            self._opened.close()

    def __enter__(self) -> AuditLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def keys(self) -> LogKeys:
        """The log's key, and those of the witnesses that count."""
        return self.cosigners.keys

    @property
    def witnessed_size(self) -> int:
        """How many leaves a quorum of witnesses has seen: these can no longer be denied."""
        return self.cosigners.witnessed_size

    def append(self, leaves: Sequence[Leaf]) -> tuple[Receipt, ...]:
        """Return, once all `leaves` are on disk under the log's signature, where each of them stands.

        They stand together, in order; leaves of concurrent callers share one commit. All are stored or none is.
        Raises: ValueError for a leaf too long, ConfigurationError if the file cannot be written.
        """
        pending = Pending([(encode_leaf(leaf), leaf.body) for leaf in leaves])
        if not pending.leaves:
            return ()
        self._waiting.put(pending)
        with self._commit_lock:
            while not pending.done:
                self._commit_group(self._waiting.next_group())
        if pending.error is not None:
            raise ConfigurationError(f"the audit log {self._location} cannot be written", code=NOT_WRITABLE) from (
                pending.error
            )
        return pending.receipts

    def _commit_group(self, group: list[Pending]) -> None:
        """Commit what several callers wait for; whatever happens, each of them learns it."""
        try:
            tail = self._recover() if self._tail is None else self._tail
            self._tail = None  # unknown until the commit has returned; read back from the file if it never does
            self._tail = self._extend(tail, group)
        except BaseException as error:
            for pending in group:
                pending.error = error
            if not isinstance(error, self._writer.error):
                raise
        finally:
            for pending in group:
                pending.done = True

    def _extend(self, tail: Tail, group: list[Pending]) -> Tail:
        frontier, chain = tail.frontier, tail.chain
        rows: list[LeafRow] = []
        completed: list[CompletedNode] = []
        hashes: list[bytes] = []
        for encoded, body in (leaf for pending in group for leaf in pending.leaves):
            digest = leaf_hash(encoded)
            chain = running_hash(chain, digest)
            rows.append((frontier.size, encoded, body, chain))
            hashes.append(digest)
            frontier, nodes = frontier.push(digest)
            completed.extend(nodes[1:])
        head = sign_checkpoint(self._signer, frontier.size, frontier.root()).encode()
        self._writer.commit_group(rows, completed, head)
        position = tail.frontier.size
        receipts = iter([Receipt(position + offset, digest, head) for offset, digest in enumerate(hashes)])
        for pending in group:
            pending.receipts = tuple(next(receipts) for _ in pending.leaves)
        return Tail(frontier, chain, head)

    def _recover(self) -> Tail:
        """Return the end of the log as it is on disk, signing the empty tree if nothing was ever committed."""
        tail = read_tail(self._reader, self._signer)
        if tail is None:
            tail = empty_tail(sign_checkpoint(self._signer, 0, EMPTY_ROOT).encode())
            self._writer.commit_group((), (), tail.head)
        return tail

    def erase_bodies(self, before_year: int) -> int:
        """Delete the bodies of all leaves of the years before one; return how many leaves those are.

        Their leaves stay, and so does the tree; nothing of the bodies is left in the database's files. An order for it
        stands in the log before: without that, the log no longer verifies. Raises: ConfigurationError.
        """
        erased = 0
        try:
            for page in bodies_before(before_year, self._reader, self.size):
                with self._commit_lock:
                    self._writer.erase_bodies(page)
                erased += len(page)
            with self._commit_lock:
                self._writer.purge()
        except self._writer.error as error:
            raise ConfigurationError(f"the audit log {self._location} cannot be written", code=NOT_WRITABLE) from error
        return erased

    def checkpoint(self) -> bytes:
        """Return the log's signed note over all leaves, kept for good, with the cosignatures it already has."""
        with self._commit_lock:
            tail = self._recover() if self._tail is None else self._tail
            stored = self._reader.checkpoint(tail.frontier.size)
            if stored is None:
                self._writer.put_checkpoint(tail.frontier.size, tail.head)
            return stored or tail.head

    def witness_request(self, old_size: int) -> AddCheckpoint:
        """Return the request by which a witness that last cosigned `old_size` leaves may cosign them all.

        Raises: ValueError if the witness has seen more leaves than there are.
        """
        note = self.checkpoint()
        size = verify_log_signature(parse_note(note), self.keys.log).size
        return AddCheckpoint(old_size, self.consistency_proof(old_size, size), note)

    def check_contains(self, checkpoint: Checkpoint) -> None:
        """Accept only a checkpoint that this log's own leaves agree with.

        Raises: VerificationFailed: `LOG_ROLLED_BACK` if leaves are gone, `LOG_FORKED` if others stand in their place.
        """
        check_witnessed(self._reader, self.size, checkpoint)

    def record_cosignatures(self, size: int, lines: bytes) -> int:
        """Store witnesses' cosignature lines over the checkpoint of `size` leaves; return how many witnesses it has.

        Lines of unknown signers are dropped. With a quorum, the note becomes the record that this log must contain
        from now on. Raises: ValueError if no such checkpoint was given out; MalformedMessage; VerificationFailed.
        """
        offered = parse_signature_lines(_text(lines))
        with self._commit_lock:
            stored = self._reader.checkpoint(size)
            if stored is None:
                raise ValueError(f"no checkpoint of {size} leaves was given out")
            note, found = self.cosigners.add(size, parse_note(stored), offered)
            self._writer.put_checkpoint(size, note.encode())
        return found

    def sign_with(self, take_over: Callable[[int], NoteSigner]) -> None:
        """Sign with the log's next key from the next leaf on.

        `take_over` is told how many leaves the present one has signed for, makes the change durable, and returns the
        next signer; nothing is appended meanwhile. Raises: what it raises; the present key then goes on.
        """
        with self._commit_lock:
            if self._tail is None:
                self._tail = self._recover()
            signer = take_over(self._tail.frontier.size)
            self.cosigners.sign_by(signer.verifier)
            self._signer = signer

    def prove(self, index: int) -> LogProof:
        """Return an offline proof of one leaf against the latest checkpoint that a quorum cosigned.

        Raises: UnexpectedMessage (`LEAF_NOT_WITNESSED`) while there is none over this leaf.
        """
        note = newest_witnessed(self._reader, self.keys, index)
        if note is None:
            raise UnexpectedMessage(f"no witnessed checkpoint covers leaf {index} yet", code=NOT_COVERED)
        size = verify_log_signature(parse_note(note), self.keys.log).size
        return LogProof(index, self.inclusion_proof(index, size), note)


def _lock(path: Path) -> int:
    """Return a descriptor that holds the log's lock while open. Raises: ConfigurationError if another holds it."""
    try:
        descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(f"the folder of {path} cannot be written", code=NOT_WRITABLE) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ConfigurationError(f"another process has the audit log {path} open", code=LOCKED) from None
    return descriptor


def _text(lines: bytes) -> str:
    try:
        return lines.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedMessage("a signature line is not UTF-8") from None
