"""What the federation costs in accuracy: its models beside the same families on pooled rows, over drawn settings.

The federation's models are those of the pooled twins, which a run equals to the last integer: on data as it is, where
no sign of the risk is declared, those of `credfed train` with the same seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from federation.bench.delong import auc_difference
from federation.bench.settings import HARDSHIPS, Column, Setting
from federation.oracle import PooledRows, additive_boosting, centralised_scorecard
from nodes.bank.training.runs import FINE_BINS
from nodes.bank.training.split import split_rows
from nodes.binning import bin_rows, cohort_columns, row_index
from nodes.economy import generate, write
from nodes.features import FeatureTable
from nodes.sources import read_bank_source, read_description, read_node_source
from protocols.boosting.model import BoostingPlan
from protocols.boosting.plaintext import train_pooled as boost_pooled
from protocols.channel.identity import PartyId
from protocols.credit.metrics import auc
from protocols.scorecard.model import BankRows, TrainingPlan
from protocols.scorecard.plaintext import train_pooled
from protocols.scorecard.rows import BinnedRows

MINIMUM_BIN = 50
TEST_SHARE = 0.3
ECONOMY_FIRMS = 4_000

Floats = NDArray[np.float64]
Plan = TrainingPlan | BoostingPlan
Drawn = tuple[str, str, int]
"""A data set, a hardship and a seed."""


@dataclass(frozen=True, slots=True)
class AccuracyFigures:
    """One model on one setting, over all rows that did not train.

    `difference` is the federation's AUC less the oracle's, `error` its standard error by chance of the test rows.
    """

    dataset: str
    hardship: str
    seed: int
    rows: int
    defaults: int
    test_defaults: int
    parties: int
    auc: float
    oracle: float
    difference: float
    error: float


def measure_accuracy(
    folders: Sequence[Path],
    hardships: Sequence[str],
    seeds: Sequence[int],
    plan: Plan,
    cores: int,
    tell: Callable[[AccuracyFigures], None] = lambda figures: None,
) -> list[AccuracyFigures]:
    """Train and compare on every setting; `tell` is given each one's figures as they come.

    Without folders on a synthetic economy. Raises: ConfigurationError for a data set that cannot be read.
    """
    drawn = [(folder.name, hardship, seed) for folder in folders for hardship in hardships for seed in seeds]
    where = {folder.name: folder for folder in folders}
    figures = []
    with TemporaryDirectory() as made, ProcessPoolExecutor(cores) as pool:
        if not folders:
            write(generate(ECONOMY_FIRMS, seed=0), Path(made))
            drawn, where = [("economy", h, seed) for h in hardships for seed in seeds], {"economy": Path(made)}
        for one in pool.map(_measure, drawn, [where[name] for name, _, _ in drawn], repeat(plan)):
            figures.append(one)
            tell(one)
    return figures


def _measure(drawn: Drawn, folder: Path, plan: Plan) -> AccuracyFigures:
    dataset, hardship, seed = drawn
    setting = HARDSHIPS[hardship](_read(folder), np.random.default_rng([seed, *hardship.encode()]))
    data, nodes = _binned(setting, seed)
    n, bad = data.training_rows, data.bad
    everyone = ({setting.bank: data.rows} if data.rows.features else {}) | nodes
    pooled = PooledRows({PartyId(party): rows for party, rows in everyone.items()}, [], bad, n)
    ours, oracle = _both(PartyId(setting.bank), data, nodes, plan, pooled, seed)
    difference, error = auc_difference(ours, oracle, pooled.test_bad)
    return AccuracyFigures(
        dataset,
        hardship,
        seed,
        rows=n,
        defaults=int(bad[:n].sum()),
        test_defaults=int(pooled.test_bad.sum()),
        parties=len(everyone),
        auc=auc(ours, pooled.test_bad),
        oracle=auc(oracle, pooled.test_bad),
        difference=difference,
        error=error,
    )


def _both(
    bank: PartyId, data: BankRows, nodes: dict[str, BinnedRows], plan: Plan, pooled: PooledRows, seed: int
) -> tuple[Floats, Floats]:
    """Return the test rows' log-odds of good by the federation's model and by its oracle's."""
    n, theirs = data.training_rows, {PartyId(node): (node, rows) for node, rows in nodes.items()}
    if isinstance(plan, BoostingPlan):
        boosted = boost_pooled(bank, data, theirs, replace(plan, seed=seed), MINIMUM_BIN)
        return boosted.log_odds[n:], additive_boosting(pooled, plan.depth, seed)
    card = train_pooled(bank, data, theirs, plan)
    return card.calibration.log_odds(card.totals)[n:], centralised_scorecard(pooled, card.features)


def _read(folder: Path) -> Setting:
    """Return a data set as its parties hold it, on the enterprises of the first bank's file."""
    description = read_description(folder)
    own, bad = read_bank_source(description)
    tables = {"bank": own} | {node: read_node_source(description, node) for node in description.nodes}
    parties = {party: cohort_columns(table, row_index(table), own.ids) for party, table in tables.items()}
    special = {f"{party}.{name}": codes for party, table in tables.items() for name, codes in table.special.items()}
    named = {party: {f"{party}.{name}": c for name, c in columns.items()} for party, columns in parties.items()}
    known = np.flatnonzero(np.isin(bad, (0, 1)))
    return Setting(named, special, bad, len(bad)).taken(known)


def _binned(setting: Setting, seed: int) -> tuple[BankRows, dict[str, BinnedRows]]:
    """Return everybody's fine bins: the training rows first, then all that test."""
    split = split_rows(setting.bad[: setting.cohort], TEST_SHARE, seed)
    others = np.arange(setting.cohort, len(setting.bad))
    ordered, n = setting.taken(np.concatenate([split.order(), others])), len(split.training)
    ids = tuple(map(str, range(len(ordered.bad))))
    binned = {party: _bins(ids, columns, ordered, n) for party, columns in ordered.parties.items()}
    own = binned.pop(setting.bank)
    return BankRows(own, ordered.bad, n), dict(sorted(binned.items()))


def _bins(ids: tuple[str, ...], columns: Mapping[str, Column], setting: Setting, training_rows: int) -> BinnedRows:
    table = FeatureTable([*ids], dict(columns), setting.special)
    return bin_rows(table, ids, training_rows, FINE_BINS, MINIMUM_BIN)[0]


def by_setting(figures: Sequence[AccuracyFigures]) -> Iterator[list[AccuracyFigures]]:
    """Return the figures of each data set and hardship, the worst seed first."""
    for setting in dict.fromkeys((one.dataset, one.hardship) for one in figures):
        alike = [one for one in figures if (one.dataset, one.hardship) == setting]
        yield sorted(alike, key=lambda one: one.difference)
