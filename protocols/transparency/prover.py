"""Roots and proofs from stored perfect-subtree hashes, reading O(log² n) nodes at once and never the tree.

A *node* `(level, index)` is the root of the perfect subtree over leaves `[index·2^level, (index+1)·2^level)`. Such a
subtree never changes once complete, so a log stores each once and proofs at every past size need nothing else.
Verification lives in `verifier.py` and shares no code with this module but the two hash functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from protocols.transparency.hashing import EMPTY_ROOT, node_hash


class NodeReader(Protocol):
    """Where complete subtree hashes are kept."""

    def nodes(self, places: Sequence[tuple[int, int]]) -> Sequence[bytes]:
        """Return the roots of the complete subtrees `(level, index)`, in this order: all that a proof needs, at once.

        Raises: KeyError if one is not stored.
        """
        ...


@dataclass(frozen=True, slots=True)
class CompletedNode:
    """A subtree that the latest leaf completed; level 0 is the leaf's own hash."""

    level: int
    index: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Frontier:
    """The roots of the maximal complete subtrees, largest first: all that an append needs to know of a tree.

    Shapes: as many `peaks` as `size` has one bits.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.peaks) != self.size.bit_count():
            raise ValueError(f"a frontier over {self.size} leaves has {self.size.bit_count()} peaks")

    def push(self, leaf: bytes) -> tuple[Frontier, tuple[CompletedNode, ...]]:
        """Return the frontier after one more leaf hash, and every subtree it completed, smallest first."""
        index, level, current = self.size, 0, leaf
        peaks = list(self.peaks)
        completed = [CompletedNode(0, index, leaf)]
        while index & 1:
            current = node_hash(peaks.pop(), current)
            index, level = index >> 1, level + 1
            completed.append(CompletedNode(level, index, current))
        return Frontier(self.size + 1, (*peaks, current)), tuple(completed)

    def root(self) -> bytes:
        """Return the tree's root hash, that of the empty string for an empty tree."""
        return _fold(self.peaks)


def _fold(peaks: tuple[bytes, ...]) -> bytes:
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def _cover(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the perfect subtrees of the RFC subtree over `[start, end)`, left to right, largest first."""
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def _subtree_roots(reader: NodeReader, spans: Sequence[tuple[int, int]]) -> tuple[bytes, ...]:
    """Return the roots of the RFC subtrees over these `[start, end)`, read together."""
    covers = [tuple(_cover(start, end)) for start, end in spans]
    found = iter(reader.nodes([place for cover in covers for place in cover]))
    return tuple(_fold(tuple(next(found) for _ in cover)) for cover in covers)


def _split(width: int) -> int:
    """Return the largest power of two smaller than `width`. Source: RFC 9162 §2.1.1."""
    return 1 << ((width - 1).bit_length() - 1)


def read_frontier(reader: NodeReader, size: int) -> Frontier:
    """Return the frontier of the first `size` leaves, from the stored nodes alone. Raises: KeyError, ValueError."""
    if size < 0:
        raise ValueError(f"tree size {size} is negative")
    return Frontier(size, tuple(reader.nodes(list(_cover(0, size)))))


def tree_root(reader: NodeReader, size: int) -> bytes:
    """Return the root of the tree over the first `size` leaves. Raises: KeyError if a node is not stored."""
    return read_frontier(reader, size).root()


def inclusion_path(reader: NodeReader, index: int, size: int) -> tuple[bytes, ...]:
    """Return the hashes, from the leaf's sibling to the root's child, that tie leaf `index` to the root at `size`.

    Raises: ValueError if the leaf is outside the tree, KeyError if a node is not stored. Source: RFC 9162 §2.1.3.1.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is outside a tree of {size}")
    path: list[tuple[int, int]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    return _subtree_roots(reader, path[::-1])


def consistency_path(reader: NodeReader, old: int, new: int) -> tuple[bytes, ...]:
    """Return the hashes that show the tree of `new` leaves to begin with the tree of `old` leaves.

    Empty if `old` is 0 or `new`. Raises: ValueError if not 0 ≤ old ≤ new, KeyError if a node is not stored.
    Source: RFC 9162 §2.1.4.1.
    """
    if not 0 <= old <= new:
        raise ValueError(f"no tree of {new} leaves extends one of {old}")
    if old == 0:
        return ()
    path: list[tuple[int, int]] = []
    start, end = 0, new
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    if start > 0:
        path.append((start, end))
    return _subtree_roots(reader, path[::-1])
