"""What the charts draw, computed from test scores and outcomes: ROC, KS, distributions, calibration, grades.

Arguments: `scores` in score points (rows,), higher is safer; `bad` 0/1 (rows,). What the rows cannot determine, because
an outcome is absent or there are no rows, is empty or None, never an error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from federation.report.data import Floats, Integers
from protocols.credit.logistic import sigmoid
from protocols.credit.scale import GRADE_LIMITS, SCORE_FACTOR, SCORE_OFFSET, Grade

Point = tuple[float, float]

MOST_POINTS: Final = 240
"""A curve is drawn with at most about this many points, whatever the number of rows."""

NORMAL_95: Final = 1.959964


@dataclass(frozen=True, slots=True)
class Separation:
    """Shares of each outcome at or below a score, and the score `at` which they lie furthest apart."""

    good: tuple[Point, ...]
    bad: tuple[Point, ...]
    at: float
    good_at: float
    bad_at: float

    @property
    def ks(self) -> float:
        """The widest gap: the Kolmogorov-Smirnov statistic."""
        return self.bad_at - self.good_at


@dataclass(frozen=True, slots=True)
class Distribution:
    """Share of each outcome per score interval. Shapes: `edges` (k + 1,), `good` and `bad` (k,)."""

    edges: tuple[float, ...]
    good: tuple[float, ...]
    bad: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Observed:
    """A group of enterprises: mean expected PD against the observed default rate, with its 95 % Wilson interval."""

    rows: int
    bad: int
    expected: float
    observed: float
    low: float
    high: float

    @property
    def agrees(self) -> bool:
        """Whether the expected rate lies in the interval of the observed one."""
        return self.low <= self.expected <= self.high


@dataclass(frozen=True, slots=True)
class GradeRow:
    """One grade: its PD limits, its share of the test rows, and what was observed; None when it is empty."""

    grade: Grade
    above: float
    up_to: float
    share: float
    outcome: Observed | None


def default_probability(scores: Floats) -> Floats:
    """Return the PD of each score."""
    return sigmoid(-(scores - SCORE_OFFSET) / SCORE_FACTOR)


def roc_points(scores: Floats, bad: Integers) -> tuple[Point, ...]:
    """Return (false positive rate, true positive rate) from (0, 0) to (1, 1); empty when one outcome is absent."""
    from sklearn.metrics import roc_curve  # a second to load, if there is something to draw

    if len(np.unique(bad)) < 2:
        return ()
    false_positives, true_positives, _ = roc_curve(bad, -scores)
    return _thinned(false_positives, true_positives)


def separation(scores: Floats, bad: Integers) -> Separation | None:
    """Return both cumulative shares over the score, and KS; None when one outcome is absent."""
    if len(np.unique(bad)) < 2:
        return None
    levels = np.unique(scores)
    shares = [
        np.searchsorted(np.sort(scores[bad == outcome]), levels, side="right") / np.sum(bad == outcome)
        for outcome in (0, 1)
    ]
    best = int(np.argmax(shares[1] - shares[0]))
    good, bad_curve = (_thinned(levels, share) for share in shares)
    return Separation(good, bad_curve, float(levels[best]), float(shares[0][best]), float(shares[1][best]))


def _thinned(x: Floats, y: Floats) -> tuple[Point, ...]:
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_POINTS)).round().astype(np.intp))
    return tuple((float(a), float(b)) for a, b in zip(x[kept], y[kept], strict=True))


def distribution(scores: Floats, bad: Integers) -> Distribution | None:
    """Return the shares per interval of 5, 10, 20 … score points, at most 40 of them; None without rows."""
    if not len(scores):
        return None
    low, high = float(scores.min()), float(scores.max())
    step = next((s for s in (5, 10, 20, 50, 100) if (high - low) / s <= 38), max(1.0, (high - low) / 38))
    edges = np.arange(math.floor(low / step), math.floor(high / step) + 2) * float(step)
    position = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, len(edges) - 2)
    shares = []
    for outcome in (0, 1):
        counts = np.bincount(position[bad == outcome], minlength=len(edges) - 1)
        shares.append(tuple(float(v) for v in counts / max(1, counts.sum())))
    return Distribution(tuple(float(e) for e in edges), shares[0], shares[1])


def wilson(bad: int, rows: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate. Source: Wilson, JASA 1927."""
    rate, z = bad / rows, NORMAL_95
    centre = (rate + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(rate * (1 - rate) / rows + z * z / (4 * rows * rows))
    return centre - half if bad else 0.0, centre + half if bad < rows else 1.0


def _observed(pd: Floats, bad: Integers) -> Observed:
    rows, defaults = len(pd), int(bad.sum())
    return Observed(rows, defaults, float(pd.mean()), defaults / rows, *wilson(defaults, rows))


def calibration(scores: Floats, bad: Integers, groups: int = 10) -> tuple[Observed, ...]:
    """Return equally large groups by PD, safest first; fewer groups when rows or distinct scores are few."""
    if not len(scores):
        return ()
    pd = default_probability(scores)
    groups = max(1, min(groups, len(scores) // 5))
    edges = np.unique(np.quantile(pd, np.linspace(0, 1, groups + 1)[1:-1]))
    position = np.searchsorted(edges, pd, side="left")
    return tuple(_observed(pd[position == g], bad[position == g]) for g in np.unique(position))


def grade_table(scores: Floats, bad: Integers) -> tuple[GradeRow, ...]:
    """Return one row per grade, best first. D, for those already in default, is not a prediction and has no row."""
    limits = (0.0, *(limit for _, limit in GRADE_LIMITS), 1.0)
    grades = (*(grade for grade, _ in GRADE_LIMITS), Grade.C)
    pd = default_probability(scores)
    position = np.searchsorted(np.array(limits[1:-1]), pd, side="left")
    rows = []
    for index, grade in enumerate(grades):
        members = position == index
        outcome = _observed(pd[members], bad[members]) if members.any() else None
        rows.append(GradeRow(grade, limits[index], limits[index + 1], float(members.mean()) if len(pd) else 0, outcome))
    return tuple(rows)


def safer_than(score: float, scores: Floats) -> float | None:
    """Return the share of the test rows whose score is lower; None without rows."""
    return float(np.mean(scores < score)) if len(scores) else None
