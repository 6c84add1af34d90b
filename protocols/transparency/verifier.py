"""Checking Merkle proofs, bit by bit as RFC 9162 prescribes, with no tree at hand.

Each function returns None or raises. Proofs come from a peer: whatever it sends raises MalformedMessage or
VerificationFailed and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from hmac import compare_digest

from protocols.errors import MalformedMessage, VerificationFailed
from protocols.transparency.hashing import EMPTY_ROOT, HASH_SIZE, MAX_TREE_SIZE, node_hash

INCLUSION_FAILED = "INCLUSION_PROOF"
CONSISTENCY_FAILED = "CONSISTENCY_PROOF"


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Accept only a path that ties the leaf hash `leaf`, at `index`, to `root` of a tree of `size` leaves.

    Raises: MalformedMessage for sizes and hashes that cannot be, VerificationFailed otherwise.
    Source: RFC 9162 §2.1.3.2.
    """
    _check_shape(size, path, (leaf, root))
    if not 0 <= index < size:
        raise MalformedMessage(f"leaf {index} is outside a tree of {size}")
    fn, sn = index, size - 1
    result = leaf
    for sibling in path:
        if sn == 0:
            raise _inclusion_failed(index, size)
        if fn & 1 or fn == sn:
            result = node_hash(sibling, result)
            fn, sn = _skip_to_right_child(fn, sn)
        else:
            result = node_hash(result, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0 or not compare_digest(result, root):
        raise _inclusion_failed(index, size)


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Accept only a path that shows the tree `(new, new_root)` to extend `(old, old_root)`.

    Every tree extends the empty one, with an empty path. Raises: MalformedMessage for sizes and hashes that cannot be,
    VerificationFailed otherwise. Source: RFC 9162 §2.1.4.2.
    """
    prefix_root, whole_root = consistency_roots(old, new, old_root, new_root, path)
    if not (compare_digest(prefix_root, old_root) and compare_digest(whole_root, new_root)):
        raise _consistency_failed(old, new)


def consistency_roots(
    old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """Return the roots `(of the first old leaves, of all new leaves)` that the path itself implies.

    If the second equals a root the log has signed, the first is what the signed tree holds, whatever the log claims.
    Raises: as `verify_consistency`, for paths of the wrong form.
    """
    _check_shape(new, path, (old_root, new_root))
    if not 0 <= old <= new:
        raise MalformedMessage(f"a tree of {new} leaves cannot extend one of {old}")
    if old in (0, new):
        if path:
            raise _consistency_failed(old, new)
        return (EMPTY_ROOT, new_root) if old == 0 else (old_root, old_root)
    if not path:
        raise _consistency_failed(old, new)
    hashes = [old_root, *path] if old & (old - 1) == 0 else list(path)
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    prefix_root = whole_root = hashes[0]
    for sibling in hashes[1:]:
        if sn == 0:
            raise _consistency_failed(old, new)
        if fn & 1 or fn == sn:
            prefix_root, whole_root = node_hash(sibling, prefix_root), node_hash(sibling, whole_root)
            fn, sn = _skip_to_right_child(fn, sn)
        else:
            whole_root = node_hash(whole_root, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise _consistency_failed(old, new)
    return prefix_root, whole_root


def _skip_to_right_child(fn: int, sn: int) -> tuple[int, int]:
    """Climb to where `fn` is a right child, or to the root, over levels at which the tree has no sibling."""
    while fn and not fn & 1:
        fn, sn = fn >> 1, sn >> 1
    return fn, sn


def _check_shape(size: int, path: Sequence[bytes], roots: Sequence[bytes]) -> None:
    if not 0 <= size <= MAX_TREE_SIZE:
        raise MalformedMessage(f"a tree of {size} leaves is beyond the accepted range")
    if len(path) > 2 * MAX_TREE_SIZE.bit_length():
        raise MalformedMessage(f"a proof of {len(path)} hashes is longer than any tree's")
    if any(len(digest) != HASH_SIZE for digest in (*path, *roots)):
        raise MalformedMessage(f"a hash in a proof is not of {HASH_SIZE} bytes")


def _inclusion_failed(index: int, size: int) -> VerificationFailed:
    return VerificationFailed(f"leaf {index} is not shown to be in the tree of {size}", code=INCLUSION_FAILED)


def _consistency_failed(old: int, new: int) -> VerificationFailed:
    return VerificationFailed(f"the tree of {new} leaves is not shown to extend that of {old}", code=CONSISTENCY_FAILED)
