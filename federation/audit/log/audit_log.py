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
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final

from federation.audit.bodies.retention import bodies_before
from federation.audit.errors import LOCKED, NOT_COVERED, NOT_WRITABLE
from federation.audit.log.contents import LogContents
from federation.audit.log.recovery import (
    Tail,
    check_witnessed,
    empty_tail,
    known_checkpoints,
    newest_witnessed,
    read_tail,
)
from federation.audit.log.witnessed import read_record_note, write_record
from federation.audit.storage.location import LogLocation, as_location
from federation.audit.storage.rows import LeafRow, LogReader, LogWriter, running_hash
from protocols.errors import ConfigurationError, MalformedMessage, UnexpectedMessage
from protocols.transparency.checkpoints import (
    Checkpoint,
    LogKeys,
    sign_checkpoint,
    verify_cosignatures,
    verify_log_signature,
)
from protocols.transparency.hashing import EMPTY_ROOT, leaf_hash
from protocols.transparency.leaves import Leaf, encode_leaf
from protocols.transparency.log_proofs import LogProof, Receipt
from protocols.transparency.notes import NoteSigner, VerifierKey, parse_note, parse_signature_lines
from protocols.transparency.prover import CompletedNode
from protocols.transparency.witness import AddCheckpoint

_MAX_GROUP: Final = 4096


@dataclass(slots=True)
class _Pending:
    """One caller's encoded leaves on their way into a group, and what became of them."""

    leaves: list[tuple[bytes, bytes]] = field(repr=False)
    receipts: tuple[Receipt, ...] = ()
    done: bool = False
    error: BaseException | None = field(default=None, repr=False)


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
        self.keys = LogKeys(signer.verifier, tuple(witnesses), quorum)
        self._proposed: tuple[VerifierKey, ...] = ()
        location = as_location(place)
        self._location, self._signer = location, signer
        self._queue: deque[_Pending] = deque()
        self._queue_lock, self._commit_lock = Lock(), Lock()
        with ExitStack() as opening:
            opening.callback(os.close, _lock(location.path))
            self._writer = LogWriter(location)
            opening.callback(self._writer.close)
            super().__init__(LogReader(location))
            opening.callback(self._reader.close)
            tail = self._recover()
            record, claims = known_checkpoints(location.path, self._reader, self.keys, known)
            for claim in claims:
                check_witnessed(self._reader, tail.frontier.size, claim)
            self._opened = opening.pop_all()
        self._tail: Tail | None = tail
        self._witnessed_size = 0 if record is None else record.size

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
    def witnessed_size(self) -> int:
        """How many leaves a quorum of witnesses has seen: these can no longer be denied."""
        return self._witnessed_size

    def append(self, leaves: Sequence[Leaf]) -> tuple[Receipt, ...]:
        """Return, once all `leaves` are on disk under the log's signature, where each of them stands.

        They stand together, in order; leaves of concurrent callers share one commit. All are stored or none is.
        Raises: ValueError for a leaf too long, ConfigurationError if the file cannot be written.
        """
        pending = _Pending([(encode_leaf(leaf), leaf.body) for leaf in leaves])
        if not pending.leaves:
            return ()
        with self._queue_lock:
            self._queue.append(pending)
        with self._commit_lock:
            while not pending.done:
                self._commit_group(self._next_group())
        if pending.error is not None:
            raise ConfigurationError(f"the audit log {self._location} cannot be written", code=NOT_WRITABLE) from (
                pending.error
            )
        return pending.receipts

    def _next_group(self) -> list[_Pending]:
        group: list[_Pending] = []
        leaves = 0
        with self._queue_lock:
            while self._queue and (not group or leaves + len(self._queue[0].leaves) <= _MAX_GROUP):
                group.append(self._queue.popleft())
                leaves += len(group[-1].leaves)
        return group

    def _commit_group(self, group: list[_Pending]) -> None:
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

    def _extend(self, tail: Tail, group: list[_Pending]) -> Tail:
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

    def cosigned_size(self, witness: VerifierKey) -> int:
        """Return where an offer to a witness may start: the witnessed record's size if it cosigned that, else 0.

        A witness that is further on says so. Raises: ConfigurationError, MalformedMessage, VerificationFailed.
        """
        note = read_record_note(self._location.path)
        if note is None or not any(line.claims(witness) for line in parse_note(note).signatures):
            return 0
        return verify_log_signature(parse_note(note), self.keys.log).size

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
            signers = (*self.keys.witnesses, *self._proposed)
            known = [line for line in offered if any(line.claims(witness) for witness in signers)]
            note = parse_note(stored).with_signatures(known)
            found = len(verify_cosignatures(note, self.keys.witnesses))
            if 0 < self.keys.threshold <= found and size >= self._witnessed_size:
                write_record(self._location.path, note.encode())
                self._witnessed_size = size
            self._writer.put_checkpoint(size, note.encode())
        return found

    @property
    def proposed(self) -> bool:
        """Whether there are witnesses that do not count yet."""
        return bool(self._proposed)

    def sign_with(self, take_over: Callable[[int], NoteSigner]) -> None:
        """Sign with the log's next key from the next leaf on.

        `take_over` is told how many leaves the present one has signed for, makes the change durable, and returns the
        next signer; nothing is appended meanwhile. Raises: what it raises; the present key then goes on.
        """
        with self._commit_lock:
            if self._tail is None:
                self._tail = self._recover()
            signer = take_over(self._tail.frontier.size)
            self.keys = LogKeys(signer.verifier, self.keys.witnesses, self.keys.quorum)
            self._signer = signer

    def renew_witnesses(self, followed: Callable[[VerifierKey], VerifierKey]) -> bool:
        """Count on the successors of the witnesses' keys; tell whether there are any."""
        with self._commit_lock:
            before = self.keys
            self.keys = LogKeys(before.log, tuple(map(followed, before.witnesses)), before.quorum)
            return self.keys != before

    def propose_witnesses(self, witnesses: Sequence[VerifierKey]) -> None:
        """Keep the cosignatures of these witnesses too; they count once `admit_witnesses` has said so."""
        with self._commit_lock:
            self._proposed = tuple(key for key in witnesses if key not in self.keys.witnesses)

    def admit_witnesses(self) -> bool:
        """Count on proposed witnesses whose cosignatures the witnessed record bears; tell whether there were any.

        One at a time, so that the record holds before and after: a quorum of the old ones and one more is one of all.
        Before there is a record, all that are proposed count.
        """
        with self._commit_lock:
            before = self.keys
            for key in self._proposed:
                grown = LogKeys(before.log, (*self.keys.witnesses, key), before.quorum)
                if self._bears(grown, key):
                    self.keys = grown
            self._proposed = tuple(key for key in self._proposed if key not in self.keys.witnesses)
            return self.keys is not before

    def _bears(self, keys: LogKeys, newest: VerifierKey) -> bool:
        note = read_record_note(self._location.path)
        if note is None:
            return True  # nothing has been witnessed yet: no party that is away may stand in the way of the first time
        if not any(line.claims(newest) for line in parse_note(note).signatures):
            return False
        return len(verify_cosignatures(parse_note(note), keys.witnesses)) >= keys.threshold

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
