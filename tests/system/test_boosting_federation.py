"""A boosted model through agents, coordinator and grid: as the oracle has it, served as trained, clean on the wire."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from federation.local.federation import LocalFederation
from federation.local.founding import create_federation
from federation.local.layout import BANK
from federation.transcript import parcel_in
from nodes.bank.model.file import BOOSTING
from nodes.bank.training.runs import FINE_BINS
from nodes.bank.training.split import split_rows
from nodes.binning import bin_rows
from nodes.policy import TrainingRules, usual_policy
from nodes.sources import read_description
from protocols.boosting.model import BoostingPlan, TrainedBoosting
from protocols.boosting.plaintext import train_pooled
from protocols.channel.identity import PartyId
from protocols.credit.scale import score
from protocols.errors import PeerRefused
from protocols.uscc import synthetic
from protocols.wire_audit import Observation, Terms, audit

ROWS, MINIMUM, KEY_BITS = 400, 20, 768
COLUMNS = {"tax": 3, "social": 2, "electricity": 1, "bank": 2}
PLAN = BoostingPlan(trees=6, group=2, row_totals=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A federation over one economy, with a fifth of the values missing."""
    made = tmp_path_factory.mktemp("boosting")
    rng = np.random.default_rng(5)
    risk = rng.normal(size=ROWS)
    bad = (risk + rng.normal(size=ROWS) > 0.6).astype(int)
    names = {domain: [f"{domain}_{i}" for i in range(count)] for domain, count in COLUMNS.items()}
    (made / "data").mkdir()
    (made / "data" / "domains.json").write_text(json.dumps({"id": "uscc", "label": "default", "domains": names}))
    for domain, features in names.items():
        values = {name: (risk + rng.normal(size=ROWS)).round(6) for name in features}
        with (made / "data" / f"node_{domain}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["uscc", *features, *(["default"] if domain == "bank" else [])])
            for row in range(ROWS):
                cells = [values[name][row] if rng.random() > 0.2 else "" for name in features]
                writer.writerow([synthetic(row), *cells, *([bad[row]] if domain == "bank" else [])])
    policy = usual_policy((BANK,), training=TrainingRules(minimum_bin=MINIMUM, minimum_key_bits=512))
    create_federation(made, read_description(made / "data"), KEY_BITS, policy)
    return made


def test_the_federated_model_is_the_oracles_and_answers_as_trained(folder: Path) -> None:
    passed: list[tuple[int, bool, bytes]] = []
    with LocalFederation(folder, observer=lambda *message: passed.append(message)) as federation:
        split = split_rows(federation.outcomes, 0.3, 0)
        training = federation.train(split, PLAN, MINIMUM)
        ids, n = federation.bank.cohort_ids(split), len(split.training)
        answers = federation.assess(ids[n : n + 3])
        tables = {BANK: federation.bank_table} | federation.tables
        binned = {party: bin_rows(table, ids, n, FINE_BINS, MINIMUM)[0] for party, table in tables.items()}
        nodes = {PartyId(party): (str(party), rows) for party, rows in binned.items() if party != BANK}
        cards, names = list(federation.pins.cards.values()), dict(federation.names)
    trained = training.scorecard
    assert isinstance(trained, TrainedBoosting)
    oracle = train_pooled(BANK, training.data, nodes, PLAN, MINIMUM)
    assert {p: [(t.tree, t.points) for t in trees] for p, trees in trained.model.trees.items()} == {
        p: [(t.tree, t.points) for t in trees] for p, trees in oracle.model.trees.items()
    }
    np.testing.assert_array_equal(trained.totals, oracle.totals)
    assert training.model.family == BOOSTING
    assert training.leaks["row_totals"] == PLAN.row_totals
    for row, answer in enumerate(answers, start=n):
        assert answer.score is not None
        expected = score(float(trained.calibration.log_odds(trained.totals[row : row + 1])[0]))
        assert abs(answer.score - expected) <= 3
    observations = [Observation(names[node], inbound, data, parcel_in(data)) for node, inbound, data in passed]
    report = audit(cards, observations, Terms(0))
    assert not report.findings


def test_more_totals_than_the_owners_allow_are_refused(folder: Path) -> None:
    with LocalFederation(folder) as federation:
        split = split_rows(federation.outcomes, 0.3, 0)
        plan = BoostingPlan(trees=8, group=2, row_totals=4)
        with pytest.raises(PeerRefused) as refused:
            federation.train(split, plan, MINIMUM)
    assert refused.value.code == "LEAK_BUDGET"
