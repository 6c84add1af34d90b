"""How the bank weighs what was grown: one stage a turn, whose totals over all nodes have been released.

Parties that grow side by side may say the same, and then say it once for each of them: in the first turn, and in every
later one, which would overshoot by as much. So at each release the weights of *all* stages are fitted anew, those that
make the training rows most likely; a prior keeps them near 1. In the first turn each row's points are by trees that it
has not shaped: these weights are honest, and may exceed 1. Later trees have seen every row, and would flatter
themselves: they never count more than in full. Integers in, the same floating-point steps at the bank and in the
oracle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.boosting.arithmetic import Integers, logistic_gradients, to_log_odds
from protocols.boosting.model import ServedModel, ServedTree
from protocols.boosting.themes import TreeThemes
from protocols.boosting.trees import PointedTree
from protocols.channel.identity import PartyId
from protocols.credit.logistic import sigmoid
from protocols.credit.scale import POINTS_PER_LOG_ODDS
from protocols.errors import CreditFederationError
from protocols.scorecard.arithmetic import TOTAL_BITS

Floats = NDArray[np.float64]

PRIOR_DEVIATION: Final = 0.5
"""Deviation of a stage's weight from 1, before the rows speak."""

HONEST_LIMIT: Final = 4.0
"""Most that trees count whose points no row has shaped."""

SHAPED_LIMIT: Final = 1.0
"""Most that trees count that were fitted to the rows they are weighed on."""

MAXIMUM_STEPS: Final = 60


Stage = Mapping[PartyId, Sequence[PointedTree]]


@dataclass(frozen=True, slots=True)
class _Weighed:
    """One stage: its trees, what they say of each row at weight 1, in log-odds, and how much that counts."""

    trees: Stage = field(repr=False)
    says: Floats = field(repr=False)
    limit: float
    weight: float = 1.0


class Ensemble:
    """The model as it grows: weighted trees, and the log-odds of every enterprise of the cohort. At the bank alone.

    Shapes: `good` (training rows,), the first of `rows` rows. Points are those of `honest_totals`; `honest` tells that
    the first ones are by trees that the rows have not shaped; `first_weight` is what the nodes' first trees came to
    count when they were grown.
    """

    def __init__(self, bank: PartyId, good: Integers, rows: int, honest: bool) -> None:
        self._bank = bank
        self._honest = honest
        share = (good.sum() + 0.5) / (len(good) + 1.0)
        self._good, self._constant = good, float(np.log(share / (1.0 - share)))
        self._stages: list[_Weighed] = []
        self.first_weight = 1.0
        self.log_odds: Floats = np.full(rows, self._constant)

    @property
    def base(self) -> int:
        """Return the prior log-odds in points: where each node's own model starts from."""
        return round(self._constant * POINTS_PER_LOG_ODDS)

    def gradients(self) -> tuple[Integers, Integers]:
        """Return residual and curvature of each training row."""
        return logistic_gradients(self._good, self.log_odds[: len(self._good)])

    def add_first(self, trees: Stage, points: Integers, own: Sequence[PointedTree], own_points: Integers) -> None:
        """Take what all parties have grown from the labels: the nodes' trees, and the bank's own.

        Shapes: `points`, of all nodes together, and `own_points` (rows,).
        """
        limit = HONEST_LIMIT if self._honest else SHAPED_LIMIT
        self._stages.append(_Weighed(trees, to_log_odds(points), limit))
        self._stages.append(_Weighed({self._bank: own}, to_log_odds(own_points), limit))
        if self._honest:
            self._weigh()
        self._add_up()
        self.first_weight = self._stages[0].weight

    def add_nodes(self, trees: Stage, points: Integers) -> None:
        """Take what the nodes have grown from the gradients of all before, and weigh all anew. Shapes: (rows,)."""
        self._stages.append(_Weighed(trees, to_log_odds(points), SHAPED_LIMIT))
        self._weigh()
        self._add_up()

    def add_own(self, trees: Sequence[PointedTree], points: Integers) -> None:
        """Take the bank's own trees, grown on top of all the rest. Shapes: `points` (rows,)."""
        self._stages.append(_Weighed({self._bank: trees}, to_log_odds(points), SHAPED_LIMIT))
        self._add_up()

    def _weigh(self) -> None:
        """Give every stage the weight that makes the training rows most likely, all stages together."""
        design = np.column_stack([stage.says[: len(self._good)] for stage in self._stages])
        limits = np.array([stage.limit for stage in self._stages])
        self._constant, weights = _fit_within(design, self._good, self._constant, limits)
        self._stages = [replace(s, weight=w) for s, w in zip(self._stages, weights.tolist(), strict=True)]

    def _add_up(self) -> None:
        said = [stage.weight * stage.says for stage in self._stages]
        self.log_odds = np.asarray(self._constant + np.sum(said, axis=0), dtype=np.float64)

    def settle(self) -> None:
        """Shift the constant so that as many defaults are expected as the training rows hold."""
        shift, z = 0.0, self.log_odds[: len(self._good)]
        for _ in range(MAXIMUM_STEPS):
            p = sigmoid(z + shift)
            step = float(np.clip(np.sum(self._good - p) / (np.sum(p * (1 - p)) + 1e-9), -1.0, 1.0))
            shift += step
            if abs(step) < 1e-12:
                break
        self._constant, self.log_odds = self._constant + shift, self.log_odds + shift

    def serve(self, parties: Sequence[PartyId], themes: TreeThemes) -> ServedModel:
        """Return the model in integer points, lowest leaf of each tree 0; trees without points are left out.

        Raises: CreditFederationError, code FIT_DIVERGED, if the totals exceed TOTAL_BITS.
        """
        served: dict[PartyId, list[ServedTree]] = {party: [] for party in parties}
        offset = 0
        for stage in self._stages:
            for party in sorted(stage.trees):
                for tree in stage.trees[party]:
                    raw = [round(stage.weight * points) for points in tree.points]
                    offset += min(raw)
                    if max(raw) > min(raw):
                        served[party].append(ServedTree(tree.tree, tuple(value - min(raw) for value in raw)))
        codes, of_theme = themes.assign(served)
        model = ServedModel({p: of_theme[p] for p in parties}, codes, self._constant, offset)
        if model.maximum_total() >= 1 << TOTAL_BITS:
            raise CreditFederationError(f"the fit's totals exceed {TOTAL_BITS} bits", code="FIT_DIVERGED")
        return model


def _fit_within(design: Floats, good: Integers, constant: float, limits: Floats) -> tuple[float, Floats]:
    """Return the constant and the weights, each from 0 to its limit, that are most likely given the priors.

    Shapes: `design` (rows, stages), `limits` and the weights (stages,). Of weights that would lie outside, the
    furthest is set to its bound, and the others are fitted anew beside it.
    """
    weights, free = np.ones(len(limits)), np.ones(len(limits), dtype=bool)
    while True:
        bound = design[:, ~free] @ weights[~free]
        constant, weights[free] = _fit(design[:, free], bound, good, constant)
        within = np.clip(weights, 0.0, limits)
        worst = int(np.abs(weights - within).argmax())
        if weights[worst] == within[worst]:
            return constant, weights
        weights[worst], free[worst] = within[worst], False


def _fit(design: Floats, bound: Floats, good: Integers, constant: float) -> tuple[float, Floats]:
    """Return the constant and the weights that are most likely beside what is `bound`, given the priors."""
    columns = np.column_stack([np.ones(len(design)), design])
    centre, precision = np.ones(columns.shape[1]), np.full(columns.shape[1], PRIOR_DEVIATION**-2)
    centre[0], precision[0] = constant, 1e-6

    def loss(fit: Floats) -> float:
        z = bound + columns @ fit
        return float(np.sum(np.logaddexp(0.0, z) - good * z) + 0.5 * np.sum(precision * (fit - centre) ** 2))

    fit = centre.copy()
    for _ in range(MAXIMUM_STEPS):
        p = sigmoid(bound + columns @ fit)
        hessian = (columns * (p * (1 - p) + 1e-12)[:, None]).T @ columns + np.diag(precision)
        step = np.linalg.solve(hessian, columns.T @ (good - p) - precision * (fit - centre))
        while loss(fit + step) > loss(fit) and np.abs(step).max() > 1e-12:
            step = step / 2
        fit = fit + step
        if np.abs(step).max() < 1e-9:
            break
    return float(fit[0]), fit[1:]


def as_offset_points(trees: Sequence[PointedTree]) -> tuple[list[tuple[int, ...]], list[int]]:
    """Return each tree's points with the lowest leaf at 0, and what was taken off."""
    lowest = [min(tree.points) for tree in trees]
    return [tuple(p - low for p in tree.points) for tree, low in zip(trees, lowest, strict=True)], lowest
