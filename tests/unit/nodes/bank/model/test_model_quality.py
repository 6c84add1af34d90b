"""A model's quality is kept as sums: they agree with the measures, and no row can be read from them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from nodes.bank.model.quality import MOST_BANDS, MOST_CURVE_POINTS, ModelQuality, measure, round_step
from protocols.credit.logistic import sigmoid
from protocols.credit.metrics import auc, population_stability
from protocols.credit.scale import SCORE_FACTOR, SCORE_OFFSET, grade

TRAINING = 3000
ROWS = 5000


def drawn(rows: int = ROWS, seed: int = 0, spread: float = 1.2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(2.5, spread, rows)
    return log_odds, (rng.random(rows) < sigmoid(-log_odds)).astype(np.int64)


@pytest.fixture(scope="module")
def quality() -> ModelQuality:
    return measure(*drawn(), TRAINING)


def test_the_curve_encloses_the_area_that_auc_states(quality: ModelQuality) -> None:
    log_odds, bad = drawn()
    good, caught = (np.array([getattr(point, name) for point in quality.curve]) for name in ("good", "bad"))
    area = float(np.sum(np.diff(good) * (caught[1:] + caught[:-1]) / 2))
    assert quality.auc == pytest.approx(auc(log_odds[TRAINING:], bad[TRAINING:]), abs=1e-12)
    assert area == pytest.approx(quality.auc, abs=2e-3)
    assert (quality.curve[0].good, quality.curve[0].bad) == (0.0, 0.0)
    assert (quality.curve[-1].good, quality.curve[-1].bad) == (1.0, 1.0)
    assert np.all(np.diff(good) >= 0)
    assert np.all(np.diff(caught) >= 0)


def test_the_widest_gap_is_ks(quality: ModelQuality) -> None:
    assert quality.ks_at is not None
    assert quality.ks_at.bad - quality.ks_at.good == pytest.approx(quality.ks, abs=1e-12)


def test_bands_deciles_and_grades_each_count_every_test_row_once(quality: ModelQuality) -> None:
    bad = int(drawn()[1][TRAINING:].sum())
    assert sum(band.good + band.bad for band in quality.bands) == ROWS - TRAINING
    assert sum(band.bad for band in quality.bands) == bad
    for groups in (quality.deciles, quality.grades):
        assert sum(group.rows for group in groups) == ROWS - TRAINING
        assert sum(group.bad for group in groups) == bad


def test_deciles_run_from_the_riskiest(quality: ModelQuality) -> None:
    expected = [group.expected for group in quality.deciles]
    assert len(expected) == 10
    assert expected == sorted(expected, reverse=True)
    assert {group.rows for group in quality.deciles} == {200}


def test_grades_are_those_of_the_scale(quality: ModelQuality) -> None:
    pd = sigmoid(-drawn()[0][TRAINING:])
    for group in quality.grades:
        members = np.array([grade(float(value)) == group.name for value in pd])
        assert group.rows == members.sum()
        if group.rows:
            assert group.expected == pytest.approx(float(pd[members].mean()))


def test_the_shares_sum_to_the_stability_index(quality: ModelQuality) -> None:
    log_odds, _ = drawn()
    pairs = np.array([(pair.train, pair.test) for pair in quality.stability])
    assert pairs.sum(axis=0) == pytest.approx([1.0, 1.0])
    index = float(np.sum((pairs[:, 1] - pairs[:, 0]) * np.log(pairs[:, 1] / pairs[:, 0])))
    assert quality.stability_index == pytest.approx(index)
    assert index == pytest.approx(population_stability(log_odds[:TRAINING], log_odds[TRAINING:]))


def test_scores_that_moved_are_unstable() -> None:
    log_odds, bad = drawn()
    log_odds[TRAINING:] -= 1.5
    assert measure(log_odds, bad, TRAINING).stability_index > 0.25


@pytest.mark.parametrize("spread", [0.0, 0.01, 1.2, 40.0])
def test_no_score_of_an_enterprise_is_kept(spread: float) -> None:
    log_odds, bad = drawn(spread=spread)
    found = measure(log_odds, bad, TRAINING)
    assert len(found.curve) <= MOST_CURVE_POINTS
    assert len(found.bands) <= MOST_BANDS
    kept = {point.score for point in found.curve} | {edge for band in found.bands for edge in (band.low, band.high)}
    kept |= {found.ks_at.score} if found.ks_at else set()
    assert all(value == round(value) for value in kept)
    scores = SCORE_OFFSET + SCORE_FACTOR * log_odds
    assert not kept & set(scores.tolist())


@pytest.mark.parametrize("outcome", [0, 1])
def test_one_outcome_alone_measures_nothing_and_still_counts(outcome: int) -> None:
    log_odds, _ = drawn(60)
    found = measure(log_odds, np.full(60, outcome, dtype=np.int64), 40)
    assert (found.auc, found.ks, found.gini, found.brier, found.calibration_slope) == (None,) * 5
    assert (found.curve, found.ks_at) == ((), None)
    assert sum(group.rows for group in found.deciles) == 20


def test_a_handful_of_test_rows_has_fewer_groups_than_ten() -> None:
    log_odds, bad = drawn(47)
    assert len(measure(log_odds, bad, 40).deciles) == 1


def test_equal_scores_stay_in_one_group() -> None:
    found = measure(np.zeros(100), np.arange(100) % 2, 50)
    assert [group.rows for group in found.deciles] == [50]
    assert found.auc == 0.5


@pytest.mark.parametrize("training_rows", [0, 50])
def test_rows_are_needed_on_both_sides(training_rows: int) -> None:
    with pytest.raises(ValueError, match="measure nothing"):
        measure(np.zeros(50), np.arange(50) % 2, training_rows)


def test_quality_survives_json(quality: ModelQuality) -> None:
    assert msgspec.json.decode(msgspec.json.encode(quality), type=ModelQuality) == quality


@pytest.mark.parametrize(("span", "step"), [(0.0, 1.0), (198.0, 1.0), (199.0, 2.0), (400.0, 5.0), (5000.0, 50.0)])
def test_steps_are_round(span: float, step: float) -> None:
    assert round_step(span, 198) == step
