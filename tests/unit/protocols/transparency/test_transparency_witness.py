"""A witness cosigns one growing history, and proves it to a third party when there are two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.errors import MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.transparency.checkpoints import CosignatureSigner, sign_checkpoint, verify_checkpoint
from protocols.transparency.hashing import leaf_hash
from protocols.transparency.notes import MAX_SIGNATURES, NoteSigner, SignatureLine, parse_note
from protocols.transparency.prover import Frontier, consistency_path, tree_root
from protocols.transparency.witness import (
    INCONSISTENT,
    ROLLED_BACK,
    STALE_REQUEST,
    AddCheckpoint,
    Cosigned,
    SplitView,
    Witness,
    compare_checkpoints,
    parse_add_checkpoint,
    verify_split_view,
)

LOG = NoteSigner("log.test", Ed25519PrivateKey.from_private_bytes(b"L" * 32))
WITNESS = CosignatureSigner("node-tax", Ed25519PrivateKey.from_private_bytes(b"W" * 32))


class History:
    """A log that its owner can fork at will: the leaves decide everything."""

    def __init__(self, leaves: Sequence[str]) -> None:
        self.stored: dict[tuple[int, int], bytes] = {}
        frontier = Frontier()
        for leaf in leaves:
            frontier, completed = frontier.push(leaf_hash(leaf.encode()))
            self.stored.update({(node.level, node.index): node.hash for node in completed})
        self.size = frontier.size

    def nodes(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        return [self.stored[place] for place in places]

    def note(self, size: int | None = None) -> bytes:
        size = self.size if size is None else size
        return sign_checkpoint(LOG, size, tree_root(self, size)).encode()

    def request(self, old: int, size: int | None = None) -> AddCheckpoint:
        size = self.size if size is None else size
        return AddCheckpoint(old, consistency_path(self, old, size), self.note(size))


def leaves(count: int) -> list[str]:
    return [f"leaf {i}" for i in range(count)]


def witness_at(size: int, history: History) -> Witness:
    witness = Witness(WITNESS, LOG.verifier)
    assert isinstance(witness.receive(history.request(0, size), 1000), Cosigned)
    return witness


def test_it_cosigns_a_growing_log_and_resumes_from_what_it_stored() -> None:
    history = History(leaves(50))
    witness = Witness(WITNESS, LOG.verifier)
    for time, size in enumerate([1, 2, 7, 8, 8, 31, 50]):
        answer = witness.receive(parse_add_checkpoint(history.request(witness.size, size).encode()), 1000 + time)
        assert isinstance(answer, Cosigned)
        verified = verify_checkpoint(answer.state.note, LOG.verifier, [WITNESS.verifier])
        assert (verified.checkpoint.size, verified.cosignatures[0].timestamp) == (size, 1000 + time)
        witness = Witness(WITNESS, LOG.verifier, answer.state.note)
        assert (witness.size, witness.last_note) == (size, answer.state.note)


def test_it_refuses_a_rollback() -> None:
    history = History(leaves(20))
    witness = witness_at(20, history)
    for old in (20, 10, 0):
        with pytest.raises(VerificationFailed) as error:
            witness.receive(AddCheckpoint(old, (), history.note(10)), 1001)
        assert error.value.code == ROLLED_BACK
    assert witness.size == 20


@pytest.mark.parametrize("size", [1, 8, 13])
def test_two_roots_for_one_size_are_proved_by_two_notes(size: int) -> None:
    honest, forked = History(leaves(size)), History([*leaves(size - 1), "another"])
    split = witness_at(size, honest).receive(forked.request(size), 1001)
    assert isinstance(split, SplitView)
    assert split.proof == ()
    verify_split_view(split, LOG.verifier)
    assert compare_checkpoints(honest.note(), forked.note(), LOG.verifier) is not None
    verify_split_view(SplitView(honest.note(), forked.note(), tree_root(forked, size)), LOG.verifier)


def test_a_later_fork_is_proved_by_two_notes_and_the_logs_own_proof() -> None:
    """The log forks at leaf 5 and proves the fork consistent with itself: that proof convicts it."""
    honest, forked = History(leaves(11)), History([*leaves(5), *(f"other {i}" for i in range(20))])
    split = witness_at(11, honest).receive(forked.request(11), 1001)
    assert isinstance(split, SplitView)
    verify_split_view(split, LOG.verifier)
    assert verify_checkpoint(split.first, LOG.verifier, [WITNESS.verifier]).checkpoint.size == 11


def test_a_fork_without_a_proof_is_refused() -> None:
    forked = History([*leaves(5), *(f"other {i}" for i in range(20))])
    for size in (8, 11):
        witness = witness_at(size, History(leaves(size)))
        request = replace(forked.request(size), proof=History(leaves(25)).request(size).proof)
        with pytest.raises(VerificationFailed) as error:
            witness.receive(request, 1001)
        assert error.value.code == INCONSISTENT
        assert witness.size == size


def test_a_fork_at_a_power_of_two_is_refused() -> None:
    """There the RFC's proof does not repeat the old root, so it cannot convict, but it cannot convince either."""
    forked = History([*leaves(5), *(f"other {i}" for i in range(20))])
    witness = witness_at(8, History(leaves(8)))
    with pytest.raises(VerificationFailed):
        witness.receive(forked.request(8), 1001)


def test_a_fork_at_a_power_of_two_is_proved_once_the_forked_leaves_are_shown() -> None:
    forked = History([*leaves(5), *(f"other {i}" for i in range(20))])
    evidence = SplitView(
        History(leaves(8)).note(), forked.note(), tree_root(forked, 8), consistency_path(forked, 8, forked.size)
    )
    verify_split_view(evidence, LOG.verifier)


def test_honest_notes_are_no_evidence() -> None:
    history = History(leaves(20))
    assert compare_checkpoints(history.note(11), history.note(20), LOG.verifier) is None
    assert compare_checkpoints(history.note(), history.note(), LOG.verifier) is None
    accusation = SplitView(
        history.note(11), history.note(20), tree_root(history, 11), consistency_path(history, 11, 20)
    )
    with pytest.raises(VerificationFailed):
        verify_split_view(accusation, LOG.verifier)
    forged_root = replace(accusation, prefix_root=leaf_hash(b"invented"))
    with pytest.raises(VerificationFailed):
        verify_split_view(forged_root, LOG.verifier)


def test_evidence_needs_the_accused_logs_signature() -> None:
    other = NoteSigner("log.test", Ed25519PrivateKey.from_private_bytes(b"X" * 32))
    history = History(leaves(3))
    forged = sign_checkpoint(other, 3, leaf_hash(b"x")).encode()
    with pytest.raises(VerificationFailed):
        verify_split_view(SplitView(history.note(), forged, leaf_hash(b"x")), LOG.verifier)


def test_a_request_from_another_size_is_unexpected() -> None:
    history = History(leaves(20))
    witness = witness_at(10, history)
    with pytest.raises(UnexpectedMessage) as error:
        witness.receive(history.request(5), 1001)
    assert error.value.code == STALE_REQUEST
    assert "10" in str(error.value)


def test_a_note_of_another_log_is_refused() -> None:
    witness = Witness(WITNESS, LOG.verifier)
    other = NoteSigner("log.test", Ed25519PrivateKey.from_private_bytes(b"X" * 32))
    with pytest.raises(VerificationFailed):
        witness.receive(AddCheckpoint(0, (), sign_checkpoint(other, 1, leaf_hash(b"x")).encode()), 1)
    with pytest.raises(VerificationFailed):
        Witness(WITNESS, LOG.verifier, sign_checkpoint(other, 1, leaf_hash(b"x")).encode())


def test_junk_signatures_do_not_reach_what_the_witness_stores() -> None:
    """A note padded to the limit with signatures must not make the stored note unreadable."""
    history = History(leaves(3))
    junk = [SignatureLine(f"junk-{i}", b"junk", b"x") for i in range(MAX_SIGNATURES - 1)]
    padded = parse_note(history.note()).with_signatures(junk).encode()
    answer = Witness(WITNESS, LOG.verifier).receive(AddCheckpoint(0, (), padded), 1)
    assert isinstance(answer, Cosigned)
    assert [line.name for line in parse_note(answer.state.note).signatures] == ["log.test", "node-tax"]


def test_request_text_is_that_of_the_specification() -> None:
    history = History(leaves(5))
    request = history.request(3)
    text = request.encode().decode()
    assert text.startswith("old 3\n")
    assert text.split("\n\n", 1)[1].encode() == history.note()
    assert parse_add_checkpoint(request.encode()) == request


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"old 3\n",
        b"old 03\n\nnote",
        b"new 3\n\nnote",
        b"old 3\nAAAA\n\nnote",
        b"old \xff\n\nnote",
        b"old 3\n" + b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n" * 64 + b"\nnote",
        b"old 3" + b" " * 100_000,
    ],
)
def test_malformed_requests(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_add_checkpoint(data)
