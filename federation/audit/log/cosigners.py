"""On whose cosignatures a log counts, and how far enough of them have seen it.

The record beside the log holds the last checkpoint that a quorum cosigned: what the log must contain from then on.
Witnesses join one by one, and only once that record bears their cosignature too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

from federation.audit.log.witnessed import read_record_note, write_record
from protocols.transparency.checkpoints import LogKeys, verify_cosignatures, verify_log_signature
from protocols.transparency.notes import SignatureLine, SignedNote, VerifierKey, parse_note


class Cosigners:
    """The witnesses of one log, those that are proposed, and the record. For any number of threads."""

    def __init__(self, log: Path, keys: LogKeys, witnessed_size: int) -> None:
        """`log` names the file beside which the record stands, and `witnessed_size` its leaves, 0 without one."""
        self._log, self._lock = log, Lock()
        self._keys, self._witnessed_size = keys, witnessed_size
        self._proposed: tuple[VerifierKey, ...] = ()

    @property
    def keys(self) -> LogKeys:
        """The log's key, and those of the witnesses that count."""
        return self._keys

    @property
    def witnessed_size(self) -> int:
        """How many leaves a quorum of witnesses has seen: these can no longer be denied."""
        return self._witnessed_size

    @property
    def proposed(self) -> bool:
        """Whether there are witnesses that do not count yet."""
        return bool(self._proposed)

    def sign_by(self, key: VerifierKey) -> None:
        """Let the log sign by another key from now on."""
        with self._lock:
            self._keys = LogKeys(key, self._keys.witnesses, self._keys.quorum)

    def add(self, size: int, note: SignedNote, offered: Sequence[SignatureLine]) -> tuple[SignedNote, int]:
        """Return the note of `size` leaves with what is offered by known witnesses, and how many of those it has.

        With a quorum, the note becomes the record. Raises: VerificationFailed, OSError.
        """
        with self._lock:
            signers = (*self._keys.witnesses, *self._proposed)
            known = [line for line in offered if any(line.claims(witness) for witness in signers)]
            grown = note.with_signatures(known)
            found = len(verify_cosignatures(grown, self._keys.witnesses))
            if 0 < self._keys.threshold <= found and size >= self._witnessed_size:
                write_record(self._log, grown.encode())
                self._witnessed_size = size
        return grown, found

    def seen_by(self, witness: VerifierKey) -> int:
        """Return where an offer to a witness may start: the record's size if it cosigned that, else 0.

        A witness that is further on says so. Raises: ConfigurationError, MalformedMessage, VerificationFailed.
        """
        note = read_record_note(self._log)
        if note is None or not any(line.claims(witness) for line in parse_note(note).signatures):
            return 0
        return verify_log_signature(parse_note(note), self._keys.log).size

    def renew(self, followed: Callable[[VerifierKey], VerifierKey]) -> bool:
        """Count on the successors of the witnesses' keys; tell whether there are any."""
        with self._lock:
            before = self._keys
            self._keys = LogKeys(before.log, tuple(map(followed, before.witnesses)), before.quorum)
            return self._keys != before

    def propose(self, witnesses: Sequence[VerifierKey]) -> None:
        """Keep the cosignatures of these witnesses too; they count once `admit` has said so."""
        with self._lock:
            self._proposed = tuple(key for key in witnesses if key not in self._keys.witnesses)

    def admit(self) -> bool:
        """Count on proposed witnesses whose cosignatures the record bears; tell whether there were any.

        One at a time, so that the record holds before and after: a quorum of the old ones and one more is one of all.
        Before there is a record, all that are proposed count.
        """
        with self._lock:
            before = self._keys
            for key in self._proposed:
                grown = LogKeys(before.log, (*self._keys.witnesses, key), before.quorum)
                if self._bears(grown, key):
                    self._keys = grown
            self._proposed = tuple(key for key in self._proposed if key not in self._keys.witnesses)
            return self._keys is not before

    def _bears(self, keys: LogKeys, newest: VerifierKey) -> bool:
        note = read_record_note(self._log)
        if note is None:
            return True  # nothing has been witnessed yet: no party that is away may stand in the way of the first time
        if not any(line.claims(newest) for line in parse_note(note).signatures):
            return False
        return len(verify_cosignatures(parse_note(note), keys.witnesses)) >= keys.threshold
