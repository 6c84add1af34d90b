"""A node's own side of a turn: which leaf each row is in, and what its residual has become. Never leaves the node.

The oracle, and the bank on its own features, run the same code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.boosting.arithmetic import ADJUSTMENT_LIMIT, gain_unit, gain_weights, logistic_gradients, to_log_odds
from protocols.boosting.groups import safe_groups
from protocols.boosting.messages import LeafShape
from protocols.boosting.rows import Adjustment, Cells
from protocols.boosting.trees import Level, Tree, descend, leaf_count
from protocols.errors import VerificationFailed
from protocols.scorecard.arithmetic import RESIDUAL_SCALE
from protocols.scorecard.rows import BinnedRows

Integers = NDArray[np.int64]
Groups = dict[int, tuple[int, ...]]


@dataclass(slots=True)
class _GrowingTree:
    """A tree under growth: the leaf of each training row, and the groups of bins by which each leaf was last summed."""

    features: tuple[int, ...]
    leaves: Integers = field(repr=False)
    groups: list[Groups | None]
    levels: list[Level]


@dataclass(frozen=True, slots=True)
class Summary:
    """What the leaves of a step are to be summed by: shapes for the bank, cells for the sums."""

    shapes: tuple[LeafShape, ...]
    cells: tuple[Cells, ...]


class TurnPartition:
    """One party's rows in one turn.

    Shapes: `rows` counts its bins on the training rows; `held_out` of those are not fitted. `first` tells that the
    turn starts from the labels, so that the residuals are those of this party's own model.
    """

    def __init__(self, rows: BinnedRows, training_rows: int, held_out: range, minimum: int, first: bool) -> None:
        self._codes = rows.codes[:training_rows].astype(np.int64)
        self._bins, self._minimum, self._first = rows.fine_bins(), minimum, first
        self._held_out = np.arange(held_out.start, held_out.stop, dtype=np.intp)
        self._fitted = np.ones(training_rows, dtype=bool)
        self._fitted[self._held_out] = False
        self._points = np.zeros(training_rows, dtype=np.int64)
        self._residual, self._curvature = (np.zeros(training_rows, dtype=np.int64) for _ in range(2))
        self._base = 0
        self._growing: list[_GrowingTree] = []
        self._latest: Integers = np.zeros(training_rows, dtype=np.int64)
        self._unit = 1
        self.trees: list[Tree] = []

    @property
    def adjustment(self) -> Adjustment:
        """Return what to add to what the bank has sent: in the first turn, the residuals of this party's own model."""
        return Adjustment(-RESIDUAL_SCALE if self._first else 1, self._residual, self._curvature)

    def open_step(self, features: Sequence[tuple[int, ...]], base: int) -> Summary:
        """Begin a group of trees, and ask for the root's sums of every feature that one of them may use."""
        if self._first:
            self._base = base
            good = np.ones(len(self._points), dtype=np.int64)
            self._residual, self._curvature = logistic_gradients(good, to_log_odds(self._base + self._points))
        together = sorted({feature for tree in features for feature in tree})
        groups = {feature: self.root_groups(feature) for feature in together}
        leaves = np.zeros(len(self._codes), dtype=np.int64)
        self._growing = [_GrowingTree(tuple(f), leaves, [{j: groups[j] for j in f}], []) for f in features]
        rows = np.flatnonzero(self._fitted)
        cells = self._cells(rows, np.zeros(len(rows), dtype=np.int64), [groups], together)
        return Summary((LeafShape(True, tuple(groups[j] for j in together)),), (cells,))

    def root_groups(self, feature: int) -> tuple[int, ...]:
        """Return the groups of a feature's fine bins that are safe on the fitted rows."""
        counts = np.bincount(self._codes[self._fitted, feature], minlength=self._bins[feature])
        return safe_groups([counts], range(self._bins[feature]), self._minimum)

    def grow(self, splits: Sequence[Level]) -> Summary:
        """Split the leaves one level further, and ask for the smaller child's sums of every split.

        Raises: VerificationFailed, code LEAF_TOO_SMALL, for a leaf of fewer enterprises than the minimum.
        """
        self._split(splits)
        shapes: list[LeafShape] = []
        cells: list[Cells] = []
        for tree, level in zip(self._growing, splits, strict=True):
            found, request = self._children(tree, level)
            shapes += found
            if found:
                cells.append(request)
        return Summary(tuple(shapes), tuple(cells))

    def close_step(
        self, splits: Sequence[Level], points: Sequence[tuple[int, ...]], decrements: Sequence[tuple[int, ...]]
    ) -> tuple[NDArray[np.intp], Integers]:
        """Apply the last splits and the leaves' points; return held-out rows and their weights, for the gain.

        Raises: VerificationFailed as `grow`.
        """
        self._split(splits)
        before = self._points.copy()
        for tree, values, shrink in zip(self._growing, points, decrements, strict=True):
            self._points += np.asarray(values, dtype=np.int64)[tree.leaves]
            if not self._first:
                count = np.bincount(tree.leaves[self._fitted], minlength=len(shrink))
                each = np.rint(np.asarray(shrink) / np.maximum(count, 1)).astype(np.int64)
                self._latest = self._latest + each[tree.leaves]
            self.trees.append(Tree(tuple(tree.levels)))
        self._growing = []
        self._unit = gain_unit(tuple(points))
        return self._held_out, gain_weights((self._points - before)[self._held_out], self._unit)

    def settle(self) -> None:
        """Let the residuals shrink by the step that was closed, once its gain is summed."""
        if not self._first:
            self._residual = np.clip(self._residual - self._latest, -ADJUSTMENT_LIMIT, ADJUSTMENT_LIMIT)
            self._latest = np.zeros_like(self._latest)

    def _split(self, splits: Sequence[Level]) -> None:
        for tree, level in zip(self._growing, splits, strict=True):
            tree.leaves = descend(tree.leaves, level, self._codes)
            tree.levels.append(level)
            leaves = leaf_count(level)
            if np.bincount(tree.leaves[self._fitted], minlength=leaves).min() < self._minimum and leaves > 1:
                raise VerificationFailed(f"a leaf of fewer than {self._minimum} enterprises", code="LEAF_TOO_SMALL")

    def _children(self, tree: _GrowingTree, level: Level) -> tuple[list[LeafShape], Cells]:
        """Return shapes and cells of the smaller child of each leaf that has split."""
        groups: list[Groups | None] = []
        shapes: list[LeafShape] = []
        pairs: list[Groups] = []
        pair_of = np.full(len(self._codes), -1, dtype=np.int64)
        for leaf, split in enumerate(level):
            if split is None:
                groups.append(None)
                continue
            sides = [self._fitted & (tree.leaves == len(groups) + side) for side in (0, 1)]
            joint = self._joint_groups(tree, leaf, sides)
            left = int(sides[0].sum()) <= int(sides[1].sum())
            pair_of[sides[0] if left else sides[1]] = len(pairs)
            shapes.append(LeafShape(left, tuple(joint[j] for j in tree.features)))
            pairs.append(joint)
            groups += [joint, joint]
        tree.groups = groups
        rows = np.flatnonzero(pair_of >= 0)
        return shapes, self._cells(rows, pair_of[rows], pairs, tree.features)

    def _joint_groups(self, tree: _GrowingTree, leaf: int, sides: Sequence[NDArray[np.bool_]]) -> Groups:
        parent = tree.groups[leaf]
        if parent is None:
            raise VerificationFailed("a leaf splits that was to stay", code="LEAF_CLOSED")
        joint = {}
        for feature in tree.features:
            counts = [np.bincount(self._codes[side, feature], minlength=self._bins[feature]) for side in sides]
            joint[feature] = safe_groups(counts, parent[feature], self._minimum)
        return joint

    def _cells(
        self, rows: NDArray[np.intp], pair_of: Integers, pairs: Sequence[Groups], features: Sequence[int]
    ) -> Cells:
        """Return cells by pair and group for each feature, ordered by pair, then feature, then group."""
        codes = np.empty((len(rows), len(features)), dtype=np.int64)
        starts = []
        for column, feature in enumerate(features):
            tables = [np.asarray(pair[feature], dtype=np.int64) for pair in pairs]
            offsets = np.concatenate([[0], np.cumsum([table.max() + 1 for table in tables])]).astype(np.int64)
            lookup = np.stack(tables) if tables else np.zeros((1, self._bins[feature]), dtype=np.int64)
            codes[:, column] = offsets[pair_of] + lookup[pair_of, self._codes[rows, feature]]
            starts.append(offsets.tolist())
        order = tuple(
            (column, starts[column][pair], starts[column][pair + 1])
            for pair in range(len(pairs))
            for column in range(len(features))
        )
        return Cells(rows, codes, tuple(start[-1] for start in starts), order)
