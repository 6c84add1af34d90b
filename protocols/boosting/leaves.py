"""The bank's leaves under growth: their sums, their children's, and the bounds that monotone features set to both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from protocols.boosting.splits import UNBOUNDED, Bounds, GroupSums, Shape, Shrinkage
from protocols.boosting.trees import Level, Split
from protocols.errors import MalformedMessage


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf: its sums, by feature too while it may split, and the bounds of its step in log-odds of good."""

    residual: int
    curvature: int
    sums: dict[int, GroupSums] | None
    bounds: Bounds = UNBOUNDED

    @classmethod
    def of(cls, sums: dict[int, GroupSums], bounds: Bounds = UNBOUNDED) -> Leaf:
        """Return a leaf; every feature's groups cover the same rows, so the first tells its sums."""
        first = next(iter(sums.values()))
        return cls(int(first.residual.sum()), int(first.curvature.sum()), sums, bounds)

    def closed(self) -> Leaf:
        """Return the leaf as one that stays."""
        return Leaf(self.residual, self.curvature, None, self.bounds)

    def step(self, shrinkage: Shrinkage) -> float:
        """Return the leaf's step, within its bounds."""
        return float(np.clip(shrinkage.step(self.residual, self.curvature), *self.bounds))

    def children(self, part: dict[int, GroupSums], left: bool, noisy: bool = False) -> tuple[Leaf, Leaf]:
        """Return left and right child, from the sums of one of them, which may be `noisy`.

        Raises: MalformedMessage if they do not fit.
        """
        one, other = Leaf.of(part, self.bounds), Leaf.of(self._without(part, noisy), self.bounds)
        return (one, other) if left else (other, one)

    def _without(self, part: dict[int, GroupSums], noisy: bool) -> dict[int, GroupSums]:
        found = {}
        for feature, child in part.items():
            above = (self.sums or {})[feature]
            pairs = set(zip(above.groups, child.groups, strict=True))
            if len(pairs) != len(above.residual):
                raise MalformedMessage("a leaf's groups are not unions of its parent's")
            table = np.array([group for _, group in sorted(pairs)])
            residual, curvature = -child.residual, -child.curvature
            np.add.at(residual, table, above.residual)
            np.add.at(curvature, table, above.curvature)
            if noisy:
                curvature = np.maximum(curvature, 0)
            if (curvature < 0).any():
                raise MalformedMessage("a child's curvature exceeds its parent's")
            found[feature] = GroupSums(child.groups, residual, curvature)
        return found

    def cut(self, split: Split) -> tuple[Leaf, Leaf]:
        """Return left and right child as leaves that stay, from this leaf's own sums by the split's feature."""
        sums = (self.sums or {})[split.feature]
        left_of = dict(zip(sums.groups, split.left, strict=True))
        marks = np.array([left_of[group] for group in range(len(sums.residual))])
        r, h = int(sums.residual[marks].sum()), int(sums.curvature[marks].sum())
        rest = max(0, self.curvature - h)
        return Leaf(r, h, None, self.bounds), Leaf(self.residual - r, rest, None, self.bounds)


def bounded(pair: tuple[Leaf, Leaf], sign: int, shrinkage: Shrinkage) -> tuple[Leaf, Leaf]:
    """Return two siblings whose descendants keep to either side of the middle, where their feature has a sign."""
    if not sign:
        return pair
    left, right = pair
    middle = (left.step(shrinkage) + right.step(shrinkage)) / 2
    low, high = left.bounds
    above, below = (middle, high), (low, middle)
    of_left, of_right = (above, below) if sign > 0 else (below, above)
    return (
        Leaf(left.residual, left.curvature, left.sums, of_left),
        Leaf(right.residual, right.curvature, right.sums, of_right),
    )


def after(leaves: Sequence[Leaf], level: Level, shapes: Sequence[Shape], shrinkage: Shrinkage) -> list[Leaf]:
    """Return the leaves that the last splits lead to."""
    found: list[Leaf] = []
    for leaf, split in zip(leaves, level, strict=True):
        if split is None or leaf.sums is None:
            found.append(leaf)
        else:
            found += bounded(leaf.cut(split), shapes[split.feature].sign, shrinkage)
    return found
