"""Two banks train over the grid, from their own files, and each assesses with its own key."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from federation.cli.main import app
from federation.cli.training.model import verified_model
from federation.cli.transcript import sampled_canaries
from federation.local.consortium import ConsortiumTraining, train_consortium
from federation.local.federation import LocalFederation
from federation.local.founding import create_federation
from federation.transcript import parcel_in
from nodes.bank.training.consortium import ConsortiumTerms
from nodes.bank.training.runs import FINE_BINS, TrainingTerms
from nodes.bank.training.split import Split, split_rows
from nodes.binning import bin_rows
from nodes.keystore import read_cards
from nodes.policy import TrainingRules, usual_policy
from nodes.sources import read_description
from protocols.channel.identity import PartyId
from protocols.consortium.layout import Layout
from protocols.consortium.messages import BankEntry
from protocols.consortium.plaintext import train_pooled
from protocols.errors import ConfigurationError, PeerRefused
from protocols.scorecard.model import BankRows
from protocols.scorecard.rows import BinnedRows
from protocols.wire_audit import Code, Observation, Terms, audit
from tests.small_federation import KEY_BITS, MINIMUM_BIN, NOW, PLAN, codes, quick_keys, write_dataset
from tests.split_banks import split_bank

A, B = PartyId("bank_a"), PartyId("bank_b")
SHARED = 30
RULES = TrainingRules(minimum_bin=MINIMUM_BIN, minimum_key_bits=KEY_BITS)


def found(folder: Path, banks: tuple[str, ...] = (A, B), shared: int = SHARED) -> Path:
    """A federation of two banks, some of whose customers are the same; nodes admit `banks`."""
    write_dataset(folder / "data", codes(500))
    split_bank(folder / "data", {A: 0.6, B: 0.4}, shared)
    with quick_keys():
        create_federation(folder, read_description(folder / "data"), KEY_BITS, usual_policy(banks, training=RULES))
    return folder


def splits_of(federation: LocalFederation) -> dict[PartyId, Split]:
    return {bank: split_rows(known, 0.3, 0) for bank, known in federation.bank_outcomes.items()}


@dataclass(frozen=True)
class Trained:
    """A consortium's folder after its run, and all that crossed the grid."""

    folder: Path
    training: ConsortiumTraining
    recorded: list[tuple[PartyId, bool, bytes]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = found(tmp_path_factory.mktemp("consortium"))
    seen: list[tuple[int, bool, bytes]] = []
    with LocalFederation(folder, lambda *message: seen.append(message), clock=lambda: NOW) as federation:
        training = train_consortium(federation, splits_of(federation), PLAN, MINIMUM_BIN, "two banks")
        return Trained(folder, training, [(PartyId(federation.names[node]), way, data) for node, way, data in seen])


def test_the_model_equals_the_oracle_on_the_concatenated_rows(trained: Trained) -> None:
    training, spec = trained.training, trained.training.pooled.spec
    layout = Layout.of(spec)
    with LocalFederation(trained.folder, clock=lambda: NOW) as federation:
        splits = splits_of(federation)
        ids = layout.order({bank: federation.banks[bank].cohort_ids(split) for bank, split in splits.items()})
        assert len(set(ids)) == len(ids) - SHARED
        nodes = {
            node: (federation.domains[node], bin_rows(table, ids, spec.training_rows, FINE_BINS, MINIMUM_BIN)[0])
            for node, table in federation.tables.items()
        }
    bad = np.empty(spec.rows, dtype=np.int64)
    own = np.empty((spec.rows, 1), dtype=np.uint16)
    for bank, held in training.banks.items():
        bad[layout.rows(bank)], own[layout.rows(bank)] = held.data.bad, held.data.rows.codes
    (shape,) = training.banks[A].data.rows.features
    counts = np.bincount(own[: spec.training_rows, 0], minlength=len(shape.counts))
    rows = BinnedRows((msgspec.structs.replace(shape, counts=tuple(map(int, counts))),), own)
    oracle = train_pooled(PartyId("bank"), BankRows(rows, bad, spec.training_rows), nodes, PLAN)
    for bank, held in training.banks.items():
        named = {bank if party == "bank" else party: points for party, points in oracle.candidate.points.items()}
        assert held.scorecard.candidate.points == named
        np.testing.assert_array_equal(held.scorecard.totals, oracle.totals[layout.rows(bank)])
        assert held.data.rows.features[0].name == "utilisation"


def test_every_bank_holds_the_model_that_all_have_signed(trained: Trained) -> None:
    models = {bank: verified_model(trained.folder, bank) for bank in (A, B)}
    pools = [model.consortium for model in models.values()]
    assert pools[0] == pools[1] is not None
    assert set(pools[0].signatures) == {A, B}
    assert models[A].features != models[B].features  # the banks' own columns stand under each bank's own name
    assert [f.bins for f in models[A].features] == [f.bins for f in models[B].features]
    assert models[A].model != models[B].model
    facts = models[B].training
    assert (facts.rows_train, facts.rows_test) == tuple(
        len(part) for part in (splits_in(trained)[B].training, splits_in(trained)[B].test)
    )


def splits_in(trained: Trained) -> dict[PartyId, Split]:
    with LocalFederation(trained.folder, clock=lambda: NOW) as federation:
        return splits_of(federation)


def test_each_bank_assesses_with_its_own_key(trained: Trained) -> None:
    with LocalFederation(trained.folder, clock=lambda: NOW) as federation:
        splits = splits_of(federation)
        for bank in (A, B):
            ids = federation.banks[bank].cohort_ids(splits[bank])[:2]
            held = trained.training.banks[bank].scorecard
            log_odds = held.calibration.log_odds(held.totals)[:2]
            results = federation.assess(ids, bank)
            assert [result.status for result in results] == ["ok", "ok"]
            scores = [427.12 + 57.708 * float(odds) for odds in log_odds]
            assert [result.score for result in results] == pytest.approx(scores, abs=1.5)
        with pytest.raises(ConfigurationError) as caught:
            federation.assess(ids, PartyId("bank_c"))
        assert caught.value.code == "UNKNOWN_BANK"


def judged(trained: Trained) -> set[Code]:
    cards = read_cards(trained.folder / "cards").cards.values()
    canaries = sampled_canaries(read_description(trained.folder / "data"))
    report = audit(
        cards,
        [Observation(party, way, data, parcel_in(data)) for party, way, data in trained.recorded],
        Terms(0, canaries),
    )
    assert [account.opening for account in report.accounts if account.opening] == ["Invitation", "ConsortiumSpec"]
    assert report.accounts[1].revealed["row_totals"] == report.accounts[1].planned_row_totals == 4
    return {finding.code for finding in report.findings}


def test_the_wire_shows_an_attacker_nothing(trained: Trained) -> None:
    assert judged(trained) == set()


def test_a_node_that_admits_one_bank_alone_ends_the_run(tmp_path: Path) -> None:
    folder = found(tmp_path, banks=(A,))
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        with pytest.raises(PeerRefused) as caught:
            train_consortium(federation, splits_of(federation), PLAN, MINIMUM_BIN, "")
        assert caught.value.code in ("BANK_DENIED", "NODE_DENIED")
    assert not any((folder / bank / "model.json").exists() for bank in (A, B))


def test_a_bank_that_has_not_agreed_joins_no_consortium(tmp_path: Path) -> None:
    folder = found(tmp_path)
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        splits = splits_of(federation)
        banks = tuple(BankEntry(bank, federation.pins.cards[bank].fingerprint()) for bank in (A, B))
        terms = TrainingTerms(federation.node_entries(), minimum_bin=MINIMUM_BIN, plan=PLAN)
        consent = federation.training_consent(A, splits[A])
        federation.banks[A].open_consortium(ConsortiumTerms(A, banks, terms, splits[A], consent))
        with pytest.raises(PeerRefused) as caught:
            federation.deliver(A)
        assert caught.value.code == "CONSORTIUM_NOT_AGREED"
        coarser = TrainingTerms(federation.node_entries(), minimum_bin=2 * MINIMUM_BIN, plan=PLAN)
        federation.banks[B].agree_to_consortium(
            ConsortiumTerms(A, banks, coarser, splits[B], federation.training_consent(B, splits[B]))
        )
        federation.banks[A].open_consortium(ConsortiumTerms(A, banks, terms, splits[A], consent))
        with pytest.raises(PeerRefused) as caught:
            federation.deliver(A)
        assert caught.value.code == "CONSORTIUM_NOT_AGREED"
        assert len(federation.coordinator._trainings._invitations) == 1  # what is not answered does not pile up


def test_columns_that_not_every_bank_has_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "federation"
    write_dataset(folder / "data", codes(500))
    split_bank(folder / "data", {A: 0.6, B: 0.4})
    description = json.loads((folder / "data" / "domains.json").read_text(encoding="utf-8"))
    del description["domains"]["bank"]
    description["domains"] |= {A: ["utilisation", "branch"], B: ["utilisation"]}
    (folder / "data" / "domains.json").write_text(json.dumps(description), encoding="utf-8")
    path = folder / "data" / "node_bank_a.csv"
    header, *rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([[*header, "branch"], *([*row, number % 7] for number, row in enumerate(rows))])
    with quick_keys():
        create_federation(folder, read_description(folder / "data"), KEY_BITS, usual_policy((A, B), training=RULES))
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        training = train_consortium(federation, splits_of(federation), PLAN, MINIMUM_BIN, "")
    assert training.pooled.spec.columns == ("utilisation",)


def train(data: Path, out: Path, *options: str) -> dict[str, object]:
    result = CliRunner().invoke(app, ["train", "--data", str(data), "--out", str(out), "--json", *options])
    assert result.exit_code == 0, result.output
    return json.loads((out / "results.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_command_line_trains_two_banks_and_says_how_each_does(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", codes(600))
    split_bank(tmp_path / "data", {A: 0.6, B: 0.4})
    results = train(tmp_path / "data", tmp_path / "out", "--compare", "--min-bin", "20")
    banks = results["banks"]
    assert isinstance(banks, dict)
    assert list(banks) == [A, B]
    assert {key for bank in banks.values() for key in bank} == {
        "rows_train",
        "rows_test",
        "auc",
        "auc_alone",
        "auc_separate",
        "reported",
    }
    assert results["rows_train"] == sum(bank["rows_train"] for bank in banks.values())
    assert results["auc"] == pytest.approx(results["auc_centralised"], abs=0.02)
    assert all(bank["auc"] > bank["auc_alone"] for bank in banks.values())
    usage = ["model", "show", str(tmp_path / "out"), "--bank", B, "--json"]
    assert json.loads(CliRunner().invoke(app, usage).stdout)["bank"] == B
