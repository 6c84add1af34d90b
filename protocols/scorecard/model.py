"""What goes into a scorecard run at the bank, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.assessment.manifest import SignedManifest
from protocols.channel.identity import PartyId
from protocols.credit.binning import DEFAULT_RULES, BinnedFeature, BinningRules
from protocols.credit.logistic import Calibration, Signs
from protocols.credit.woe import Outcomes
from protocols.scorecard.candidate import Candidate
from protocols.scorecard.rows import BinnedRows
from protocols.scorecard.themes import ThemeNames


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What the bank decides before a run. The first candidate and each refinement cost one `row_totals` release.

    The last release is of the model that is served: it calibrates it, and shows how good it is.

    Units: `rho`, the privacy that each node spends on noise, in billionths; 0 for exact sums.
    """

    refinements: int = 1
    rules: BinningRules = DEFAULT_RULES
    themes: ThemeNames = field(default_factory=dict)
    rho: int = 0
    signs: Signs = Signs.FREE

    @property
    def row_totals(self) -> int:
        """How many totals per enterprise the run opens."""
        return self.refinements + 1


@dataclass(frozen=True, slots=True)
class BankRows:
    """The bank's side of the cohort: its own binned features and the outcomes, training rows first.

    Shapes: `bad` (rows,) of 0/1. Never leaves the bank.
    """

    rows: BinnedRows = field(repr=False)
    bad: NDArray[np.int64] = field(repr=False)
    training_rows: int

    @property
    def training_bad(self) -> NDArray[np.int64]:
        """Outcomes of the training rows."""
        return self.bad[: self.training_rows]

    @property
    def everyone(self) -> Outcomes:
        """Outcomes of all training rows together."""
        bad = int(self.training_bad.sum())
        return Outcomes(self.training_rows - bad, bad)


@dataclass(frozen=True, slots=True)
class TrainedScorecard:
    """What the bank holds at the end: the model, and each cohort enterprise's total for validation.

    Shapes: `totals` (rows,) over all parties, as the served points give them.
    """

    manifest: SignedManifest
    features: dict[PartyId, list[BinnedFeature]] = field(repr=False)
    candidate: Candidate = field(repr=False)
    calibration: Calibration
    totals: NDArray[np.int64] = field(repr=False)
