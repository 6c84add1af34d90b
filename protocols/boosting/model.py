"""What goes into a boosting run at the bank, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.assessment.manifest import SignedManifest, Theme
from protocols.boosting.growth import GrowthRules
from protocols.boosting.messages import BoostingSpec
from protocols.boosting.noise import TreeNoise
from protocols.boosting.splits import Shrinkage
from protocols.boosting.trees import Tree
from protocols.channel.identity import PartyId
from protocols.credit.binning import DEFAULT_RULES, BinnedFeature, BinningRules
from protocols.credit.logistic import Calibration
from protocols.credit.scale import POINTS_PER_LOG_ODDS
from protocols.scorecard.messages import RunSpec
from protocols.scorecard.themes import ThemeNames

GROUP: Final = 4
"""Trees that a party grows side by side; in the first turn, each on all folds but its own: no row is lost to tests."""

SHARE: Final = 2 / 3
"""Share of a party's features that a tree is open to, drawn anew for each: trees of a group differ by it."""

FOLD_MINIMA: Final = 4
"""A fold holds at least so many times the fewest enterprises that may be summed."""

LATER_GAIN: Final = 1.5
"""Least gain of a split in the turns after the first; by chance alone, a cut that nobody chose gains 1."""

REDUNDANT: Final = (0.2, 0.4)
"""Weights of the nodes' first trees at which they are taken to say all the same, and not to."""

UNSEEN_WEIGHT: Final = 0.5
"""Share of the learning rate where no row is held out, so that none can tell how much of a step is chance."""


@dataclass(frozen=True, slots=True)
class BoostingPlan:
    """What the bank decides before a run: at most `trees` trees a party, in as many turns as totals are released.

    Within a step a party grows `group` trees on the same gradients, each on a share of its features. `signs` gives the
    sign of the risk as a feature's values rise, by domain and name: no tree then says otherwise.

    Units: `rho`, the privacy that each node spends on noise, in billionths, 0 for exact sums; a plan with noise has one
    turn, in which no residual depends on another enterprise's record.
    """

    trees: int = 192
    depth: int = 3
    row_totals: int = 3
    group: int = GROUP
    share: float = SHARE
    seed: int = 0
    shrinkage: Shrinkage = field(default_factory=Shrinkage)
    rules: BinningRules = DEFAULT_RULES
    themes: ThemeNames = field(default_factory=dict)
    signs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    rho: int = 0

    def __post_init__(self) -> None:
        if not (1 <= self.row_totals <= 16 and 1 <= self.depth <= 6 and 1 <= self.group <= 16):
            raise ValueError("a boosting plan has 1 to 16 turns, depth 1 to 6, and groups of 1 to 16 trees")
        if self.trees < self.group * self.row_totals or not 0 < self.share <= 1:
            raise ValueError("a boosting plan has at least one group of trees a turn, on a positive share of features")
        if self.rho and self.row_totals > 1:
            raise ValueError("a boosting plan with noise has one turn")
        if not 0 < self.shrinkage.learning_rate <= 1:
            raise ValueError("a learning rate is above 0 and at most 1")

    def steps(self) -> tuple[int, ...]:
        """Return how many groups of trees each turn may grow: half of them in the first, which alone is validated."""
        groups, later = self.trees // self.group, self.row_totals - 1
        each = max(1, groups // (later + 2)) if later else 0
        return (groups - later * each, *(later * [each]))

    def folds(self, training_rows: int, minimum: int) -> int:
        """Return in how many folds the rows are: as many as divide a group and are large enough to be summed apart."""
        least = FOLD_MINIMA * minimum
        return max(d for d in range(1, self.group + 1) if d == 1 or (not self.group % d and training_rows >= d * least))

    def growth(self, turn: int, folds: int, weight: float = 1.0) -> GrowthRules:
        """Return how the trees of a turn are grown, where the first has so many folds and its trees so much weight.

        Where no row is held out, a split must gain more than chance, or a step is half as bold. Where the nodes' first
        trees say so much alike that little of them counts, later turns have to say it anew, and may take any gain.
        """
        shrinkage = self.shrinkage
        if folds == 1:
            shrinkage = replace(shrinkage, learning_rate=UNSEEN_WEIGHT * shrinkage.learning_rate)
        if turn:
            least, most = REDUNDANT
            anew = min(1.0, max(0.0, (weight - least) / (most - least)))
            shrinkage = replace(shrinkage, least_gain=LATER_GAIN * anew)
        noise = TreeNoise(self.rho, sum(self.steps()), self.depth, self.group, folds)
        return GrowthRules(self.depth, self.group, 1 if turn else folds, self.share, self.seed, shrinkage, noise)


def announce(run: RunSpec, plan: BoostingPlan) -> BoostingSpec:
    """Return what the bank announces: the terms of `run` that any family has, and those of the plan."""
    return BoostingSpec(
        run=run.run,
        bank=run.bank,
        bank_card=run.bank_card,
        nodes=run.nodes,
        created=run.created,
        key_bits=run.key_bits,
        rows=run.rows,
        training_rows=run.training_rows,
        minimum_bin=run.minimum_bin,
        fine_bins=run.fine_bins,
        row_totals=plan.row_totals,
        labels=run.labels,
        rho=run.rho,
        depth=plan.depth,
        group=plan.group,
        steps=plan.steps(),
        folds=plan.folds(run.training_rows, run.minimum_bin),
    )


@dataclass(frozen=True, slots=True)
class ServedTree:
    """A tree as it is served: non-negative points for each leaf, and the theme that reports it (−1: none)."""

    tree: Tree
    points: tuple[int, ...] = field(repr=False)
    theme: int = -1


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The final model. ln(odds of good) = `constant` + (total + `offset`) / POINTS_PER_LOG_ODDS."""

    trees: dict[PartyId, tuple[ServedTree, ...]] = field(repr=False)
    themes: tuple[Theme, ...]
    constant: float
    offset: int

    def maximum_total(self) -> int:
        """Return the highest total that any enterprise can have over all parties."""
        return sum(max(tree.points) for trees in self.trees.values() for tree in trees)

    def calibration(self) -> Calibration:
        """Return how a total over all parties becomes log-odds of good."""
        slope = 1.0 / POINTS_PER_LOG_ODDS
        return Calibration(self.constant + self.offset * slope, slope)

    def nearest_totals(self, log_odds: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the totals that stand for `log_odds`; those of the served points differ by their rounding at most."""
        calibration = self.calibration()
        return np.rint((log_odds - calibration.intercept) / calibration.slope).astype(np.int64)


@dataclass(frozen=True, slots=True)
class TrainedBoosting:
    """What the bank holds at the end: the model, each party's features, and each cohort enterprise's total.

    A test row's total is what the model gives it. A training row's counts, of the first turn, the trees alone that were
    not fitted to it: what an enterprise like it would get, and no flattery.
    """

    manifest: SignedManifest
    features: dict[PartyId, list[BinnedFeature]] = field(repr=False)
    model: ServedModel
    calibration: Calibration
    totals: NDArray[np.int64] = field(repr=False)
