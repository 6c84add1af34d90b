"""What a log has on disk, as its own process reads it: leaves, roots and proofs, while others append.

It never waits for a writer, and proves nothing by itself: who reads a copy that is not to be trusted verifies it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from federation.audit.storage.rows import LogReader
from protocols.transparency.leaves import Leaf, LeafCommitment, decode_commitment, decode_leaf
from protocols.transparency.prover import consistency_path, inclusion_path, tree_root

_PAGE: Final = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """A leaf and where it stands."""

    index: int
    leaf: Leaf


class LogContents:
    """The durable leaves of one log, and the tree over them. May be called from any thread."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader

    @property
    def size(self) -> int:
        """How many leaves are durable."""
        return self._reader.size()

    def inclusion_proof(self, index: int, size: int) -> tuple[bytes, ...]:
        """Return the path from leaf `index` to the root of the first `size` leaves. Raises: ValueError."""
        self._check_size(size)
        return inclusion_path(self._reader, index, size)

    def consistency_proof(self, old: int, new: int) -> tuple[bytes, ...]:
        """Return the path that shows the first `new` leaves to begin with the first `old`. Raises: ValueError."""
        self._check_size(new)
        return consistency_path(self._reader, old, new)

    def root(self, size: int | None = None) -> bytes:
        """Return the root of the first `size` leaves, of all by default. Raises: ValueError."""
        wanted = self.size if size is None else size
        self._check_size(wanted)
        return tree_root(self._reader, wanted)

    def _check_size(self, size: int) -> None:
        if not 0 <= size <= self.size:
            raise ValueError(f"a tree of {size} leaves is not part of a log of {self.size}")

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[Entry]:
        """Yield leaves `[start, end)` in order, a page in memory at a time; a body that was erased is empty.

        Raises: MalformedMessage for a leaf that is not canonical or does not fit its body; it proves no hash.
        """
        stop = self.size if end is None else min(end, self.size)
        for page in range(max(start, 0), stop, _PAGE):
            for index, leaf, body, _ in self._reader.leaves(page, min(page + _PAGE, stop)):
                yield Entry(index, decode_leaf(leaf, body))

    def commitments(self, start: int = 0, end: int | None = None) -> Iterator[LeafCommitment]:
        """Yield what leaves `[start, end)` say, without their bodies. Raises: MalformedMessage; it proves no hash."""
        stop = self.size if end is None else min(end, self.size)
        for page in range(max(start, 0), stop, _PAGE):
            for data in self._reader.leaf_bytes(page, min(page + _PAGE, stop)):
                yield decode_commitment(data)

    def leaf_bytes(self, index: int) -> bytes:
        """Return the canonical bytes of one leaf, which a `LogProof` verifies. Raises: ValueError."""
        rows = self._reader.leaf_bytes(index, index + 1)
        if not rows:
            raise ValueError(f"leaf {index} is outside a log of {self.size}")
        return rows[0]
