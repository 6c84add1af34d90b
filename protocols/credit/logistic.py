"""Logistic regression from aggregates: one Newton step from the Gram matrix, then refinements along released totals.

The bank never sees a row. It knows, exactly and as integers, the Gram matrix of the WOE columns and their products with
the labels; that gives the first Newton step of the likelihood. If the owners' policy releases row totals of that
candidate, the bank can weigh the curvature and take one more step, and it can calibrate.
Source: fixed-Hessian Newton, Böhning & Lindsay 1988; the diagonal rescaling of the Hessian is ours (docs/scorecard.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.credit.woe import WOE_SCALE

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RIDGE: Final = 1e-6
"""Relative ridge on the Hessian: keeps collinear columns solvable, moves no coefficient that the data determine."""

SLOPE_STEPS: Final = 60


@dataclass(frozen=True, slots=True)
class Moments:
    """What training needs of the WOE columns, as exact integers in units of 1/WOE_SCALE (squared in `gram`).

    Shapes: d columns; `sums`, `good_sums` (d,), `gram` (d, d). `good_sums` adds over enterprises with a good outcome.
    """

    rows: int
    good: int
    sums: Integers
    good_sums: Integers
    gram: Integers

    def hessian_basis(self) -> Floats:
        """Return XᵀX with the intercept's column of ones first, in units of WOE."""
        d = len(self.sums)
        basis = np.empty((d + 1, d + 1))
        basis[0, 0] = self.rows
        basis[0, 1:] = basis[1:, 0] = self.sums / WOE_SCALE
        basis[1:, 1:] = self.gram / WOE_SCALE**2
        return basis


def sigmoid(values: Floats) -> Floats:
    """Return 1/(1+e^-v), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)), dtype=np.float64)


def first_step(moments: Moments) -> Floats:
    """Return the coefficients after one Newton step from the base rate: intercept first, then one per column.

    Units: log-odds of a *good* outcome per unit of WOE.
    """
    share = moments.good / moments.rows
    gradient = np.empty(len(moments.sums) + 1)
    gradient[0] = 0.0
    gradient[1:] = (moments.good_sums - share * moments.sums) / WOE_SCALE
    start = np.zeros_like(gradient)
    start[0] = np.log(share / (1.0 - share))
    return start + _solve(share * (1.0 - share) * moments.hessian_basis(), gradient)


@dataclass(frozen=True, slots=True)
class Curvature:
    """Gradient of the log-likelihood and diagonal of its Hessian at a candidate; intercept first, units of WOE."""

    gradient: Floats
    diagonal: Floats

    def restrict(self, kept: NDArray[np.intp]) -> Curvature:
        """Return those of the intercept and of the kept columns."""
        places = np.concatenate([[0], kept + 1])
        return Curvature(self.gradient[places], self.diagonal[places])


def refine(coefficients: Floats, moments: Moments, curvature: Curvature) -> Floats:
    """Return the candidate after one more Newton step, with the Gram matrix rescaled to the curvature's diagonal."""
    basis = moments.hessian_basis()
    scale = np.sqrt(curvature.diagonal / np.maximum(np.diag(basis), 1e-12))
    return coefficients + _solve(basis * np.outer(scale, scale), curvature.gradient)


def _solve(hessian: Floats, gradient: Floats) -> Floats:
    ridge = RIDGE * np.trace(hessian) / len(hessian)
    return np.asarray(np.linalg.solve(hessian + ridge * np.eye(len(hessian)), gradient), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Calibration:
    """ln(odds of good) = intercept + slope · total: how a model's integer total becomes a probability."""

    intercept: float
    slope: float

    def log_odds(self, totals: Integers) -> Floats:
        """Return the log-odds of a good outcome for integer totals."""
        return np.asarray(self.intercept + self.slope * totals, dtype=np.float64)


def calibrate(totals: Integers, good: Integers) -> Calibration:
    """Return the two-parameter logistic fit of outcomes on totals, by damped Newton; exact to machine precision.

    Shapes: both (rows,). A constant total yields slope 0. Outcomes that the total separates perfectly have no finite
    fit; half a case of each outcome at the two ends keeps the slope finite.
    """
    share = (good.sum() + 0.5) / (len(good) + 1.0)
    base = float(np.log(share / (1.0 - share)))
    spread = float(np.std(totals))
    if spread == 0.0:
        return Calibration(base, 0.0)
    centre = float(np.mean(totals))
    x = np.append((totals - centre) / spread, [-1.0, 1.0])
    target = np.append(good, [0.5, 0.5])
    design = np.column_stack([np.ones_like(x), x])
    fit = np.array([base, 0.0])
    for _ in range(SLOPE_STEPS):
        p = sigmoid(design @ fit)
        step = np.linalg.solve((design * (p * (1 - p) + 1e-12)[:, None]).T @ design, design.T @ (target - p))
        fit += np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-12:
            break
    slope = float(fit[1] / spread)
    return Calibration(float(fit[0]) - slope * centre, slope)
