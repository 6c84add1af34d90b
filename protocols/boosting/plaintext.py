"""The oracle: the same boosting from pooled plaintext rows. It breaks every promise of the federation.

For tests, and for `--compare`, which says so loudly. It grows and weighs with the same code as the roles, on exact sums
in place of every protocol, so that equality of the resulting integers proves the protocols exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.boosting.growth import Grower, PointedTree
from protocols.boosting.local import grow_own, grow_turn, shapes_of, total_points
from protocols.boosting.messages import held_out_block
from protocols.boosting.model import BoostingPlan, ServedModel, held_out_rows
from protocols.boosting.partition import TurnPartition
from protocols.boosting.rows import PlainRows
from protocols.boosting.stages import Ensemble
from protocols.boosting.themes import TreeThemes
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
    good, n, count = 1 - data.training_bad, data.training_rows, len(data.bad)
    ensemble = Ensemble(good, count)
    trees: dict[PartyId, list[PointedTree]] = {}
    for turn, most in enumerate(plan.steps()):
        held_out, first = held_out_block(turn, plan.row_totals, n, held_out_rows(n, minimum)), turn == 0
        labels = PlainRows(data.training_bad, np.zeros_like(data.training_bad))
        rows = labels if first else PlainRows(*ensemble.gradients())
        before, trees = trees, {}
        for node, (_, theirs) in nodes.items():
            steps = plan.steps_of(turn, len(before.get(node, [])))
            grower = Grower(node, turn, steps, shapes_of(theirs), plan.growth(), bool(held_out))
            partition = TurnPartition(theirs, n, held_out, minimum, first)
            trees[node] = grow_turn(grower, partition, rows, ensemble.base if first else 0)
        each = [total_points(trees[node], theirs, count) for node, (_, theirs) in nodes.items()]
        ensemble.add_nodes(trees, sum(each, np.zeros(count, dtype=np.int64)), held_out)
        rules, z = plan.own_growth(turn), ensemble.log_odds
        own = grow_own(data.rows, good, z, held_out, most, minimum, rules, f"{bank}/{turn}")
        ensemble.add_own(bank, *own)
    ensemble.settle()
    pooled = {bank: ("bank", data.rows)} | {node: nodes[node] for node in sorted(nodes)}
    names = {party: [(domain, f.name) for f in rows.features] for party, (domain, rows) in pooled.items()}
    model = ensemble.serve([*pooled], TreeThemes(bank, names, plan.themes))
    return PooledBoosting(model, model.nearest_totals(ensemble.log_odds), ensemble.log_odds)
