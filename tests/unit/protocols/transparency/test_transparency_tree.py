"""The Merkle tree against the published vectors, an oracle, and a reading of the RFC's recursive definition."""

from __future__ import annotations

from collections.abc import Sequence

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import CreditFederationError, MalformedMessage, VerificationFailed
from protocols.transparency.hashing import EMPTY_ROOT, leaf_hash, node_hash
from protocols.transparency.prover import Frontier, consistency_path, inclusion_path, read_frontier, tree_root
from protocols.transparency.verifier import consistency_roots, verify_consistency, verify_inclusion

# The eight leaves, the roots over their first n and the complete subtrees that the Certificate Transparency reference
# implementation and every RFC 6962/9162 implementation since are tested with.
CT_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_NODES = {
    (0, 4): "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    (0, 6): "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
    (1, 0): "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    (1, 1): "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    (1, 2): "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    (1, 3): "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    (2, 0): "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    (2, 1): "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
}


class MemoryNodes:
    """Stored subtree hashes, counting how many a proof reads."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.stored: dict[tuple[int, int], bytes] = {}
        self.reads = self.queries = 0
        frontier = Frontier()
        for leaf in leaves:
            frontier, completed = frontier.push(leaf_hash(leaf))
            self.stored.update({(node.level, node.index): node.hash for node in completed})
        self.frontier = frontier

    def nodes(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        self.queries, self.reads = self.queries + 1, self.reads + len(places)
        return [self.stored[place] for place in places]


def rfc_root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 9162 §2.1.1, word for word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(rfc_root(leaves[:k]), rfc_root(leaves[k:]))


def rfc_path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 9162 §2.1.3.1, word for word."""
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m < k:
        return [*rfc_path(m, leaves[:k]), rfc_root(leaves[k:])]
    return [*rfc_path(m - k, leaves[k:]), rfc_root(leaves[:k])]


def rfc_subproof(m: int, leaves: Sequence[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 9162 §2.1.4.1, word for word."""
    if m == len(leaves):
        return [] if whole else [rfc_root(leaves)]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m <= k:
        return [*rfc_subproof(m, leaves[:k], whole), rfc_root(leaves[k:])]
    return [*rfc_subproof(m - k, leaves[k:], False), rfc_root(leaves[:k])]


def numbered(count: int) -> list[bytes]:
    return [b"leaf %d" % i for i in range(count)]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    tree = MemoryNodes(CT_LEAVES)
    assert tree_root(tree, size).hex() == CT_ROOTS[size]
    assert MemoryNodes(CT_LEAVES[:size]).frontier.root().hex() == CT_ROOTS[size]


def test_complete_subtrees_are_the_published_ones() -> None:
    stored = MemoryNodes(CT_LEAVES).stored
    assert {position: stored[position].hex() for position in CT_NODES} == CT_NODES


def test_published_proofs() -> None:
    tree = MemoryNodes(CT_LEAVES)
    node = {position: bytes.fromhex(value) for position, value in CT_NODES.items()}
    # PATH(5, D[8]) and PROOF(6, D[8]), PROOF(3, D[7]) written out by hand from the published nodes
    assert inclusion_path(tree, 5, 8) == (node[(0, 4)], node[(1, 3)], node[(2, 0)])
    assert consistency_path(tree, 6, 8) == (node[(1, 2)], node[(1, 3)], node[(2, 0)])
    assert consistency_path(tree, 4, 7)[0] == node_hash(node[(1, 2)], node[(0, 6)])


@pytest.mark.parametrize("size", [*range(1, 40), 63, 64, 65, 127, 128, 129])
def test_every_inclusion_proof_is_the_rfcs_and_verifies(size: int) -> None:
    leaves = numbered(size)
    tree, root = MemoryNodes(leaves), rfc_root(leaves)
    for index, leaf in enumerate(leaves):
        path = inclusion_path(tree, index, size)
        assert list(path) == rfc_path(index, leaves)
        verify_inclusion(leaf_hash(leaf), index, size, path, root)


@pytest.mark.parametrize("new", [*range(1, 34), 64, 65, 100])
def test_every_consistency_proof_is_the_rfcs_and_verifies(new: int) -> None:
    leaves = numbered(new)
    tree, root = MemoryNodes(leaves), rfc_root(leaves)
    for old in range(1, new + 1):
        path = consistency_path(tree, old, new)
        assert list(path) == rfc_subproof(old, leaves, True)
        verify_consistency(old, new, rfc_root(leaves[:old]), root, path)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13, 100])
def test_roots_and_proofs_agree_with_pymerkle(size: int) -> None:
    leaves = numbered(size)
    tree, oracle = MemoryNodes(leaves), pymerkle.InmemoryTree(algorithm="sha256")
    for leaf in leaves:
        oracle.append_entry(leaf)
    for old in range(1, size + 1):
        assert tree_root(tree, old) == oracle.get_root(old)
        proof = oracle.prove_inclusion(old, size)
        # pymerkle's path begins with the leaf itself
        assert inclusion_path(tree, old - 1, size) == tuple(proof.path[1:])
        verify_consistency(old, size, oracle.get_root(old), oracle.get_root(size), consistency_path(tree, old, size))


def altered_paths(honest: tuple[bytes, ...], position: int) -> list[list[bytes]]:
    """One bit flipped, one hash dropped, doubled or swapped at `position`, one added at the end."""
    versions = [[*honest, EMPTY_ROOT]]
    if honest:
        at = position % len(honest)
        flipped = bytes([honest[at][0] ^ 1]) + honest[at][1:]
        versions += [
            [*honest[:at], flipped, *honest[at + 1 :]],
            [*honest[:at], *honest[at + 1 :]],
            [*honest[:at], honest[at], *honest[at:]],
            [honest[at], *honest[1:at], honest[0], *honest[at + 1 :]] if at else list(reversed(honest)),
        ]
    return [version for version in versions if version != list(honest)]


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))), st.integers(0, 20))
@settings(max_examples=150, deadline=None)
def test_no_altered_proof_verifies(sizes: tuple[int, int], position: int) -> None:
    old, new = sizes
    leaves = numbered(new)
    tree = MemoryNodes(leaves)
    root, leaf = tree_root(tree, new), leaf_hash(leaves[old - 1])
    for path in altered_paths(inclusion_path(tree, old - 1, new), position):
        with pytest.raises(VerificationFailed):
            verify_inclusion(leaf, old - 1, new, path, root)
    for path in altered_paths(consistency_path(tree, old, new), position):
        with pytest.raises(VerificationFailed):
            verify_consistency(old, new, tree_root(tree, old), root, path)


def test_an_interior_node_is_no_leaf() -> None:
    """The second preimage that untagged trees allow: an interior node's preimage offered as a leaf."""
    tree = MemoryNodes(CT_LEAVES)
    forged = tree.stored[(0, 0)] + tree.stored[(0, 1)]
    with pytest.raises(VerificationFailed):
        verify_inclusion(leaf_hash(forged), 0, 4, [tree.stored[(1, 1)], tree.stored[(2, 1)]], tree_root(tree, 8))


def test_wrong_index_or_size_fails() -> None:
    tree = MemoryNodes(numbered(11))
    path, root, leaf = inclusion_path(tree, 4, 11), tree_root(tree, 11), leaf_hash(b"leaf 4")
    for index, size in ((5, 11), (4, 40), (3, 11), (4, 5)):
        with pytest.raises(VerificationFailed):
            verify_inclusion(leaf, index, size, path, root)


def test_a_path_too_long_or_too_short_for_the_sizes_fails() -> None:
    """Each path here hashes to the given root, but a tree of the stated size has no such path."""
    tree = MemoryNodes(numbered(8))
    roots = [tree_root(tree, size) for size in range(9)]
    with pytest.raises(VerificationFailed):
        verify_inclusion(leaf_hash(b"leaf 1"), 0, 1, [leaf_hash(b"leaf 0")], roots[2])
    with pytest.raises(VerificationFailed):
        verify_inclusion(leaf_hash(b"leaf 0"), 0, 3, [leaf_hash(b"leaf 1")], roots[2])
    with pytest.raises(VerificationFailed):
        verify_consistency(3, 4, roots[7], roots[8], consistency_path(tree, 7, 8))
    with pytest.raises(VerificationFailed):
        verify_consistency(3, 8, roots[3], roots[4], consistency_path(tree, 3, 4))


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [(5, 5, []), (-1, 5, []), (0, -1, []), (0, 1 << 60, []), (0, 2, [b"short"]), (0, 2, [EMPTY_ROOT] * 200)],
)
def test_impossible_sizes_and_hashes_are_malformed(index: int, size: int, path: list[bytes]) -> None:
    with pytest.raises(MalformedMessage):
        verify_inclusion(EMPTY_ROOT, index, size, path, EMPTY_ROOT)


def test_every_tree_extends_the_empty_one_and_itself_without_proof() -> None:
    tree = MemoryNodes(numbered(5))
    root = tree_root(tree, 5)
    verify_consistency(0, 5, EMPTY_ROOT, root, ())
    verify_consistency(5, 5, root, root, ())
    for old_root, path in ((root, ()), (EMPTY_ROOT, (root,))):
        with pytest.raises(VerificationFailed):
            verify_consistency(0, 5, old_root, root, path)
    with pytest.raises(VerificationFailed):
        verify_consistency(5, 5, root, EMPTY_ROOT, ())
    with pytest.raises(MalformedMessage):
        verify_consistency(6, 5, root, root, ())


def test_a_proof_implies_the_true_prefix_root_whatever_is_claimed() -> None:
    tree = MemoryNodes(numbered(10))
    prefix, whole = consistency_roots(7, 10, EMPTY_ROOT, tree_root(tree, 10), consistency_path(tree, 7, 10))
    assert (prefix, whole) == (tree_root(tree, 7), tree_root(tree, 10))


@given(
    st.integers(-2, 70),
    st.integers(-2, 70),
    st.binary(max_size=33),
    st.lists(st.one_of(st.binary(min_size=32, max_size=32), st.binary(max_size=40)), max_size=8),
)
@settings(deadline=None)
def test_hostile_proofs_raise_our_errors_only(first: int, second: int, root: bytes, path: list[bytes]) -> None:
    for verify in (
        lambda: verify_inclusion(EMPTY_ROOT, first, second, path, root),
        lambda: verify_consistency(first, second, EMPTY_ROOT, root, path),
    ):
        try:
            verify()
        except CreditFederationError as error:
            assert isinstance(error, MalformedMessage | VerificationFailed)  # noqa: PT017 - no other error is ours


def test_proofs_read_few_nodes() -> None:
    tree = MemoryNodes(numbered(3000))
    tree.reads = tree.queries = 0
    inclusion_path(tree, 0, 2999)
    consistency_path(tree, 1025, 2999)
    assert tree.reads < 2 * 12 * 12
    assert tree.queries == 2


def test_a_frontier_is_read_back_from_the_nodes() -> None:
    tree = MemoryNodes(numbered(77))
    assert read_frontier(tree, 77) == tree.frontier
    assert read_frontier(tree, 0) == Frontier()
    with pytest.raises(ValueError, match="peaks"):
        Frontier(3, (EMPTY_ROOT,))
    with pytest.raises(ValueError, match="negative"):
        read_frontier(tree, -1)


@pytest.mark.parametrize(("index", "size"), [(3, 3), (-1, 3), (0, 0)])
def test_no_proof_for_a_leaf_outside(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        inclusion_path(MemoryNodes(numbered(5)), index, size)


def test_no_consistency_backwards() -> None:
    with pytest.raises(ValueError, match="extends"):
        consistency_path(MemoryNodes(numbered(5)), 4, 3)
