"""How a model did on the rows that tested it: the measures, and the sums behind every chart of them.

Computed once, at the bank, from totals that the enterprises' consents opened. What is kept are counts over score bands,
deciles and grades, and shares at round scores: no enterprise, no score of one.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from protocols.credit.logistic import sigmoid
from protocols.credit.metrics import population_stability, stability_shares, validate
from protocols.credit.scale import GRADE_LIMITS, SCORE_FACTOR, SCORE_OFFSET, Grade

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MOST_CURVE_POINTS: Final = 200
MOST_BANDS: Final = 40
DECILES: Final = 10
FEWEST_IN_GROUP: Final = 5


class CurvePoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shares of the repaid and of the defaulted test rows at or below a score: one point of ROC and KS alike."""

    score: float
    good: float
    bad: float


class ScoreBand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many test rows of each outcome score in [low, high)."""

    low: float
    high: float
    good: int
    bad: int


class ScoredGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A decile or a grade of the test rows: `expected` is the mean PD, null where the group is empty."""

    name: str
    rows: int
    bad: int
    expected: float | None


class SharePair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Share of the training rows, and of the test rows, in one decile of the training scores."""

    train: float
    test: float


class ModelQuality(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The measures on the test rows; null where they cannot be determined.

    `curve` rises from 0 to 1 over at most 200 round scores; `ks_at` is its widest gap. `deciles` run from the riskiest
    to the safest. `stability` lists the deciles of the training scores, riskiest first.
    """

    auc: float | None
    ks: float | None
    gini: float | None
    brier: float | None
    calibration_slope: float | None
    calibration_intercept: float | None
    stability_index: float
    curve: tuple[CurvePoint, ...]
    ks_at: CurvePoint | None
    bands: tuple[ScoreBand, ...]
    deciles: tuple[ScoredGroup, ...]
    grades: tuple[ScoredGroup, ...]
    stability: tuple[SharePair, ...]


def measure(log_odds: Floats, bad: Integers, training_rows: int) -> ModelQuality:
    """Return the quality of `log_odds` of a good outcome on the rows after the first `training_rows`.

    Shapes: both (rows,), training rows first. Raises: ValueError without training rows or without test rows.
    """
    train, test, outcome = log_odds[:training_rows], log_odds[training_rows:], bad[training_rows:]
    if not len(train) or not len(test):
        raise ValueError(f"{len(train)} training rows and {len(test)} test rows measure nothing")
    found = validate(test, outcome)
    scores = SCORE_OFFSET + SCORE_FACTOR * test
    curve, ks_at = _curve(scores, outcome)
    return ModelQuality(
        auc=_finite(found.auc),
        ks=_finite(found.ks),
        gini=_finite(found.gini),
        brier=_finite(found.brier),
        calibration_slope=_finite(found.calibration_slope),
        calibration_intercept=_finite(found.calibration_intercept),
        stability_index=population_stability(train, test),
        curve=curve,
        ks_at=ks_at,
        bands=_bands(scores, outcome),
        deciles=_deciles(test, outcome),
        grades=_grades(test, outcome),
        stability=tuple(SharePair(float(a), float(b)) for a, b in zip(*stability_shares(train, test), strict=True)),
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def round_step(span: float, most: int) -> float:
    """Return the smallest of 1, 2, 5, 10, 20 … that cuts `span` into at most `most` steps."""
    if span <= most:
        return 1.0
    magnitude = 10.0 ** math.floor(math.log10(span / most))
    return float(next(m * magnitude for m in (1, 2, 5, 10) if span <= m * magnitude * most))


def _edges(scores: Floats, most: int, least: float) -> Floats:
    """Return round scores, evenly spaced by `least` or more, that enclose all scores in at most `most` steps."""
    low, high = float(scores.min()), float(scores.max())
    step = max(least, round_step(high - low, most - 2))
    return np.asarray(np.arange(math.floor(low / step), math.floor(high / step) + 2) * step, dtype=np.float64)


def _curve(scores: Floats, bad: Integers) -> tuple[tuple[CurvePoint, ...], CurvePoint | None]:
    if len(np.unique(bad)) < 2:
        return (), None
    by_outcome = [np.sort(scores[bad == outcome]) for outcome in (0, 1)]

    def shares(levels: Floats) -> list[Floats]:
        return [np.searchsorted(sample, levels, side="right") / len(sample) for sample in by_outcome]

    edges = _edges(scores, MOST_CURVE_POINTS - 1, 1.0)
    curve = zip(edges, *shares(edges), strict=True)
    levels = np.unique(scores)
    good, defaulted = shares(levels)
    best = int(np.argmax(defaulted - good))
    widest = CurvePoint(float(round(levels[best])), float(good[best]), float(defaulted[best]))
    return tuple(CurvePoint(float(s), float(g), float(b)) for s, g, b in curve), widest


def _bands(scores: Floats, bad: Integers) -> tuple[ScoreBand, ...]:
    edges = _edges(scores, MOST_BANDS, 5.0)
    position = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, len(edges) - 2)
    counts = [np.bincount(position[bad == outcome], minlength=len(edges) - 1) for outcome in (0, 1)]
    rows = zip(edges, edges[1:], *counts, strict=False)
    return tuple(ScoreBand(float(low), float(high), int(good), int(worse)) for low, high, good, worse in rows)


def _group(name: str, pd: Floats, bad: Integers) -> ScoredGroup:
    return ScoredGroup(name, len(pd), int(bad.sum()), float(pd.mean()) if len(pd) else None)


def _deciles(log_odds: Floats, bad: Integers) -> tuple[ScoredGroup, ...]:
    """Return equally large groups, riskiest first; equal scores stay together, so that there may be fewer than ten."""
    groups = max(1, min(DECILES, len(log_odds) // FEWEST_IN_GROUP))
    edges = np.unique(np.quantile(log_odds, np.linspace(0, 1, groups + 1)[1:-1]))
    position = np.searchsorted(edges, log_odds, side="left")
    pd = sigmoid(-log_odds)
    return tuple(
        _group(str(number), pd[position == place], bad[position == place])
        for number, place in enumerate(np.unique(position), start=1)
    )


def _grades(log_odds: Floats, bad: Integers) -> tuple[ScoredGroup, ...]:
    """Return one group per grade, best first; D, for those already in default, is no prediction and has none."""
    pd = sigmoid(-log_odds)
    position = np.searchsorted(np.array([limit for _, limit in GRADE_LIMITS]), pd, side="left")
    names = (*(grade for grade, _ in GRADE_LIMITS), Grade.C)
    return tuple(
        _group(grade.value, pd[position == place], bad[position == place]) for place, grade in enumerate(names)
    )
