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
from protocols.credit.binning import BinnedFeature
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


def train_pooled(
    bank: PartyId, data: BankRows, nodes: Mapping[PartyId, tuple[str, BinnedRows]], plan: TrainingPlan
) -> PooledScorecard:
    """Train on everybody's rows at once. Shapes: `nodes` maps each node to its domain and rows, in cohort order."""
    pooled = {party: ("bank", data.rows) if party == bank else nodes[party] for party in owner_order(bank, (*nodes,))}
    n, bad, everyone = data.training_rows, data.training_bad, data.everyone
    features = bin_all(
        {party: plain_histograms(rows, domain, bad) for party, (domain, rows) in pooled.items()}, everyone, plan.rules
    )
    columns = {
        party: WoeColumns.build(rows, n, [f.woe if f.selected else None for f in features[party]])
        for party, (_, rows) in pooled.items()
    }
    matrix = np.column_stack([c.values() for c in columns.values()])
    fitting = Fitting(features, bad, len(nodes), plan.signs)
    fitting.take_own(bank, columns[bank].values())
    start = fitting.start({party: c.gram() for party, c in columns.items()})
    fitting.take_gram(matrix.T @ matrix)
    candidate = start if plan.refinements else fitting.first()
    while not plan.is_last(fitting.moved):
        residual, weight = fitting.take_totals(candidate, _totals(pooled, candidate, len(data.bad)))
        known = [c for c in columns.values() if c.count]
        sums = [column_sums(c, residual, weight, pairs=pair_count(c.count, noisy=False) > 0) for c in known]
        candidate = fitting.refine(sums, residual, weight)
    found = _totals(pooled, candidate, len(data.bad))
    return PooledScorecard(fitting.features, candidate, fitting.calibrate(found), found, fitting.moved)


def _totals(pooled: dict[PartyId, tuple[str, BinnedRows]], candidate: Candidate, count: int) -> NDArray[np.int64]:
    parts = [totals(rows, count, candidate.points[party]) for party, (_, rows) in pooled.items()]
    return np.asarray(sum(parts), dtype=np.int64)
