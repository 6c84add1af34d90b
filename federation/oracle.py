"""What training on pooled plaintext would give: the comparison of `--compare`, which breaks every promise here.

Each oracle returns the test rows' log-odds of good. Shapes: (test rows,).

It takes everybody's rows in one process. It exists to show what the federation costs in accuracy, on data whose owner
may pool it anyway, and must never run in a real federation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from protocols.channel.identity import PartyId
from protocols.credit.binning import BinnedFeature
from protocols.credit.metrics import Validation, validate
from protocols.credit.woe import WOE_SCALE
from protocols.scorecard.rows import BinnedRows

Column = NDArray[np.float64] | NDArray[np.object_]
Floats = NDArray[np.float64]
_LARGEST: Final = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class PooledRows:
    """All parties' rows in cohort order, training rows first. Shapes: `bad` (rows,); `raw` columns (rows,)."""

    binned: Mapping[PartyId, BinnedRows]
    raw: Sequence[Column]
    bad: NDArray[np.int64]
    training_rows: int

    @property
    def test_bad(self) -> NDArray[np.int64]:
        """Return the outcomes of the test rows."""
        return self.bad[self.training_rows :]

    def quality(self, log_odds: Floats) -> Validation:
        """Return how well such log-odds of good rank and calibrate the test rows."""
        return validate(log_odds, self.test_bad)


def centralised_scorecard(pooled: PooledRows, features: Mapping[PartyId, Sequence[BinnedFeature]]) -> Floats:
    """Train exact logistic regression on the same bins and the same selected features."""
    columns = [
        np.asarray(feature.woe, dtype=np.float64)[pooled.binned[party].codes[:, index]] / WOE_SCALE
        for party, binned in features.items()
        for index, feature in enumerate(binned)
        if feature.selected
    ]
    n = pooled.training_rows
    if not columns:
        return np.zeros(len(pooled.test_bad))
    matrix = np.column_stack(columns)
    model = LogisticRegression(C=1e6, max_iter=5000, tol=1e-8).fit(matrix[:n], pooled.bad[:n])
    return -np.asarray(model.decision_function(matrix[n:]), dtype=np.float64)


def gradient_boosting(pooled: PooledRows, seed: int) -> Floats:
    """Train XGBoost on the pooled raw features, unconstrained."""
    n = pooled.training_rows
    if not pooled.raw:
        return np.zeros(len(pooled.test_bad))
    kinds = ["q" if column.dtype == np.float64 else "c" for column in pooled.raw]
    matrix = np.column_stack([_numeric(column) for column in pooled.raw])
    train, rest = (
        xgboost.DMatrix(matrix[rows], label=pooled.bad[rows], feature_types=kinds, enable_categorical=True)
        for rows in (slice(None, n), slice(n, None))
    )
    settings = {
        "objective": "binary:logistic",
        "max_depth": 4,
        "eta": 0.05,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "min_child_weight": 5,
        "seed": seed,
        "nthread": 1,
    }
    model = xgboost.train(settings, train, num_boost_round=300)
    return -np.asarray(model.predict(rest, output_margin=True), dtype=np.float64)


def additive_boosting(pooled: PooledRows, depth: int, seed: int) -> Floats:
    """Train XGBoost on the same fine bins, each tree on the features of one domain."""
    n = pooled.training_rows
    columns: list[Floats] = []
    domains: list[list[int]] = []
    for rows in pooled.binned.values():
        domains.append([*range(len(columns), len(columns) + len(rows.features))])
        for index, missing in enumerate(size - 1 for size in rows.fine_bins()):
            codes = rows.codes[:, index].astype(np.float64)
            columns.append(np.where(codes == missing, np.nan, codes))
    if not columns:
        return np.zeros(len(pooled.test_bad))
    matrix = np.column_stack(columns)
    settings = {
        "objective": "binary:logistic",
        "max_depth": depth,
        "eta": 0.1,
        "min_child_weight": 5,
        "interaction_constraints": str([members for members in domains if members]),
        "seed": seed,
        "nthread": 1,
    }
    model = xgboost.train(settings, xgboost.DMatrix(matrix[:n], label=pooled.bad[:n]), num_boost_round=100)
    return -np.asarray(model.predict(xgboost.DMatrix(matrix[n:]), output_margin=True), dtype=np.float64)


def _numeric(column: Column) -> Floats:
    """Return numbers, endless ones as the largest that XGBoost holds, and categories as codes; missing as NaN."""
    if column.dtype == np.float64:
        return np.clip(np.asarray(column, dtype=np.float64), -_LARGEST, _LARGEST)
    codes: dict[str, int] = {}
    values = [np.nan if v is None else float(codes.setdefault(str(v), len(codes))) for v in column.tolist()]
    return np.array(values, dtype=np.float64)
