"""What the report of a training run shows: plain values that the bank already holds, and no more.

The page is the bank's own. It shows aggregates, masked enterprise codes and the totals of enterprises that consented;
nothing in these classes can hold a feature value, a bin edge or a full enterprise code of a data owner.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.channel.identity import PartyRole
from protocols.credit.metrics import Validation

BANK_ALONE: Final = "bank alone"
FEDERATION: Final = "federation"
POOLED: Final = "all data pooled, same model"
POOLED_BOOSTING: Final = "all data pooled, gradient boosting"

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bin:
    """One step of a feature: `label` is "step 1" … or "missing", for the bank never sees an edge.

    Units: `share` and `bad_rate` in [0, 1]; `points` in tenths of a score point, 0 for a feature that was dropped.
    """

    label: str
    share: float
    bad_rate: float
    woe: float
    points: int


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature that an office or the bank offered; `reason` says why it was dropped, empty if it was selected."""

    domain: str
    name: str
    title: str
    iv: float
    selected: bool
    reason: str
    theme: str
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One model on the same test rows; None for a measure that was not computed."""

    name: str
    auc: float | None
    ks: float | None


@dataclass(frozen=True, slots=True)
class PartyView:
    """What one party holds, saw and could not see, and the traffic of its door."""

    party: str
    role: PartyRole
    holds: str
    sees: tuple[str, ...]
    never_sees: tuple[str, ...]
    messages_received: int
    bytes_received: int
    bytes_sent: int


@dataclass(frozen=True, slots=True)
class Assessment:
    """One answer, or one refusal, after training.

    `enterprise` is masked (9199…013K). `outcome` is "ok" or "denied"; a refusal has a `code` and no score.
    Units: `score` in score points; `themes` pairs a theme with a band from 0 (no points lost) to 3 (most).
    """

    enterprise: str
    outcome: str
    code: str
    pd: float | None
    score: float | None
    grade: str | None
    themes: tuple[tuple[str, int], ...]
    coverage: tuple[tuple[str, str], ...]
    receipt: str


@dataclass(frozen=True, slots=True)
class RunReport:
    """Everything the page shows of one run.

    Shapes: `test_scores`, `test_bad` (rows_test,), the same order; scores in score points, outcomes 0 or 1.
    Raises: ValueError if the two arrays differ in shape, a score is not finite or an outcome is neither 0 nor 1.
    """

    title: str
    dataset: str
    generated: str
    model_hash: str
    key_bits: int
    rows_train: int
    rows_test: int
    default_rate: float
    validation: Validation
    comparisons: tuple[Comparison, ...]
    features: tuple[Feature, ...]
    parties: tuple[PartyView, ...]
    assessments: tuple[Assessment, ...]
    phases: tuple[tuple[str, float], ...]
    leaks: tuple[tuple[str, int], ...]
    log_size: int
    log_root: str
    warnings: tuple[str, ...]
    test_scores: Floats = field(repr=False, compare=False)
    test_bad: Integers = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.test_scores.ndim != 1 or self.test_scores.shape != self.test_bad.shape:
            raise ValueError(f"{self.test_scores.shape} scores do not match {self.test_bad.shape} outcomes")
        if not np.isfinite(self.test_scores).all():
            raise ValueError("a test score is not finite")
        if not np.isin(self.test_bad, (0, 1)).all():
            raise ValueError("an outcome is neither 0 nor 1")
