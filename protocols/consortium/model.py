"""What a bank brings to a consortium's run, and what it holds at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.channel.identity import PartyId
from protocols.consortium.messages import ConsortiumSpec, ModelAgreement
from protocols.credit.metrics import Validation
from protocols.scorecard.model import BankRows, TrainedScorecard, TrainingPlan
from protocols.scorecard.rows import BinnedRows


@dataclass(frozen=True, slots=True)
class BankMember:
    """One bank's side of a run. Shapes: `bad` (own rows,), training rows first. Never leaves the bank.

    `bin_own` bins the bank's own columns of its own rows as the lead's cut says.
    """

    bad: NDArray[np.int64] = field(repr=False)
    training_rows: int
    plan: TrainingPlan
    bin_own: Callable[[bytes], BinnedRows] = field(repr=False)

    def rows(self, cut: bytes) -> BankRows:
        """Return the bank's rows under the lead's cut."""
        return BankRows(self.bin_own(cut), self.bad, self.training_rows)


@dataclass(frozen=True, slots=True)
class TrainedConsortium:
    """What one bank holds at the end: the model in its own name, and how it does on all banks' test rows.

    `scorecard` has the totals of this bank's own customers; `pooled` comes from score bands; `agreements` are the
    signatures of all banks on the one model.
    """

    spec: ConsortiumSpec
    scorecard: TrainedScorecard
    data: BankRows = field(repr=False)
    pooled: Validation
    agreements: Mapping[PartyId, ModelAgreement]
