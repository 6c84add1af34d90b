"""How good a run's model is on the test rows, and what it is held against: the bank alone, everybody's rows pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np

from federation.local.federation import LocalFederation, Training
from nodes.bank.training.runs import FINE_BINS
from nodes.bank.training.split import Split
from nodes.binning import bin_rows, cohort_columns, row_index
from nodes.data_node.survey import DistrictSurvey
from nodes.features import FeatureTable
from protocols.boosting.model import BoostingPlan
from protocols.boosting.plaintext import train_pooled as boost_pooled
from protocols.channel.identity import PartyId
from protocols.credit.metrics import Validation, validate
from protocols.scorecard.districts import Districts
from protocols.scorecard.model import TrainingPlan
from protocols.scorecard.plaintext import train_pooled


def federated_validation(training: Training) -> Validation:
    """Return the quality of the federated model on the test rows."""
    n = training.data.training_rows
    log_odds = training.scorecard.calibration.log_odds(training.scorecard.totals)
    return validate(log_odds[n:], training.data.bad[n:])


def bank_only(training: Training, plan: TrainingPlan | BoostingPlan) -> Validation:
    """Return the quality of the same model family on the bank's own features alone."""
    bank, n = PartyId(training.model.bank), training.data.training_rows
    if isinstance(plan, BoostingPlan):
        log_odds = boost_pooled(bank, training.data, {}, plan, training.model.training.minimum_bin).log_odds
        return validate(log_odds[n:], training.data.bad[n:])
    alone = train_pooled(bank, training.data, {}, plan)
    return validate(alone.calibration.log_odds(alone.totals)[n:], training.data.bad[n:])


class Comparison(msgspec.Struct, frozen=True):
    """The oracle's measures on the same test rows."""

    centralised: Validation
    boosting: Validation
    additive: Validation | None = None
    without_noise: Validation | None = None


def compare(
    federation: LocalFederation,
    training: Training,
    split: Split,
    minimum_bin: int,
    seed: int,
    plan: TrainingPlan | BoostingPlan,
) -> Comparison:
    """Pool everybody's rows in this process and train the oracles. Breaks every promise; for demonstration only."""
    from federation.oracle import PooledRows, additive_boosting, centralised_scorecard, gradient_boosting  # here alone

    ids = federation.bank.cohort_ids(split)
    n = len(split.training)
    tables = {federation.lead: federation.bank_table} | federation.tables
    binned = {party: bin_rows(t, ids, n, FINE_BINS, minimum_bin)[0] for party, t in tables.items() if t.columns}
    for lead, districts in split_domains(federation).items():
        whole = joined([tables.pop(district) for district in districts])
        tables[lead], survey = (
            whole,
            DistrictSurvey(cohort_columns(whole, row_index(whole), ids), n, FINE_BINS, minimum_bin),
        )
        survey.take(survey.counts())
        rows = survey.take(survey.counts())
        binned = {party: b for party, b in binned.items() if party not in districts}
        binned |= {} if rows is None else {lead: rows}
    raw = [column for table in tables.values() for column in cohort_columns(table, row_index(table), ids).values()]
    pooled = PooledRows({PartyId(p): rows for p, rows in binned.items()}, raw, training.data.bad, n)
    nodes = {party: (party, rows) for party, rows in pooled.binned.items() if party != federation.lead}
    if isinstance(plan, TrainingPlan):
        exact = None
        if plan.rho:
            alike = train_pooled(federation.lead, training.data, nodes, plan)
            exact = pooled.quality(alike.calibration.log_odds(alike.totals)[n:])
        same = pooled.quality(centralised_scorecard(pooled, training.scorecard.features))
        return Comparison(same, pooled.quality(gradient_boosting(pooled, seed)), without_noise=exact)
    boosted = boost_pooled(federation.lead, training.data, nodes, replace(plan, rho=0), minimum_bin)
    same, additive = (pooled.quality(z) for z in (boosted.log_odds[n:], additive_boosting(pooled, plan.depth, seed)))
    return Comparison(same, pooled.quality(gradient_boosting(pooled, seed)), additive, same if plan.rho else None)


def split_domains(federation: LocalFederation) -> dict[PartyId, tuple[PartyId, ...]]:
    """Return the districts of each domain that several nodes share, by the first of them."""
    districts = Districts.among(federation.domains.items())
    return {lead: districts.members(lead) for lead in districts.units if districts.siblings(lead)}


def joined(tables: Sequence[FeatureTable]) -> FeatureTable:
    """Return the table of the one node that would hold all these districts' enterprises."""
    names = tables[0].columns
    texts = {name: any(t.columns[name].dtype == object for t in tables) for name in names}
    columns = {
        name: np.concatenate([t.columns[name].astype(object if texts[name] else np.float64) for t in tables])
        for name in names
    }
    return FeatureTable([identifier for table in tables for identifier in table.ids], columns, tables[0].special)
