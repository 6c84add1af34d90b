"""Logistic regression from aggregates: one Newton step from the Gram matrix, then refinements along released totals.

The bank never sees a row. It knows, exactly and as integers, the Gram matrix of the WOE columns and their products with
the labels; that gives the first Newton step of the likelihood. If the owners' policy releases row totals of that
candidate, the bank can weigh the curvature and take one more step, and it can calibrate.
Source: fixed-Hessian Newton, Böhning & Lindsay 1988; the diagonal rescaling of the Hessian is ours (docs/scorecard.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.credit.hessian import Curvature, rescaled
from protocols.credit.nonnegative import solve_nonnegative
from protocols.credit.woe import WOE_SCALE
from protocols.errors import CreditFederationError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RIDGE: Final = 1e-6
"""Relative ridge on the Hessian: keeps collinear columns solvable, moves no coefficient that the data determine."""

BASE_RATE_SHARE: Final = 0.1
"""How much of a refinement's curvature is that of the base rate, where only the Hessian's diagonal is known."""

BLOCK_BASE_RATE_SHARE: Final = 0.05
"""The same, where each party's own block of the Hessian is known."""

MAXIMUM_STEPS: Final = 200


class Signs(StrEnum):
    """Whether a coefficient may be negative: may count for a firm what speaks, by itself, against it."""

    FREE = "free"
    CONSTRAINED = "constrained"


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


def first_step(moments: Moments, signs: Signs = Signs.FREE) -> Floats:
    """Return the coefficients after one Newton step from the base rate: intercept first, then one per column.

    Units: log-odds of a *good* outcome per unit of WOE; with constrained signs the best that are not negative.
    """
    share = moments.good / moments.rows
    gradient = np.empty(len(moments.sums) + 1)
    gradient[0] = 0.0
    gradient[1:] = (moments.good_sums - share * moments.sums) / WOE_SCALE
    start = np.zeros_like(gradient)
    start[0] = np.log(share / (1.0 - share))
    hessian = share * (1.0 - share) * moments.hessian_basis()
    return _solve(hessian, hessian @ start + gradient, signs)


def refine(
    coefficients: Floats,
    moments: Moments,
    curvature: Curvature,
    kept: NDArray[np.intp] | None = None,
    signs: Signs = Signs.FREE,
) -> Floats:
    """Return the candidate after one more Newton step, which sets the columns not in `kept`, if given, to 0.

    The Gram matrix stands for the Hessian, rescaled to the curvature with a share of the base rate's: where few rows
    carry a candidate's own curvature, it keeps the step short.
    """
    good = moments.good / max(1, moments.rows)
    share = BASE_RATE_SHARE if curvature.own is None else BLOCK_BASE_RATE_SHARE
    hessian = rescaled(moments.hessian_basis(), curvature, good * (1 - good), share)
    target = hessian @ coefficients + curvature.gradient
    places = np.arange(len(coefficients)) if kept is None else np.concatenate([[0], kept + 1])
    result = np.zeros_like(coefficients)
    result[places] = _solve(hessian[np.ix_(places, places)], target[places], signs)
    return result


def moved(before: Floats, after: Floats, moments: Moments) -> float:
    """Return by how much two candidates' scores differ, as a share of the spread of the second's: deviations.

    Shapes: coefficients, intercept first.
    """
    basis = moments.hessian_basis()
    means = basis[0, 1:] / basis[0, 0]
    covariance = basis[1:, 1:] / basis[0, 0] - np.outer(means, means)
    step, whole = after[1:] - before[1:], after[1:]
    spread = float(whole @ covariance @ whole)
    return float(np.sqrt(max(0.0, float(step @ covariance @ step)) / spread)) if spread > 0 else 0.0


def _solve(hessian: Floats, target: Floats, signs: Signs) -> Floats:
    """Return the coefficients at which the quadratic of this Hessian and linear part is highest.

    Raises: CreditFederationError, code FIT_DIVERGED, where the Hessian has no inverse.
    """
    steady = hessian + RIDGE * np.trace(hessian) / len(hessian) * np.eye(len(hessian))
    try:
        if signs is Signs.CONSTRAINED:
            return solve_nonnegative(steady, target)
        return np.asarray(np.linalg.solve(steady, target), dtype=np.float64)
    except np.linalg.LinAlgError as error:
        raise CreditFederationError("the fit has no solution", code="FIT_DIVERGED") from error


@dataclass(frozen=True, slots=True)
class Calibration:
    """ln(odds of good) = intercept + slope · total: how a model's integer total becomes a probability."""

    intercept: float
    slope: float

    def log_odds(self, totals: Integers) -> Floats:
        """Return the log-odds of a good outcome for integer totals."""
        return np.asarray(self.intercept + self.slope * totals, dtype=np.float64)


def calibrate(totals: Integers, good: Integers) -> Calibration:
    """Return the two-parameter logistic fit of outcomes on totals. Shapes: both (rows,); see `fit_columns`."""
    intercept, slope = fit_columns(totals[:, None].astype(np.float64), good)
    return Calibration(float(intercept), float(slope))


def fit_columns(columns: Floats, good: Integers) -> Floats:
    """Return the logistic fit of outcomes on a few columns, intercept first: Newton with step halving.

    Shapes: `columns` (rows, k), `good` (rows,), result (k + 1,). The likelihood is concave, so the fit is its maximum.
    A constant column gets 0. Outcomes that the columns separate perfectly have no finite fit; half a case of each
    outcome one deviation to either side keeps it finite. A relative ridge of 1e-9 settles near-copies.
    """
    share = (good.sum() + 0.5) / (len(good) + 1.0)
    centre, spread = columns.mean(axis=0), columns.std(axis=0)
    used = np.ptp(columns, axis=0) > 0
    x = np.vstack([(columns[:, used] - centre[used]) / spread[used], -np.ones(used.sum()), np.ones(used.sum())])
    design, target = np.column_stack([np.ones(len(x)), x]), np.append(good, [0.5, 0.5])
    fit = np.zeros(design.shape[1])
    fit[0] = np.log(share / (1.0 - share))
    fit = _maximise(design, target, fit) if used.any() else fit
    result = np.zeros(columns.shape[1] + 1)
    result[1:][used] = fit[1:] / spread[used]
    result[0] = fit[0] - float(result[1:] @ centre)
    return result


def maximum_likelihood(column: Floats, good: Integers) -> Floats:
    """Return intercept and slope of the plain logistic fit of outcomes on one column. Shapes: both (rows,).

    Unlike `fit_columns`, nothing is added to the outcomes: the column must vary, and not separate them.
    """
    centre, spread = float(column.mean()), float(column.std())
    design = np.column_stack([np.ones(len(column)), (column - centre) / spread])
    fit = _maximise(design, good.astype(np.float64), np.zeros(2))
    return np.array([fit[0] - fit[1] * centre / spread, fit[1] / spread])


def fit_nonnegative(columns: Floats, good: Integers) -> Floats:
    """Return the logistic fit of which no weight but the intercept is negative. Shapes: as `fit_columns`, k small.

    The likelihood is concave: its maximum over non-negative weights is the best fit of some of the columns alone.
    """
    best, likelihood = np.zeros(columns.shape[1] + 1), -np.inf
    for size in range(columns.shape[1] + 1):
        for chosen in combinations(range(columns.shape[1]), size):
            fit = fit_columns(columns[:, chosen], good)
            found = _log_likelihood(fit[0] + columns[:, chosen] @ fit[1:], good.astype(np.float64))
            if found > likelihood and not np.any(fit[1:] < 0):
                best, likelihood = np.zeros_like(best), found
                best[[0, *(column + 1 for column in chosen)]] = fit
    return best


def _maximise(design: Floats, target: Floats, fit: Floats) -> Floats:
    """Return the maximum of the logistic likelihood, climbing from `fit`."""
    likelihood = _log_likelihood(design @ fit, target)
    ridge = 1e-9 * len(design) * np.eye(design.shape[1])
    for _ in range(MAXIMUM_STEPS):
        p = sigmoid(design @ fit)
        hessian = (design * (p * (1 - p) + 1e-12)[:, None]).T @ design + ridge
        step = np.linalg.solve(hessian, design.T @ (target - p))
        while (better := _log_likelihood(design @ (fit + step), target)) < likelihood and np.abs(step).max() > 1e-12:
            step = step / 2
        if better <= likelihood:
            break
        fit, likelihood = fit + step, better
    return fit


def _log_likelihood(log_odds: Floats, target: Floats) -> float:
    """Return Σ t·ln p + (1 − t)·ln(1 − p), which never overflows."""
    return float(np.sum(target * log_odds - np.logaddexp(0.0, log_odds)))
