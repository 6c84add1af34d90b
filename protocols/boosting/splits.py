"""The best split of a leaf, from sums by group of bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.boosting.trees import Split
from protocols.scorecard.arithmetic import RESIDUAL_SCALE

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Bounds = tuple[float, float]
NOISY_GAIN: Final = 4.0
"""Least gain of a split of noisy sums; by chance alone, a cut that nobody chose gains 1."""

UNBOUNDED: Final[Bounds] = (-np.inf, np.inf)


@dataclass(frozen=True, slots=True)
class Shape:
    """A feature as the bank knows it: how many fine bins, missing last, and whether they are in order.

    `sign` is that of the risk as an ordered feature's values rise, whatever the rows say; 0 leaves it to them.
    `special` bins before that of missing values each hold one value that is a code, and stand outside the order.
    """

    bins: int
    ordered: bool
    sign: int = 0
    special: int = 0


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """How boldly leaves are cut and filled.

    Units: `penalty` and `least_curvature` in rows' curvature, at most 1/4 each; `step_limit` in log-odds;
    `learning_rate` is the share of a leaf's step that one tree takes; `least_gain` is twice a log-likelihood;
    `variance` is that of the noise in a leaf's sums, in squared residuals.
    """

    learning_rate: float = 0.07
    penalty: float = 5.0
    least_curvature: float = 2.0
    step_limit: float = 2.0
    least_gain: float = 0.0
    variance: float = 0.0

    def under(self, variance: float) -> Shrinkage:
        """Return the same for sums with noise of this variance: no leaf or split that noise alone would make."""
        if not variance:
            return self
        least = max(self.least_curvature, 2 * variance**0.5)
        return replace(self, variance=variance, least_curvature=least, least_gain=max(self.least_gain, NOISY_GAIN))

    def step(self, residual: Integers | int, curvature: Integers | int) -> Floats:
        """Return the Newton step of leaves with these sums, in log-odds of good, before the learning rate."""
        doubt = 1 + self._doubt(curvature)
        step = np.asarray(residual / (curvature + doubt * self.penalty * RESIDUAL_SCALE), dtype=np.float64)
        return np.clip(step, -self.step_limit, self.step_limit)

    def gain(self, residual: Integers, curvature: Integers) -> Floats:
        """Return twice the gain in log-likelihood of leaves with these sums, in units of 1/RESIDUAL_SCALE."""
        squares, doubt = residual.astype(np.float64) ** 2, 1 + self._doubt(curvature)
        return np.asarray(squares / (doubt * (curvature + doubt * self.penalty * RESIDUAL_SCALE)), dtype=np.float64)

    def _doubt(self, curvature: Integers | int) -> Floats:
        """Return the noise in a leaf's residual as a multiple of what chance puts there, which is its curvature."""
        return np.asarray(self.variance * RESIDUAL_SCALE / np.maximum(curvature, 1), dtype=np.float64)


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
    bounds: Bounds = UNBOUNDED,
) -> Candidate | None:
    """Return the split with the highest gain over all features, the first among equals; None if nothing is gained.

    `bounds` are those of the leaf's steps.
    """
    best: Candidate | None = None
    for feature, found in sums:
        candidate = _split_of(feature, found, shapes[feature], shrinkage, bounds)
        if candidate is not None and (best is None or candidate.gain > best.gain):
            best = candidate
    return best


def _split_of(feature: int, sums: GroupSums, shape: Shape, shrinkage: Shrinkage, bounds: Bounds) -> Candidate | None:
    """Try every cut of the groups in order; those that stand outside it each go to the side that gains more.

    Groups of an unordered feature are put in the order of their steps first. Empty groups go right: like the sums, a
    rule says nothing about them.
    """
    apart = set(range(max(sums.groups) + 1)) - set(sums.groups[: shape.bins - 1 - shape.special])
    filled = [group for group in range(len(sums.residual)) if sums.curvature[group] > 0]
    present = [group for group in filled if group not in apart]
    if not shape.ordered:
        steps = shrinkage.step(sums.residual, sums.curvature)
        present.sort(key=lambda group: (float(steps[group]), group))
    total = int(sums.residual.sum()), int(sums.curvature.sum())
    sign = shape.sign if shape.ordered else 0

    def gains_of(r: Integers, h: Integers) -> Floats:
        gains = _gains(r, h, total, shrinkage)
        if not sign:
            return gains
        fall = _steps(r, h, shrinkage, bounds) - _steps(total[0] - r, total[1] - h, shrinkage, bounds)
        return np.where(sign * fall >= 0, gains, -np.inf)

    r, h = np.cumsum(sums.residual[present]), np.cumsum(sums.curvature[present])
    gains, left_of = gains_of(r, h), {}
    for group in (group for group in filled if group in apart):
        with_r, with_h = r + sums.residual[group], h + sums.curvature[group]
        joined = gains_of(with_r, with_h)
        left_of[group] = better = joined > gains
        r, h, gains = np.where(better, with_r, r), np.where(better, with_h, h), np.where(better, joined, gains)
    if not len(gains) or gains.max() <= shrinkage.least_gain * RESIDUAL_SCALE:
        return None
    cut = int(gains.argmax())
    left = set(present[: cut + 1]) | {group for group, better in left_of.items() if better[cut]}
    return Candidate(Split(feature, tuple(group in left for group in sums.groups)), float(gains.max()))


def _gains(residual: Integers, curvature: Integers, total: tuple[int, int], shrinkage: Shrinkage) -> Floats:
    rest_r, rest_h = total[0] - residual, total[1] - curvature
    gains = shrinkage.gain(residual, curvature) + shrinkage.gain(rest_r, rest_h)
    gains -= shrinkage.gain(np.array([total[0]]), np.array([total[1]]))[0]
    least = shrinkage.least_curvature * RESIDUAL_SCALE
    return np.where((curvature >= least) & (rest_h >= least), gains, -np.inf)


def _steps(residual: Integers, curvature: Integers, shrinkage: Shrinkage, bounds: Bounds) -> Floats:
    return np.asarray(np.clip(shrinkage.step(residual, curvature), *bounds), dtype=np.float64)
