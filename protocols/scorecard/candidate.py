"""A candidate model at the bank: which columns, which coefficients, and the integer points that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.channel.identity import PartyId
from protocols.credit.binning import BinnedFeature
from protocols.credit.logistic import Calibration, Moments, Signs, fit_columns, fit_nonnegative
from protocols.credit.scale import POINTS_PER_LOG_ODDS
from protocols.credit.woe import Outcomes
from protocols.errors import CreditFederationError, VerificationFailed
from protocols.scorecard.arithmetic import TOTAL_BITS
from protocols.scorecard.points import points_of

Floats = NDArray[np.float64]
Features = Mapping[PartyId, Sequence[BinnedFeature]]

CORRELATION_LIMIT: Final = 0.95
"""Of two columns more correlated than this, the one with less information value is dropped."""

COEFFICIENT_LIMIT: Final = 1e6
"""No fit of outcomes on WOE comes near; beyond it, points would not be integers that a message can carry."""


def moments(features: Features, training_rows: int, good: int, gram: NDArray[np.int64]) -> Moments:
    """Return the exact moments of the selected columns: first-order ones from the bins' counts, `gram` as given."""
    sums, good_sums = column_sums([feature for party in features for feature in features[party]])
    return Moments(training_rows, good, sums, good_sums, gram)


def column_sums(features: Sequence[BinnedFeature]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return Σ w of each selected column, over all enterprises and over the good ones. Units: 1/WOE_SCALE."""
    columns = [feature for feature in features if feature.selected]
    sums = [sum(w * o.total for w, o in _coarse(f)) for f in columns]
    good_sums = [sum(w * o.good for w, o in _coarse(f)) for f in columns]
    return np.array(sums, dtype=np.int64), np.array(good_sums, dtype=np.int64)


def check_gram(features: Features, gram: NDArray[np.int64], slack: int = 0) -> None:
    """Return if the matrix can be one of the columns that the histograms describe.

    Their counts fix its diagonal; no entry exceeds the geometric mean of its row's and its column's diagonal. Noise
    may move an entry by `slack`. Raises: VerificationFailed.
    """
    columns = [feature for party in features for feature in features[party] if feature.selected]
    squares = np.array([sum(w * w * o.total for w, o in _coarse(f)) for f in columns], dtype=np.int64)
    lengths = np.sqrt(squares.astype(np.float64))
    bound = np.outer(lengths, lengths) * (1 + 1e-9) + slack
    if np.any(np.abs(np.diag(gram) - squares) > slack) or np.any(np.abs(gram.astype(np.float64)) > bound):
        raise VerificationFailed("the Gram matrix contradicts the histograms", code="WRONG_GRAM")


def _coarse(feature: BinnedFeature) -> list[tuple[int, Outcomes]]:
    return [(feature.woe[group[0]], o) for group, o in zip(feature.groups, feature.outcomes, strict=True)]


def prune_correlated(
    features: Features, moments: Moments
) -> tuple[dict[PartyId, list[BinnedFeature]], NDArray[np.intp]]:
    """Drop, of each pair of near-copies, the one with less information value; return features and columns kept."""
    means = moments.sums / moments.rows
    covariance = moments.gram / moments.rows - np.outer(means, means)
    spread = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    correlation = np.abs(covariance / np.outer(spread, spread))
    columns = [(party, i) for party in features for i, f in enumerate(features[party]) if f.selected]
    kept: list[int] = []
    result = {party: list(features[party]) for party in features}
    for index in sorted(range(len(columns)), key=lambda c: (-_at(features, columns[c]).iv, c)):
        twin = next((other for other in kept if correlation[index, other] > CORRELATION_LIMIT), None)
        if twin is None:
            kept.append(index)
            continue
        party, position = columns[index]
        name = f"{columns[twin][0]}.{_at(features, columns[twin]).name}"
        reason = f"correlation {correlation[index, twin]:.3f} with {name}"
        result[party][position] = replace(_at(features, columns[index]), selected=False, reason=reason)
    return result, np.array(sorted(kept), dtype=np.intp)


def _at(features: Features, column: tuple[PartyId, int]) -> BinnedFeature:
    return features[column[0]][column[1]]


def restrict(moments: Moments, kept: NDArray[np.intp]) -> Moments:
    """Return the moments of the kept columns alone."""
    gram = moments.gram[np.ix_(kept, kept)]
    return Moments(moments.rows, moments.good, moments.sums[kept], moments.good_sums[kept], gram)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Coefficients and the integer points they round to.

    Units: coefficients in log-odds of good per unit of WOE, intercept first; points in tenths of a score point, lowest
    bin of each feature 0. ln(odds) of an enterprise is `coefficients[0] + (total + offset) / POINTS_PER_LOG_ODDS`.
    """

    coefficients: Floats = field(repr=False)
    points: dict[PartyId, tuple[tuple[int, ...], ...]] = field(repr=False)
    offset: int

    @classmethod
    def build(cls, coefficients: Floats, features: Features) -> Candidate:
        """Round coefficient times WOE to points, per fine bin.

        Raises: CreditFederationError, code FIT_DIVERGED, if they are not finite or their totals exceed TOTAL_BITS.
        """
        if not np.all(np.abs(coefficients) < COEFFICIENT_LIMIT):
            raise CreditFederationError("the fit did not converge", code="FIT_DIVERGED")
        points: dict[PartyId, tuple[tuple[int, ...], ...]] = {}
        offset, column = 0, 1
        for party, binned in features.items():
            tables = []
            for feature in binned:
                if not feature.selected:
                    tables.append((0,) * len(feature.woe))
                    continue
                table, lowest = points_of(float(coefficients[column]), feature.woe)
                tables.append(table)
                offset += lowest
                column += 1
            points[party] = tuple(tables)
        candidate = cls(coefficients, points, offset)
        if candidate.maximum_total() >= 1 << TOTAL_BITS:
            raise CreditFederationError(f"the fit's totals exceed {TOTAL_BITS} bits", code="FIT_DIVERGED")
        return candidate

    def maximum_total(self) -> int:
        """Return the highest total that any enterprise can have over all parties."""
        return sum(max(table) for tables in self.points.values() for table in tables)

    def calibration(self) -> Calibration:
        """Return how a total over all parties becomes log-odds of good."""
        slope = 1.0 / POINTS_PER_LOG_ODDS
        return Calibration(float(self.coefficients[0]) + self.offset * slope, slope)

    def nearest_totals(self, log_odds: Floats) -> NDArray[np.int64]:
        """Return the totals that stand for `log_odds`; those of the served points differ by their rounding at most."""
        calibration = self.calibration()
        return np.rint((log_odds - calibration.intercept) / calibration.slope).astype(np.int64)


def explain_zeros(features: Features, candidate: Candidate) -> dict[PartyId, list[BinnedFeature]]:
    """Say of each selected feature whose coefficient is exactly 0 why the model does not use it."""
    coefficients = iter(candidate.coefficients[1:].tolist())
    reason = "its coefficient would be negative, beside the other features, and is held at 0"
    return {
        party: [replace(f, reason=reason) if f.selected and next(coefficients) == 0.0 else f for f in found]
        for party, found in features.items()
    }


class Span:
    """The candidates whose totals were released, and the best model among all their combinations.

    A total is linear in the coefficients, so the totals of any combination follow from those released: the bank fits
    their weights exactly, by maximum likelihood on a handful of columns, without another release.
    """

    def __init__(self, signs: Signs = Signs.FREE) -> None:
        """Combine candidates by any weights, or by such that keep constrained coefficients from being negative."""
        self._fit = fit_columns if signs is Signs.FREE else fit_nonnegative
        self._coefficients: list[Floats] = []
        self._log_odds: list[Floats] = []

    def add(self, coefficients: Floats, log_odds: Floats) -> None:
        """Take a candidate's coefficients, intercept first, and its log-odds. Shapes: the same each time."""
        self._coefficients.append(coefficients)
        self._log_odds.append(log_odds)

    def fit(self, good: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return the best combination's coefficients, intercept first, and its log-odds for all rows.

        Shapes: `good` (training rows,), the first of the rows.
        """
        columns = np.column_stack(self._log_odds)
        weights = self._fit(columns[: len(good)], good)
        coefficients = np.column_stack(self._coefficients) @ weights[1:]
        coefficients[0] += weights[0]
        return coefficients, np.asarray(weights[0] + columns @ weights[1:], dtype=np.float64)
