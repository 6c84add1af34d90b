"""What a model card says in words: what the model is for, what it is not for, and where its figures end."""

from __future__ import annotations

from typing import Final

from federation.report.card_data import CardTraining, CardValidation, ModelCard
from federation.report.notation import decimal, percent

INTENDED_USE: Final = (
    "Assessing the risk that a loan to a small enterprise goes bad, as the bank's own outcomes define it.",
    "For enterprises that have authorised the bank, on records that stay with their owners.",
    "As advice to a person who decides on the loan, with the reasons that the answer carries.",
)
NOT_FOR: Final = (
    "Deciding without a person, or refusing an enterprise because an office holds no record of it.",
    "Persons, or enterprises unlike those of the training rows: other regions, sizes, products or years.",
    "Any purpose that the manifest does not name: the nodes answer no other.",
)
NOT_PROTECTED: Final = (
    "A node can lie within its range. Signatures prove who said it, not that its records are true.",
    "A bank together with all data nodes but one exposes that one.",
    "Aggregates are still information: thresholds and budgets bound how much, they do not make it none.",
    "The coordinator sees who asks, when and how often, though not about whom.",
)
_RANDOM_SPLIT: Final = (
    "The test rows are a random share of the same period, not a later one: how the model ages is not measured here."
)
_ACCEPTED_ONLY: Final = (
    "The cohort holds enterprises that were given a loan and whose outcome is known; how those refused would have "
    "fared is not in it."
)
_HIDDEN_EDGES: Final = (
    "The bank sees the order of the steps of another owner's feature, never where they are cut; only the owner can say."
)
SLOPE_BOUNDS: Final = (0.8, 1.25)
"""Calibration slopes that a card calls right; test rows with few defaults leave them often enough."""

_KINDS: Final = {"scorecard": "A scorecard of", "boosting": "Boosted trees on"}

VERDICTS: Final = {
    "stable": "The test rows score like the training rows.",
    "watch": "The test rows score somewhat unlike the training rows: watch it.",
    "retrain": "The test rows score unlike the training rows: find out why, and train again.",
}
VERDICT_BOUNDS: Final = {"stable": "stable: below 0.1", "watch": "watch: 0.1 to 0.25", "retrain": "retrain: above 0.25"}
VERDICTS_ZH: Final = {"stable": "稳定", "watch": "关注", "retrain": "需重新训练"}
FEW_OUTCOMES: Final = 100


def limits(training: CardTraining) -> tuple[str, ...]:
    """Return where the figures of a card end."""
    sparse = (
        f"Fewer than {training.minimum_bin} enterprises are never reported on: a share of missing values below that "
        "counts as none."
    )
    return (_RANDOM_SPLIT, _ACCEPTED_ONLY, _HIDDEN_EDGES, sparse)


def summary(card: ModelCard) -> str:
    """Return the opening sentences: what the model is, how well it ranks, whether it is calibrated and stable."""
    chosen = sum(feature.selected for feature in card.features)
    found = card.validation
    domains = sum(domain.selected > 0 for domain in card.coverage)
    text = f"{_KINDS.get(card.family, 'A model on')} {chosen} features from {domains} domains."
    if found.auc is None or found.ks is None:
        return f"{text} The test rows do not hold both outcomes, so how well it ranks risk cannot be measured."
    return f"{text} {_ranking(found)} {_calibrated(found.calibration_slope)} {VERDICTS[found.stability.verdict]}"


def _calibrated(slope: float | None) -> str:
    if slope is None:
        return "Its calibration cannot be measured."
    if slope < SLOPE_BOUNDS[0]:
        return f"Its PDs are too extreme there, low ones too low and high ones too high: slope {decimal(slope, 2)}."
    if slope > SLOPE_BOUNDS[1]:
        return f"Its PDs are too alike there: slope {decimal(slope, 2)}."
    return f"Its PDs are as spread as they should be there: slope {decimal(slope, 2)}."


def _ranking(found: CardValidation) -> str:
    third = next((gain for gain in found.gains if 0.295 <= gain.share <= 0.5), None)
    text = f"On the test rows it ranks risk with an AUC of {decimal(found.auc)} and a KS of {decimal(found.ks)}."
    if third is None:
        return text
    return f"{text} The riskiest {percent(third.share, 0)} of enterprises hold {percent(third.caught, 0)} of defaults."
