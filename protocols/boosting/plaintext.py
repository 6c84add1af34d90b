"""The oracle: the same boosting from pooled plaintext rows. It breaks every promise of the federation.

For tests, and for `--compare`, which says so loudly. It grows and weighs with the same code as the roles, on exact sums
in place of every protocol, so that equality of the resulting integers proves the protocols exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.boosting.arithmetic import to_log_odds
from protocols.boosting.local import grow_turn, shapes_of
from protocols.boosting.model import BoostingPlan, ServedModel
from protocols.boosting.partition import TurnPartition
from protocols.boosting.rows import PlainRows
from protocols.boosting.themes import TreeThemes
from protocols.boosting.totals import honest_totals
from protocols.boosting.trees import PointedTree
from protocols.boosting.turns import Turns
from protocols.channel.identity import PartyId
from protocols.scorecard.model import BankRows
from protocols.scorecard.rows import BinnedRows


@dataclass(frozen=True, slots=True)
class PooledBoosting:
    """The oracle's model and every enterprise's total and log-odds of good. Shapes: (rows,)."""

    model: ServedModel
    totals: NDArray[np.int64] = field(repr=False)
    log_odds: NDArray[np.float64] = field(repr=False)


def train_pooled(
    bank: PartyId,
    data: BankRows,
    nodes: Mapping[PartyId, tuple[str, BinnedRows]],
    plan: BoostingPlan,
    minimum: int,
) -> PooledBoosting:
    """Train on everybody's rows at once. Shapes: `nodes` maps each node to its domain and rows, in cohort order."""
    turns = Turns(bank, data, plan, minimum)
    ensemble, n, count = turns.ensemble, data.training_rows, len(data.bad)
    for turn in range(plan.row_totals):
        labels = PlainRows(data.training_bad, np.zeros_like(data.training_bad))
        rows, folds = PlainRows(*ensemble.gradients()) if turn else labels, turns.partition_folds(turn)
        trees: dict[PartyId, list[PointedTree]] = {}
        points = np.zeros(count, dtype=np.int64)
        for node, (domain, theirs) in nodes.items():
            grower = turns.grower(node, turn, shapes_of(theirs, domain, plan.signs))
            partition = TurnPartition(theirs, n, folds, minimum, first=not turn)
            trees[node] = grow_turn(grower, partition, rows, to_log_odds(ensemble.base))
            points += honest_totals(trees[node], theirs, count, n, folds)
        turns.close(turn, trees, points)
    ensemble.settle()
    pooled = {bank: ("bank", data.rows)} | {node: nodes[node] for node in sorted(nodes)}
    names = {party: [(domain, f.name) for f in rows.features] for party, (domain, rows) in pooled.items()}
    model = ensemble.serve([*pooled], TreeThemes(bank, names, plan.themes))
    return PooledBoosting(model, model.nearest_totals(ensemble.log_odds), ensemble.log_odds)
