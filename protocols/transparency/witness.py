"""A witness: cosigns a log's checkpoints only while they tell one growing history, and proves it when they don't.

The witness is pure. Whoever runs it gives it the time, and must store the returned state durably *before* letting the
cosignature out; the note in `WitnessState` is also what the witness's owner shows an auditor.
Source: c2sp.org/tlog-witness ("add-checkpoint"), whose text form `AddCheckpoint` reads and writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.errors import MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.transparency.checkpoints import Checkpoint, CosignatureSigner, verify_log_signature
from protocols.transparency.hashing import EMPTY_ROOT
from protocols.transparency.lines import decode_hash, decode_size, encode_base64
from protocols.transparency.notes import MAX_NOTE_BYTES, SignatureLine, SignedNote, VerifierKey, parse_note
from protocols.transparency.verifier import consistency_roots, verify_consistency

ROLLED_BACK: Final = "LOG_ROLLED_BACK"
INCONSISTENT: Final = "LOG_INCONSISTENT"
STALE_REQUEST: Final = "WITNESS_CONFLICT"
MAX_PROOF_LINES: Final = 63
MAX_REQUEST_BYTES: Final = MAX_NOTE_BYTES + 64 * (MAX_PROOF_LINES + 1)


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A log's request: "my tree has grown from `old_size` to this checkpoint, and here is the proof"."""

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        """Return the body that c2sp.org/tlog-witness prescribes."""
        lines = (f"old {self.old_size}", *(encode_base64(digest) for digest in self.proof), "", "")
        return "\n".join(lines).encode() + self.note


def parse_add_checkpoint(data: bytes) -> AddCheckpoint:
    """Return the request that encodes to exactly `data`. Raises: MalformedMessage."""
    if len(data) > MAX_REQUEST_BYTES:
        raise MalformedMessage(f"a witness request of {len(data)} bytes is too long")
    head, separator, note = data.partition(b"\n\n")
    try:
        first, *proof = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise MalformedMessage("a witness request's head is not ASCII") from None
    if not separator or not first.startswith("old ") or len(proof) > MAX_PROOF_LINES:
        raise MalformedMessage(f"a witness request has no old size, or {len(proof)} proof lines")
    hashes = tuple(decode_hash(line, "a proof line") for line in proof)
    return AddCheckpoint(decode_size(first.removeprefix("old "), "an old size"), hashes, note)


@dataclass(frozen=True, slots=True)
class SplitView:
    """Two checkpoints of one log that no single history can hold.

    `prefix_root` is the root that the first `first.size` leaves of the *second* tree have: the proof ties it to the
    second note, and it differs from what the first note states. For equal sizes it is the second root, and the two
    notes alone are the evidence.
    """

    first: bytes
    second: bytes
    prefix_root: bytes
    proof: tuple[bytes, ...] = ()


def verify_split_view(evidence: SplitView, log_key: VerifierKey) -> None:
    """Accept only evidence that the holder of `log_key` signed two histories; needs nothing else to judge.

    Raises: MalformedMessage, VerificationFailed.
    """
    first = verify_log_signature(parse_note(evidence.first), log_key)
    second = verify_log_signature(parse_note(evidence.second), log_key)
    verify_consistency(first.size, second.size, evidence.prefix_root, second.root, evidence.proof)
    if evidence.prefix_root == first.root:
        raise VerificationFailed("the two checkpoints agree")


def compare_checkpoints(first: bytes, second: bytes, log_key: VerifierKey) -> SplitView | None:
    """Return evidence if two notes of one log state different roots for the same size, else None.

    For what nodes, banks and auditors hold: any two notes may be compared. Raises: MalformedMessage,
    VerificationFailed if either note is not the log's.
    """
    one = verify_log_signature(parse_note(first), log_key)
    other = verify_log_signature(parse_note(second), log_key)
    if one.size == other.size and one.root != other.root:
        return SplitView(first, second, other.root)
    return None


@dataclass(frozen=True, slots=True)
class WitnessState:
    """The last note that a witness cosigned, with its cosignature; nothing else need be remembered."""

    checkpoint: Checkpoint
    note: bytes


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The witness agreed: store `state` durably, then give `line` to the log."""

    line: SignatureLine
    state: WitnessState


class Witness:
    """One witness of one log, from the state it last stored. Reveals: to the log, only that it agreed, and when."""

    def __init__(self, signer: CosignatureSigner, log_key: VerifierKey, last_note: bytes | None = None) -> None:
        """Resume from `last_note`, or trust the log's first checkpoint if None. Raises: as `verify_log_signature`."""
        self._signer = signer
        self._log_key = log_key
        self._state: WitnessState | None = None
        if last_note is not None:
            self._state = WitnessState(verify_log_signature(parse_note(last_note), log_key), last_note)

    @property
    def size(self) -> int:
        """The size of the last checkpoint cosigned: what the next request must extend."""
        return 0 if self._state is None else self._state.checkpoint.size

    @property
    def last_note(self) -> bytes | None:
        """The last note cosigned, with the cosignature."""
        return None if self._state is None else self._state.note

    def receive(self, request: AddCheckpoint, timestamp: int) -> Cosigned | SplitView:
        """Cosign the next checkpoint of the one history, or return proof that there are two.

        Units: POSIX seconds. Raises: MalformedMessage; VerificationFailed if the log's signature or proof does not
        hold (`LOG_INCONSISTENT`), or the tree shrank (`LOG_ROLLED_BACK`); UnexpectedMessage (`WITNESS_CONFLICT`) if
        the request starts from another size than `size`. The state is unchanged unless Cosigned is returned.
        """
        note = parse_note(request.note)
        offered = verify_log_signature(note, self._log_key)
        split = self._check_history(request, offered)
        if split is not None:
            return split
        line = self._signer.cosign(note.text, timestamp)
        signed = [known for known in note.signatures if known.claims(self._log_key)]
        self._state = WitnessState(offered, SignedNote(note.text, ()).with_signatures((*signed, line)).encode())
        return Cosigned(line, self._state)

    def _check_history(self, request: AddCheckpoint, offered: Checkpoint) -> SplitView | None:
        size, root = self.size, EMPTY_ROOT if self._state is None else self._state.checkpoint.root
        if self._state is not None and offered.size == size and offered.root != root:
            return SplitView(self._state.note, request.note, offered.root)
        if offered.size < size:
            raise VerificationFailed(
                f"the log offers {offered.size} leaves after {size} were cosigned", code=ROLLED_BACK
            )
        if request.old_size != size:
            raise UnexpectedMessage(
                f"the request starts from {request.old_size} leaves, the last cosigned from {size}", code=STALE_REQUEST
            )
        prefix_root, whole_root = consistency_roots(size, offered.size, root, offered.root, request.proof)
        if whole_root != offered.root:
            raise VerificationFailed(f"no proof that {offered.size} leaves extend {size}", code=INCONSISTENT)
        if self._state is not None and prefix_root != root:
            return SplitView(self._state.note, request.note, prefix_root, request.proof)
        return None
