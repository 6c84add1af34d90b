"""The best combination of the released candidates, fitted by banks that pool sums and never a row.

`scorecard.candidate.Span` does this for one bank, which knows every row's totals. Here each bank knows those of its own
customers. Every step of the same Newton's method is one pooled step: likelihood, gradient and Hessian are sums of one
integer a row, so that the result does not depend on how rows are spread over banks.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.consortium.shares import Residues
from protocols.credit.logistic import sigmoid
from protocols.credit.scale import POINTS_PER_LOG_ODDS
from protocols.errors import CreditFederationError, VerificationFailed
from protocols.scorecard.arithmetic import TOTAL_BITS
from protocols.scorecard.candidate import Candidate

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SCALE: Final = 1 << 32
"""Integer units in 1 of every pooled sum of the fit."""

SUM_BITS: Final = 192
SMALL_STEP: Final = 1e-5
"""A Newton step this small is taken without another look: it leaves an error of about its square."""

MOST_EVALUATIONS: Final = 100


class PooledSpan:
    """The candidates whose totals were released, at one bank; `coefficients` and `log_odds` are the best combination.

    Call `add`, then pool `moments()` into `begin`, then pool `sums()` into `advance` until it says that it is done.
    Shapes: `bad` (own training rows,); `training_rows` and `good` count all banks'.
    """

    def __init__(self, bad: Integers, training_rows: int, good: int) -> None:
        self._good = 1 - bad
        self._rows, self._all_good = training_rows, good
        self._candidates: list[Candidate] = []
        self._totals: list[Integers] = []
        self._means: list[float] = []
        self._spreads: list[float] = []
        self._point: Floats = np.zeros(1)
        self._step: Floats = np.zeros(1)
        self._likelihood: float | None = None
        self._evaluations = 0
        self.coefficients: Floats = np.zeros(1)
        self.log_odds: Floats = np.zeros(0)
        self.centre, self.spread = 0.0, 1.0

    def add(self, candidate: Candidate, totals: Integers) -> None:
        """Take a candidate and its totals over all parties. Shapes: `totals` (own rows,), training rows first."""
        self._candidates.append(candidate)
        self._totals.append(totals)

    def moments(self) -> Residues:
        """Return sum and sum of squares of the newest candidate's totals over own training rows."""
        own = [int(value) for value in self._totals[-1][: len(self._good)].tolist()]
        return Residues.of([sum(own), sum(value * value for value in own)], SUM_BITS)

    def begin(self, moments: list[int]) -> bool:
        """Take the pooled moments and start at the newest candidate; say whether there is nothing to fit.

        Raises: VerificationFailed, code WRONG_FIT, for moments that no totals have.
        """
        first, second = moments
        if not 0 <= first * first <= self._rows * second <= (self._rows << TOTAL_BITS) ** 2 or first < 0:
            raise VerificationFailed("the pooled moments are of no totals", code="WRONG_FIT")
        self._means.append(first / self._rows)
        self._spreads.append(math.sqrt(max(0, self._rows * second - first * first)) / self._rows)
        share = (self._all_good + 0.5) / (self._rows + 1.0)
        self._point = np.zeros(len(self._used()) + 1)
        self._point[0] = np.log(share / (1.0 - share))
        if self._spreads[-1] > 0:
            self._point[0] = self._candidates[-1].calibration().intercept + self._means[-1] / POINTS_PER_LOG_ODDS
            self._point[-1] = self._spreads[-1] / POINTS_PER_LOG_ODDS
        self._step, self._likelihood, self._evaluations = np.zeros_like(self._point), None, 0
        if not self._used():
            self._finish()
            return True
        return False

    def sums(self) -> Residues:
        """Return likelihood, log-odds, their squares, gradient and Hessian at the point, over own training rows."""
        design = self._design()[: len(self._good)]
        log_odds = _combine(design, self._point)
        p = sigmoid(log_odds)
        likelihood = self._good * log_odds - np.logaddexp(0.0, log_odds)
        found = [_fixed(likelihood), _fixed(log_odds), _fixed(log_odds**2)]
        found += [_fixed((self._good - p) * column) for column in design.T]
        weight = p * (1 - p) + 1e-12
        found += [_fixed(weight * design[:, i] * design[:, j]) for i, j in _upper(len(self._point))]
        return Residues.of(found, SUM_BITS)

    def advance(self, sums: list[int]) -> bool:
        """Take the pooled sums at the point and move on; say whether the fit is done.

        Raises: VerificationFailed, code WRONG_FIT, for sums that no rows have; CreditFederationError, FIT_DIVERGED.
        """
        self._evaluations += 1
        size = len(self._point)
        values = [value / SCALE for value in sums]
        likelihood, gradient = values[0], np.array(values[3 : 3 + size])
        hessian = np.zeros((size, size))
        for (i, j), value in zip(_upper(size), values[3 + size :], strict=True):
            hessian[i, j] = hessian[j, i] = value
        if likelihood > 0 or not 0 <= hessian[0, 0] <= 0.26 * self._rows or abs(gradient[0]) > self._rows:
            raise VerificationFailed("the pooled sums of the fit are of no rows", code="WRONG_FIT")
        likelihood += self._add_prior(gradient, hessian)
        if self._evaluations > MOST_EVALUATIONS or not np.isfinite(likelihood):
            raise CreditFederationError("the fit did not converge", code="FIT_DIVERGED")
        if self._likelihood is not None and likelihood < self._likelihood and np.abs(self._step).max() > SMALL_STEP:
            self._step = self._step / 2
            self._point = self._point - self._step
            return False
        self._likelihood = likelihood
        self.centre = values[1] / self._rows
        self.spread = float(np.sqrt(max(1e-12, values[2] / self._rows - self.centre**2)))
        self._step = _solve(hessian + 1e-9 * (self._rows + 2) * np.eye(size), gradient)
        self._point = self._point + self._step
        if np.abs(self._step).max() > SMALL_STEP:
            return False
        self._finish()
        return True

    def _add_prior(self, gradient: Floats, hessian: Floats) -> float:
        """Add half a case of each outcome one deviation to either side, as `fit_columns` does; return likelihood."""
        likelihood = 0.0
        for sign in (-1.0, 1.0):
            row = np.full(len(self._point), sign)
            row[0] = 1.0
            log_odds = float(row @ self._point)
            p = float(sigmoid(np.array([log_odds]))[0])
            likelihood += 0.5 * log_odds - float(np.logaddexp(0.0, log_odds))
            gradient += (0.5 - p) * row
            hessian += (p * (1 - p) + 1e-12) * np.outer(row, row)
        return likelihood

    def _used(self) -> list[int]:
        """Return the candidates whose totals are not all alike."""
        return [index for index, spread in enumerate(self._spreads) if spread > 0]

    def _design(self) -> Floats:
        columns = [(self._totals[i] - self._means[i]) / self._spreads[i] for i in self._used()]
        return np.column_stack([np.ones(len(self._totals[0])), *columns])

    def _finish(self) -> None:
        """Turn the point, in deviations of totals, into coefficients and log-odds of all own rows."""
        self.log_odds = _combine(self._design(), self._point)
        weights = np.zeros(len(self._candidates))
        intercept = float(self._point[0])
        for place, index in enumerate(self._used(), start=1):
            slope = float(self._point[place]) / self._spreads[index]
            weights[index] = slope * POINTS_PER_LOG_ODDS
            intercept -= slope * self._means[index]
            intercept -= weights[index] * self._candidates[index].calibration().intercept
        matrix = np.column_stack([candidate.coefficients for candidate in self._candidates])
        self.coefficients = _combine(matrix, weights)
        self.coefficients[0] += intercept


def _combine(columns: Floats, weights: Floats) -> Floats:
    """Return the weighted sum of columns, each row the same whichever rows stand beside it."""
    total = np.zeros(len(columns))
    for column, weight in zip(columns.T, weights.tolist(), strict=True):
        total = total + column * weight
    return total


def _solve(hessian: Floats, gradient: Floats) -> Floats:
    """Return the Newton step. Raises: CreditFederationError, code FIT_DIVERGED, where there is none."""
    try:
        return np.asarray(np.linalg.solve(hessian, gradient), dtype=np.float64)
    except np.linalg.LinAlgError as error:
        raise CreditFederationError("the fit has no solution", code="FIT_DIVERGED") from error


def _upper(size: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(size) for j in range(i, size)]


def _fixed(values: Floats) -> int:
    """Return the exact sum of the values, each rounded to 1/SCALE."""
    rounded = np.rint(values * SCALE)
    if float(np.abs(rounded).max(initial=0.0)) * max(1, len(rounded)) < 2.0**62:
        return int(rounded.astype(np.int64).sum())
    return sum(map(int, rounded.tolist()))
