"""The Hessian from own blocks: exact within a party, whole with one, and a far better guess between two."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from protocols.credit.hessian import Curvature, OwnBlocks, rescaled
from protocols.credit.logistic import moved, sigmoid
from tests.unit.protocols.credit.test_credit_logistic import moments_of, rows

ROWS, COLUMNS = 4000, 5


def known(parties: tuple[int, ...], scale: float = 1.5) -> tuple[np.ndarray, np.ndarray, Curvature]:
    """Return XᵀX, the true XᵀHX at strong coefficients, and what parties of so many columns each tell of it."""
    x, good = rows(3, ROWS, COLUMNS)
    design = np.column_stack([np.ones(ROWS), x / 256])
    p = sigmoid(design @ np.array([1.0, *np.linspace(scale, -scale, COLUMNS)]))
    true = (design * (p * (1 - p))[:, None]).T @ design
    ends = np.cumsum((1, *parties))
    blocks = tuple(true[a:b, a:b] for a, b in itertools.pairwise(ends))
    curvature = Curvature(design.T @ (good - p), np.diag(true), OwnBlocks(true[0, 1:], blocks))
    return moments_of(x, good).hessian_basis(), true, curvature


@pytest.mark.parametrize("parties", [(5,), (2, 3), (1, 1, 1, 1, 1)])
def test_each_partys_own_block_is_exact_and_the_whole_is_definite(parties: tuple[int, ...]) -> None:
    basis, true, curvature = known(parties)
    found = rescaled(basis, curvature, 0.2, 0.0)
    ends = np.cumsum((1, *parties))
    for a, b in itertools.pairwise(ends):
        np.testing.assert_allclose(found[a:b, a:b], true[a:b, a:b], rtol=1e-4, atol=1e-3 * true[0, 0])
    np.testing.assert_allclose(found[0], true[0], rtol=1e-9, atol=1e-9)
    assert np.linalg.eigvalsh(found).min() > 0
    if len(parties) == 1:
        np.testing.assert_allclose(found, true, rtol=1e-4, atol=1e-3 * true[0, 0])


def test_what_lies_between_parties_is_nearer_than_the_diagonal_alone_would_have_it() -> None:
    basis, true, curvature = known((2, 3))
    by_diagonal = rescaled(basis, Curvature(curvature.gradient, curvature.diagonal), 0.2, 0.0)
    by_blocks = rescaled(basis, curvature, 0.2, 0.0)
    assert np.linalg.norm(by_blocks - true) < 0.75 * np.linalg.norm(by_diagonal - true)


def test_a_column_that_tells_nothing_does_no_harm() -> None:
    basis, _, curvature = known((2, 3))
    basis[3, :] = basis[:, 3] = 0
    assert curvature.own is not None
    blocks = (curvature.own.blocks[0], np.zeros((3, 3)))
    found = rescaled(basis, Curvature(curvature.gradient, curvature.diagonal, OwnBlocks(np.zeros(5), blocks)), 0.2, 0.1)
    assert np.isfinite(found).all()


def test_how_far_scores_move_is_in_their_own_spread() -> None:
    x, good = rows(3, ROWS, COLUMNS)
    moments = moments_of(x, good)
    before, after = np.array([0.3, 1, 0, 0, 0, 0]), np.array([7.0, 1, 1, 0, 0, 0])
    scores = [x @ fit[1:] / 256 for fit in (before, after)]
    assert moved(before, after, moments) == pytest.approx(float(np.std(scores[1] - scores[0]) / np.std(scores[1])))
    assert moved(before, np.zeros(6), moments) == 0
