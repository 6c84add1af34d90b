"""The oracle of a consortium: the same scorecard from all banks' rows as if they were one bank's. For tests alone.

It differs from the oracle of one bank's run where a consortium does: it sets out from the base rate, and what it serves
is the best combination of all candidates.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocols.channel.identity import PartyId
from protocols.credit.logistic import first_step, refine
from protocols.scorecard.candidate import Candidate, Span, moments, prune_correlated, restrict
from protocols.scorecard.curvature import column_sums, residuals, to_curvature
from protocols.scorecard.model import BankRows, TrainingPlan
from protocols.scorecard.plaintext import PooledColumns, PooledScorecard
from protocols.scorecard.rows import BinnedRows


def train_pooled(
    bank: PartyId, data: BankRows, nodes: Mapping[PartyId, tuple[str, BinnedRows]], plan: TrainingPlan
) -> PooledScorecard:
    """Train on everybody's rows at once. Shapes: `nodes` maps each node to its domain and rows, in the pool's order."""
    pooled, n, bad = PooledColumns.of(bank, data, nodes, plan.rules), data.training_rows, data.training_bad
    full = moments(pooled.features, n, data.everyone.good, pooled.gram())
    features, kept = prune_correlated(pooled.features, full)
    selected = restrict(full, kept)
    span, coefficients = Span(), first_step(selected)
    for release in range(plan.refinements + 1):
        candidate = Candidate.build(coefficients, features)
        span.add(coefficients, candidate.calibration().log_odds(pooled.totals(candidate, len(data.bad))))
        coefficients, log_odds = span.fit(1 - bad)
        if release < plan.refinements:
            residual, weight = residuals(log_odds[:n], bad)
            sums = [column_sums(c, residual, weight) for c in pooled.columns.values() if c.count]
            curvature = to_curvature(sums, residual, weight).restrict(kept)
            coefficients = refine(coefficients, selected, curvature)
    final = Candidate.build(coefficients, features)
    return PooledScorecard(features, final, final.calibration(), final.nearest_totals(log_odds))
