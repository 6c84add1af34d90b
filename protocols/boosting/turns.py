"""What the bank knows from turn to turn, in the roles and in the oracle alike: the model so far, and how to go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from protocols.boosting.growth import PATIENCE, Grower
from protocols.boosting.local import grow_turn, shapes_of
from protocols.boosting.model import BoostingPlan
from protocols.boosting.noise import EXACT
from protocols.boosting.partition import TurnPartition
from protocols.boosting.rows import PlainRows
from protocols.boosting.splits import Shape
from protocols.boosting.stages import Ensemble
from protocols.boosting.totals import honest_totals
from protocols.boosting.trees import PointedTree
from protocols.channel.identity import PartyId
from protocols.scorecard.model import BankRows

Integers = NDArray[np.int64]


class Turns:
    """The model over the turns of one run; the bank's own trees are grown here, on exact gradients."""

    def __init__(self, bank: PartyId, data: BankRows, plan: BoostingPlan, minimum: int) -> None:
        self._bank, self._data, self._plan, self._minimum = bank, data, plan, minimum
        self._first_folds = plan.folds(data.training_rows, minimum)
        self._kept = 0
        self.ensemble = Ensemble(bank, 1 - data.training_bad, len(data.bad), honest=self._first_folds > 1)

    def grower(self, party: PartyId, turn: int, shapes: Sequence[Shape]) -> Grower:
        """Return what grows a party's trees of a turn.

        Later turns start from all parties' labels, so that no row can watch over them: none takes more steps than were
        worth keeping, in the first, to the party that had most to say.
        """
        weight = self.ensemble.first_weight if self._unstopped else 1.0
        rules = self._plan.growth(turn, self._first_folds, weight)
        if party == self._bank:
            rules = replace(rules, noise=EXACT)
        steps = self._plan.steps()[turn]
        return Grower(party, turn, min(steps, self._kept) if turn else steps, shapes, rules)

    @property
    def _unstopped(self) -> bool:
        """Whether in the first turn some party would have grown on, for all that the rows that watched had to say."""
        return self._kept + PATIENCE > self._plan.steps()[0]

    def partition_folds(self, turn: int) -> int:
        """Return in how many folds the training rows are in a turn."""
        return self._plan.growth(turn, self._first_folds).folds

    def close(self, turn: int, trees: Mapping[PartyId, Sequence[PointedTree]], points: Integers) -> None:
        """Take the nodes' trees of a turn and every row's points by them, and grow the bank's own.

        Shapes: `points` (rows,), as `honest_totals` has them over all nodes.
        """
        if turn:
            self.ensemble.add_nodes(trees, points)
        own = self._grow_own(turn)
        folds, rows = self.partition_folds(turn), self._data.rows
        own_points = honest_totals(own, rows, len(points), self._data.training_rows, folds)
        if turn:
            self.ensemble.add_own(own, own_points)
            return
        self.ensemble.add_first(trees, points, own, own_points)
        self._kept = max(len(grown) for grown in (own, *trees.values())) // self._plan.group

    def _grow_own(self, turn: int) -> list[PointedTree]:
        data, bad = self._data, self._data.training_bad
        partition = TurnPartition(data.rows, len(bad), self.partition_folds(turn), self._minimum, first=True)
        labels = PlainRows(bad, np.zeros_like(bad))
        grower = self.grower(self._bank, turn, shapes_of(data.rows, "bank", self._plan.signs))
        return grow_turn(grower, partition, labels, self.ensemble.log_odds[: len(bad)])
