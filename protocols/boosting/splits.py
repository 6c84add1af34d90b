"""The best split of a leaf, from sums by group of bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.boosting.trees import Split
from protocols.scorecard.arithmetic import RESIDUAL_SCALE

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Bounds = tuple[float, float]
UNBOUNDED: Final[Bounds] = (-np.inf, np.inf)


@dataclass(frozen=True, slots=True)
class Shape:
    """A feature as the bank knows it: how many fine bins, missing last, and whether they are in order.

    `sign` is that of the risk as an ordered feature's values rise, whatever the rows say; 0 leaves it to them.
    """

    bins: int
    ordered: bool
    sign: int = 0


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """How boldly leaves are cut and filled.

    Units: `penalty` and `least_curvature` in rows' curvature, at most 1/4 each; `least_share` of the leaf's curvature
    for either child, above the last level: beside a small one, groups of bins would be coarse; `step_limit` in
    log-odds; `learning_rate` is the share of a leaf's step that one tree takes; `least_gain` is twice a log-likelihood.
    """

    learning_rate: float = 0.07
    penalty: float = 5.0
    least_curvature: float = 2.0
    least_share: float = 0.05
    step_limit: float = 2.0
    least_gain: float = 0.0

    def step(self, residual: Integers | int, curvature: Integers | int) -> Floats:
        """Return the Newton step of leaves with these sums, in log-odds of good, before the learning rate."""
        step = np.asarray(residual / (curvature + self.penalty * RESIDUAL_SCALE), dtype=np.float64)
        return np.clip(step, -self.step_limit, self.step_limit)

    def gain(self, residual: Integers, curvature: Integers) -> Floats:
        """Return twice the gain in log-likelihood of leaves with these sums, in units of 1/RESIDUAL_SCALE."""
        squares = residual.astype(np.float64) ** 2
        return np.asarray(squares / (curvature + self.penalty * RESIDUAL_SCALE), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A split and what it gains over leaving the leaf as it is."""

    split: Split
    gain: float


@dataclass(frozen=True, slots=True)
class GroupSums:
    """One feature at one leaf. Shapes: `groups` (bins,), the sums (groups,)."""

    groups: tuple[int, ...]
    residual: Integers = field(repr=False)
    curvature: Integers = field(repr=False)


def best_split(
    sums: Sequence[tuple[int, GroupSums]],
    shapes: Sequence[Shape],
    shrinkage: Shrinkage,
    last: bool,
    bounds: Bounds = UNBOUNDED,
) -> Candidate | None:
    """Return the split with the highest gain over all features, the first among equals; None if nothing is gained.

    `last` tells that the children will not be split again; `bounds` are those of the leaf's steps.
    """
    best: Candidate | None = None
    for feature, found in sums:
        candidate = _split_of(feature, found, shapes[feature], shrinkage, last, bounds)
        if candidate is not None and (best is None or candidate.gain > best.gain):
            best = candidate
    return best


def _split_of(
    feature: int, sums: GroupSums, shape: Shape, shrinkage: Shrinkage, last: bool, bounds: Bounds
) -> Candidate | None:
    """Try every cut of the groups in order, with the missing values on either side.

    Groups of an unordered feature are put in the order of their steps first. Empty groups go right: like the sums, a
    rule says nothing about them.
    """
    missing = sums.groups[-1]
    alone = sums.groups.count(missing) == 1
    present = [g for g in range(len(sums.residual)) if not (alone and g == missing) and sums.curvature[g] > 0]
    if not shape.ordered:
        steps = shrinkage.step(sums.residual, sums.curvature)
        present.sort(key=lambda group: (float(steps[group]), group))
    total = int(sums.residual.sum()), int(sums.curvature.sum())
    gone = (int(sums.residual[missing]), int(sums.curvature[missing])) if alone else (0, 0)
    left_r, left_h = np.cumsum(sums.residual[present]), np.cumsum(sums.curvature[present])
    best: tuple[float, int, bool] | None = None
    for with_missing in (False, True) if gone[1] else (False,):
        r = left_r + (gone[0] if with_missing else 0)
        h = left_h + (gone[1] if with_missing else 0)
        gains = _gains(r, h, total, shrinkage, last)
        if shape.ordered and shape.sign:
            fall = _steps(r, h, shrinkage, bounds) - _steps(total[0] - r, total[1] - h, shrinkage, bounds)
            gains = np.where(shape.sign * fall >= 0, gains, -np.inf)
        if len(gains) and (best is None or gains.max() > best[0]):
            best = float(gains.max()), int(gains.argmax()), with_missing
    if best is None or best[0] <= shrinkage.least_gain * RESIDUAL_SCALE:
        return None
    left = set(present[: best[1] + 1]) | ({missing} if best[2] else set())
    return Candidate(Split(feature, tuple(group in left for group in sums.groups)), best[0])


def _gains(residual: Integers, curvature: Integers, total: tuple[int, int], shrinkage: Shrinkage, last: bool) -> Floats:
    rest_r, rest_h = total[0] - residual, total[1] - curvature
    gains = shrinkage.gain(residual, curvature) + shrinkage.gain(rest_r, rest_h)
    gains -= shrinkage.gain(np.array([total[0]]), np.array([total[1]]))[0]
    share = 0.0 if last else shrinkage.least_share * total[1]
    least = max(shrinkage.least_curvature * RESIDUAL_SCALE, share)
    return np.where((curvature >= least) & (rest_h >= least), gains, -np.inf)


def _steps(residual: Integers, curvature: Integers, shrinkage: Shrinkage, bounds: Bounds) -> Floats:
    return np.asarray(np.clip(shrinkage.step(residual, curvature), *bounds), dtype=np.float64)
