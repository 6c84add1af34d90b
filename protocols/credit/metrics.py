"""How well scores rank and calibrate: AUC, KS, Gini, Brier, calibration, population stability.

Arguments: `log_odds` of a good outcome (rows,), `bad` 0/1 (rows,). A measure that the rows cannot determine is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocols.credit.logistic import maximum_likelihood, sigmoid

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Validation:
    """Quality of a set of scores on rows whose outcome is known; `calibration_*` as `calibration_of` has them."""

    auc: float
    ks: float
    gini: float
    brier: float
    calibration_slope: float
    calibration_intercept: float


def auc(log_odds: Floats, bad: Integers) -> float:
    """Return the area under the ROC curve; NaN when one outcome is absent."""
    from sklearn.metrics import roc_auc_score  # a second to load, if there is something to measure

    if len(np.unique(bad)) < 2:
        return float("nan")
    return float(roc_auc_score(bad, -log_odds))


def validate(log_odds: Floats, bad: Integers) -> Validation:
    """Return all measures of `log_odds` against outcomes."""
    from sklearn.metrics import roc_curve

    area = auc(log_odds, bad)
    if np.isnan(area):
        return Validation(area, area, area, area, area, area)
    false_positives, true_positives, _ = roc_curve(bad, -log_odds)
    pd = sigmoid(-log_odds)
    slope, intercept = calibration_of(log_odds, bad)
    return Validation(
        auc=area,
        ks=float(np.max(true_positives - false_positives)),
        gini=2.0 * area - 1.0,
        brier=float(np.mean((pd - bad) ** 2)),
        calibration_slope=slope,
        calibration_intercept=intercept,
    )


def calibration_of(log_odds: Floats, bad: Integers) -> tuple[float, float]:
    """Return slope and intercept of the outcomes' own log-odds of default on those expected, by maximum likelihood.

    A slope of 1 says that probabilities are as spread as they should be; below, that they are too extreme. The
    intercept is that of slope 1 (calibration in the large): 0 is right, above 0 there are more defaults than expected.
    Scores that are all equal, or that no defaulted row shares with a good one, determine no slope.
    Source: Cox 1958; Van Calster et al. 2019.
    """
    good, defaulted = log_odds[bad == 0], log_odds[bad == 1]
    overlap = len(good) and len(defaulted) and good.min() < defaulted.max() and defaulted.min() < good.max()
    slope = float(maximum_likelihood(log_odds, 1 - bad)[1]) if overlap else float("nan")
    return slope, -_shift(log_odds, len(good)) if len(good) and len(defaulted) else float("nan")


def _shift(log_odds: Floats, good: int) -> float:
    """Return what is to be added to all log-odds so that as many good outcomes are expected as there are."""
    low, high = -100.0 - float(log_odds.max()), 100.0 - float(log_odds.min())
    while high - low > 1e-12 * max(1.0, abs(low), abs(high)):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (low, middle) if sigmoid(log_odds + middle).sum() > good else (middle, high)
    return (low + high) / 2


def stability_shares(expected: Floats, actual: Floats, bins: int = 10) -> tuple[Floats, Floats]:
    """Return the share of each sample in the deciles of the first; half a case stands for none in one of the two.

    Shapes: (rows,) each in; two of (deciles,) out, fewer than `bins` where scores are tied.
    """
    edges = np.unique(np.quantile(expected, np.linspace(0, 1, bins + 1)[1:-1]))
    counts = np.array(
        [np.bincount(np.searchsorted(edges, s, side="right"), minlength=len(edges) + 1) for s in (expected, actual)]
    )
    held = np.maximum(counts[:, counts.sum(axis=0) > 0], 0.5)
    return held[0] / len(expected), held[1] / len(actual)


def population_stability(expected: Floats, actual: Floats, bins: int = 10) -> float:
    """Return the population stability index of two score samples over deciles of the first; below .1 is stable."""
    before, after = stability_shares(expected, actual, bins)
    return float(np.sum((after - before) * np.log(after / before)))
