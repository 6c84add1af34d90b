"""A scorecard trained over the grid, by parties that share no row, equals the pooled oracle, integer by integer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from federation.local.federation import LocalFederation, Training
from federation.local.founding import create_federation
from federation.local.layout import BANK
from nodes.bank.training.runs import FINE_BINS
from nodes.bank.training.split import Split
from nodes.binning import bin_rows
from nodes.economy import generate, write
from nodes.policy import TrainingRules, usual_policy
from nodes.sources import read_description
from protocols.scorecard.model import TrainingPlan
from protocols.scorecard.plaintext import PooledScorecard, train_pooled
from tests.conftest import TrainedFederation
from tests.small_federation import (
    KEY_BITS,
    MINIMUM_BIN,
    NOW,
    PLAN,
    POLICY,
    default_split,
    make_federation,
    quick_keys,
    write_dataset,
    write_description,
)


def pooled(
    federation: LocalFederation, training: Training, split: Split, k: int, plan: TrainingPlan
) -> PooledScorecard:
    """The oracle on the tables that the parties read from their own files."""
    ids, n = federation.bank.cohort_ids(split), len(split.training)
    nodes = {
        node: (federation.domains[node], bin_rows(table, ids, n, FINE_BINS, k)[0])
        for node, table in federation.tables.items()
    }
    return train_pooled(BANK, training.data, nodes, plan)


def assert_equal(training: Training, oracle: PooledScorecard) -> None:
    assert training.scorecard.candidate.points == oracle.candidate.points
    assert training.scorecard.candidate.offset == oracle.candidate.offset
    assert training.scorecard.calibration == oracle.calibration
    np.testing.assert_array_equal(training.scorecard.totals, oracle.totals)
    assert training.scorecard.features == oracle.features


def test_the_small_federation_equals_the_oracle(trained: TrainedFederation) -> None:
    with LocalFederation(trained.folder, clock=lambda: NOW) as federation:
        split = default_split(federation)
        assert_equal(trained.training, pooled(federation, trained.training, split, MINIMUM_BIN, PLAN))
    parties = {feature.party for feature in trained.training.model.features if feature.selected}
    assert parties == {"bank", "electricity", "housing", "social", "tax"}


def bank_alone_has_no_features(data: Path) -> None:
    path = data / "node_bank.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line.rsplit(",", 1)[0] for line in lines))
    domains = json.loads((data / "domains.json").read_text())["domains"]
    write_description(data, {domain: columns for domain, columns in domains.items() if domain != "bank"})


def two_nodes_alone(data: Path) -> None:
    domains = json.loads((data / "domains.json").read_text())["domains"]
    for domain in ("electricity", "housing"):
        (data / f"node_{domain}.csv").unlink()
        del domains[domain]
    write_description(data, domains)


def a_node_that_knows_almost_nobody(data: Path) -> None:
    path = data / "node_tax.csv"
    path.write_text("\n".join(path.read_text(encoding="utf-8").splitlines()[:12]), encoding="utf-8")


def chinese_domain_and_columns_alike(data: Path) -> None:
    (data / "node_social.csv").rename(data / "node_社保.csv")
    path = data / "node_housing.csv"
    path.write_text(path.read_text().replace("paying", "staff", 1))
    domains = json.loads((data / "domains.json").read_text())["domains"]
    domains["社保"], domains["housing"] = domains.pop("social"), ["staff"]
    write_description(data, domains)


VARIANTS: dict[str, tuple[Callable[[Path], None], int]] = {
    "bank without features": (bank_alone_has_no_features, 2),
    "two nodes": (two_nodes_alone, 0),
    "small overlap": (a_node_that_knows_almost_nobody, 1),
    "names": (chinese_domain_and_columns_alike, 1),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_other_shapes_of_data_equal_the_oracle_too(tmp_path: Path, variant: str) -> None:
    change, refinements = VARIANTS[variant]
    ids = [f"firm no. {number}" for number in range(300)]
    data = write_dataset(tmp_path / "data", ids, seed=5)
    change(data)
    plan = TrainingPlan(refinements=refinements)
    policy = usual_policy(
        (BANK,), training=TrainingRules(minimum_bin=MINIMUM_BIN, minimum_key_bits=KEY_BITS, minimum_nodes=2)
    )
    with quick_keys():
        create_federation(tmp_path / "federation", read_description(data), KEY_BITS, policy)
    with LocalFederation(tmp_path / "federation", clock=lambda: NOW) as federation:
        assert not federation.file.uscc
        split = default_split(federation)
        training = federation.train(split, plan, MINIMUM_BIN)
        assert_equal(training, pooled(federation, training, split, MINIMUM_BIN, plan))
        assert training.leaks["row_totals"] == refinements + 1
        assert training.traffic.rounds <= (12 if refinements == 2 else 8)
        results = federation.assess(ids[:2])
        assert [result.status for result in results] == ["ok", "ok"]
        totals = [federation.bank.cohort_ids(split).index(identifier) for identifier in ids[:2]]
        log_odds = training.scorecard.calibration.log_odds(training.scorecard.totals)[totals]
        assert [result.score for result in results] == [round(427.12 + 57.708 * float(odds)) for odds in log_odds]


def test_a_run_depends_on_the_data_and_the_split_alone(tmp_path: Path, trained: TrainedFederation) -> None:
    """Other keys, other masks, other encryptions, another order of columns: the same points."""
    with quick_keys(first=5):
        folder = make_federation(tmp_path / "again", POLICY)
    with LocalFederation(folder, clock=lambda: NOW + 86_400) as federation:
        training = federation.train(default_split(federation), PLAN, MINIMUM_BIN)
    assert training.scorecard.candidate.points == trained.training.scorecard.candidate.points
    assert training.scorecard.calibration == trained.training.scorecard.calibration
    np.testing.assert_array_equal(training.scorecard.totals, trained.training.scorecard.totals)
    assert training.model.model != trained.training.model.model


@pytest.mark.slow
def test_the_demonstrations_economy_equals_the_oracle(tmp_path: Path) -> None:
    write(generate(1200, 11), tmp_path / "data")
    policy = usual_policy((BANK,), training=TrainingRules(minimum_key_bits=1024))
    create_federation(tmp_path / "federation", read_description(tmp_path / "data"), 1024, policy)
    with LocalFederation(tmp_path / "federation") as federation:
        split = default_split(federation)
        plan = TrainingPlan(refinements=2)
        training = federation.train(split, plan, 50)
        assert_equal(training, pooled(federation, training, split, 50, plan))
        assert len(federation.tables) == 4
        assert sum(feature.selected for feature in training.model.features) >= 4
