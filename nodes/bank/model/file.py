"""The bank's model as a file: made of a finished run, signed, written, read back and verified.

The format is `model_format`, the validation in it `model_quality`; this module makes the file of a model of either
family, and is where others import from.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass

from nodes.bank.model.format import (
    BOOSTING,
    FORMAT,
    SCORECARD,
    ConsortiumFacts,
    DomainCoverage,
    ModelBin,
    ModelFeature,
    ModelFile,
    ModelTree,
    RunFacts,
    TrainingFacts,
    read_model_file,
    sign_model_file,
    verify_model_file,
    write_model_file,
)
from nodes.bank.model.quality import measure
from nodes.binning import FineBinning
from protocols.boosting.model import TrainedBoosting
from protocols.channel.wire import encode
from protocols.credit.binning import BinnedFeature
from protocols.credit.scale import POINTS_PER_LOG_ODDS
from protocols.credit.woe import WOE_SCALE
from protocols.scorecard.candidate import Candidate
from protocols.scorecard.messages import RunSpec
from protocols.scorecard.model import BankRows, TrainedScorecard

__all__ = [
    "BOOSTING",
    "FORMAT",
    "SCORECARD",
    "ConsortiumFacts",
    "DomainCoverage",
    "ModelBin",
    "ModelFeature",
    "ModelFile",
    "ModelTree",
    "RunFacts",
    "TrainingFacts",
    "domain_coverage",
    "model_file",
    "read_model_file",
    "sign_model_file",
    "training_facts",
    "verify_model_file",
    "write_model_file",
]


def model_file(
    trained: TrainedScorecard | TrainedBoosting,
    data: BankRows,
    spec: RunSpec,
    binnings: tuple[FineBinning, ...],
    seed: int | None,
    run: RunFacts,
) -> ModelFile:
    """Return the file of a trained model of either family, not yet signed."""
    terms = _of_trees(trained, spec.bank) if isinstance(trained, TrainedBoosting) else _of_points(trained, spec.bank)
    log_odds = trained.calibration.log_odds(trained.totals)
    return ModelFile(
        format=FORMAT,
        family=terms.family,
        bank=spec.bank,
        model=trained.manifest.manifest.model_hash().hex(),
        manifest=base64.b64encode(encode(trained.manifest)).decode(),
        intercept=trained.calibration.intercept,
        slope=trained.calibration.slope,
        constant=terms.constant,
        own_points=terms.own_points,
        own_binnings=binnings,
        features=terms.features,
        coverage=domain_coverage(terms.features),
        training=training_facts(data, spec, seed, run, terms.row_totals),
        quality=measure(log_odds, data.bad, data.training_rows),
        trees=terms.trees,
    )


@dataclass(frozen=True, slots=True)
class _Terms:
    """What a model's file has of its family; `row_totals` None for as many as the run was planned with."""

    family: str
    features: tuple[ModelFeature, ...]
    own_points: tuple[tuple[int, ...], ...]
    constant: float | None = None
    row_totals: int | None = None
    trees: tuple[ModelTree, ...] = ()


def _of_trees(trained: TrainedBoosting, bank: str) -> _Terms:
    features = tuple(
        _feature(party, feature, (0,) * len(feature.woe), None)
        for party, binned in trained.features.items()
        for feature in binned
    )
    trees = tuple(
        ModelTree(party, entry.tree, entry.points, entry.theme)
        for party, grown in trained.model.trees.items()
        for entry in grown
    )
    return _Terms(BOOSTING, features, tuple(entry.points for entry in trees if entry.party == bank), trees=trees)


def _of_points(trained: TrainedScorecard, bank: str) -> _Terms:
    own = next((tables for party, tables in trained.candidate.points.items() if party == bank), ())
    constant = trained.calibration.intercept - trained.calibration.slope * trained.candidate.offset
    return _Terms(SCORECARD, tuple(_features(trained)), own, constant, trained.row_totals)


def training_facts(
    data: BankRows, spec: RunSpec, seed: int | None, run: RunFacts, row_totals: int | None = None
) -> TrainingFacts:
    """Return how a model was trained, from what the bank asked for and holds, and how many totals it opened at last."""
    bad_train = int(data.training_bad.sum())
    return TrainingFacts(
        created=spec.created,
        rows_train=spec.training_rows,
        rows_test=spec.rows - spec.training_rows,
        bad_train=bad_train,
        bad_test=int(data.bad.sum()) - bad_train,
        seed=seed,
        key_bits=spec.key_bits,
        minimum_bin=spec.minimum_bin,
        fine_bins=spec.fine_bins,
        row_totals=spec.row_totals if row_totals is None else row_totals,
        run=run,
    )


def domain_coverage(features: tuple[ModelFeature, ...]) -> tuple[DomainCoverage, ...]:
    """Return what each domain could not describe, domains in the order in which they first appear."""
    found = []
    for domain in dict.fromkeys(feature.domain for feature in features):
        members = [feature for feature in features if feature.domain == domain]
        missing = [feature.missing_share for feature in members]
        selected = sum(feature.selected for feature in members)
        found.append(DomainCoverage(domain, len(members), selected, min(missing), sum(missing) / len(missing)))
    return tuple(found)


def _features(trained: TrainedScorecard) -> Iterator[ModelFeature]:
    candidate: Candidate = trained.candidate
    stretch = trained.calibration.slope * POINTS_PER_LOG_ODDS
    coefficients: Iterator[float] = iter((stretch * candidate.coefficients[1:]).tolist())
    for party, binned in trained.features.items():
        for feature, points in zip(binned, candidate.points[party], strict=True):
            yield _feature(party, feature, points, next(coefficients) if feature.selected else None)


def _feature(party: str, feature: BinnedFeature, points: tuple[int, ...], coefficient: float | None) -> ModelFeature:
    rows = sum(outcome.total for outcome in feature.outcomes)
    missing = len(feature.woe) - 1
    bins = tuple(
        ModelBin(
            outcome.total / rows if rows else 0.0,
            outcome.bad_rate,
            feature.woe[group[0]] / WOE_SCALE,
            points[group[0]],
            missing in group,
        )
        for group, outcome in zip(feature.groups, feature.outcomes, strict=True)
    )
    return ModelFeature(
        party=party,
        domain=feature.domain,
        name=feature.name,
        iv=feature.iv,
        selected=feature.selected,
        reason=feature.reason,
        coefficient=coefficient,
        missing_share=sum(step.share for step in bins if step.missing),
        bins=bins,
    )
