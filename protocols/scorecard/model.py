"""What goes into a scorecard run at the bank, and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

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

FAR: Final = 0.3
"""How far a refinement may move the scores, in their own deviations, and be the last that a plan asks for."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What the bank decides before a run. The first candidate and each refinement cost one `row_totals` release.

    The last release is of the model that is served: it calibrates it, and shows how good it is. There are so many
    `refinements`, and up to `further` more, each only if the one before moved the scores by more than `FAR` of their
    spread: the error that is left goes with the square of a step.

    Units: `rho`, the privacy that each node spends on noise, in billionths; 0 for exact sums.
    """

    refinements: int = 1
    further: int = 0
    rules: BinningRules = DEFAULT_RULES
    themes: ThemeNames = field(default_factory=dict)
    rho: int = 0
    signs: Signs = Signs.FREE

    def __post_init__(self) -> None:
        if self.refinements < 0 or self.further < 0 or (self.further and not self.refinements):
            raise ValueError("further refinements follow a first one")

    @property
    def row_totals(self) -> int:
        """How many totals per enterprise the run opens at most."""
        return self.refinements + self.further + 1

    def is_last(self, moved: Sequence[float]) -> bool:
        """Tell whether no refinement follows those made, which have `moved` the scores so far of their spread."""
        made = len(moved)
        if made < self.refinements:
            return False
        return made >= self.refinements + self.further or moved[-1] <= FAR


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

    Shapes: `totals` (rows,) over all parties, as the served points give them; `moved` one share a refinement, of the
    scores' spread.
    """

    manifest: SignedManifest
    features: dict[PartyId, list[BinnedFeature]] = field(repr=False)
    candidate: Candidate = field(repr=False)
    calibration: Calibration
    totals: NDArray[np.int64] = field(repr=False)
    moved: tuple[float, ...] = ()

    @property
    def row_totals(self) -> int | None:
        """How many totals per enterprise the run opened, where refinements were made; else those that it announced."""
        return len(self.moved) + 1 if self.moved else None
