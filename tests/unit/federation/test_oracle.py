"""The oracles of `--compare` find what there is to find in pooled rows, and are honest where there is nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from federation.oracle import PooledRows, additive_boosting, centralised_scorecard, gradient_boosting
from protocols.channel.identity import PartyId
from protocols.credit.binning import BinnedFeature
from protocols.credit.woe import Outcomes
from protocols.scorecard.messages import FeatureShape
from protocols.scorecard.rows import BinnedRows

TAX = PartyId("tax")
ROWS, TRAINING = 2000, 1400


@pytest.fixture(scope="module")
def pooled() -> PooledRows:
    rng = np.random.default_rng(3)
    risk = rng.normal(size=ROWS)
    bad = (risk + rng.normal(size=ROWS) > 1.2).astype(np.int64)
    code = np.searchsorted([-0.5, 0.5], risk).astype(np.uint16)
    number = np.where(rng.random(ROWS) < 0.1, np.nan, risk)
    category = np.array([None if rng.random() < 0.1 else "甲乙丙"[c] for c in code], dtype=object)
    counts = tuple(int(v) for v in np.bincount(code[:TRAINING], minlength=4))
    binned = BinnedRows((FeatureShape("risk", True, counts),), code[:, None])
    return PooledRows({TAX: binned}, [number, category], bad, TRAINING)


def feature(selected: bool, woe: tuple[int, ...] = (700, 0, -700, 0)) -> BinnedFeature:
    outcomes = tuple(Outcomes(1, 1) for _ in range(4))
    return BinnedFeature("tax", "risk", ((0,), (1,), (2,), (3,)), outcomes, woe, 0.5, selected, "")


def test_the_same_model_on_pooled_bins_ranks_the_test_rows(pooled: PooledRows) -> None:
    validation = pooled.quality(centralised_scorecard(pooled, {TAX: [feature(True)]}))
    assert 0.7 < validation.auc < 0.9
    assert 0 < validation.ks < 1
    assert validation.calibration_slope == pytest.approx(1.0, abs=0.3)


def test_a_model_of_no_feature_tells_nobody_apart(pooled: PooledRows) -> None:
    assert pooled.quality(centralised_scorecard(pooled, {TAX: [feature(False)]})).auc == 0.5
    empty = PooledRows({}, [], pooled.bad, TRAINING)
    assert empty.quality(gradient_boosting(empty, 0)).auc == 0.5


def test_boosting_reads_numbers_categories_and_missing_values(pooled: PooledRows) -> None:
    both = pooled.quality(gradient_boosting(pooled, 0))
    assert 0.75 < both.auc < 0.95
    category_alone = PooledRows(pooled.binned, pooled.raw[1:], pooled.bad, TRAINING)
    assert 0.65 < pooled.quality(gradient_boosting(category_alone, 0)).auc < both.auc


def test_a_column_that_is_all_missing_does_no_harm(pooled: PooledRows) -> None:
    nothing = PooledRows(pooled.binned, [np.full(ROWS, np.nan)], pooled.bad, TRAINING)
    validation = pooled.quality(gradient_boosting(nothing, 0))
    assert validation.auc == 0.5
    assert math.isfinite(validation.brier)


def test_numbers_without_end_and_such_as_xgboost_cannot_hold_are_its_largest(pooled: PooledRows) -> None:
    number = np.asarray(pooled.raw[0], dtype=np.float64)
    ends = np.where(number > 0.5, np.inf, np.where(number < -0.5, -1e308, number))
    log_odds = gradient_boosting(PooledRows(pooled.binned, [ends], pooled.bad, TRAINING), 0)
    assert 0.7 < pooled.quality(log_odds).auc < 0.95


def test_additive_boosting_reads_each_domain_s_bins(pooled: PooledRows) -> None:
    assert 0.7 < pooled.quality(additive_boosting(pooled, 3, 0)).auc < 0.95
    empty = PooledRows({}, [], pooled.bad, TRAINING)
    assert empty.quality(additive_boosting(empty, 3, 0)).auc == 0.5
