"""A tree over fine bins: level by level, each leaf either stays or splits in two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from protocols.channel.wire import Message

Codes = NDArray[np.integer]
Leaves = NDArray[np.int64]


class Split(Message, frozen=True):
    """A leaf's rule: rows whose fine bin of `feature` is marked go left. Missing is a bin like any other, the last."""

    feature: Annotated[int, Meta(ge=0, lt=1 << 16)]
    left: Annotated[tuple[bool, ...], Meta(min_length=2, max_length=512)]


Level = tuple[Split | None, ...]


class Tree(Message, frozen=True):
    """The splits of a tree. Level i holds one entry per leaf of level i, None for a leaf that stays.

    Leaves are numbered from the left: a leaf that splits gives two consecutive ones.
    """

    levels: Annotated[tuple[Level, ...], Meta(max_length=8)]

    @property
    def leaves(self) -> int:
        """Return the number of leaves."""
        return leaf_count(self.levels[-1]) if self.levels else 1

    def leaf_of(self, codes: Codes) -> Leaves:
        """Return the leaf of each row. Shapes: `codes` (rows, features) of fine bins; (rows,)."""
        leaves = np.zeros(len(codes), dtype=np.int64)
        for level in self.levels:
            leaves = descend(leaves, level, codes)
        return leaves


@dataclass(frozen=True, slots=True)
class PointedTree:
    """A tree with the points of its leaves."""

    tree: Tree
    points: tuple[int, ...] = field(repr=False)


def leaf_count(level: Sequence[Split | None]) -> int:
    """Return how many leaves a level leads to."""
    return len(level) + sum(split is not None for split in level)


def descend(leaves: Leaves, level: Sequence[Split | None], codes: Codes) -> Leaves:
    """Return the leaves one level further down. Raises: ValueError if the level is not for these leaves."""
    below, first = np.empty(len(leaves), dtype=np.int64), 0
    for leaf, split in enumerate(level):
        rows = np.flatnonzero(leaves == leaf)
        if split is None:
            below[rows] = first
        else:
            below[rows] = first + ~np.asarray(split.left)[codes[rows, split.feature]]
        first += 1 if split is None else 2
    if len(leaves) and leaves.max() >= len(level):
        raise ValueError(f"{len(level)} splits for more leaves")
    return below


def fits(level: Sequence[Split | None], bins: Sequence[int]) -> bool:
    """Tell whether each split of a level names a feature with that many bins."""
    return all(s is None or (s.feature < len(bins) and len(s.left) == bins[s.feature]) for s in level)
