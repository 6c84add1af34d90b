"""The score scale: 600 at odds 20:1, 40 points double the odds; grades by probability of default.

Units: a model's integer *points* are tenths of a score point.
"""

from __future__ import annotations

import math
from enum import StrEnum
from itertools import pairwise
from typing import Final

SCORE_OFFSET: Final = 427.12
SCORE_FACTOR: Final = 57.708
POINTS_PER_SCORE: Final = 10
POINTS_PER_LOG_ODDS: Final = SCORE_FACTOR * POINTS_PER_SCORE


class Grade(StrEnum):
    """Risk grades, best first."""

    AAA = "AAA"
    AA = "AA"
    A = "A"
    BBB = "BBB"
    BB = "BB"
    B = "B"
    CCC = "CCC"
    CC = "CC"
    C = "C"
    D = "D"


GRADE_LIMITS: Final[tuple[tuple[Grade, float], ...]] = (
    (Grade.AAA, 0.003),
    (Grade.AA, 0.007),
    (Grade.A, 0.015),
    (Grade.BBB, 0.03),
    (Grade.BB, 0.05),
    (Grade.B, 0.10),
    (Grade.CCC, 0.20),
    (Grade.CC, 0.40),
)
"""Largest probability of default of each grade; above the last it is C. D is for those who have defaulted."""


def probability_of_default(log_odds_good: float) -> float:
    """Return PD in (0, 1) from the log-odds of a good outcome."""
    return 0.5 * (1.0 - math.tanh(0.5 * log_odds_good))


def score(log_odds_good: float) -> float:
    """Return the score: higher is safer."""
    return SCORE_OFFSET + SCORE_FACTOR * log_odds_good


def grade(pd: float) -> Grade:
    """Return the grade of a probability of default."""
    return next((grade for grade, limit in GRADE_LIMITS if pd <= limit), Grade.C)


def grade_scores() -> tuple[tuple[Grade, float, float], ...]:
    """Return each grade with the scores it lies between, riskiest first; the outer two are open-ended, D is none."""
    limits = [score(math.log((1 - pd) / pd)) for _, pd in reversed(GRADE_LIMITS)]
    grades = [Grade.C, *(name for name, _ in reversed(GRADE_LIMITS))]
    edges = [-math.inf, *limits, math.inf]
    return tuple((name, low, high) for name, (low, high) in zip(grades, pairwise(edges), strict=True))
