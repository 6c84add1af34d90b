"""Bodies whose time is over: their keys are destroyed, then their bytes; the log says so, and verifies without them.

A leaf commits to its body by a hash, so that the tree stays as it is when the body is gone. What keeps anybody from
making other bodies disappear: a missing one is accepted only if a SHRED leaf of the same log ended its year, after the
whole retention.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final, Protocol

from federation.audit.bodies.shredder import year_of
from protocols.errors import MalformedMessage
from protocols.transparency.leaves import LeafCommitment, LeafKind, decode_commitment
from protocols.transparency.orders import RETENTION_YEARS

_NO_BODY: Final = sha256(b"").digest()
_PAGE: Final = 1024


class ErasedBodies:
    """What one walk over a log finds of bodies that are gone; memory does not grow with the log."""

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        self._ended = 0

    def take(self, index: int, leaf: LeafCommitment, body: bytes) -> None:
        """Take a leaf and its stored body. Raises: MalformedMessage if that is neither its body, nor gone."""
        if leaf.kind is LeafKind.SHRED:
            before = dict(leaf.attributes).get("before_year")
            if isinstance(before, int) and before + RETENTION_YEARS <= year_of(leaf.timestamp_ms):
                self._ended = max(self._ended, before)
        if sha256(body).digest() != leaf.body_hash:
            if body:
                raise MalformedMessage("its sealed body is not the one that it commits to")
            self._first.setdefault(year_of(leaf.timestamp_ms), index)

    def unexplained(self) -> int | None:
        """Return the first leaf whose body is gone although no SHRED leaf ended its year, None if there is none."""
        return min((index for year, index in self._first.items() if year >= self._ended), default=None)


class Leaves(Protocol):
    """Where the canonical bytes of leaves are read."""

    def leaf_bytes(self, start: int, end: int) -> list[bytes]:
        """Return those of leaves `[start, end)`, without their bodies."""
        ...


def bodies_before(year: int, leaves: Leaves, size: int) -> Iterator[Sequence[int]]:
    """Yield, a page at a time, the leaves of the years before `year` that had a body. Raises: MalformedMessage."""
    for start in range(0, size, _PAGE):
        page = enumerate(map(decode_commitment, leaves.leaf_bytes(start, min(start + _PAGE, size))), start)
        found = [i for i, leaf in page if year_of(leaf.timestamp_ms) < year and leaf.body_hash != _NO_BODY]
        if found:
            yield found
