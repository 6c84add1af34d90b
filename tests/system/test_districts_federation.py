"""A domain in two regional offices: trained, asked and audited over the grid as if it were one office."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from federation.cli.main import app
from federation.cli.training.baselines import joined
from federation.local.federation import LocalFederation
from federation.local.founding import create_federation
from federation.local.layout import BANK
from federation.local.services import Ports, equip
from federation.process.settings import read_settings
from federation.transcript import parcel_in
from nodes.binning import bin_rows, cohort_columns, row_index
from nodes.data_node.opening import open_node_site
from nodes.data_node.settings import NODE_FILE, NodeSettings
from nodes.data_node.survey import DistrictSurvey
from nodes.sources import read_description
from protocols.channel.identity import PartyId
from protocols.errors import ConfigurationError
from protocols.scorecard.plaintext import train_pooled
from protocols.wire_audit import Observation, Terms, audit
from tests.small_federation import (
    KEY_BITS,
    MINIMUM_BIN,
    NOW,
    PLAN,
    POLICY,
    default_split,
    envelopes_in,
    quick_keys,
    write_dataset,
)

NORTH, SOUTH = PartyId("tax_north"), PartyId("tax_south")


def test_each_office_of_a_split_domain_runs_from_a_directory_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "federation"
    data = split_tax(write_dataset(folder / "data"))
    with quick_keys():
        create_federation(folder, read_description(data), KEY_BITS, POLICY)
    equip(folder, Ports())
    held = []
    for office in (NORTH, SOUTH):
        home = folder / office
        with open_node_site(home, read_settings(home / NODE_FILE, NodeSettings)) as site:
            assert site.domain == "tax"
            held.append(set(site.table.ids))
    assert held[0]
    assert held[1]
    assert not held[0] & held[1]


def split_tax(data: Path) -> Path:
    """Hand every third enterprise of the tax office to its southern branch, the others to the northern one."""
    lines = (data / "node_tax.csv").read_text(encoding="utf-8").splitlines()
    head, rows = lines[0], lines[1:]
    for name, part in (("tax_north", [r for i, r in enumerate(rows) if i % 3]), ("tax_south", rows[::3])):
        (data / f"node_{name}.csv").write_text("\n".join([head, *part]) + "\n", encoding="utf-8")
    (data / "node_tax.csv").unlink()
    described = json.loads((data / "domains.json").read_text(encoding="utf-8"))
    text = json.dumps(described | {"regions": {"tax": ["tax_north", "tax_south"]}}, ensure_ascii=False)
    (data / "domains.json").write_text(text, encoding="utf-8")
    return data


def test_two_offices_of_one_domain_train_and_answer_as_one(tmp_path: Path) -> None:
    data = split_tax(write_dataset(tmp_path / "federation" / "data"))
    with quick_keys():
        create_federation(tmp_path / "federation", read_description(data), KEY_BITS, POLICY)
    seen: list[tuple[int, bool, bytes]] = []
    with LocalFederation(
        tmp_path / "federation", lambda *message: seen.append(message), clock=lambda: NOW
    ) as federation:
        split = default_split(federation)
        training = federation.train(split, PLAN, MINIMUM_BIN)
        assert training.traffic.rounds == 13
        ids, n = federation.bank.cohort_ids(split), len(split.training)
        whole = joined([federation.tables[NORTH], federation.tables[SOUTH]])
        survey = DistrictSurvey(cohort_columns(whole, row_index(whole), ids), n, 32, MINIMUM_BIN)
        assert survey.take(survey.counts()) is None
        tax = survey.take(survey.counts())
        assert tax is not None
        nodes = {
            node: (federation.domains[node], bin_rows(table, ids, n, 32, MINIMUM_BIN)[0])
            for node, table in federation.tables.items()
            if node not in (NORTH, SOUTH)
        }
        oracle = train_pooled(BANK, training.data, nodes | {NORTH: ("tax", tax)}, PLAN)
        assert training.scorecard.candidate.points == oracle.candidate.points
        assert training.scorecard.calibration == oracle.calibration
        np.testing.assert_array_equal(training.scorecard.totals, oracle.totals)
        known = {name: set(table.ids) for name, table in federation.tables.items()}
        asked = [next(i for i in ids if i in known[NORTH]), next(i for i in ids if i in known[SOUTH])]
        asked.append(next(i for i in ids if i not in known[NORTH] | known[SOUTH]))
        for many in (asked, [*asked, *[i for i in ids if i not in asked][:17]]):
            results = federation.assess(many)
            assert [r.coverage["tax"] for r in results[:3]] == ["ok", "ok", "absent"]
            assert set(results[0].coverage) == {"electricity", "housing", "social", "tax"}
            totals = [ids.index(i) for i in many]
            odds = training.scorecard.calibration.log_odds(training.scorecard.totals)[totals]
            assert [r.score for r in results] == [round(427.12 + 57.708 * float(o)) for o in odds]
        passed = [(federation.names[node], inbound, data) for node, inbound, data in seen]
        observations = [Observation(party, inbound, data, parcel_in(data)) for party, inbound, data in passed]
        report = audit(list(federation.pins.cards.values()), observations, Terms(0))
        assert report.findings == ()
        assert {"DistrictCounts", "DomainCounts", "DistrictSums", "PooledSums"} <= {
            e.message for _, _, d in passed for e in envelopes_in(d)
        }


@pytest.mark.parametrize("fault", ["shared", "one", "taken", "foreign"])
def test_regions_that_cannot_be_are_refused_in_one_line(tmp_path: Path, fault: str) -> None:
    data = split_tax(write_dataset(tmp_path / "data"))
    regions = {
        "shared": {"tax": ["tax_north", "tax_south"]},
        "one": {"tax": ["tax_north"]},
        "taken": {"tax": ["tax_north", "social"]},
        "foreign": {"bank": ["tax_north", "tax_south"]},
    }
    described = json.loads((data / "domains.json").read_text(encoding="utf-8")) | {"regions": regions[fault]}
    (data / "domains.json").write_text(json.dumps(described), encoding="utf-8")
    if fault == "shared":
        north, south = data / "node_tax_north.csv", data / "node_tax_south.csv"
        south.write_text(south.read_text(encoding="utf-8") + north.read_text(encoding="utf-8").splitlines()[1] + "\n")
    with pytest.raises(ConfigurationError) as refusal:
        create_federation(tmp_path / "out", read_description(data), KEY_BITS, POLICY)
    assert refusal.value.code == ("DUPLICATE_ID" if fault == "shared" else "UNKNOWN_DOMAIN")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_credfed_trains_and_audits_a_split_domain(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", seed=4)
    split_tax(data)
    run = CliRunner().invoke(
        app, ["train", "--data", str(data), "--out", str(tmp_path / "out"), "--min-bin", "20", "--compare", "--json"]
    )
    assert run.exit_code == 0, run.output
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["rounds"] == 13
    assert {"tax_north", "tax_south"} <= set(results["bytes_sent"])
    assert abs(results["auc"] - results["auc_centralised"]) < 0.05
    boosted = CliRunner().invoke(
        app, ["train", "--data", str(data), "--out", str(tmp_path / "trees"), "--model", "boosting"]
    )
    assert boosted.exit_code == 2
    assert "split by region" in boosted.output
