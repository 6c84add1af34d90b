"""Results of a run of several banks: what each gets from the consortium, beside what it has alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from federation.cli.training.baselines import Comparison, federated_validation
from federation.cli.training.results import (
    BankResult,
    FeatureResult,
    Results,
    features_of,
    finite,
    pooled_measures,
    privacy_of,
    to_the_millisecond,
    warnings_of,
)
from federation.local.consortium import ConsortiumTraining
from federation.local.federation import LocalFederation
from federation.local.layout import FederationFile
from nodes.bank.agent import BankAgent
from nodes.bank.training.runs import FINE_BINS
from nodes.bank.training.split import Split
from nodes.binning import bin_rows, cohort_columns, row_index
from nodes.features import FeatureTable
from protocols.channel.identity import PartyId
from protocols.consortium.layout import Layout
from protocols.credit.metrics import Validation, validate
from protocols.scorecard.model import BankRows, TrainingPlan
from protocols.scorecard.plaintext import train_pooled
from protocols.scorecard.rows import BinnedRows

LEFT_OUT = "left out: not every bank of the consortium has this column"
Column = NDArray[np.float64] | NDArray[np.object_]


class Banks(Protocol):
    """The banks of a federation, in one process or over deployed parties: what their results are made from."""

    file: FederationFile
    banks: dict[PartyId, BankAgent]

    @property
    def bank_tables(self) -> dict[PartyId, FeatureTable]:
        """Each bank's own features."""
        ...


def consortium_results(
    federation: Banks,
    training: ConsortiumTraining,
    splits: Mapping[PartyId, Split],
    plan: TrainingPlan,
    minimum_bin: int,
    dataset: str,
    comparison: Comparison | None = None,
    pooling: LocalFederation | None = None,
) -> Results:
    """Return the results of a run, for `results.json`: measures of the pooled test rows, and of each bank's own.

    `pooling` is the federation whose nodes' records a comparison, if there is one, may pool.
    """
    lead, whole = training.banks[training.lead], training.pooled
    spec, ours = whole.spec, whole.pooled
    features = (*features_of(whole.scorecard), *_left_out(federation, training))
    outcomes = next((f.outcomes for binned in whole.scorecard.features.values() for f in binned), ())
    results = Results(
        dataset=dataset,
        model=lead.model.family,
        model_hash=whole.agreements[training.lead].model.hex(),
        rows_train=spec.training_rows,
        rows_test=spec.rows - spec.training_rows,
        key_bits=spec.key_bits,
        auc=finite(ours.auc),
        ks=finite(ours.ks),
        gini=finite(ours.gini),
        brier=finite(ours.brier),
        calibration_slope=finite(ours.calibration_slope),
        auc_bank_only=None,
        ks_bank_only=None,
        rounds=lead.traffic.rounds,
        bytes_sent=dict(sorted(lead.traffic.bytes_sent.items())),
        seconds=to_the_millisecond(lead.traffic.seconds),
        engine_seconds=to_the_millisecond(lead.traffic.engine_seconds) or None,
        leaks=lead.leaks,
        accounts=lead.accounts,
        features=features,
        policies=lead.model.training.run.policies,
        privacy=privacy_of(plan),
        warnings=warnings_of(sum(o.bad for o in outcomes), spec.training_rows, len(spec.nodes), features),
        banks={
            federation.file.bank_parties[bank]: _bank_result(
                federation, training, bank, splits[bank], plan, minimum_bin, pooling if comparison else None
            )
            for bank in training.banks
        },
    )
    return results if comparison is None else msgspec.structs.replace(results, **pooled_measures(comparison))


def _left_out(federation: Banks, training: ConsortiumTraining) -> list[FeatureResult]:
    common = set(training.pooled.spec.columns)
    return [
        FeatureResult(federation.file.bank_parties[bank], name, 0.0, False, LEFT_OUT)
        for bank, table in federation.bank_tables.items()
        for name in table.columns
        if name not in common
    ]


def _bank_result(
    federation: Banks,
    training: ConsortiumTraining,
    bank: PartyId,
    split: Split,
    plan: TrainingPlan,
    minimum_bin: int,
    pooling: LocalFederation | None,
) -> BankResult:
    """Return how a bank does on its own test rows; `auc_separate` only where everybody's rows are pooled anyway."""
    ids, n = federation.banks[bank].cohort_ids(split), len(split.training)
    own = BankRows(_binned(federation.bank_tables[bank], ids, n, minimum_bin), training.banks[bank].data.bad, n)
    separate = None
    if pooling is not None:
        nodes = {
            node: (pooling.domains[node], _binned(table, ids, n, minimum_bin)) for node, table in pooling.tables.items()
        }
        separate = finite(_trained_on(bank, own, nodes, plan).auc)
    return BankResult(
        rows_train=n,
        rows_test=len(split.test),
        auc=finite(federated_validation(training.banks[bank]).auc),
        auc_alone=finite(_trained_on(bank, own, {}, plan).auc),
        reported=training.banks[bank].reported,
        auc_separate=separate,
    )


def _trained_on(
    bank: PartyId, own: BankRows, nodes: Mapping[PartyId, tuple[str, BinnedRows]], plan: TrainingPlan
) -> Validation:
    n, found = own.training_rows, train_pooled(bank, own, nodes, plan)
    return validate(found.calibration.log_odds(found.totals)[n:], own.bad[n:])


def _binned(table: FeatureTable, ids: tuple[str, ...], training_rows: int, minimum_bin: int) -> BinnedRows:
    if not table.columns:
        return BinnedRows((), np.empty((len(ids), 0), dtype=np.uint16))
    return bin_rows(table, ids, training_rows, FINE_BINS, minimum_bin)[0]


def compare_consortium(
    federation: LocalFederation,
    training: ConsortiumTraining,
    splits: Mapping[PartyId, Split],
    minimum_bin: int,
    seed: int,
) -> Comparison:
    """Pool everybody's rows in this process and train the oracles. Breaks every promise; for demonstration only."""
    from federation.oracle import PooledRows, centralised_scorecard, gradient_boosting  # here alone

    spec, lead = training.pooled.spec, training.lead
    layout = Layout.of(spec)
    cohorts = {bank: federation.banks[bank].cohort_ids(split) for bank, split in splits.items()}
    ids = layout.order(cohorts)
    rows = {bank: layout.rows(bank) for bank in cohorts}
    bad = np.empty(spec.rows, dtype=np.int64)
    codes = np.empty((spec.rows, len(spec.columns)), dtype=np.uint16)
    for bank, held in training.banks.items():
        bad[rows[bank]], codes[rows[bank]] = held.data.bad, held.data.rows.codes
    binned = {node: _binned(table, ids, spec.training_rows, minimum_bin) for node, table in federation.tables.items()}
    raw = [c for table in federation.tables.values() for c in cohort_columns(table, row_index(table), ids).values()]
    raw += [_own_column(federation, name, cohorts, rows, spec.rows) for name in spec.columns]
    own = {lead: BinnedRows(training.banks[lead].data.rows.features, codes)} if spec.columns else {}
    pooled = PooledRows(own | binned, raw, bad, spec.training_rows)
    same = centralised_scorecard(pooled, training.pooled.scorecard.features)
    return Comparison(pooled.quality(same), pooled.quality(gradient_boosting(pooled, seed)))


def _own_column(
    federation: LocalFederation,
    name: str,
    cohorts: Mapping[PartyId, tuple[str, ...]],
    rows: Mapping[PartyId, NDArray[np.intp]],
    count: int,
) -> Column:
    """Return one column of all banks in the pool's order; as texts if one bank holds it as texts."""
    tables = federation.bank_tables
    parts = {bank: cohort_columns(tables[bank], row_index(tables[bank]), ids)[name] for bank, ids in cohorts.items()}
    numbers = all(part.dtype == np.float64 for part in parts.values())
    column = np.full(count, np.nan) if numbers else np.full(count, None, dtype=object)
    for bank, part in parts.items():
        column[rows[bank]] = part
    return column
