"""Totals of a turn's trees, as every party counts them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from protocols.boosting.arithmetic import fold_of
from protocols.boosting.trees import PointedTree
from protocols.scorecard.rows import BinnedRows

Integers = NDArray[np.int64]


def honest_totals(
    trees: Sequence[PointedTree], rows: BinnedRows, count: int, training_rows: int, folds: int
) -> Integers:
    """Return each row's points by trees that were not fitted to it, in the scale of all trees together.

    Shapes: (count,). `trees` are in the order grown: the i-th is of fold i mod folds.
    A training row is seen by its own fold's trees, which count `folds` times; any other row by all.
    """
    total = np.zeros(count, dtype=np.int64)
    of_row = fold_of(training_rows, folds)
    for number, pointed in enumerate(trees):
        each = np.asarray(pointed.points, dtype=np.int64)[pointed.tree.leaf_of(rows.codes[:count])]
        each[:training_rows] *= np.where(of_row == number % folds, folds, 0)
        total += each
    return total


def offsets(lowest: Sequence[int], count: int, training_rows: int, folds: int) -> Integers:
    """Return what `honest_totals` loses for each row where `lowest` is taken off the points of each tree."""
    of_fold = [folds * sum(lowest[fold::folds]) for fold in range(folds)]
    found = np.full(count, sum(lowest), dtype=np.int64)
    found[:training_rows] = np.asarray(of_fold, dtype=np.int64)[fold_of(training_rows, folds)]
    return found
