"""`credfed model`: shows what the bank has signed, and nothing that anyone has changed since."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from federation.cli.main import app
from federation.cli.training.cards import CARD_HTML, CARD_JSON, model_card, write_card
from federation.local.layout import read_federation
from federation.report.card import render_card
from federation.report.card_data import ModelCard
from nodes.bank.model.file import ModelTree, read_model_file, sign_model_file, write_model_file
from nodes.binning import cohort_columns, row_index
from nodes.keystore import read_cards, read_keys
from nodes.sources import read_bank_source, read_description, read_node_source
from protocols.boosting.trees import Split, Tree
from protocols.channel.identity import PartyId
from protocols.channel.wire import encode
from protocols.credit.metrics import validate
from protocols.credit.scale import SCORE_FACTOR, score
from tests.conftest import TrainedFederation
from tests.small_federation import MINIMUM_BIN

Json = dict[str, Any]


def credfed(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def altered(folder: Path, change: Callable[[Json], object]) -> None:
    """Change the model file as someone with write access could."""
    path = folder / "bank" / "model.json"
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture(scope="module")
def card(trained: TrainedFederation) -> ModelCard:
    return model_card(trained.training.model)


def test_show_prints_what_a_person_asks_for(trained: TrainedFederation, card: ModelCard) -> None:
    result = credfed("model", "show", trained.folder)
    assert result.exit_code == 0, result.output
    assert card.model in result.output
    assert f"AUC {card.validation.auc:.4f}" in " ".join(result.output.split())
    for feature in card.features:
        assert (feature.name in result.output) == feature.selected
    assert "row_totals" in result.output


def test_show_json_is_the_whole_card(trained: TrainedFederation, card: ModelCard) -> None:
    result = credfed("model", "show", trained.folder, "--json")
    assert result.exit_code == 0
    assert msgspec.json.decode(result.stdout.encode(), type=ModelCard) == card


def test_the_keys_of_the_json_card_are_stable(card: ModelCard) -> None:
    content = json.loads(msgspec.json.encode(card))
    assert content["format"] == "credit-federation-model-card/2"
    assert {
        "title": str,
        "family": str,
        "bank": str,
        "model": str,
        "dataset": str,
        "outcome": str,
        "created": str,
        "data_as_of": str,
        "base_score": float,
        "intended_use": list,
        "not_for": list,
        "limits": list,
        "not_protected": list,
        "warnings": list,
        "training": dict,
        "coverage": list,
        "constant": float,
        "features": list,
        "trees": list,
        "validation": dict,
        "leaks": list,
        "nodes": list,
        "format": str,
    } == {key: type(value) for key, value in content.items()}


def test_the_card_says_what_the_run_was(trained: TrainedFederation, card: ModelCard) -> None:
    training, n = trained.training, trained.training.data.training_rows
    log_odds = training.scorecard.calibration.log_odds(training.scorecard.totals)
    found = validate(log_odds[n:], training.data.bad[n:])
    assert (card.validation.auc, card.validation.ks, card.validation.brier) == (found.auc, found.ks, found.brier)
    assert (card.training.rows_train, card.training.rows_test) == (n, len(trained.ids) - n)
    assert card.training.seed == 0
    assert {row.leak: row.times for row in card.leaks} == training.leaks
    assert [node.domain for node in card.nodes] == list(read_federation(trained.folder).domains)
    assert card.created.endswith("Z")


def test_the_card_says_as_of_when_each_party_s_records_speak(trained: TrainedFederation, card: ModelCard) -> None:
    description = read_description(trained.folder / read_federation(trained.folder).data)
    own = read_bank_source(description)[0].said_as_of
    said = {domain: read_node_source(description, domain).said_as_of for domain in description.node_domains}
    assert {row.domain: row.as_of for row in card.coverage} == said | {"bank": own}
    assert card.data_as_of == own
    assert all(said.values())
    shown = " ".join(credfed("model", "show", trained.folder).output.split())
    assert all(f"as of {date}" in shown for date in said.values())


def test_a_district_that_does_not_say_when_its_records_speak_leaves_its_domain_without_a_date(
    trained: TrainedFederation,
) -> None:
    model = trained.training.model
    run, nodes = model.training.run, model.signed_manifest().manifest.nodes
    silent = msgspec.structs.replace(run, dates={entry.party: run.said_dates[entry.party] for entry in nodes[1:]})
    facts = msgspec.structs.replace(model.training, run=silent)
    rows = {row.domain: row.as_of for row in model_card(msgspec.structs.replace(model, training=facts)).coverage}
    assert rows[nodes[0].domain] == ""
    assert all(rows[entry.domain] for entry in nodes[1:])


def test_a_model_from_before_nodes_said_their_dates_is_still_what_its_bank_signed(federation_folder: Path) -> None:
    path = federation_folder / "bank" / "model.json"
    model = read_model_file(path, read_cards(federation_folder / "cards").cards[PartyId("bank")])
    run = msgspec.structs.replace(model.training.run, dates=msgspec.UNSET)
    older = msgspec.structs.replace(model, training=msgspec.structs.replace(model.training, run=run), signature="")
    write_model_file(path, sign_model_file(older, read_keys(federation_folder / "bank")))
    assert "dates" not in json.loads(path.read_bytes())["training"]["run"]
    shown = credfed("model", "show", federation_folder, "--json")
    assert shown.exit_code == 0, shown.output
    assert {row["domain"] for row in json.loads(shown.stdout)["coverage"] if not row["as_of"]} == {
        entry.domain for entry in model.signed_manifest().manifest.nodes
    }


def test_points_add_up_to_the_score(trained: TrainedFederation, card: ModelCard) -> None:
    model = trained.training.model
    most = sum(max(step.points for step in f.bins) for f in card.features if f.selected)
    total = trained.training.scorecard.manifest.manifest.maximum_total
    assert most == pytest.approx(total * model.slope * SCORE_FACTOR)
    assert card.base_score + most == pytest.approx(score(model.intercept + model.slope * total), abs=0.05)


def test_coefficients_and_woe_add_up_to_the_points(card: ModelCard) -> None:
    for feature in card.features:
        assert (feature.coefficient is not None) == feature.selected
        if feature.coefficient is None:
            continue
        first = feature.bins[0]
        for step in feature.bins[1:]:
            rise = score(feature.coefficient * step.woe) - score(feature.coefficient * first.woe)
            assert step.points - first.points == pytest.approx(rise, abs=0.11)


def test_coverage_is_what_the_files_hold(trained: TrainedFederation, card: ModelCard) -> None:
    """The card's shares of missing values, from counts that left their owners, equal those of the owners' own files."""
    description = read_description(trained.folder / "data")
    tables = {d: read_node_source(description, d) for d in description.node_domains}
    tables["bank"] = read_bank_source(description)[0]
    ids = trained.ids[: trained.training.data.training_rows]
    assert {row.domain for row in card.coverage} == set(tables)
    for row in card.coverage:
        columns = cohort_columns(tables[row.domain], row_index(tables[row.domain]), ids).values()
        absent = [sum(value is None or value != value for value in column.tolist()) for column in columns]
        shares = [count / len(ids) if count >= MINIMUM_BIN else 0.0 for count in absent]
        assert row.covered == pytest.approx(1 - min(shares))
        assert row.covered_mean == pytest.approx(1 - sum(shares) / len(shares))


def test_no_enterprise_and_no_value_of_one_is_in_model_or_card(trained: TrainedFederation, card: ModelCard) -> None:
    model = (trained.folder / "bank" / "model.json").read_text(encoding="utf-8")
    shown = msgspec.json.encode(card).decode() + render_card(card)
    assert not [identifier for identifier in trained.ids if identifier in model + shown]
    description = read_description(trained.folder / "data")
    tables = [read_bank_source(description)[0], *(read_node_source(description, d) for d in description.node_domains)]
    numbers = {v for t in tables for c in t.columns.values() if c.dtype == float for v in c.tolist() if v == v}
    assert len(numbers) > 500
    kept = set(_floats(json.loads(msgspec.json.encode(card)))) - {0.0, 1.0}
    assert len(kept) > 100
    assert not kept & numbers


def _floats(value: object) -> list[float]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in _floats(item)]
    if isinstance(value, list):
        return [number for item in value for number in _floats(item)]
    return [value] if isinstance(value, float) else []


CHANGES: dict[str, Callable[[Json], object]] = {
    "a better AUC": lambda m: m["quality"].update(auc=0.99),
    "fewer leaks": lambda m: m["training"]["run"]["leaks"].update(row_totals=0),
    "more points in one step": lambda m: m["features"][0]["bins"][0].update(points=9999),
    "another edge of the bank's own feature": lambda m: m["own_binnings"][0]["edges"].append(1e9),
    "a feature less": lambda m: m["features"].pop(),
    "another intercept": lambda m: m.update(intercept=m["intercept"] + 1e-9),
    "another model's name": lambda m: m.update(model="0" * 64),
    "no signature": lambda m: m.update(signature=""),
    "a signature of zeros": lambda m: m.update(signature=base64.b64encode(bytes(64)).decode()),
    "another format": lambda m: m.update(format="credit-federation-model/0"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_an_altered_model_is_not_shown(federation_folder: Path, change: Callable[[Json], object]) -> None:
    altered(federation_folder, change)
    shown = credfed("model", "show", federation_folder, "--json")
    assert shown.exit_code == 1
    assert json.loads(shown.stdout)["error"]["code"] == "MODEL_TAMPERED"
    page = federation_folder / "card.html"
    assert credfed("model", "card", federation_folder, "--out", page).exit_code == 1
    assert not page.exists()


@pytest.mark.parametrize(
    "change",
    [lambda m: m.update(note="trust me"), lambda m: m["quality"].update(auc="high"), lambda m: m.pop("training")],
    ids=["a field that nobody signed", "a word for a number", "a part left out"],
)
def test_a_model_that_is_none_is_not_shown(federation_folder: Path, change: Callable[[Json], object]) -> None:
    altered(federation_folder, change)
    result = credfed("model", "show", federation_folder, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "MODEL_UNREADABLE"


def test_an_altered_model_answers_no_question(federation_folder: Path, trained: TrainedFederation) -> None:
    altered(federation_folder, CHANGES["another intercept"])
    result = credfed("assess", trained.ids[0], "--federation", federation_folder, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "MODEL_TAMPERED"


def test_a_model_that_was_formatted_anew_is_still_the_signed_one(federation_folder: Path, card: ModelCard) -> None:
    altered(federation_folder, lambda m: None)
    result = credfed("model", "show", federation_folder, "--json")
    assert msgspec.json.decode(result.stdout.encode(), type=ModelCard) == card


def test_a_bank_cannot_sign_in_a_node_s_stead(federation_folder: Path, trained: TrainedFederation) -> None:
    """The bank signs whatever it likes; a manifest that one node has not signed is refused all the same."""
    signed = trained.training.scorecard.manifest
    forged = msgspec.structs.replace(signed, signatures=(bytes(64), *signed.signatures[1:]))
    manifest = base64.b64encode(encode(forged)).decode()
    model = sign_model_file(
        msgspec.structs.replace(trained.training.model, manifest=manifest), read_keys(federation_folder / "bank")
    )
    write_model_file(federation_folder / "bank" / "model.json", model)
    result = credfed("model", "show", federation_folder, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "VERIFICATION_FAILED"


def test_no_model_and_no_federation_are_named(federation_folder: Path, tmp_path: Path) -> None:
    (federation_folder / "bank" / "model.json").unlink()
    for folder, code in ((federation_folder, "NO_MODEL"), (tmp_path / "nowhere", "NOT_A_FEDERATION")):
        result = credfed("model", "show", folder, "--json")
        assert result.exit_code == 2
        assert json.loads(result.stdout)["error"]["code"] == code


def test_card_writes_the_page(trained: TrainedFederation, card: ModelCard, tmp_path: Path) -> None:
    page = tmp_path / "card.html"
    assert credfed("model", "card", trained.folder, "--out", page).exit_code == 0
    assert page.read_text(encoding="utf-8") == render_card(card)
    failed = credfed("model", "card", trained.folder, "--out", tmp_path / "no such folder" / "card.html")
    assert failed.exit_code == 2


def test_training_leaves_both_forms_of_the_card(federation_folder: Path, trained: TrainedFederation) -> None:
    card = write_card(federation_folder, trained.training.model)
    assert (federation_folder / "bank" / CARD_HTML).read_text(encoding="utf-8") == render_card(card)
    stored = (federation_folder / "bank" / CARD_JSON).read_bytes()
    assert msgspec.json.decode(stored, type=ModelCard) == card


@pytest.mark.slow
def test_train_writes_model_and_card(trained: TrainedFederation, tmp_path: Path) -> None:
    result = credfed("train", "--data", trained.folder / "data", "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    bank = tmp_path / "out" / "bank"
    assert {CARD_HTML, CARD_JSON, "model.json"} <= {path.name for path in bank.iterdir()}
    shown = credfed("model", "show", tmp_path / "out", "--json")
    card = msgspec.json.decode(shown.stdout.encode(), type=ModelCard)
    assert (card.dataset, card.outcome, card.training.key_bits) == ("data", "defaulted", 2048)
    assert msgspec.json.decode((bank / CARD_JSON).read_bytes(), type=ModelCard) == card
    assert card.validation.auc == pytest.approx(json.loads(result.stdout)["auc"], abs=1e-6)


def test_a_model_without_coefficients_or_steps_has_a_card(trained: TrainedFederation, tmp_path: Path) -> None:
    """What a family of trees would store: features that were chosen, without bins."""
    features = tuple(
        msgspec.structs.replace(feature, bins=(), coefficient=None) for feature in trained.training.model.features
    )
    model = msgspec.structs.replace(trained.training.model, family="boosting", constant=None, features=features)
    signed = sign_model_file(model, read_keys(trained.folder / "bank"))
    write_model_file(tmp_path / "model.json", signed)
    stored = read_model_file(tmp_path / "model.json", read_cards(trained.folder / "cards").cards[PartyId("bank")])
    assert "no table of points" in render_card(model_card(stored))


def test_the_card_of_trees_counts_their_splits_and_says_what_they_can_give(trained: TrainedFederation) -> None:
    base = trained.training.model
    (first, second) = (feature for feature in base.features if feature.party == "tax")
    split = Split(1, (True, False))
    grown = (
        ModelTree("tax", Tree(((split,), (split, None))), (30, 0, 10), 0),
        ModelTree("tax", Tree(((Split(0, (True, False)),),)), (0, 25), 0),
    )
    card = model_card(msgspec.structs.replace(base, family="boosting", constant=None, trees=grown))
    assert card.title == "Boosted credit model for small enterprises"
    splits = {(f.party, f.name): f.splits for f in card.features if f.splits}
    assert splits == {("tax", first.name): 1, ("tax", second.name): 2}
    (trees,) = card.trees
    assert (trees.party, trees.trees, trees.splits) == ("tax", 2, 3)
    assert trees.range == pytest.approx((30 + 25) * base.slope * SCORE_FACTOR)
