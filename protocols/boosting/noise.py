"""How a boosting run spends ρ: which share each release takes, how much noise that buys, and what the bank makes of it.

Neighbours are as in a scorecard run: whatever one node holds on one enterprise may be exchanged for anything else,
cohort and outcomes staying as they are. A noisy run has one turn: its residuals are label less the node's own
prediction, at most 1, and depend on nobody else's record. How bins are joined, and which of two siblings is smaller,
follows the data and carries no noise: see docs/privacy.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from protocols.boosting.arithmetic import GAIN_LEVELS
from protocols.boosting.messages import BoostingSpec
from protocols.privacy import Noise, gaussian
from protocols.scorecard.arithmetic import RESIDUAL_SCALE

_GRADIENT_SQUARED: Final = RESIDUAL_SCALE**2 + (RESIDUAL_SCALE // 4) ** 2
"""Largest r² + h² of a residual and its curvature p(1 − p)."""

CELLS_ADDED: Final = 8
"""About so many noisy cells make up a leaf's sum: what the bank reckons with when it cuts and fills leaves."""


@dataclass(frozen=True, slots=True)
class TreeNoise:
    """The noise of every release of one run at one node. Units: `rho` and shares in billionths.

    Shapes: `steps` of groups of `group` trees of so much `depth`, tree i not fitted to fold i mod `folds`.
    """

    rho: int = 0
    steps: int = 1
    depth: int = 1
    group: int = 1
    folds: int = 1

    @classmethod
    def of(cls, spec: BoostingSpec) -> TreeNoise:
        """Return the noise that a run announces."""
        return cls(spec.rho, sum(spec.steps), spec.depth, spec.group, spec.folds)

    def share(self, step: str) -> int:
        """Return what the release of a step takes from ρ; all steps together never take more.

        The features' counts take a tenth, the gains two tenths, the leaves the rest in equal parts. Raises: ValueError
        for a step that has no share, lest it be released without noise.
        """
        kind = step.partition("/")[0]
        if not self.rho:
            return 0
        if kind == "FeatureHistograms":
            return self.rho // 10
        if kind == "LeafHistograms":
            return 7 * self.rho // 10 // (self.steps * self.depth)
        if kind == "ValidationGain":
            return 2 * self.rho // 10 // self.steps
        if kind == "MaskedTotals":
            return 0
        raise ValueError(f"no noise is planned for {kind}")

    def histograms(self, features: int) -> Noise:
        """Return the noise of each good and each bad count: one enterprise moves between two bins of each feature."""
        return gaussian(2 * features, self.share("FeatureHistograms"))

    def smallest_count(self, minimum_bin: int) -> int:
        """Return the count below which a bin is taken for empty: a true one holds nobody, or at least k."""
        return minimum_bin // 2 if self.rho else 0

    def leaves(self, features: Sequence[int]) -> Noise:
        """Return the noise of each residual and each curvature of a level; `features` counts those of each tree.

        One enterprise moves between two cells of each feature of the trees that are fitted to its fold.
        """
        of_fold = [
            sum(count for tree, count in enumerate(features) if self.folds == 1 or tree % self.folds != fold)
            for fold in range(self.folds)
        ]
        return gaussian(2 * max(of_fold) * _GRADIENT_SQUARED, self.share("LeafHistograms"))

    def gain(self) -> tuple[Noise, Noise]:
        """Return the noise of the two sums by points, and of the two by squared points."""
        share = self.share("ValidationGain") // 2
        linear = gaussian(4 * GAIN_LEVELS**2 * _GRADIENT_SQUARED, share)
        return linear, gaussian(4 * GAIN_LEVELS**4 * _GRADIENT_SQUARED, share)

    def bound(self, features: int) -> int:
        """Return the most that a node with so many features adds to any sum of a turn."""
        return max(self.leaves([features] * self.group).bound, self.gain()[1].bound)

    def variance(self, features: Sequence[int]) -> float:
        """Return about how much noise a leaf's sums carry. Units: squared residuals of 1."""
        return CELLS_ADDED * (self.leaves(features).deviation / RESIDUAL_SCALE) ** 2


EXACT: Final = TreeNoise()
"""No noise anywhere."""
