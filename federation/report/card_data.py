"""What a model card says: plain values with stable names, the same in the JSON file and on the page.

A card holds sums over enterprises and the bank's own model; nothing in these classes can hold an enterprise, a feature
value or a bin edge. Times are ISO 8601 UTC, shares in [0, 1], points in score points; null is "cannot be determined".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from federation.report.curves import Observed, wilson
from federation.report.data import Bin, Feature

CARD_FORMAT: Final = "credit-federation-model-card/2"

STABLE_BELOW: Final = 0.1
RETRAIN_ABOVE: Final = 0.25


class CardBin(msgspec.Struct, frozen=True):
    """One step of a feature: "step 1" … or "missing", for the bank never sees an edge."""

    label: str
    share: float
    bad_rate: float
    woe: float
    points: float


class CardFeature(msgspec.Struct, frozen=True):
    """One feature that was offered; `reason` says why dropped.

    `coefficient` is in log-odds of good per unit of WOE, null in a model of trees; `splits` counts theirs by it.
    """

    party: str
    domain: str
    name: str
    title: str
    title_zh: str
    theme: str
    iv: float
    selected: bool
    reason: str
    coefficient: float | None
    missing_share: float
    splits: int
    bins: tuple[CardBin, ...]

    @property
    def range(self) -> float:
        """Return how many points lie between the worst and the best step."""
        points = [step.points for step in self.bins]
        return max(points) - min(points) if points else 0.0

    def view(self) -> Feature:
        """Return the feature as the report's drawings take it."""
        title = " · ".join(text for text in (self.title, self.title_zh) if text)
        bins = tuple(Bin(b.label, b.share, b.bad_rate, b.woe, round(10 * b.points)) for b in self.bins)
        return Feature(self.domain, self.name, title, self.iv, self.selected, self.reason, self.theme, bins)


class CardTrees(msgspec.Struct, frozen=True):
    """The trees of one party. Units: `range` in score points from the worst to the best that all of them can give."""

    party: str
    domain: str
    trees: int
    splits: int
    range: float


class CardCoverage(msgspec.Struct, frozen=True):
    """How much of the training rows a domain describes: `covered` by its best feature, `covered_mean` on average.

    `as_of` is the day as of which its records speak, of a domain's districts the earliest; "" if not all say one.
    """

    domain: str
    features: int
    selected: int
    covered: float
    covered_mean: float
    as_of: str


class CardGroup(msgspec.Struct, frozen=True):
    """A decile or a grade of the test rows: mean PD against the default rate, with its 95 % Wilson interval."""

    name: str
    rows: int
    bad: int
    expected: float | None
    observed: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, name: str, rows: int, bad: int, expected: float | None) -> CardGroup:
        """Return the group with its observed rate and interval; without rows it has none."""
        if not rows or expected is None:
            return cls(name, 0, 0, None, None, None, None)
        return cls(name, rows, bad, expected, bad / rows, *wilson(bad, rows))

    def outcome(self) -> Observed | None:
        """Return the group as the report's drawings take it; None if it is empty."""
        if self.expected is None or self.observed is None or self.low is None or self.high is None:
            return None
        return Observed(self.rows, self.bad, self.expected, self.observed, self.low, self.high)


class CardGrade(msgspec.Struct, frozen=True):
    """One grade, its PD limits and the test rows in it."""

    above: float
    up_to: float
    share: float
    group: CardGroup


class CardGain(msgspec.Struct, frozen=True):
    """What refusing this decile and all riskier ones would have caught, as shares of all test rows of a kind.

    `share` is of all, `caught` of the defaulted, `refused` of the repaid; `lift` is `caught` over `share`, and `ks`
    the gap between `caught` and `refused`.
    """

    decile: int
    rows: int
    bad: int
    bad_rate: float
    share: float
    caught: float
    refused: float
    lift: float
    ks: float


class CardPoint(msgspec.Struct, frozen=True):
    """Shares of the repaid and of the defaulted test rows at or below a score."""

    score: float
    good: float
    bad: float


class CardBand(msgspec.Struct, frozen=True):
    """How many test rows of each outcome score in [low, high)."""

    low: float
    high: float
    good: int
    bad: int


class CardShare(msgspec.Struct, frozen=True):
    """Share of the training rows, and of the test rows, in one decile of the training scores."""

    train: float
    test: float


class CardStability(msgspec.Struct, frozen=True):
    """The population stability index of the scores from training to test rows, and its verdict."""

    index: float
    verdict: str
    deciles: tuple[CardShare, ...]


class CardValidation(msgspec.Struct, frozen=True):
    """How the model did on the rows that tested it.

    Where PDs are right, `calibration_slope` is 1 and `calibration_intercept`, in log-odds of default at slope 1, is 0.
    """

    auc: float | None
    ks: float | None
    ks_at: CardPoint | None
    gini: float | None
    brier: float | None
    calibration_slope: float | None
    calibration_intercept: float | None
    curve: tuple[CardPoint, ...]
    bands: tuple[CardBand, ...]
    calibration: tuple[CardGroup, ...]
    gains: tuple[CardGain, ...]
    grades: tuple[CardGrade, ...]
    stability: CardStability

    def overall(self) -> CardGroup:
        """Return all test rows as one group."""
        groups = [grade.group for grade in self.grades if grade.group.expected is not None]
        rows, bad = sum(group.rows for group in groups), sum(group.bad for group in groups)
        expected = sum(group.rows * (group.expected or 0.0) for group in groups)
        return CardGroup.of("all", rows, bad, expected / rows if rows else None)


class CardTraining(msgspec.Struct, frozen=True):
    """How the model was trained; `row_totals` counts the totals of each enterprise that the run opened to the bank."""

    rows_train: int
    rows_test: int
    default_rate_train: float
    default_rate_test: float
    test_size: float
    seed: int | None
    key_bits: int
    minimum_bin: int
    fine_bins: int
    row_totals: int
    rounds: int


class CardLeak(msgspec.Struct, frozen=True):
    """A leak class, how often the run spent it, and what the bank learns each time."""

    leak: str
    times: int
    meaning: str


class CardNode(msgspec.Struct, frozen=True):
    """One data node that signed the manifest: its card's fingerprint and the salted hash of its part."""

    party: str
    domain: str
    card: str
    part: str


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a card says. `base_score` goes with no points at all; `outcome` is the column of the bank's label."""

    format: str = CARD_FORMAT
    title: str
    family: str
    bank: str
    model: str
    dataset: str
    outcome: str
    created: str
    data_as_of: str
    base_score: float
    intended_use: tuple[str, ...]
    not_for: tuple[str, ...]
    limits: tuple[str, ...]
    not_protected: tuple[str, ...]
    warnings: tuple[str, ...]
    training: CardTraining
    coverage: tuple[CardCoverage, ...]
    constant: float | None
    features: tuple[CardFeature, ...]
    trees: tuple[CardTrees, ...]
    validation: CardValidation
    leaks: tuple[CardLeak, ...]
    nodes: tuple[CardNode, ...]


def verdict(index: float) -> str:
    """Return what a population stability index means: stable below .1, watch to .25, retrain above."""
    if index < STABLE_BELOW:
        return "stable"
    return "watch" if index <= RETRAIN_ABOVE else "retrain"


def gains(deciles: Iterable[CardGroup]) -> tuple[CardGain, ...]:
    """Return the gains table of groups that run from the riskiest to the safest."""
    groups = [group for group in deciles if group.rows]
    rows, defaults = sum(group.rows for group in groups), sum(group.bad for group in groups)
    found, seen, caught = [], 0, 0
    for number, group in enumerate(groups, start=1):
        seen, caught = seen + group.rows, caught + group.bad
        share, ours = seen / rows, caught / defaults if defaults else 0.0
        refused = (seen - caught) / (rows - defaults) if rows > defaults else 0.0
        rate = group.bad / group.rows
        found.append(CardGain(number, group.rows, group.bad, rate, share, ours, refused, ours / share, ours - refused))
    return tuple(found)
