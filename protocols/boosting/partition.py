"""A node's own side of a turn: which leaf each row is in, and what its residual has become. Never leaves the node.

The oracle, and the bank on its own features, run the same code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.boosting.arithmetic import (
    ADJUSTMENT_LIMIT,
    fold_of,
    gain_unit,
    gain_weights,
    logistic_gradients,
    to_log_odds,
)
from protocols.boosting.groups import safe_groups
from protocols.boosting.messages import LeafShape
from protocols.boosting.rows import Adjustment, Cells, Span, Weighing
from protocols.boosting.trees import Level, Tree, descend, leaf_count
from protocols.errors import VerificationFailed
from protocols.scorecard.arithmetic import RESIDUAL_SCALE
from protocols.scorecard.rows import BinnedRows

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Groups = dict[int, tuple[int, ...]]


@dataclass(slots=True)
class _GrowingTree:
    """A tree under growth: the leaf of each training row, and the groups of bins by which each leaf was last summed."""

    fold: int
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
    """One party's rows in one turn. Each tree belongs to a fold, and is not fitted to that fold's rows.

    Shapes: `rows` counts its bins on the training rows. `first` tells that the turn starts from the labels, so that
    the residuals are those of this party's own models, one for each fold; `noisy` that the sums will carry noise.
    """

    def __init__(
        self, rows: BinnedRows, training_rows: int, folds: int, minimum: int, first: bool, noisy: bool = False
    ) -> None:
        self._codes = rows.codes[:training_rows].astype(np.int64)
        self._bins, self._minimum, self._first, self._folds = rows.fine_bins(), minimum, first, folds
        self._noisy = noisy
        self._fold_of = fold_of(training_rows, folds)
        self._fitted = [(self._fold_of != fold) | (folds == 1) for fold in range(folds)]
        self._points, self._residual, self._curvature, self._latest = (
            np.zeros((folds, training_rows), dtype=np.int64) for _ in range(4)
        )
        self._growing: list[_GrowingTree] = []
        self.trees: list[Tree] = []

    @property
    def adjustment(self) -> Adjustment:
        """Return what to add to what the bank has sent: in the first turn, the residuals of this party's own models."""
        return Adjustment(-RESIDUAL_SCALE if self._first else 1, self._residual, self._curvature)

    def open_step(self, features: Sequence[tuple[int, ...]], base: Floats | float) -> Summary:
        """Begin a group of trees, and ask for the roots' sums. Shapes: `base` log-odds, of each row or of all."""
        if self._first:
            good = np.ones_like(self._points)
            self._residual, self._curvature = logistic_gradients(good, base + to_log_odds(self._points))
        together = sorted({feature for tree in features for feature in tree})
        groups = {feature: self.root_groups(feature) for feature in together}
        leaves = np.zeros(len(self._codes), dtype=np.int64)
        self._growing = [
            _GrowingTree(number % self._folds, tuple(chosen), leaves, [{j: groups[j] for j in chosen}], [])
            for number, chosen in enumerate(features)
        ]
        shapes = tuple(LeafShape(True, tuple(groups[j] for j in tree.features)) for tree in self._growing)
        return Summary(shapes, (self._root_cells(together, groups),))

    def root_groups(self, feature: int) -> tuple[int, ...]:
        """Return the groups of a feature's fine bins that are safe in every fold, and so in sums without one."""
        bins = self._bins[feature]
        counts = [np.bincount(self._codes[fitted, feature], minlength=bins) for fitted in self._fitted]
        return safe_groups(counts, range(bins), self._minimum, self._noisy)

    def _root_cells(self, together: Sequence[int], groups: Groups) -> Cells:
        """Return cells by fold and group of each feature: a tree's root is the sum over the folds it is fitted to."""
        sizes = {feature: max(groups[feature]) + 1 for feature in together}
        codes = np.empty((len(self._codes), len(together)), dtype=np.int64)
        for column, feature in enumerate(together):
            codes[:, column] = self._fold_of * sizes[feature] + np.asarray(groups[feature])[self._codes[:, feature]]
        spans = []
        for tree in self._growing:
            fitted = [fold for fold in range(self._folds) if fold != tree.fold or self._folds == 1]
            for feature in tree.features:
                starts = tuple(fold * sizes[feature] for fold in fitted)
                spans.append(Span(together.index(feature), starts, sizes[feature], tree.fold))
        rows = np.arange(len(self._codes), dtype=np.intp)
        return Cells(rows, codes, tuple(self._folds * sizes[feature] for feature in together), tuple(spans))

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
    ) -> Weighing:
        """Apply the last splits and the leaves' points; return the rows' weights for the gain.

        Raises: VerificationFailed as `grow`.
        """
        self._split(splits)
        before = self._points.copy()
        for tree, values, shrink in zip(self._growing, points, decrements, strict=True):
            self._points[tree.fold] += self._folds * np.asarray(values, dtype=np.int64)[tree.leaves]
            if not self._first:
                count = np.bincount(tree.leaves[self._fitted[tree.fold]], minlength=len(shrink))
                each = np.rint(np.asarray(shrink) / np.maximum(count, 1)).astype(np.int64)
                self._latest[tree.fold] += each[tree.leaves]
            self.trees.append(Tree(tuple(tree.levels)))
        self._growing = []
        step = (self._points - before)[self._fold_of, np.arange(len(self._codes))]
        return Weighing(self._fold_of, gain_weights(step, gain_unit(points, self._folds)))

    def settle(self) -> None:
        """Let the residuals shrink by the step that was closed, once its gain is summed."""
        if not self._first:
            self._residual = np.clip(self._residual - self._latest, -ADJUSTMENT_LIMIT, ADJUSTMENT_LIMIT)
            self._latest = np.zeros_like(self._latest)

    def _split(self, splits: Sequence[Level]) -> None:
        for tree, level in zip(self._growing, splits, strict=True):
            tree.leaves = descend(tree.leaves, level, self._codes)
            tree.levels.append(level)
            leaves, fitted = leaf_count(level), self._fitted[tree.fold]
            if np.bincount(tree.leaves[fitted], minlength=leaves).min() < self._minimum and leaves > 1:
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
            sides = [self._fitted[tree.fold] & (tree.leaves == len(groups) + side) for side in (0, 1)]
            joint = self._joint_groups(tree, leaf, sides)
            left = int(sides[0].sum()) <= int(sides[1].sum())
            pair_of[sides[0] if left else sides[1]] = len(pairs)
            shapes.append(LeafShape(left, tuple(joint[j] for j in tree.features)))
            pairs.append(joint)
            groups += [joint, joint]
        tree.groups = groups
        rows = np.flatnonzero(pair_of >= 0)
        return shapes, self._child_cells(rows, pair_of[rows], pairs, tree)

    def _joint_groups(self, tree: _GrowingTree, leaf: int, sides: Sequence[NDArray[np.bool_]]) -> Groups:
        parent = tree.groups[leaf]
        if parent is None:
            raise VerificationFailed("a leaf splits that was to stay", code="LEAF_CLOSED")
        joint = {}
        for feature in tree.features:
            counts = [np.bincount(self._codes[side, feature], minlength=self._bins[feature]) for side in sides]
            joint[feature] = safe_groups(counts, parent[feature], self._minimum, self._noisy)
        return joint

    def _child_cells(
        self, rows: NDArray[np.intp], pair_of: Integers, pairs: Sequence[Groups], tree: _GrowingTree
    ) -> Cells:
        """Return cells by pair and group for each feature, ordered by pair, then feature, then group."""
        codes = np.empty((len(rows), len(tree.features)), dtype=np.int64)
        starts = []
        for column, feature in enumerate(tree.features):
            tables = [np.asarray(pair[feature], dtype=np.int64) for pair in pairs]
            offsets = np.concatenate([[0], np.cumsum([table.max() + 1 for table in tables])]).astype(np.int64)
            lookup = np.stack(tables) if tables else np.zeros((1, self._bins[feature]), dtype=np.int64)
            codes[:, column] = offsets[pair_of] + lookup[pair_of, self._codes[rows, feature]]
            starts.append(offsets.tolist())
        spans = tuple(
            Span(column, (starts[column][pair],), starts[column][pair + 1] - starts[column][pair], tree.fold)
            for pair in range(len(pairs))
            for column in range(len(tree.features))
        )
        return Cells(rows, codes, tuple(start[-1] for start in starts), spans)
