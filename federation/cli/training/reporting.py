"""Turns a finished run into the data of its HTML report."""

from __future__ import annotations

import datetime

import numpy as np

from federation.audit import LogReport
from federation.cli.training.baselines import bank_only, federated_validation
from federation.cli.training.job import Outcome
from federation.report.data import (
    BANK_ALONE,
    FEDERATION,
    POOLED,
    POOLED_BOOSTING,
    Assessment,
    Bin,
    Comparison,
    Feature,
    PartyView,
    RunReport,
)
from nodes.bank.asking.results import AssessmentResult
from nodes.bank.model.file import ModelFeature
from nodes.features import load_catalogue
from protocols.credit.scale import SCORE_FACTOR, SCORE_OFFSET
from protocols.scorecard.model import TrainingPlan
from protocols.uscc import masked


def run_report(
    outcome: Outcome, assessments: list[AssessmentResult], parties: tuple[PartyView, ...], log: LogReport
) -> RunReport:
    """Return everything that the report of this run shows."""
    training, results = outcome.training, outcome.results
    n = training.data.training_rows
    log_odds = training.scorecard.calibration.log_odds(training.scorecard.totals)[n:]
    return RunReport(
        title="Credit Federation",
        dataset=results.dataset,
        generated=datetime.datetime.now(datetime.UTC).date().isoformat(),
        model_hash=results.model_hash,
        key_bits=results.key_bits,
        rows_train=results.rows_train,
        rows_test=results.rows_test,
        default_rate=float(np.mean(training.data.bad)),
        validation=federated_validation(training),
        comparisons=_comparisons(outcome),
        features=tuple(_feature(feature) for feature in training.model.features),
        parties=parties,
        assessments=tuple(_assessment(result) for result in assessments),
        phases=tuple(results.seconds.items()),
        leaks=tuple(results.leaks.items()),
        log_size=log.leaves,
        log_root=log.root.hex(),
        warnings=results.warnings,
        test_scores=SCORE_OFFSET + SCORE_FACTOR * log_odds,
        test_bad=training.data.bad[n:],
    )


def _comparisons(outcome: Outcome) -> tuple[Comparison, ...]:
    results = outcome.results
    alone = bank_only(outcome.training, TrainingPlan())
    rows = [Comparison(BANK_ALONE, alone.auc, alone.ks), Comparison(FEDERATION, results.auc, results.ks)]
    if outcome.comparison is not None:
        same, boosting = outcome.comparison.centralised, outcome.comparison.boosting
        rows += [Comparison(POOLED, same.auc, same.ks), Comparison(POOLED_BOOSTING, boosting.auc, boosting.ks)]
    return tuple(rows)


def _feature(feature: ModelFeature) -> Feature:
    known = {(entry.domain, entry.name): entry for entry in load_catalogue()}
    entry = known.get((feature.domain, feature.name))
    steps = [step for step in feature.bins if not step.missing]
    labels = [f"step {number}" for number in range(1, len(steps) + 1)]
    shown = [*zip(labels, steps, strict=True), *(("missing", step) for step in feature.bins if step.missing)]
    bins = tuple(Bin(label, step.share, step.bad_rate, step.woe, step.points) for label, step in shown if step.share)
    return Feature(
        domain=feature.domain,
        name=feature.name,
        title=f"{entry.definition} · {entry.name_zh}" if entry else "",
        iv=feature.iv,
        selected=feature.selected,
        reason=feature.reason,
        theme=entry.theme.value if entry else "",
        bins=bins,
    )


def _assessment(result: AssessmentResult) -> Assessment:
    return Assessment(
        enterprise=masked(result.enterprise),
        outcome=result.status,
        code=result.code,
        pd=result.pd,
        score=result.score,
        grade=result.grade,
        themes=tuple((theme.theme, theme.severity) for theme in result.themes),
        coverage=tuple(result.coverage.items()),
        receipt="" if result.receipt is None else f"leaf {result.receipt}",
    )
