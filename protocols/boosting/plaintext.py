"""The oracle: the same boosting from pooled plaintext rows. It breaks every promise of the federation.

For tests, and for `--compare`, which says so loudly. It grows and weighs with the same code as the roles, on exact sums
in place of every protocol, so that equality of the resulting integers proves the protocols exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.boosting.growth import Grower
from protocols.boosting.local import grow_own, grow_turn, shapes_of, total_points
from protocols.boosting.messages import BoostingSpec
from protocols.boosting.model import BoostingPlan, ServedModel
from protocols.boosting.partition import TurnPartition
from protocols.boosting.rows import PlainRows
from protocols.boosting.stages import Ensemble
from protocols.boosting.themes import TreeThemes
from protocols.channel.identity import PartyId
from protocols.scorecard.model import BankRows
from protocols.scorecard.rows import BinnedRows


@dataclass(frozen=True, slots=True)
class PooledBoosting:
    """The oracle's model and every enterprise's total. Shapes: `totals` (rows,)."""

    model: ServedModel
    totals: NDArray[np.int64] = field(repr=False)


def train_pooled(
    spec: BoostingSpec, data: BankRows, nodes: Mapping[PartyId, tuple[str, BinnedRows]], plan: BoostingPlan
) -> PooledBoosting:
    """Train on everybody's rows at once. Shapes: `nodes` maps each node to its domain and rows, in cohort order."""
    bank, good = PartyId(spec.bank), 1 - data.training_bad
    ensemble = Ensemble(good, spec.rows)
    for turn, steps in enumerate(spec.steps):
        held_out, first = spec.held_out(turn), turn == 0
        labels = PlainRows(data.training_bad, np.zeros_like(data.training_bad))
        rows = labels if first else PlainRows(*ensemble.gradients())
        trees = {}
        for node, (_, theirs) in nodes.items():
            grower = Grower(node, turn, steps, shapes_of(theirs), plan.growth(), bool(held_out))
            partition = TurnPartition(theirs, spec.training_rows, held_out, spec.minimum_bin, first)
            trees[node] = grow_turn(grower, partition, rows, ensemble.base if first else 0)
        each = [total_points(trees[node], theirs, spec.rows) for node, (_, theirs) in nodes.items()]
        points = np.asarray(sum(each), dtype=np.int64)
        ensemble.add_nodes(trees, points, held_out)
        rules, k, z = plan.own_growth(turn), spec.minimum_bin, ensemble.log_odds
        own = grow_own(data.rows, good, z, held_out, steps, k, rules, f"{bank}/{turn}")
        ensemble.add_own(bank, *own)
    ensemble.settle()
    pooled = {bank: ("bank", data.rows)} | {node: nodes[node] for node in sorted(nodes)}
    names = {party: [(domain, f.name) for f in rows.features] for party, (domain, rows) in pooled.items()}
    model = ensemble.serve([*pooled], TreeThemes(bank, names, plan.themes))
    return PooledBoosting(model, model.nearest_totals(ensemble.log_odds))
