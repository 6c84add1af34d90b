"""The two hashes of an RFC 9162 Merkle tree: a leaf can never be taken for an interior node."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

HASH_SIZE: Final = 32
MAX_TREE_SIZE: Final = 1 << 48
"""Leaves in the largest tree we accept: proofs then stay under 2 · 48 hashes and sizes fit every integer type."""

EMPTY_ROOT: Final = sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash that commits to exactly these leaf bytes. Source: RFC 9162 §2.1.1."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash that commits to both children, in order. Source: RFC 9162 §2.1.1."""
    return sha256(b"\x01" + left + right).digest()
