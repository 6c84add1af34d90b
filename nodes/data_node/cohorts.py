"""Keeps a bank from subtracting one training cohort from another.

Two sums over cohorts that differ by a few enterprises give the sum over those few. A cohort is therefore refused if it
differs from an earlier one of the same bank by some, but fewer than k enterprises: overall, or among those that this
node knows, for only they are told apart in its bins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from protocols.errors import PolicyDenied

NAME_BYTES = 16


def names_of(ids: Iterable[str]) -> frozenset[bytes]:
    """Return the enterprises by short hashes, as the ledger keeps them."""
    return frozenset(hashlib.sha256(identifier.encode()).digest()[:NAME_BYTES] for identifier in ids)


def pack(names: frozenset[bytes]) -> bytes:
    """Return a set of names as sorted bytes."""
    return b"".join(sorted(names))


def unpack(data: bytes) -> frozenset[bytes]:
    """Return the set that `pack` wrote."""
    return frozenset(data[start : start + NAME_BYTES] for start in range(0, len(data), NAME_BYTES))


def check_difference(
    cohort: frozenset[bytes], known: Collection[bytes], earlier: Iterable[frozenset[bytes]], minimum: int
) -> None:
    """Return if no earlier cohort differs by 1 to `minimum` − 1 enterprises, in all or among the `known` ones.

    Raises: PolicyDenied, code COHORT_TOO_SIMILAR.
    """
    known_names = frozenset(known)
    for other in earlier:
        difference = cohort ^ other
        for size in (len(difference), len(difference & known_names)):
            if 0 < size < minimum:
                raise PolicyDenied(
                    f"the cohort differs from an earlier one by {size} enterprises, fewer than {minimum}",
                    code="COHORT_TOO_SIMILAR",
                )
