"""The oracle: the same scorecard from pooled plaintext rows. It breaks every promise of the federation.

For tests, and for `--compare`, which says so loudly. It calls the credit conventions directly, with NumPy sums in place
of every protocol, so that equality of the resulting integers proves the protocols exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.channel.identity import PartyId
from protocols.credit.binning import BinnedFeature, BinningRules
from protocols.credit.logistic import Calibration
from protocols.scorecard.candidate import Candidate
from protocols.scorecard.curvature import column_sums, pair_count
from protocols.scorecard.fitting import Fitting
from protocols.scorecard.histograms import bin_all, plain_histograms
from protocols.scorecard.model import BankRows, TrainingPlan
from protocols.scorecard.rows import BinnedRows, WoeColumns, owner_order, totals


@dataclass(frozen=True, slots=True)
class PooledScorecard:
    """The oracle's model and every enterprise's total; `moved` as in `TrainedScorecard`. Shapes: `totals` (rows,)."""

    features: dict[PartyId, list[BinnedFeature]] = field(repr=False)
    candidate: Candidate = field(repr=False)
    calibration: Calibration
    totals: NDArray[np.int64] = field(repr=False)
    moved: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class PooledColumns:
    """Everybody's rows at once, binned and weighed, parties in owner order."""

    rows: dict[PartyId, tuple[str, BinnedRows]] = field(repr=False)
    features: dict[PartyId, list[BinnedFeature]] = field(repr=False)
    columns: dict[PartyId, WoeColumns] = field(repr=False)

    @classmethod
    def of(
        cls,
        bank: PartyId,
        data: BankRows,
        nodes: Mapping[PartyId, tuple[str, BinnedRows]],
        rules: BinningRules,
    ) -> PooledColumns:
        """Bin by these rules. Shapes: `nodes` maps each node to its domain and rows, in the order of `data`."""
        pooled = {p: ("bank", data.rows) if p == bank else nodes[p] for p in owner_order(bank, (*nodes,))}
        histograms = {p: plain_histograms(rows, domain, data.training_bad) for p, (domain, rows) in pooled.items()}
        features = bin_all(histograms, data.everyone, rules)
        columns = {
            party: WoeColumns.build(rows, data.training_rows, [f.woe if f.selected else None for f in features[party]])
            for party, (_, rows) in pooled.items()
        }
        return cls(pooled, features, columns)

    def gram(self) -> NDArray[np.int64]:
        """Return XᵀX of all columns."""
        matrix = np.column_stack([columns.values() for columns in self.columns.values()])
        return np.asarray(matrix.T @ matrix, dtype=np.int64)

    def totals(self, candidate: Candidate, count: int) -> NDArray[np.int64]:
        """Return the points of the first `count` enterprises, summed over all parties. Shapes: (count,)."""
        parts = [totals(rows, count, candidate.points[party]) for party, (_, rows) in self.rows.items()]
        return np.asarray(sum(parts), dtype=np.int64)


def train_pooled(
    bank: PartyId, data: BankRows, nodes: Mapping[PartyId, tuple[str, BinnedRows]], plan: TrainingPlan
) -> PooledScorecard:
    """Train on everybody's rows at once. Shapes: `nodes` maps each node to its domain and rows, in cohort order."""
    pooled, count = PooledColumns.of(bank, data, nodes, plan.rules), len(data.bad)
    fitting = Fitting(pooled.features, data.training_bad, len(nodes), plan.signs)
    fitting.take_own(bank, pooled.columns[bank].values())
    start = fitting.start({party: c.gram() for party, c in pooled.columns.items()})
    fitting.take_gram(pooled.gram())
    candidate = start if plan.refinements else fitting.first()
    while not plan.is_last(fitting.moved):
        residual, weight = fitting.take_totals(candidate, pooled.totals(candidate, count))
        known = [c for c in pooled.columns.values() if c.count]
        sums = [column_sums(c, residual, weight, pairs=pair_count(c.count, noisy=False) > 0) for c in known]
        candidate = fitting.refine(sums, residual, weight)
    found = pooled.totals(candidate, count)
    return PooledScorecard(fitting.features, candidate, fitting.calibrate(found), found, fitting.moved)
