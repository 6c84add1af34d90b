"""How well scores rank and calibrate: AUC, KS, Gini, Brier, calibration slope, population stability.

Arguments: `log_odds` of a good outcome (rows,), `bad` 0/1 (rows,). A measure that the rows cannot determine is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocols.credit.logistic import calibrate, sigmoid

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Validation:
    """Quality of a set of scores on rows whose outcome is known."""

    auc: float
    ks: float
    gini: float
    brier: float
    calibration_slope: float


def auc(log_odds: Floats, bad: Integers) -> float:
    """Return the area under the ROC curve; NaN when one outcome is absent."""
    from sklearn.metrics import roc_auc_score  # a second to load, if there is something to measure

    if len(np.unique(bad)) < 2:
        return float("nan")
    return float(roc_auc_score(bad, -log_odds))


def validate(log_odds: Floats, bad: Integers) -> Validation:
    """Return all measures of `log_odds` against outcomes. Slope 1 means probabilities as spread as they should be."""
    from sklearn.metrics import roc_curve

    area = auc(log_odds, bad)
    if np.isnan(area):
        return Validation(area, area, area, area, area)
    false_positives, true_positives, _ = roc_curve(bad, -log_odds)
    pd = sigmoid(-log_odds)
    slope = calibrate(np.rint(log_odds * 1e6).astype(np.int64), 1 - bad).slope * 1e6
    return Validation(
        auc=area,
        ks=float(np.max(true_positives - false_positives)),
        gini=2.0 * area - 1.0,
        brier=float(np.mean((pd - bad) ** 2)),
        calibration_slope=slope,
    )


def stability_shares(expected: Floats, actual: Floats, bins: int = 10) -> tuple[Floats, Floats]:
    """Return the share of each sample in the deciles of the first, half a case added to each count.

    Shapes: (rows,) each in; two of (deciles,) out, fewer than `bins` where scores are tied.
    """
    edges = np.unique(np.quantile(expected, np.linspace(0, 1, bins + 1)[1:-1]))
    shares: list[Floats] = []
    for sample in (expected, actual):
        counts = np.bincount(np.searchsorted(edges, sample, side="right"), minlength=len(edges) + 1)
        shares.append(np.asarray((counts + 0.5) / (len(sample) + 0.5 * (len(edges) + 1)), dtype=np.float64))
    return shares[0], shares[1]


def population_stability(expected: Floats, actual: Floats, bins: int = 10) -> float:
    """Return the population stability index of two score samples over deciles of the first; below .1 is stable."""
    before, after = stability_shares(expected, actual, bins)
    return float(np.sum((after - before) * np.log(after / before)))
