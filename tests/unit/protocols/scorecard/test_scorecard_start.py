"""The start of a fit: Fisher's weights, the same to the last bit on every machine, bounded whatever the sums say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.credit.woe import Outcomes
from protocols.scorecard.arithmetic import TOTAL_BITS
from protocols.scorecard.start import WEIGHT_LIMIT, WEIGHT_SCALE, gaps_of, start_points, start_weights

TABLE = (-200, 0, 300, 40)


def sample(seed: int, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.rint(200 * rng.normal(size=(rows, columns)) @ (np.eye(columns) + 0.3)).astype(np.int64)
    return x, (x.sum(axis=1) + 300 * rng.normal(size=rows) > -100).astype(np.int64)


@pytest.mark.parametrize("columns", [1, 2, 6])
def test_weights_are_fishers_discriminant(columns: int) -> None:
    x, good = sample(columns, 3000, columns)
    gaps = gaps_of(x.sum(axis=0), good @ x, Outcomes(int(good.sum()), int((1 - good).sum())))
    weights = start_weights(x.T @ x, x.sum(axis=0), gaps, len(x), [TABLE] * columns, 5)
    apart = (x[good == 1].mean(axis=0) - x[good == 0].mean(axis=0)) / 256
    expected = np.linalg.solve(np.atleast_2d(np.cov(x / 256, rowvar=False)), apart)
    np.testing.assert_allclose(np.array(weights) / WEIGHT_SCALE, expected, rtol=0.01, atol=0.01)


def test_near_copies_share_their_weight_instead_of_cancelling() -> None:
    x, good = sample(3, 3000, 1)
    twice = np.column_stack([x, x])
    gaps = gaps_of(twice.sum(axis=0), good @ twice, Outcomes(int(good.sum()), int((1 - good).sum())))
    first, second = start_weights(twice.T @ twice, twice.sum(axis=0), gaps, len(x), [TABLE] * 2, 5)
    assert first == second > 0


INTEGERS = st.integers(-(1 << 62), 1 << 62)


@given(st.lists(INTEGERS, min_size=9, max_size=9), st.lists(st.integers(-(1 << 21), 1 << 21), min_size=3, max_size=3))
def test_sums_that_no_columns_have_lead_to_weights_that_fit_all_the_same(gram: list[int], gaps: list[int]) -> None:
    sums = np.array(gram[:3], dtype=np.int64)
    tables = [(-2047, 2047, 0)] * 3
    weights = start_weights(np.array(gram, dtype=np.int64).reshape(3, 3), sums, gaps, 1000, tables, 21)
    assert all(abs(weight) <= WEIGHT_LIMIT for weight in weights)
    assert sum(max(start_points(w, t)) for w, t in zip(weights, tables, strict=True)) * 21 < 1 << TOTAL_BITS
