"""Turns the bank's model file into its card, and writes both forms of it."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from federation.report.card import render_card
from federation.report.card_data import (
    CardBand,
    CardBin,
    CardCoverage,
    CardFeature,
    CardGrade,
    CardGroup,
    CardLeak,
    CardNode,
    CardPoint,
    CardShare,
    CardStability,
    CardTraining,
    CardTrees,
    CardValidation,
    ModelCard,
    gains,
    verdict,
)
from federation.report.card_text import FEW_OUTCOMES, INTENDED_USE, NOT_FOR, NOT_PROTECTED, limits
from federation.report.wording import leak
from nodes.bank.model.file import BOOSTING, SCORECARD, ModelFeature, ModelFile, ModelTree
from nodes.bank.model.quality import CurvePoint, ModelQuality, ScoredGroup
from nodes.features import load_catalogue
from nodes.keystore import replace_file
from protocols.assessment.manifest import Manifest
from protocols.boosting.trees import Split
from protocols.credit.scale import GRADE_LIMITS, SCORE_FACTOR, score

CARD_HTML: Final = "model_card.html"
CARD_JSON: Final = "model_card.json"
SUSPECT_IV: Final = 0.5
FEWEST_NODES: Final = 3
_NAMES: Final = {SCORECARD: "Credit scorecard", BOOSTING: "Boosted credit model"}


def write_card(folder: Path, model: ModelFile) -> ModelCard:
    """Write the card of a model into its bank's folder, as a page and as JSON, and return it. Raises: OSError."""
    return write_card_at(folder / model.bank, model)


def write_card_at(home: Path, model: ModelFile) -> ModelCard:
    """Write the card of a model into a bank's own directory. Raises: OSError."""
    card = model_card(model)
    replace_file(home / CARD_HTML, render_card(card).encode(), 0o644)
    replace_file(home / CARD_JSON, msgspec.json.format(msgspec.json.encode(card)) + b"\n", 0o644)
    return card


def model_card(model: ModelFile) -> ModelCard:
    """Return what the card of a verified model says; the same for the same model. Raises: MalformedMessage."""
    manifest, facts = model.signed_manifest().manifest, model.training
    training, shared = _training(model), "; counted over all banks of the run" if model.consortium else ""
    created = datetime.datetime.fromtimestamp(facts.created, datetime.UTC)
    dates = _dates(manifest, facts.run.said_dates)
    return ModelCard(
        title=f"{_NAMES.get(model.family, 'Credit model')} for small enterprises",
        family=model.family,
        bank=model.bank,
        model=model.model,
        dataset=facts.run.dataset,
        outcome=facts.run.label,
        created=created.isoformat(timespec="seconds").replace("+00:00", "Z"),
        data_as_of=facts.run.as_of,
        base_score=score(model.intercept),
        intended_use=INTENDED_USE,
        not_for=NOT_FOR,
        limits=limits(training),
        not_protected=NOT_PROTECTED,
        warnings=_warnings(model, len(manifest.nodes)),
        training=training,
        coverage=tuple(
            CardCoverage(
                c.domain,
                c.features,
                c.selected,
                1 - c.missing_least,
                1 - c.missing_mean,
                dates.get(c.domain, facts.run.as_of),
            )
            for c in model.coverage
        ),
        constant=model.constant,
        features=tuple(_features(model)),
        trees=tuple(_trees(model)),
        validation=card_validation(model.quality),
        leaks=tuple(CardLeak(name, times, leak(name) + shared) for name, times in facts.run.leaks.items()),
        nodes=tuple(CardNode(node.party, node.domain, node.card, node.part.hex()) for node in manifest.nodes),
    )


def _dates(manifest: Manifest, said: Mapping[str, str]) -> dict[str, str]:
    """Return as of when the records of each data node's domain speak, of its districts the earliest."""
    found: dict[str, list[str]] = {}
    for entry in manifest.nodes:
        found.setdefault(entry.domain, []).append(said.get(entry.party, ""))
    return {domain: min(dates) for domain, dates in found.items()}


def _training(model: ModelFile) -> CardTraining:
    facts = model.training
    return CardTraining(
        rows_train=facts.rows_train,
        rows_test=facts.rows_test,
        default_rate_train=facts.bad_train / facts.rows_train,
        default_rate_test=facts.bad_test / facts.rows_test,
        test_size=facts.rows_test / (facts.rows_train + facts.rows_test),
        seed=facts.seed,
        key_bits=facts.key_bits,
        minimum_bin=facts.minimum_bin,
        fine_bins=facts.fine_bins,
        row_totals=facts.row_totals,
        rounds=facts.run.rounds,
    )


def _warnings(model: ModelFile, nodes: int) -> tuple[str, ...]:
    """Return what a reader must know before believing the figures."""
    found, facts = [], model.training
    if model.consortium is not None:
        banks, rows = ", ".join(model.consortium.signatures), model.consortium.rows_train
        found.append(
            f"trained by {banks} together: bins, coefficients and coverage are of their {rows:,} training rows, "
            f"the validation is of {model.bank}'s own test rows"
        )
    if not any(feature.selected for feature in model.features):
        found.append("no feature could be used: every enterprise has the same score")
    for rows, bad, name in (
        (facts.rows_train, facts.bad_train, "training"),
        (facts.rows_test, facts.bad_test, "test"),
    ):
        if min(bad, rows - bad) < FEW_OUTCOMES:
            rarer = min(bad, rows - bad)
            found.append(f"only {rarer} {name} rows of the rarer outcome: the figures carry a wide error")
    if nodes < FEWEST_NODES:
        found.append(f"only {nodes} data node{'s' if nodes > 1 else ''}: with the bank's help one can be inferred")
    suspects = [f"{f.domain}.{f.name}" for f in model.features if f.selected and f.iv > SUSPECT_IV]
    if suspects:
        found.append(f"information value above .5, check for a leak of the outcome: {', '.join(suspects)}")
    reversed_ = [f"{f.domain}.{f.name}" for f in model.features if (f.coefficient or 0.0) < 0]
    if reversed_:
        found.append(f"negative coefficient, the feature counts against its own trend: {', '.join(reversed_)}")
    return tuple(found)


def _features(model: ModelFile) -> Iterator[CardFeature]:
    """Yield every feature; trees name those of their party by their order."""
    splits = Counter((tree.party, split.feature) for tree in model.trees for split in _splits(tree))
    seen: Counter[str] = Counter()
    for feature in model.features:
        yield _feature(feature, model.slope, splits[feature.party, seen[feature.party]])
        seen[feature.party] += 1


def _trees(model: ModelFile) -> Iterator[CardTrees]:
    """Yield what each party's trees come to, those that can give most first."""
    domains = {feature.party: feature.domain for feature in model.features}
    found = []
    for party in dict.fromkeys(tree.party for tree in model.trees):
        own = [tree for tree in model.trees if tree.party == party]
        points = sum(max(tree.points) - min(tree.points) for tree in own) * model.slope * SCORE_FACTOR
        splits = sum(len(list(_splits(tree))) for tree in own)
        found.append(CardTrees(party, domains.get(party, party), len(own), splits, points))
    yield from sorted(found, key=lambda trees: -trees.range)


def _splits(tree: ModelTree) -> Iterator[Split]:
    return (split for level in tree.tree.levels for split in level if split is not None)


def _feature(feature: ModelFeature, slope: float, splits: int) -> CardFeature:
    """Return a feature with its steps' points as the calibrated score counts them."""
    known = {(entry.domain, entry.name): entry for entry in load_catalogue()}
    entry = known.get((feature.domain, feature.name))
    steps = [step for step in feature.bins if not step.missing]
    labels = [f"step {number}" for number in range(1, len(steps) + 1)]
    shown = [*zip(labels, steps, strict=True), *(("missing", step) for step in feature.bins if step.missing)]
    return CardFeature(
        party=feature.party,
        domain=feature.domain,
        name=feature.name,
        title=entry.definition if entry else "",
        title_zh=entry.name_zh if entry else "",
        theme=entry.theme.value if entry else "",
        iv=feature.iv,
        selected=feature.selected,
        reason=feature.reason,
        coefficient=feature.coefficient,
        missing_share=feature.missing_share,
        splits=splits,
        bins=tuple(
            CardBin(label, step.share, step.bad_rate, step.woe, step.points * slope * SCORE_FACTOR)
            for label, step in shown
            if step.share
        ),
    )


def card_validation(quality: ModelQuality) -> CardValidation:
    """Return how a model did, with the gains, intervals and verdict that follow from its sums."""
    deciles = tuple(map(_group, quality.deciles))
    shares = tuple(CardShare(pair.train, pair.test) for pair in quality.stability)
    rows = sum(group.rows for group in quality.grades)
    limits_of = (0.0, *(limit for _, limit in GRADE_LIMITS), 1.0)
    return CardValidation(
        auc=quality.auc,
        ks=quality.ks,
        ks_at=None if quality.ks_at is None else _point(quality.ks_at),
        gini=quality.gini,
        brier=quality.brier,
        calibration_slope=quality.calibration_slope,
        calibration_intercept=quality.calibration_intercept,
        curve=tuple(map(_point, quality.curve)),
        bands=tuple(CardBand(band.low, band.high, band.good, band.bad) for band in quality.bands),
        calibration=deciles,
        gains=gains(deciles),
        grades=tuple(
            CardGrade(above, up_to, group.rows / rows, _group(group))
            for above, up_to, group in zip(limits_of, limits_of[1:], quality.grades, strict=False)
        ),
        stability=CardStability(quality.stability_index, verdict(quality.stability_index), shares),
    )


def _group(group: ScoredGroup) -> CardGroup:
    return CardGroup.of(group.name, group.rows, group.bad, group.expected)


def _point(point: CurvePoint) -> CardPoint:
    return CardPoint(point.score, point.good, point.bad)
