"""How the bank weighs what was grown: one stage a turn, whose totals over all nodes have been released.

In the first turn the parties grow side by side what may be the same knowledge, and each training row's points are by
trees that it has not shaped: the weights that make the rows most likely are honest. A prior keeps them near 1. Later
turns start from what is left, and count in full. Integers in, the same floating-point steps at the bank and in the
oracle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
"""Deviation of the weight of the nodes' points, or of the bank's, from 1, before the rows speak."""

WEIGHT_LIMIT: Final = 4.0
MAXIMUM_STEPS: Final = 60


Stage = Mapping[PartyId, Sequence[PointedTree]]


@dataclass(frozen=True, slots=True)
class _Part:
    party: PartyId
    trees: tuple[PointedTree, ...] = field(repr=False)
    weight: float


class Ensemble:
    """The model as it grows: weighted trees, and the log-odds of every enterprise of the cohort. At the bank alone.

    Shapes: `good` (training rows,), the first of `rows` rows. Points are those of `honest_totals`; `weighed`
    tells that the first ones are by trees that the rows have not shaped; `first_weight` is what the nodes' first trees
    have come to count.
    """

    def __init__(self, bank: PartyId, good: Integers, rows: int, weighed: bool) -> None:
        self._bank = bank
        self._weighed = weighed
        share = (good.sum() + 0.5) / (len(good) + 1.0)
        self._good, self._constant = good, float(np.log(share / (1.0 - share)))
        self._parts: list[_Part] = []
        self.first_weight = 1.0
        self.log_odds: Floats = np.full(rows, self._constant)

    @property
    def base(self) -> int:
        """Return the prior log-odds in points: where each node's own model starts from."""
        return round(self._constant * POINTS_PER_LOG_ODDS)

    def gradients(self) -> tuple[Integers, Integers]:
        """Return residual and curvature of each training row."""
        return logistic_gradients(self._good, self.log_odds[: len(self._good)])

    def add_first(self, trees: Stage, points: Integers, own_points: Integers) -> None:
        """Take what all parties have grown from the labels: the nodes' points together, and the bank's own.

        Shapes: `points` and `own_points` (rows,).
        """
        nodes, own, n = to_log_odds(points), to_log_odds(own_points), len(self._good)
        shift, weight, own_weight = 0.0, 1.0, 1.0
        if self._weighed:
            shift, weight, own_weight = _fit_weights(self.log_odds[:n], nodes[:n], own[:n], self._good)
        self.log_odds = self.log_odds + shift + weight * nodes + own_weight * own
        self._constant += shift
        self.first_weight = weight
        self._keep(trees, weight, own_weight)

    def add_nodes(self, trees: Stage, points: Integers) -> None:
        """Take what the nodes have grown from the gradients of all that was before. Shapes: `points` (rows,)."""
        self.log_odds = self.log_odds + to_log_odds(points)
        self._keep(trees)

    def add_own(self, trees: Sequence[PointedTree], points: Integers) -> None:
        """Take the bank's own trees, grown on top of all the rest. Shapes: `points` (rows,)."""
        self.log_odds = self.log_odds + to_log_odds(points)
        self._keep({self._bank: trees})

    def _keep(self, trees: Stage, weight: float = 1.0, own_weight: float = 1.0) -> None:
        for party in sorted(trees):
            self._parts.append(_Part(party, tuple(trees[party]), own_weight if party == self._bank else weight))

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
        for part in self._parts:
            for tree in part.trees:
                raw = [round(part.weight * points) for points in tree.points]
                offset += min(raw)
                if max(raw) > min(raw):
                    served[part.party].append(ServedTree(tree.tree, tuple(value - min(raw) for value in raw)))
        codes, of_theme = themes.assign(served)
        model = ServedModel({p: of_theme[p] for p in parties}, codes, self._constant, offset)
        if model.maximum_total() >= 1 << TOTAL_BITS:
            raise CreditFederationError(f"the fit's totals exceed {TOTAL_BITS} bits", code="FIT_DIVERGED")
        return model


def _fit_weights(base: Floats, nodes: Floats, own: Floats, good: Integers) -> tuple[float, float, float]:
    """Return (shift, weight of the nodes' points, of the bank's): most likely on these rows, given the priors."""
    design = np.column_stack([np.ones_like(base), nodes, own])
    centre, precision = np.array([0.0, 1.0, 1.0]), np.array([1e-6, *(2 * [PRIOR_DEVIATION**-2])])

    def loss(fit: Floats) -> float:
        z = base + design @ fit
        return float(np.sum(np.logaddexp(0.0, z) - good * z) + 0.5 * np.sum(precision * (fit - centre) ** 2))

    fit = centre.copy()
    for _ in range(MAXIMUM_STEPS):
        p = sigmoid(base + design @ fit)
        hessian = (design * (p * (1 - p) + 1e-12)[:, None]).T @ design + np.diag(precision)
        step = np.linalg.solve(hessian, design.T @ (good - p) - precision * (fit - centre))
        while loss(fit + step) > loss(fit) and np.abs(step).max() > 1e-12:
            step = step / 2
        fit = fit + step
        if np.abs(step).max() < 1e-9:
            break
    weights = np.clip(fit[1:], 0.0, WEIGHT_LIMIT)
    return float(fit[0]), float(weights[0]), float(weights[1])


def as_offset_points(trees: Sequence[PointedTree]) -> tuple[list[tuple[int, ...]], list[int]]:
    """Return each tree's points with the lowest leaf at 0, and what was taken off."""
    lowest = [min(tree.points) for tree in trees]
    return [tuple(p - low for p in tree.points) for tree, low in zip(trees, lowest, strict=True)], lowest
