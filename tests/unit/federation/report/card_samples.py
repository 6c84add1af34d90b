"""A made-up but plausible model card, and variations of it, for the card's tests."""

from __future__ import annotations

import msgspec
import numpy as np
from report_samples import features as report_features

from federation.cli.training.cards import card_validation
from federation.report.card_data import (
    CardBin,
    CardCoverage,
    CardFeature,
    CardLeak,
    CardNode,
    CardTraining,
    CardTrees,
    CardValidation,
    ModelCard,
)
from federation.report.card_text import INTENDED_USE, NOT_FOR, NOT_PROTECTED, limits
from federation.report.data import Feature
from nodes.bank.model.quality import measure
from protocols.credit.logistic import sigmoid

TRAINING = CardTraining(
    rows_train=2800,
    rows_test=1200,
    default_rate_train=0.047,
    default_rate_test=0.049,
    test_size=0.3,
    seed=0,
    key_bits=2048,
    minimum_bin=50,
    fine_bins=32,
    row_totals=2,
    rounds=16,
)


def validation(rows: int = 1200, seed: int = 0, moved: float = 0.0, outcome: int | None = None) -> CardValidation:
    """Draw training and test rows that default as their scores say; `outcome` makes all test rows end alike."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(3.25, 1.15, 2800 + rows)
    bad = (rng.random(len(log_odds)) < sigmoid(-log_odds)).astype(np.int64)
    log_odds[2800:] += moved
    if outcome is not None:
        bad[2800:] = outcome
    return card_validation(measure(log_odds, bad, 2800))


def card_feature(feature: Feature, coefficient: float | None = 0.8) -> CardFeature:
    """Return a feature of the report's sample as a card holds it."""
    bins = tuple(CardBin(b.label, b.share, b.bad_rate, b.woe, b.points / 10) for b in feature.bins)
    missing = sum(b.share for b in feature.bins if b.label == "missing")
    return CardFeature(
        party=feature.domain,
        domain=feature.domain,
        name=feature.name,
        title="what its owner says it is",
        title_zh=feature.title,
        theme=feature.theme,
        iv=feature.iv,
        selected=feature.selected,
        reason=feature.reason,
        coefficient=coefficient if feature.selected else None,
        missing_share=missing,
        splits=0,
        bins=bins,
    )


def sample() -> ModelCard:
    """Return the plausible card."""
    domains = ("bank", "tax", "social", "housing_fund", "electricity")
    return ModelCard(
        title="Credit scorecard for small enterprises",
        family="scorecard",
        bank="bank",
        model="b1946ac92492d2347c6235b4d2611184a3f1c0a9be2f3d4471a0c9e8d7b6a5f4",
        dataset="synthetic economy, 4 000 enterprises, seed 0",
        outcome="default_12m",
        created="2026-03-02T08:00:00Z",
        data_as_of="2023-12-31",
        base_score=212.3,
        intended_use=INTENDED_USE,
        not_for=NOT_FOR,
        limits=limits(TRAINING),
        not_protected=NOT_PROTECTED,
        warnings=(),
        training=TRAINING,
        coverage=tuple(
            CardCoverage(d, 6, 3, 0.9 - 0.1 * i, 0.85 - 0.1 * i, f"2023-12-{31 - i}") for i, d in enumerate(domains)
        ),
        constant=3.1,
        features=tuple(card_feature(feature) for feature in report_features()),
        trees=(),
        validation=validation(),
        leaks=(CardLeak("aggregate", 28, "sums over many"), CardLeak("row_totals", 2, "one number each")),
        nodes=tuple(CardNode(domain, domain, f"{i}" * 64, f"{i + 4}" * 64) for i, domain in enumerate(domains[1:])),
    )


def with_text(text: str) -> ModelCard:
    """Return a card in which every text that comes from elsewhere is `text`."""
    base = sample()
    features = tuple(
        msgspec.structs.replace(
            f,
            party=text,
            domain=text,
            name=text,
            title=text,
            title_zh=text,
            theme=text,
            reason=text,
            bins=tuple(msgspec.structs.replace(step, label=text) for step in f.bins),
        )
        for f in base.features[:5]
    )
    return msgspec.structs.replace(
        base,
        title=text,
        family=text,
        bank=text,
        model=text,
        dataset=text,
        outcome=text,
        created=text,
        data_as_of=text,
        warnings=(text,),
        coverage=(CardCoverage(text, 1, 1, 0.5, 0.5, text),),
        features=features,
        trees=(CardTrees(text, text, 1, 1, 1.0),),
        leaks=(CardLeak(text, 1, text),),
        nodes=(CardNode(text, text, text, text),),
    )


def of_trees() -> ModelCard:
    """Return the card of a model that has trees instead of steps: no bins, no coefficients, no points."""
    base = sample()
    features = tuple(msgspec.structs.replace(f, bins=(), coefficient=None, splits=7) for f in base.features)
    trees = (CardTrees("tax", "tax", 12, 60, 154.2), CardTrees("social", "social", 8, 41, 98.7))
    return msgspec.structs.replace(base, family="boosting", constant=None, features=features, trees=trees)
