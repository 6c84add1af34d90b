"""Recompute a whole log from its leaves, with public keys alone, and name the first leaf that is not what was signed.

Nothing stored is believed: leaf encodings, sealed bodies, running hashes, subtree hashes, the root of every stored
checkpoint, its signature and cosignatures, the signed end, and what was witnessed are all recomputed or verified, in
one pass in the order of the leaves and in memory that does not grow with the log. Every checkpoint is compared with a
root of the *same* leaves, so all of them are consistent with one another. The first failure ends the pass.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from pathlib import Path

from federation.audit.bodies.retention import ErasedBodies
from federation.audit.errors import (
    CHECKPOINT_INVALID,
    DAMAGED,
    HEAD_MISMATCH,
    LEAF_ALTERED,
    LEAF_MALFORMED,
    LEAF_MISSING,
    LEAF_NOT_SIGNED,
    NODE_ALTERED,
    NOT_A_LOG,
    NOT_WITNESSED,
    RECORD_MISSING,
    ROOT_MISMATCH,
)
from federation.audit.log.keys import read_log_keys
from federation.audit.log.witnessed import read_record_note
from federation.audit.storage.location import LogLocation, as_location, coordinator_home, log_location
from federation.audit.storage.rows import CHAIN_START, LeafRow, running_hash
from federation.audit.storage.session import LogSession, connect
from protocols.errors import ConfigurationError, CreditFederationError, MalformedMessage
from protocols.transparency.checkpoints import LogKeys, parse_checkpoint, verify_cosignatures, verify_log_signature
from protocols.transparency.hashing import leaf_hash
from protocols.transparency.leaves import decode_commitment
from protocols.transparency.notes import parse_note
from protocols.transparency.prover import Frontier


@dataclass(frozen=True, slots=True)
class LogFailure:
    """The first thing that does not hold: at or after which leaf (counted from 0), a stable code, and why."""

    leaf: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class LogReport:
    """What a verification found. Leaves from `witnessed_size` on rest on the log's own signature alone so far."""

    origin: str
    leaves: int
    root: bytes
    checkpoints: int
    cosignatures: int
    witnessed_size: int
    failure: LogFailure | None = None

    @property
    def ok(self) -> bool:
        """Whether everything held."""
        return self.failure is None

    @property
    def first_bad_leaf(self) -> int | None:
        """The first leaf that is not what was signed, None if all are."""
        return None if self.failure is None else self.failure.leaf


class _Source(StrEnum):
    """Where a signed statement about the tree was found."""

    STORED = "a checkpoint in the log"
    HEAD = "the log's last signature"
    RECORD = "the witnessed record beside the log"
    KNOWN = "a checkpoint known from elsewhere"

    @property
    def independent(self) -> bool:
        """Whether someone holding the log's key, but no witness's, could not have made it up."""
        return self in (_Source.RECORD, _Source.KNOWN)


@dataclass(frozen=True, slots=True)
class _Claim:
    """A note that says which root the tree of `size` leaves has."""

    size: int
    note: bytes
    source: _Source


class _Broken(Exception):
    """Carries the first failure out of the pass."""

    def __init__(self, leaf: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.failure = LogFailure(leaf, code, reason)


def verify_log(place: Path | LogLocation, keys: LogKeys, known: Sequence[bytes] = ()) -> LogReport:
    """Return a report whose `failure` is the first thing wrong with the log at `place`, None if nothing is.

    `known` are notes of this log that the verifier holds from elsewhere: a witness's last one, those of receipts.
    Raises: ConfigurationError if there is no readable log; MalformedMessage or VerificationFailed if a known note is
    not the log's.
    """
    outside = [_Claim(verify_log_signature(parse_note(note), keys.log).size, note, _Source.KNOWN) for note in known]
    location = as_location(place)
    with closing(connect(location)) as session:
        return _Pass(session, keys, read_record_note(location.path), outside).run()


def verify_directory(directory: Path, known: Sequence[bytes] = ()) -> LogReport:
    """Verify the log of the federation in `directory` with the public keys that stand beside it.

    Raises: ConfigurationError if the log or the keys are missing; otherwise as `verify_log`.
    """
    home = coordinator_home(directory)
    location = log_location(home)
    if not location.exists:
        raise ConfigurationError(f"there is no audit log at {location}", code=NOT_A_LOG)
    return verify_log(location, read_log_keys(home), known)


class _Pass:
    """One walk over the log, leaf by leaf, in one snapshot of the file."""

    def __init__(self, session: LogSession, keys: LogKeys, record: bytes | None, outside: list[_Claim]) -> None:
        self._session, self._keys, self._record, self._outside = session, keys, record, outside
        self._frontier, self._chain = Frontier(), CHAIN_START
        self._checkpoints = self._cosignatures = self._witnessed = 0
        self._erased = ErasedBodies()
        self._recorded = False  # a checkpoint in the log has its quorum, so the record beside it was written before
        self._sound = {True: 0, False: 0}  # the largest size at which an independent, or any, claim was found to hold

    def run(self) -> LogReport:
        failure = None
        try:
            self._session.snapshot()
            self._walk()
        except _Broken as broken:
            failure = broken.failure
        except self._session.error:
            failure = LogFailure(self._frontier.size, DAMAGED, "the file cannot be read from this leaf on")
        return LogReport(
            origin=self._keys.log.name,
            leaves=self._frontier.size,
            root=self._frontier.root(),
            checkpoints=self._checkpoints,
            cosignatures=self._cosignatures,
            witnessed_size=self._witnessed,
            failure=failure,
        )

    def _walk(self) -> None:
        head = self._head_claim()
        claims = heapq.merge(self._stored_claims(), self._fixed_claims(head), key=attrgetter("size"))
        nodes = self._session.stream("SELECT last, level, hash FROM nodes ORDER BY last, level")
        claim = self._settle_due(claims, next(claims, None))
        for row in self._leaf_rows():
            if self._frontier.size >= head.size:
                raise _Broken(self._frontier.size, LEAF_NOT_SIGNED, "it stands beyond the log's last signature")
            self._take_leaf(row, nodes)
            claim = self._settle_due(claims, claim)
        size = self._frontier.size
        if claim is not None:
            raise _Broken(size, LEAF_MISSING, f"{claim.source} covers {claim.size} leaves, the log ends at {size}")
        if next(nodes, None) is not None:
            raise _Broken(size, NODE_ALTERED, "subtree hashes are stored for leaves that are not there")
        if (bare := self._erased.unexplained()) is not None:
            raise _Broken(bare, LEAF_ALTERED, "its sealed body is gone, and no order ended its retention")
        self._check_witnessed()

    def _leaf_rows(self) -> Iterator[LeafRow]:
        """Yield every row up to the first unreadable one, which raises the session's error.

        The driver reads one row ahead and would report it in place of the one before: then go on one by one.
        """
        query = "SELECT idx, leaf, body, chain FROM leaves {} ORDER BY idx"
        try:
            yield from self._session.stream(query.format(""))
        except self._session.error:
            single = query.format("WHERE idx >= ?") + " LIMIT 1"
            while found := self._session.rows(single, (self._frontier.size,)):
                yield found[0]

    def _head_claim(self) -> _Claim:
        row = next(iter(self._session.rows("SELECT note FROM head WHERE one = 1")), None)
        if row is None:
            raise _Broken(0, HEAD_MISMATCH, "the log's last signature is gone")
        try:
            return _Claim(parse_checkpoint(parse_note(_bytes(row[0])).text).size, row[0], _Source.HEAD)
        except MalformedMessage:
            raise _Broken(0, HEAD_MISMATCH, "the log's last signature is not a checkpoint") from None

    def _fixed_claims(self, head: _Claim) -> list[_Claim]:
        claims = [head, *self._outside]
        if self._record is not None:
            try:
                size = parse_checkpoint(parse_note(self._record).text).size
            except MalformedMessage:
                raise _Broken(0, RECORD_MISSING, f"{_Source.RECORD} is not a checkpoint") from None
            claims.append(_Claim(size, self._record, _Source.RECORD))
        return sorted(claims, key=attrgetter("size"))

    def _stored_claims(self) -> Iterator[_Claim]:
        for size, note in self._session.stream("SELECT size, note FROM checkpoints ORDER BY size"):
            yield _Claim(size, note, _Source.STORED)

    def _take_leaf(self, row: LeafRow, nodes: Iterator[tuple[int, int, bytes]]) -> None:
        index, (position, data, body, chain) = self._frontier.size, row
        if position != index:
            raise _Broken(index, LEAF_MISSING, f"the next leaf in the log is numbered {position}")
        try:
            commitment, stored = decode_commitment(_bytes(data)), _bytes(body)
        except MalformedMessage as error:
            raise _Broken(index, LEAF_MALFORMED, str(error)) from None
        try:
            self._erased.take(index, commitment, stored)
        except MalformedMessage as error:
            raise _Broken(index, LEAF_ALTERED, str(error)) from None
        digest = leaf_hash(data)
        self._chain = running_hash(self._chain, digest)
        if chain != self._chain:
            raise _Broken(index, LEAF_ALTERED, "it is not the leaf that was appended here")
        self._frontier, completed = self._frontier.push(digest)
        for node in completed[1:]:
            if next(nodes, None) != (index, node.level, node.hash):
                first = max(node.index << node.level, self._sound[False])
                raise _Broken(first, NODE_ALTERED, f"leaves {first} to {index} do not have the stored subtree hash")

    def _settle_due(self, claims: Iterator[_Claim], claim: _Claim | None) -> _Claim | None:
        while claim is not None and claim.size <= self._frontier.size:
            self._settle(claim)
            claim = next(claims, None)
        return claim

    def _settle(self, claim: _Claim) -> None:
        """Hold one claim against the leaves seen so far."""
        since = self._sound[claim.source.independent]
        try:
            note = parse_note(_bytes(claim.note))
            checkpoint = verify_log_signature(note, self._keys.log)
            witnesses = len(verify_cosignatures(note, self._keys.witnesses))
        except CreditFederationError as error:
            raise _Broken(since, CHECKPOINT_INVALID, f"{claim.source} over {claim.size} leaves: {error}") from None
        if checkpoint.size != self._frontier.size or checkpoint.root != self._frontier.root():
            reason = f"leaves {since} to {claim.size - 1} are not those of {claim.source}"
            raise _Broken(since, ROOT_MISMATCH, reason)
        quorum = 0 < self._keys.threshold <= witnesses
        if claim.source is _Source.RECORD and not quorum and self._keys.threshold:
            raise _Broken(since, RECORD_MISSING, f"{claim.source} is cosigned by {witnesses} witnesses only")
        if claim.source is _Source.STORED:
            self._checkpoints += 1
            self._cosignatures += witnesses
        self._sound[False] = checkpoint.size
        if quorum or claim.source.independent:
            self._sound[True] = checkpoint.size
        if quorum:
            self._witnessed = checkpoint.size
            self._recorded |= claim.source is _Source.STORED

    def _check_witnessed(self) -> None:
        if not self._keys.threshold or not self._frontier.size:
            return
        if not self._witnessed:
            raise _Broken(0, NOT_WITNESSED, f"no checkpoint has {self._keys.threshold} witnesses")
        if self._record is None and self._recorded:  # a witness may hold a note that a crash kept from the record
            raise _Broken(0, RECORD_MISSING, "the witnessed record that stood beside the log is gone")


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise MalformedMessage("a stored value is not of bytes")
    return value
