"""The oracle of a consortium: the same scorecard from all banks' rows as if they were one bank's. For tests alone.

It differs from the oracle of one bank's run where a consortium does: it sets out from the base rate, and what it serves
is the best combination of all candidates.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from protocols.channel.identity import PartyId
from protocols.credit.logistic import first_step, refine
from protocols.scorecard.candidate import Candidate, Span, moments, prune_correlated, restrict
from protocols.scorecard.curvature import column_sums, residuals, to_curvature
from protocols.scorecard.histograms import bin_all, plain_histograms
from protocols.scorecard.model import BankRows, TrainingPlan
from protocols.scorecard.plaintext import PooledScorecard
from protocols.scorecard.rows import BinnedRows, WoeColumns, owner_order, totals


def train_pooled(
    bank: PartyId, data: BankRows, nodes: Mapping[PartyId, tuple[str, BinnedRows]], plan: TrainingPlan
) -> PooledScorecard:
    """Train on everybody's rows at once. Shapes: `nodes` maps each node to its domain and rows, in the pool's order."""
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
    full = moments(features, n, everyone.good, matrix.T @ matrix)
    features, kept = prune_correlated(features, full)
    selected = restrict(full, kept)
    span, coefficients = Span(), first_step(selected)
    for release in range(plan.refinements + 1):
        candidate = Candidate.build(coefficients, features)
        span.add(coefficients, candidate.calibration().log_odds(_totals(pooled, candidate, len(data.bad))))
        coefficients, log_odds = span.fit(1 - bad)
        if release < plan.refinements:
            residual, weight = residuals(log_odds[:n], bad)
            sums = [column_sums(c, residual, weight) for c in columns.values() if c.count]
            curvature = to_curvature(sums, residual, weight).restrict(kept)
            coefficients = refine(coefficients, selected, curvature)
    final = Candidate.build(coefficients, features)
    return PooledScorecard(features, final, final.calibration(), final.nearest_totals(log_odds))


def _totals(pooled: dict[PartyId, tuple[str, BinnedRows]], candidate: Candidate, count: int) -> NDArray[np.int64]:
    parts = [totals(rows, count, candidate.points[party]) for party, (_, rows) in pooled.items()]
    return np.asarray(sum(parts), dtype=np.int64)
