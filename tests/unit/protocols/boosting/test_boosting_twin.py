"""What the algorithm promises, on the oracle: monotone features, routed gaps, categories, stopping, honest totals."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from protocols.boosting.model import BoostingPlan
from protocols.boosting.plaintext import PooledBoosting, train_pooled
from protocols.boosting.totals import honest_totals, offsets
from protocols.boosting.trees import PointedTree, Split, Tree
from protocols.channel.identity import PartyId
from protocols.credit.metrics import auc
from protocols.scorecard.messages import FeatureShape
from protocols.scorecard.model import BankRows
from protocols.scorecard.rows import BinnedRows

BANK, TAX = PartyId("bank"), PartyId("tax")
ROWS, TRAINING, BINS, MINIMUM = 3000, 2000, 8, 20
PLAN = BoostingPlan(trees=48)


def rows(codes: np.ndarray, ordered: bool = True) -> BinnedRows:
    """Shapes: `codes` (rows, features), bin BINS being that of missing values."""
    shapes = tuple(
        FeatureShape(f"f{i}", ordered, tuple(np.bincount(column[:TRAINING], minlength=BINS + 1).tolist()))
        for i, column in enumerate(codes.T)
    )
    return BinnedRows(shapes, codes.astype(np.uint16))


def trained(codes: np.ndarray, log_odds: np.ndarray, plan: BoostingPlan = PLAN, ordered: bool = True) -> PooledBoosting:
    bad = (np.random.default_rng(1).random(ROWS) < 1 / (1 + np.exp(-log_odds))).astype(np.int64)
    data = BankRows(rows(np.empty((ROWS, 0))), bad, TRAINING)
    return train_pooled(BANK, data, {TAX: ("tax", rows(codes, ordered))}, plan, MINIMUM)


def points(model: PooledBoosting, codes: np.ndarray) -> np.ndarray:
    trees = model.model.trees[TAX]
    found = [np.asarray(tree.points)[tree.tree.leaf_of(codes)] for tree in trees]
    return np.sum(found, axis=0) if found else np.zeros(len(codes))


def risk_of(codes: np.ndarray) -> np.ndarray:
    """Risk that rises along the first feature but for one step that falls steeply, and with the second."""
    risk = np.array([-2.0, -1.5, -1.0, 1.0, -1.0, 0.5, 1.0, 1.5, 0.0])
    return np.asarray(risk[codes[:, 0]] + 0.3 * codes[:, 1] - 1.5)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_feature_with_a_sign_never_speaks_against_it(sign: int) -> None:
    codes = np.random.default_rng(0).integers(0, BINS, size=(ROWS, 3))
    log_odds = sign * risk_of(codes)
    everything = np.array(list(product(range(BINS), repeat=3)))
    step = everything[:, 0] < BINS - 1

    def falls(plan: BoostingPlan) -> np.ndarray:
        model = trained(codes, log_odds, plan)
        above = everything + np.array([1, 0, 0])
        return np.asarray(sign * (points(model, everything[step]) - points(model, above[step])))

    assert falls(PLAN).min() < 0
    bound = falls(BoostingPlan(trees=48, signs={("tax", "f0"): sign}))
    assert bound.min() >= 0
    assert bound.max() > 0


def test_missing_values_go_where_the_rows_say() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, BINS, size=(ROWS, 1))
    codes[rng.random(ROWS) < 0.3] = BINS
    for risky in (1.5, -1.5):
        model = trained(codes, np.where(codes[:, 0] == BINS, risky, 0.4 * (codes[:, 0] - 3.5)))
        by_bin = points(model, np.arange(BINS + 1).reshape(-1, 1))
        assert by_bin[BINS] < by_bin[4] if risky > 0 else by_bin[BINS] > by_bin[3]


def test_categories_are_told_apart_in_any_order() -> None:
    codes = np.random.default_rng(0).integers(0, BINS, size=(ROWS, 1))
    log_odds = np.where(codes[:, 0] % 2, 1.5, -1.5)
    by_bin = points(trained(codes, log_odds, ordered=False), np.arange(BINS).reshape(-1, 1))
    assert by_bin[1::2].max() < by_bin[::2].min()


def test_what_is_noise_to_rows_that_a_tree_has_not_seen_is_not_kept() -> None:
    codes = np.random.default_rng(0).integers(0, BINS, size=(ROWS, 6))
    noise = trained(codes, np.full(ROWS, -1.0))
    signal = trained(codes, 0.8 * (codes[:, 0] - 3.5))
    assert 2 * len(noise.model.trees[TAX]) < len(signal.model.trees[TAX])


def test_the_totals_that_weigh_the_first_turn_do_not_flatter() -> None:
    """On noise that is memorised, out-of-fold totals of the training rows tell nothing, as test rows' do."""
    rng = np.random.default_rng(2)
    codes, bad = rng.integers(0, BINS, size=(ROWS, 1)), rng.integers(0, 2, ROWS)
    folds = 4
    trees = []
    for fold in range(folds):
        fitted = np.arange(TRAINING) % folds != fold
        seen = codes[:TRAINING, 0][fitted]
        rate = np.bincount(seen, bad[:TRAINING][fitted], BINS) / np.bincount(seen, minlength=BINS)
        good = rate < np.median(rate)
        trees.append(PointedTree(Tree(((Split(0, (*good, False)),),)), (100, 0)))
    honest = honest_totals(trees, rows(codes), ROWS, TRAINING, folds)[:TRAINING]
    flattered = sum(np.asarray(t.points)[t.tree.leaf_of(codes[:TRAINING])] for t in trees)
    assert auc(flattered, bad[:TRAINING]) > 0.51
    assert auc(honest, bad[:TRAINING]) < auc(flattered, bad[:TRAINING]) - 0.01


def test_what_is_taken_off_the_points_comes_back_by_row() -> None:
    trees = [PointedTree(Tree(((Split(0, (True,) * 4 + (False,) * 5),),)), (-7 - i, 5 * i)) for i in range(8)]
    codes = np.random.default_rng(0).integers(0, BINS, size=(ROWS, 1))
    lowest = [min(tree.points) for tree in trees]
    lifted = [
        PointedTree(tree.tree, (tree.points[0] - low, tree.points[1] - low))
        for tree, low in zip(trees, lowest, strict=True)
    ]
    whole = honest_totals(lifted, rows(codes), ROWS, TRAINING, 4) + offsets(lowest, ROWS, TRAINING, 4)
    np.testing.assert_array_equal(whole, honest_totals(trees, rows(codes), ROWS, TRAINING, 4))


def test_parties_that_know_alike_do_not_memorise_side_by_side() -> None:
    """Eight of them, one signal and few defaults: what unseen rows stopped in the first turn is not taken up later."""
    rng = np.random.default_rng(3)
    shared = rng.normal(size=ROWS)
    bad = (rng.random(ROWS) < 1 / (1 + np.exp(3.0 - 1.5 * shared))).astype(np.int64)

    def knows() -> np.ndarray:
        seen = shared + 0.5 * rng.normal(size=ROWS)
        column = np.searchsorted(np.quantile(seen, np.linspace(0, 1, BINS + 1)[1:-1]), seen)
        return np.column_stack([column, *rng.integers(0, BINS, size=(2, ROWS))])

    nodes = {PartyId(f"office{i}"): ("tax", rows(knows())) for i in range(8)}
    data = BankRows(rows(np.empty((ROWS, 0))), bad, TRAINING)

    def quality(turns: int) -> float:
        plan = BoostingPlan(row_totals=turns)
        return auc(train_pooled(BANK, data, nodes, plan, MINIMUM).log_odds[TRAINING:], bad[TRAINING:])

    assert quality(3) > quality(1) - 0.015
