"""`results.json`: what a training run achieved, took and revealed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from federation.cli.training.baselines import Comparison, bank_only, federated_validation
from federation.local.federation import Training
from nodes.bank.training.reported import ReportedCounts
from nodes.data_node.charges import YearAccount
from nodes.keystore import replace_file
from protocols.boosting.model import BoostingPlan, TrainedBoosting
from protocols.privacy import NANO, epsilon
from protocols.scorecard.model import FAR, TrainedScorecard, TrainingPlan

DELTA: Final = 1e-6
"""The δ at which a spent ρ is told as an ε: well below one in the number of enterprises."""


class FeatureResult(msgspec.Struct, frozen=True):
    """One feature that a party offered."""

    domain: str
    name: str
    iv: float
    selected: bool
    reason: str


class BankResult(msgspec.Struct, frozen=True):
    """One bank of a consortium on its own test rows.

    `auc` is that of the model trained together, `auc_alone` of its own features on its own rows alone; `auc_separate`,
    only with `--compare`, of all nodes' features on its own rows: what it would have without the other banks.
    """

    rows_train: int
    rows_test: int
    auc: float | None
    auc_alone: float | None
    reported: ReportedCounts
    auc_separate: float | None = None


class PrivacyResult(msgspec.Struct, frozen=True):
    """What noise promises: at each node, `rho`-zCDP for its sums in this run, hence (`epsilon`, `delta`)-DP."""

    rho: float
    epsilon: float
    delta: float


class RefinementResult(msgspec.Struct, frozen=True):
    """How the fit of a scorecard ended: each refinement `made` opened one total per enterprise, as its start did.

    `moved` tells by how much each moved the scores, as a share of their spread; `far` is how much calls for another,
    while fewer than `most` were made; `why` says what ended it.
    """

    made: int
    most: int
    moved: tuple[float, ...]
    far: float
    why: str


class Results(msgspec.Struct, frozen=True, omit_defaults=False):
    """The content of `results.json`. Units: seconds of wall time, bytes on the wire; a measure without value is null.

    `accounts` holds, for each data node, what the bank has spent there in the calendar year, and may spend; `privacy`
    is null where sums are exact. Of a consortium the measures are those of all banks' test rows, pooled by score bands,
    and `banks` has each bank's. `auc_without_noise` is that of the same model on exact sums, to be held against `auc`;
    it and the `_centralised` and `_gradient_boosting` measures exist only with `--compare`, which pools all files.
    `policies` has the hash of the policy under which each data node took part, as its own messages name it;
    `reported` what outcomes reported to the bank's API have made of its labels, in `banks` of a consortium's.
    `engine_seconds`, over Flower's deployed engine alone, is what that took for itself: `start` before the first round,
    not in `seconds`, and `carrying`, which is: the rest of `seconds` is the parties' work.
    """

    dataset: str
    model: str
    model_hash: str
    rows_train: int
    rows_test: int
    key_bits: int
    auc: float | None
    ks: float | None
    gini: float | None
    brier: float | None
    calibration_slope: float | None
    auc_bank_only: float | None
    ks_bank_only: float | None
    rounds: int
    bytes_sent: dict[str, int]
    seconds: dict[str, float]
    leaks: dict[str, int]
    accounts: dict[str, YearAccount]
    features: tuple[FeatureResult, ...]
    warnings: tuple[str, ...]
    policies: dict[str, str] = {}
    reported: ReportedCounts | None = None
    auc_centralised: float | None = None
    ks_centralised: float | None = None
    auc_gradient_boosting: float | None = None
    ks_gradient_boosting: float | None = None
    privacy: PrivacyResult | None = None
    auc_without_noise: float | None = None
    auc_additive: float | None = None
    ks_additive: float | None = None
    banks: dict[str, BankResult] | None = None
    refinements: RefinementResult | None = None
    engine_seconds: dict[str, float] | None = None


def write_results(folder: Path, results: Results) -> None:
    """Put `results.json`, whole, in the place of an earlier one. Raises: OSError."""
    replace_file(folder / "results.json", msgspec.json.format(msgspec.json.encode(results)) + b"\n", 0o644)


def build_results(
    dataset: str, training: Training, key_bits: int, plan: TrainingPlan | BoostingPlan, comparison: Comparison | None
) -> Results:
    """Return the results of a run, for `results.json`."""
    ours, alone = federated_validation(training), bank_only(training, plan)
    features = features_of(training.scorecard)
    n = training.data.training_rows
    results = Results(
        dataset=dataset,
        model=training.model.family,
        model_hash=training.model.model,
        rows_train=n,
        rows_test=len(training.data.bad) - n,
        key_bits=key_bits,
        auc=finite(ours.auc),
        ks=finite(ours.ks),
        gini=finite(ours.gini),
        brier=finite(ours.brier),
        calibration_slope=finite(ours.calibration_slope),
        auc_bank_only=finite(alone.auc),
        ks_bank_only=finite(alone.ks),
        rounds=training.traffic.rounds,
        bytes_sent=dict(sorted(training.traffic.bytes_sent.items())),
        seconds=to_the_millisecond(training.traffic.seconds),
        leaks=training.leaks,
        accounts=training.accounts,
        features=features,
        policies=training.model.training.run.policies,
        reported=training.reported,
        warnings=warnings_of(
            int(training.data.training_bad.sum()), n, len(training.scorecard.manifest.manifest.nodes), features
        ),
        privacy=privacy_of(plan),
        refinements=refinements_of(plan, training.scorecard),
        engine_seconds=to_the_millisecond(training.traffic.engine_seconds) or None,
    )
    return results if comparison is None else msgspec.structs.replace(results, **pooled_measures(comparison))


def pooled_measures(comparison: Comparison) -> dict[str, float | None]:
    """Return the measures of the oracles, by their names in the results."""
    additive = comparison.additive
    return {
        "auc_centralised": finite(comparison.centralised.auc),
        "ks_centralised": finite(comparison.centralised.ks),
        "auc_gradient_boosting": finite(comparison.boosting.auc),
        "ks_gradient_boosting": finite(comparison.boosting.ks),
        "auc_without_noise": finite(comparison.without_noise.auc) if comparison.without_noise else None,
        "auc_additive": finite(additive.auc) if additive else None,
        "ks_additive": finite(additive.ks) if additive else None,
    }


def refinements_of(
    plan: TrainingPlan | BoostingPlan, trained: TrainedScorecard | TrainedBoosting
) -> RefinementResult | None:
    """Return how many refinements a scorecard took and why no more, or None for another family."""
    if not (isinstance(plan, TrainingPlan) and isinstance(trained, TrainedScorecard)):
        return None
    made, most = len(trained.moved), plan.refinements + plan.further
    if made < most:
        why = f"the last moved the scores by {trained.moved[-1]:.0%} of their spread, no more than {FAR:.0%}"
    else:
        why = "so many were asked for" if not plan.further else "no more were planned within the budget"
    return RefinementResult(made, most, tuple(round(share, 4) for share in trained.moved), FAR, why)


def privacy_of(plan: TrainingPlan | BoostingPlan) -> PrivacyResult | None:
    """Return what a plan's noise promises, or None where sums are exact."""
    if not plan.rho:
        return None
    return PrivacyResult(plan.rho / NANO, round(epsilon(plan.rho / NANO, DELTA), 4), DELTA)


def warnings_of(bad: int, n: int, nodes: int, features: tuple[FeatureResult, ...]) -> tuple[str, ...]:
    """Return what a reader must know before believing the figures. Units: defaults and rows of training; data nodes."""
    found = []
    if not any(feature.selected for feature in features):
        found.append(f"no feature could be used: {n} training rows are too few for bins of the minimum size")
    if min(bad, n - bad) < 100:
        found.append(f"only {min(bad, n - bad)} training rows of the rarer outcome: the figures carry a wide error")
    if nodes < 3:
        found.append(f"only {nodes} data node{'s' if nodes > 1 else ''}: with the bank's help one can be inferred")
    leaks = [f.name for f in features if f.iv > 0.5 and f.selected]
    if leaks:
        found.append(f"information value above .5, check for a leak of the outcome: {_some(leaks)}")
    return tuple(found)


def _some(names: list[str]) -> str:
    """Return the first five of some names, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def to_the_millisecond(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return what each part took, as results show it."""
    return {part: round(took, 3) for part, took in seconds.items()}


def features_of(scorecard: TrainedScorecard | TrainedBoosting) -> tuple[FeatureResult, ...]:
    """Return every feature that was offered, and whether it is used."""
    return tuple(
        FeatureResult(f.domain, f.name, round(f.iv, 6), f.selected, f.reason)
        for binned in scorecard.features.values()
        for f in binned
    )


def finite(value: float) -> float | None:
    """Return a measure for the results: to six places, or None where it has no value."""
    return round(value, 6) if math.isfinite(value) else None
