"""The difference of two areas under the ROC curve on the same rows, and how much of it chance explains.

Source: DeLong, DeLong & Clarke-Pearson 1988; midranks as Sun & Xu 2014.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]


def auc_difference(ours: Floats, theirs: Floats, bad: NDArray[np.int64]) -> tuple[float, float]:
    """Return the AUC of `ours` less that of `theirs`, and its standard error; NaN where an outcome is too rare.

    Shapes: log-odds of good and `bad` (rows,).
    """
    if min(bad.sum(), len(bad) - bad.sum()) < 2:
        return float("nan"), float("nan")
    defaulted, good = (a - b for a, b in zip(_placements(ours, bad), _placements(theirs, bad), strict=True))
    variance = np.var(defaulted, ddof=1) / len(defaulted) + np.var(good, ddof=1) / len(good)
    return float(defaulted.mean()), float(np.sqrt(variance))


def _placements(log_odds: Floats, bad: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return for each default the share of good firms that it ranks below, and for each good firm the reverse."""
    risk, first = -log_odds, np.sum(bad == 1)
    both = np.concatenate([risk[bad == 1], risk[bad == 0]])
    ranks = rankdata(both)
    defaulted = (ranks[:first] - rankdata(both[:first])) / (len(both) - first)
    good = 1 - (ranks[first:] - rankdata(both[first:])) / first
    return np.asarray(defaulted, dtype=np.float64), np.asarray(good, dtype=np.float64)
