"""How a scorecard run spends ρ: which share each release takes, how much noise that buys, and the room it needs.

Two records of one enterprise at one node are neighbours: whatever that node holds on it may be exchanged for anything
else, the cohort and the outcomes staying as they are. Each release adds the noise that its share of ρ asks for; the
bounds of its slots follow from public facts alone, so that both sides know them. With ρ = 0 all of it is nothing.

The shares hold for 0/1 labels, honest residuals and WOE columns within `woe_limit`: see docs/privacy.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

from protocols.credit.woe import WOE_LIMIT
from protocols.privacy import Noise, gaussian
from protocols.scorecard.arithmetic import RESIDUAL_SCALE
from protocols.scorecard.messages import RunSpec

NOISY_WOE_LIMIT: Final = 512
"""Largest magnitude of an integer WOE in a run with noise (±2): what a party must assume of another's columns."""

_RESIDUAL_SQUARED: Final = RESIDUAL_SCALE**2 + (RESIDUAL_SCALE // 4) ** 2
"""Largest r² + h² of a residual and its weight p(1 − p)."""

Levels = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class RunNoise:
    """The noise of every release of one run at one node. Units: `rho` and shares in billionths.

    Shapes: `parties` counts the bank and all nodes, `gradients` the refinements, `rows` those of the training that one
    enterprise may stand in: one of each bank.
    """

    rho: int = 0
    parties: int = 1
    gradients: int = 0
    rows: int = 1

    @classmethod
    def of(cls, spec: RunSpec) -> RunNoise:
        """Return the noise that a run announces."""
        return cls(spec.rho, len(spec.nodes) + 1, max(0, spec.row_totals - 1))

    def share(self, step: str) -> int:
        """Return what the release of a step takes from ρ; all steps together never take more.

        The histograms take two fifths, the Gram matrix as much in equal blocks, the gradients a fifth. Raises:
        ValueError for a step that has no share, lest it be released without noise.
        """
        kind = step.partition("/")[0]
        if not self.rho:
            return 0
        if kind in ("BinHistograms", "HistogramShare"):
            return 2 * self.rho // 5
        if kind in ("LocalGram", "MaskedProducts", "ProductShare", "OwnProductShare"):
            return 2 * self.rho // 5 // self.parties
        if kind in ("GradientShare", "GradientPoolShare"):
            return self.rho // 5 // max(1, self.gradients)
        if kind == "MaskedTotals":
            return 0
        raise ValueError(f"no noise is planned for {kind}")

    def _noise(self, squared: int, share: int) -> Noise:
        """Return the noise for sums that a row moves by √`squared` at most; an enterprise moves all its rows."""
        return gaussian(self.rows**2 * squared, share)

    # ---- histograms

    def histograms(self, features: int) -> Noise:
        """Return the noise of each good and each bad count: one enterprise moves between two bins of each feature."""
        return self._noise(2 * features, self.share("BinHistograms"))

    def smallest_count(self, minimum_bin: int) -> int:
        """Return the count below which a bin is taken for empty: a true one holds nobody, or at least k."""
        return minimum_bin // 2 if self.rho else 0

    # ---- the Gram matrix

    @property
    def woe_limit(self) -> int:
        """The largest magnitude of an integer WOE in this run."""
        return NOISY_WOE_LIMIT if self.rho else WOE_LIMIT

    def local_gram(self, levels: Levels) -> Noise:
        """Return the noise of each entry of XᵀX, upper triangle; `levels` are the columns' WOE."""
        squares = [max(w * w for w in column) for column in levels]
        return self._noise(sum(squares) ** 2 + sum(s * s for s in squares), self.share("LocalGram"))

    def products(self, levels: Levels, others: int) -> Noise:
        """Return what one side adds to the products of its columns with `others` of another party's."""
        return self._noise(_squared_ranges(levels) * others * self.woe_limit**2, self.share("MaskedProducts"))

    def product_bound(self, columns: int) -> int:
        """Return what both sides together may add to a product, of parties with at most so many columns."""
        widest = 4 * self.woe_limit**4 * columns**2
        return 2 * self._noise(widest, self.share("MaskedProducts")).bound

    def gram_bound(self, columns: int) -> int:
        """Return how far any entry of the Gram matrix may lie from the truth, and a count's square sum from it."""
        local = self._noise(2 * (columns * self.woe_limit**2) ** 2, self.share("LocalGram")).bound
        return max(local, self.product_bound(columns))

    def ridge(self, parties: Sequence[Levels]) -> int:
        """Return what to add to the Gram matrix's diagonal, so that noise makes no direction of it look flat.

        Twice the deviation of an entry, times the root of the size: the largest eigenvalue of such noise.
        """
        most = max((len(levels) for levels in parties), default=0)
        deviations = [self.local_gram(levels).deviation for levels in parties]
        deviations += [sqrt(2) * self.products(levels, most).deviation for levels in parties]
        size = sum(len(levels) for levels in parties)
        return round(2 * max(deviations, default=0.0) * sqrt(size))

    # ---- gradients

    def gradient(self, levels: Levels) -> tuple[Noise, Noise]:
        """Return the noise of the sums weighed by WOE, and of those weighed by its square."""
        share = self.share("GradientShare") // 2
        squares = [[w * w for w in column] for column in levels]
        return (
            self._noise(_squared_ranges(levels) * _RESIDUAL_SQUARED, share),
            self._noise(_squared_ranges(squares) * _RESIDUAL_SQUARED, share),
        )

    def gradient_bound(self, columns: int) -> int:
        """Return what a party with at most so many columns may add to a sum."""
        widest = max(4 * self.woe_limit**2, self.woe_limit**4)
        return self._noise(columns * widest * _RESIDUAL_SQUARED, self.share("GradientShare") // 2).bound


EXACT: Final = RunNoise()
"""No noise anywhere."""


def _squared_ranges(levels: Levels) -> int:
    """Return Σ (max − min)² over the columns: the squared distance between two rows."""
    return sum((max(column) - min(column)) ** 2 for column in levels)
