"""Fits from aggregates against scikit-learn on rows, and against the degenerate outcomes that data bring."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from protocols.credit.logistic import (
    Curvature,
    Moments,
    calibrate,
    first_step,
    fit_columns,
    refine,
    sigmoid,
)
from protocols.credit.woe import WOE_SCALE
from protocols.errors import CreditFederationError


def rows(seed: int, count: int, columns: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Integer WOE columns, and outcomes that follow from them with coefficients about 1."""
    rng = np.random.default_rng(seed)
    woe = rng.normal(0, 0.6, (count, columns)) @ (np.eye(columns) + 0.2)
    good = (rng.random(count) < sigmoid(1.5 + woe @ np.linspace(0.6, 1.2, columns))).astype(np.int64)
    return np.rint(woe * WOE_SCALE).astype(np.int64), good


def moments_of(x: NDArray[np.int64], good: NDArray[np.int64]) -> Moments:
    return Moments(len(x), int(good.sum()), x.sum(axis=0), good @ x, x.T @ x)


def exact(x: NDArray[np.int64], good: NDArray[np.int64]) -> NDArray[np.float64]:
    model = LogisticRegression(C=1e10, tol=1e-12, max_iter=2000).fit(x / WOE_SCALE, good)
    return np.concatenate([model.intercept_, model.coef_[0]])


def test_the_first_step_is_newtons_from_the_base_rate() -> None:
    x, good = rows(1, 4000, 3)
    design = np.column_stack([np.ones(len(x)), x / WOE_SCALE])
    share = good.mean()
    hessian = share * (1 - share) * design.T @ design
    expected = np.linalg.solve(hessian, design.T @ (good - share))
    expected[0] += np.log(share / (1 - share))
    np.testing.assert_allclose(first_step(moments_of(x, good)), expected, rtol=1e-4)


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_refinements_approach_scikit_learns_fit(columns: int) -> None:
    x, good = rows(columns, 6000, columns)
    moments, truth = moments_of(x, good), exact(x, good)
    design = np.column_stack([np.ones(len(x)), x / WOE_SCALE])
    fit = first_step(moments)
    errors = [np.abs(fit - truth).max()]
    for _ in range(5):
        p = sigmoid(design @ fit)
        curvature = Curvature(design.T @ (good - p), ((p * (1 - p))[:, None] * design**2).sum(axis=0))
        fit = refine(fit, moments, curvature, np.arange(columns))
        errors.append(np.abs(fit - truth).max())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.2 * errors[0]


@pytest.mark.parametrize("scale", [1, 50, 5000])
def test_calibration_equals_scikit_learns(scale: int) -> None:
    x, good = rows(9, 5000, 1)
    totals = x[:, 0] * scale + 12345
    fit = calibrate(totals, good)
    truth = exact(x, good)
    np.testing.assert_allclose(fit.slope * scale * WOE_SCALE, truth[1], rtol=2e-3)
    np.testing.assert_allclose(fit.log_odds(totals), truth[0] + truth[1] * x[:, 0] / WOE_SCALE, atol=5e-3)


def test_a_constant_total_tells_nothing() -> None:
    fit = calibrate(np.full(100, 777), np.array([1] * 90 + [0] * 10))
    assert fit.slope == 0.0
    assert fit.intercept == pytest.approx(np.log((90.5 / 101) / (10.5 / 101)))


@pytest.mark.parametrize("outcome", [0, 1])
def test_one_outcome_alone_stays_finite(outcome: int) -> None:
    fit = calibrate(np.arange(50), np.full(50, outcome))
    assert np.isfinite([fit.intercept, fit.slope]).all()
    assert (fit.log_odds(np.arange(50)) > 0).all() == bool(outcome)


def test_perfect_separation_stays_finite_and_keeps_the_order() -> None:
    totals = np.arange(200)
    fit = calibrate(totals, (totals >= 100).astype(np.int64))
    assert np.isfinite([fit.intercept, fit.slope]).all()
    assert fit.slope > 0
    odds = fit.log_odds(totals)
    assert (odds[:100] < 0).all()
    assert (odds[100:] > 0).all()


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, (1 << 20) - 1), st.booleans()), min_size=1, max_size=40))
def test_calibration_is_finite_for_any_totals(cases: list[tuple[int, bool]]) -> None:
    totals = np.array([total for total, _ in cases])
    fit = calibrate(totals, np.array([int(good) for _, good in cases]))
    assert np.isfinite(fit.log_odds(totals)).all()


def test_a_copy_of_a_column_does_not_unsettle_the_fit() -> None:
    x, good = rows(4, 3000, 1)
    column = x[:, 0].astype(np.float64)
    alone = fit_columns(column[:, None], good)
    both = fit_columns(np.column_stack([column, column]), good)
    assert both[1] + both[2] == pytest.approx(alone[1], rel=1e-3)


def test_a_combination_is_at_least_as_likely_as_each_of_its_columns() -> None:
    x, good = rows(5, 3000, 2)
    columns = x / WOE_SCALE

    def likelihood(fit: NDArray[np.float64], used: NDArray[np.float64]) -> float:
        odds = fit[0] + used @ fit[1:]
        return float(np.sum(good * odds - np.logaddexp(0, odds)))

    whole = likelihood(fit_columns(columns, good), columns)
    for place in range(2):
        part = columns[:, [place]]
        assert whole >= likelihood(fit_columns(part, good), part) - 1e-9
    np.testing.assert_allclose(fit_columns(columns, good), exact(x, good), atol=0.02)


def test_moments_that_have_no_solution_end_the_fit_with_a_code() -> None:
    nothing = Moments(0, 0, np.array([0]), np.array([0]), np.array([[0]]))
    with pytest.raises(CreditFederationError) as caught:
        refine(np.zeros(2), nothing, Curvature(np.zeros(2), np.zeros(2)), np.arange(1))
    assert caught.value.code == "FIT_DIVERGED"
