"""What each office alone, and all together, can tell about default: the figures the economy is calibrated to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from xgboost import XGBClassifier

from nodes.economy import generate, write
from nodes.features import compute_features
from nodes.features.compute import Column, domains

BINS = 6
Labels = NDArray[np.int64]
Rows = NDArray[np.int64]
Cohort = tuple[Labels, dict[str, list[Column]]]


def load_cohort(enterprises: int, seed: int, directory: Path) -> Cohort:
    """Join every office's features to the bank's cohort, left, as the federation does without joining anything."""
    write(generate(enterprises, seed), directory)
    bank = compute_features("bank", directory / "node_bank")
    labels = bank.columns.pop("default_12m").astype(np.int64)
    joined: dict[str, list[Column]] = {}
    for domain in domains():
        table = compute_features(domain, directory / f"node_{domain}")
        table.columns.pop("default_12m", None)
        position = {code: at for at, code in enumerate(table.ids)}
        index = np.array([position.get(code, -1) for code in bank.ids])
        joined[domain] = [
            np.where(index < 0, None if column.dtype == object else np.nan, column[index])
            for column in table.columns.values()
        ]
    return labels, joined


def woe(column: Column, labels: Labels, train: Rows) -> NDArray[np.float64]:
    """Weight of evidence per bin of training quantiles; missing has its own bin, a category is a bin."""
    if column.dtype == object:
        codes = np.unique([str(value) for value in column], return_inverse=True)[1]
    else:
        missing = np.isnan(column)
        edges = np.unique(np.nanquantile(column[train], np.linspace(0, 1, BINS + 1)[1:-1]))
        codes = np.where(missing, len(edges) + 1, np.searchsorted(edges, column))
    size = codes.max() + 1
    bad = np.bincount(codes[train], labels[train], size) + 0.5
    good = np.bincount(codes[train], 1 - labels[train], size) + 0.5
    return np.log((good / good.sum()) / (bad / bad.sum()))[codes]


def scorecard_auc(columns: list[Column], labels: Labels, train: Rows, test: Rows) -> float:
    inputs = np.column_stack([woe(column, labels, train) for column in columns])
    model = LogisticRegression(max_iter=500).fit(inputs[train], labels[train])
    return float(roc_auc_score(labels[test], model.decision_function(inputs[test])))


def cross_validated(cohort: Cohort, seed: int) -> dict[str, float]:
    labels, joined = cohort
    folds = list(StratifiedKFold(5, shuffle=True, random_state=seed).split(labels, labels))
    groups = joined | {"all": [column for columns in joined.values() for column in columns]}
    return {
        name: float(np.mean([scorecard_auc(columns, labels, train, test) for train, test in folds]))
        for name, columns in groups.items()
    }


def assert_calibrated(mean: dict[str, float]) -> None:
    together = mean.pop("all")
    assert all(0.62 <= auc <= 0.72 for auc in mean.values()), mean
    assert 0.78 <= together <= 0.84, together


def average(results: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([result[name] for result in results])) for name in results[0]}


def test_each_office_alone_knows_a_little_and_all_together_a_lot(tmp_path: Path) -> None:
    assert_calibrated(average([cross_validated(load_cohort(8000, seed, tmp_path), seed) for seed in (1, 2)]))


def test_the_demos_bank_alone_is_visibly_worse_than_all_together(tmp_path: Path) -> None:
    labels, joined = load_cohort(4000, 0, tmp_path)
    train, test = train_test_split(np.arange(len(labels)), test_size=0.3, random_state=0, stratify=labels)
    alone = scorecard_auc(joined["bank"], labels, train, test)
    together = scorecard_auc([column for columns in joined.values() for column in columns], labels, train, test)
    assert 0.60 <= alone <= 0.72
    assert 0.78 <= together <= 0.84


@pytest.mark.slow
def test_the_figures_hold_over_seeds_and_for_gradient_boosting(tmp_path: Path) -> None:
    results, boosted = [], []
    for seed in range(6):
        labels, joined = cohort = load_cohort(12_000, seed, tmp_path)
        results.append(cross_validated(cohort, seed))
        numeric = [column for columns in joined.values() for column in columns if column.dtype != object]
        inputs = np.column_stack(numeric)
        train, test = train_test_split(np.arange(len(labels)), test_size=0.3, random_state=seed, stratify=labels)
        model = XGBClassifier(n_estimators=150, max_depth=3, learning_rate=0.06, subsample=0.8, colsample_bytree=0.6)
        model.fit(inputs[train], labels[train])
        boosted.append(roc_auc_score(labels[test], model.predict_proba(inputs[test])[:, 1]))
    assert_calibrated(average(results))
    assert 0.78 <= np.mean(boosted) <= 0.84
