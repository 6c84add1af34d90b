"""The constrained fit is the exact optimum: nothing else that respects the signs is better."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import nnls

from protocols.credit.logistic import fit_columns, fit_nonnegative
from protocols.credit.nonnegative import solve_nonnegative

Floats = NDArray[np.float64]


def problem(seed: int, size: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(40, size)) + rng.normal(size=(40, 1))
    return rows.T @ rows, rows.T @ rng.normal(size=40)


def value(matrix: Floats, target: Floats, x: Floats) -> float:
    return float(x @ matrix @ x / 2 - target @ x)


@pytest.mark.parametrize("seed", range(30))
def test_no_choice_of_bounds_is_better(seed: int) -> None:
    matrix, target = problem(seed, 6)
    found = solve_nonnegative(matrix, target)
    assert (found[1:] >= 0).all()
    for size in range(6):
        for zero in combinations(range(1, 6), size):
            free = [i for i in range(6) if i not in zero]
            x = np.zeros(6)
            x[free] = np.linalg.solve(matrix[np.ix_(free, free)], target[free])
            if (x[1:] >= 0).all():
                assert value(matrix, target, found) <= value(matrix, target, x) + 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_it_agrees_with_least_squares_on_rows(seed: int) -> None:
    """With a first entry that no row needs, it is plain NNLS."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(60, 20)) + rng.normal(size=(60, 1))
    goal = rng.normal(size=60)
    expected, _ = nnls(rows, goal)
    matrix, target = np.eye(21), np.zeros(21)
    matrix[1:, 1:], target[1:] = rows.T @ rows, rows.T @ goal
    np.testing.assert_allclose(solve_nonnegative(matrix, target)[1:], expected, atol=1e-9)


def test_the_first_entry_may_be_negative_and_an_inner_optimum_is_left_alone() -> None:
    matrix = np.array([[2.0, 0.3], [0.3, 1.0]])
    target = matrix @ np.array([-5.0, 3.0])
    np.testing.assert_allclose(solve_nonnegative(matrix, target), [-5.0, 3.0])


def test_weights_that_would_be_negative_are_zero_and_the_rest_is_their_best_fit() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(500, 2))
    good = (x[:, 0] - x[:, 1] + rng.logistic(size=500) > 0).astype(np.int64)
    free, held = fit_columns(x, good), fit_nonnegative(x, good)
    assert free[2] < 0 == held[2] < held[1]
    np.testing.assert_allclose(held[:2], fit_columns(x[:, :1], good))
    np.testing.assert_array_equal(fit_nonnegative(x[:, :1], good), fit_columns(x[:, :1], good))
