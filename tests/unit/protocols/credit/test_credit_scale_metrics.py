"""The score scale's anchors, the grades' limits, and measures of quality against scikit-learn and hand-worked cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from protocols.credit.logistic import sigmoid
from protocols.credit.metrics import auc, population_stability, validate
from protocols.credit.scale import (
    GRADE_LIMITS,
    POINTS_PER_LOG_ODDS,
    POINTS_PER_SCORE,
    Grade,
    grade,
    probability_of_default,
    score,
)


def test_600_at_20_to_1_and_40_points_double_the_odds() -> None:
    assert score(math.log(20)) == pytest.approx(600, abs=0.01)
    for odds in (0.5, 1, 20, 300):
        assert score(math.log(2 * odds)) - score(math.log(odds)) == pytest.approx(40, abs=0.001)
    assert pytest.approx(POINTS_PER_SCORE * 40 / math.log(2), rel=1e-4) == POINTS_PER_LOG_ODDS


@given(st.floats(-800, 800))
def test_probability_and_odds_agree_and_never_overflow(log_odds: float) -> None:
    pd = probability_of_default(log_odds)
    assert 0.0 <= pd <= 1.0
    assert pd == pytest.approx(1 / (1 + math.exp(min(log_odds, 700))), rel=1e-6, abs=1e-15)
    assert pd == pytest.approx(float(sigmoid(np.array([-log_odds]))[0]), abs=1e-15)


def test_grades_by_probability_of_default() -> None:
    limits = {"AAA": 0.003, "AA": 0.007, "A": 0.015, "BBB": 0.03, "BB": 0.05, "B": 0.1, "CCC": 0.2}
    for name, limit in limits.items():
        assert grade(limit) == Grade(name)
        assert grade(math.nextafter(limit, 1)) != Grade(name)
    assert [grade(pd) for pd in (0.0, 0.3, 0.41, 1.0)] == [Grade.AAA, Grade.CC, Grade.C, Grade.C]
    assert [limit for _, limit in GRADE_LIMITS] == sorted(limit for _, limit in GRADE_LIMITS)


def test_measures_of_five_loans_worked_by_hand() -> None:
    """Scores best to worst: good, bad, good, good, bad. Of 6 good-bad pairs 4 are ranked right."""
    odds = np.array([3.0, 2.0, 1.0, 0.5, -1.0])
    bad = np.array([0, 1, 0, 0, 1])
    found = validate(odds, bad)
    assert found.auc == pytest.approx(4 / 6)
    assert found.gini == pytest.approx(2 / 6)
    assert found.ks == pytest.approx(1 / 2)  # below a score of 0: half of the bad, none of the good
    pd = 1 / (1 + np.exp(odds))
    assert found.brier == pytest.approx(float(np.mean((pd - bad) ** 2)))


def test_measures_equal_scikit_learns_and_a_true_probability_has_slope_1() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(2, 1, 20_000)
    bad = (rng.random(20_000) < sigmoid(-odds)).astype(np.int64)
    found = validate(odds, bad)
    assert found.auc == pytest.approx(roc_auc_score(bad, -odds))
    assert found.brier == pytest.approx(brier_score_loss(bad, sigmoid(-odds)))
    assert found.calibration_slope == pytest.approx(1.0, abs=0.05)
    assert validate(odds * 2, bad).calibration_slope == pytest.approx(found.calibration_slope / 2, rel=1e-3)


@pytest.mark.parametrize("bad", [[0, 0, 0], [1, 1, 1], []])
def test_without_both_outcomes_nothing_is_measured(bad: list[int]) -> None:
    found = validate(np.zeros(len(bad)), np.array(bad, dtype=np.int64))
    assert all(math.isnan(value) for value in (found.auc, found.ks, found.gini, found.brier, found.calibration_slope))


def test_equal_scores_rank_nothing() -> None:
    assert auc(np.zeros(4), np.array([0, 1, 0, 1])) == 0.5


def test_stability_worked_by_hand() -> None:
    """1000 rows in ten even deciles; then half of the rows of the lower five deciles move to the upper five."""
    before = np.arange(1000, dtype=np.float64)
    after = np.concatenate([before[:500:2], before[500:], before[500::2]])
    expected = 0.0
    for count in (50, 150):
        share, old = count / 1000, 100 / 1000
        expected += 5 * (share - old) * math.log(share / old)
    assert population_stability(before, after) == pytest.approx(expected, abs=1e-9)
    assert 0.25 < expected < 0.30


def test_the_same_sample_is_stable_even_when_all_scores_are_equal() -> None:
    assert population_stability(np.ones(50), np.ones(80)) < 0.01
    sample = np.random.default_rng(1).normal(size=5000)
    assert population_stability(sample, sample) == pytest.approx(0.0, abs=1e-12)
    assert population_stability(sample, sample + 1.5) > 0.25
