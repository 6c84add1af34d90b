"""The curves behind the charts equal what they claim to draw, and survive rows that determine nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from report_samples import scored

from federation.report.curves import (
    MOST_POINTS,
    calibration,
    default_probability,
    distribution,
    grade_table,
    roc_points,
    safer_than,
    separation,
    wilson,
)
from federation.report.scorescale import bands
from protocols.credit.metrics import validate
from protocols.credit.scale import SCORE_FACTOR, SCORE_OFFSET, Grade, grade, probability_of_default, score


def area_under(points: tuple[tuple[float, float], ...]) -> float:
    x, y = np.array(points).T
    return float(np.trapezoid(y, x))


@pytest.mark.parametrize("rows", [150, 3_000, 200_000])
def test_the_area_under_the_drawn_roc_is_the_auc_whatever_the_number_of_rows(rows: int) -> None:
    scores, bad = scored(rows)
    points = roc_points(scores, bad)
    assert points[0] == (0.0, 0.0)
    assert points[-1] == (1.0, 1.0)
    assert len(points) <= MOST_POINTS
    expected = validate((scores - SCORE_OFFSET) / SCORE_FACTOR, bad).auc
    assert area_under(points) == pytest.approx(expected, abs=0.004)


def test_the_drawn_gap_is_the_ks_of_the_validation() -> None:
    scores, bad = scored(5_000)
    curves = separation(scores, bad)
    assert curves is not None
    assert curves.ks == pytest.approx(validate((scores - SCORE_OFFSET) / SCORE_FACTOR, bad).ks, abs=1e-12)
    assert curves.bad_at == pytest.approx(np.mean(scores[bad == 1] <= curves.at))
    assert curves.good_at == pytest.approx(np.mean(scores[bad == 0] <= curves.at))


def test_scores_that_rank_backwards_leave_no_gap_below_zero() -> None:
    scores, bad = np.array([500.0, 600.0]), np.array([0, 1])
    curves = separation(scores, bad)
    assert curves is not None
    assert curves.ks == 0.0
    assert area_under(roc_points(scores, bad)) == 0.0


@pytest.mark.parametrize("outcome", [0, 1])
def test_one_outcome_alone_determines_neither_roc_nor_ks(outcome: int) -> None:
    scores, bad = scored(50)[0], np.full(50, outcome)
    assert roc_points(scores, bad) == ()
    assert separation(scores, bad) is None
    shares = distribution(scores, bad)
    assert shares is not None
    assert sum(shares.good) == pytest.approx(1 - outcome)
    assert sum(shares.bad) == pytest.approx(outcome)
    assert all(group.observed == outcome for group in calibration(scores, bad))


def test_no_rows_draw_nothing() -> None:
    scores, bad = np.array([], dtype=np.float64), np.array([], dtype=np.int64)
    assert roc_points(scores, bad) == ()
    assert separation(scores, bad) is None
    assert distribution(scores, bad) is None
    assert calibration(scores, bad) == ()
    assert all(row.outcome is None and row.share == 0 for row in grade_table(scores, bad))
    assert safer_than(600.0, scores) is None


@pytest.mark.parametrize("span", [0.0, 3.0, 250.0, 4_000.0, 1e9])
def test_every_score_falls_in_one_interval_and_there_are_few(span: float) -> None:
    scores = np.linspace(600.0 - span / 2, 600.0 + span / 2, 500)
    bad = (np.arange(500) % 3 == 0).astype(np.int64)
    shares = distribution(scores, bad)
    assert shares is not None
    assert sum(shares.good) == pytest.approx(1)
    assert sum(shares.bad) == pytest.approx(1)
    assert len(shares.good) == len(shares.bad) == len(shares.edges) - 1 <= 40
    assert shares.edges[0] <= scores.min()
    assert scores.max() <= shares.edges[-1]


def test_calibration_groups_hold_every_row_once_and_run_from_safe_to_risky() -> None:
    scores, bad = scored(1_003)
    groups = calibration(scores, bad)
    assert len(groups) == 10
    assert sum(group.rows for group in groups) == 1_003
    assert sum(group.bad for group in groups) == bad.sum()
    assert [group.expected for group in groups] == sorted(group.expected for group in groups)


def test_scores_that_default_as_they_say_agree_and_scores_twice_too_low_do_not() -> None:
    scores, bad = scored(40_000)
    assert sum(group.agrees for group in calibration(scores, bad)) >= 8
    assert sum(group.agrees for group in calibration(scores + 40.0, bad)) <= 3


def test_few_rows_make_few_groups() -> None:
    scores, bad = scored(7)
    assert [group.rows for group in calibration(scores, bad)] == [7]


def test_wilson_intervals_match_published_values() -> None:
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(15, 50) == pytest.approx((0.1910, 0.4375), abs=1e-4)
    assert all(wilson(0, rows)[0] == 0 and wilson(rows, rows)[1] == 1 for rows in range(1, 200))
    assert wilson(1, 1) == pytest.approx((0.2065, 1.0), abs=1e-4)


def test_grades_are_those_of_the_scale_and_hold_every_row_once() -> None:
    scores, bad = scored(4_000)
    table = grade_table(scores, bad)
    expected = [grade(float(pd)) for pd in default_probability(scores)]
    assert [row.grade for row in table] == [g for g in Grade if g is not Grade.D]
    for row in table:
        assert (row.outcome.rows if row.outcome else 0) == expected.count(row.grade)
        assert row.share == pytest.approx(expected.count(row.grade) / 4_000)


def test_a_pd_on_a_grade_limit_belongs_to_the_better_grade() -> None:
    limit = np.array([SCORE_OFFSET + SCORE_FACTOR * math.log((1 - 0.03) / 0.03)])
    pd = float(default_probability(limit)[0])
    row = next(row for row in grade_table(limit, np.array([0])) if row.outcome)
    assert row.grade == grade(pd)


def test_the_bands_of_the_scale_are_the_grades() -> None:
    drawn = bands()
    assert [name for name, _, _ in drawn] == [g for g in reversed(Grade) if g is not Grade.D]
    for name, low, high in drawn:
        log_odds = ((low + high) / 2 - SCORE_OFFSET) / SCORE_FACTOR
        assert score(log_odds) == pytest.approx((low + high) / 2)
        assert grade(probability_of_default(log_odds)) is name


def test_an_enterprise_is_safer_than_those_who_score_less() -> None:
    assert safer_than(600.0, np.array([500.0, 600.0, 700.0, 550.0])) == 0.5
