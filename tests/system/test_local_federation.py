"""A federation in one process: what it leaves behind when a run fails, and when it is used in ways nobody planned."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from sklearn.model_selection import train_test_split

from federation.audit import verify_directory
from federation.local.federation import LocalFederation
from federation.local.founding import create_federation
from federation.local.layout import BANK, read_federation
from nodes.bank.training.split import split_rows
from nodes.data_node.charges import YearAccount
from nodes.policy import POLICY_FILE, Quota, read_policy, usual_policy, write_policy
from nodes.sources import read_description
from protocols.errors import ConfigurationError, CreditFederationError, PeerRefused
from protocols.scorecard.model import TrainingPlan
from protocols.uscc import synthetic
from tests.conftest import TrainedFederation
from tests.small_federation import (
    KEY_BITS,
    MINIMUM_BIN,
    NODES,
    NOW,
    PLAN,
    POLICY,
    default_split,
    make_federation,
    quick_keys,
    write_dataset,
    write_description,
)


@pytest.fixture
def untrained(tmp_path: Path) -> Path:
    with quick_keys():
        return make_federation(tmp_path / "untrained")


def change_training(folder: Path, node: str, **numbers: int) -> None:
    path = folder / node / POLICY_FILE
    policy = read_policy(path)
    rules = [structs.replace(rule, training=structs.replace(rule.training, **numbers)) for rule in policy.rules]
    write_policy(path, structs.replace(policy, rules=tuple(rules)))


def test_every_secret_is_for_its_owner_alone(federation_folder: Path) -> None:
    for party in (*NODES, BANK, "coordinator", "consent_service"):
        assert stat.S_IMODE((federation_folder / party).stat().st_mode) == 0o700
        for secret in (federation_folder / party).glob("*.key"):
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_an_untrained_federation_answers_nothing(untrained: Path) -> None:
    with LocalFederation(untrained, clock=lambda: NOW) as federation:
        with pytest.raises(ConfigurationError) as refusal:
            federation.assess([federation.bank_table.ids[0]])
        assert refusal.value.code == "NO_MODEL"


def test_a_run_that_one_owner_refuses_leaves_no_model_and_can_be_tried_again(untrained: Path) -> None:
    change_training(untrained, "tax", row_totals=1)
    with LocalFederation(untrained, clock=lambda: NOW) as federation:
        split = default_split(federation)
        with pytest.raises(PeerRefused) as refusal:
            federation.train(split, PLAN, MINIMUM_BIN)
        assert refusal.value.code == "LEAK_BUDGET"
        assert "tax" in str(refusal.value)
        assert not (untrained / BANK / "model.json").exists()
        assert read_federation(untrained).model == ""
        training = federation.train(split, TrainingPlan(refinements=0), MINIMUM_BIN)
        assert federation.assess(federation.bank_table.ids[:1])[0].model == training.model.model
    assert verify_directory(untrained).ok


def test_a_bank_that_repeats_its_runs_exhausts_its_year(untrained: Path) -> None:
    """Each run stays within the owners' budget of a run; the third would exceed that of the year at one node."""
    change_training(untrained, "tax", row_totals_per_year=2)
    for _ in range(2):
        with LocalFederation(untrained, clock=lambda: NOW) as federation:
            training = federation.train(default_split(federation), TrainingPlan(refinements=0), MINIMUM_BIN)
    assert training.accounts["tax"] == YearAccount(2, 2)
    with LocalFederation(untrained, clock=lambda: NOW) as federation, pytest.raises(PeerRefused) as refusal:
        federation.train(default_split(federation), TrainingPlan(refinements=0), MINIMUM_BIN)
    assert (refusal.value.code, "tax" in str(refusal.value)) == ("LEAK_BUDGET", True)
    with LocalFederation(untrained, clock=lambda: NOW + 366 * 86_400) as federation:
        federation.train(default_split(federation), TrainingPlan(refinements=0), MINIMUM_BIN)


@pytest.mark.parametrize("node", [NODES[0], NODES[-1]])
def test_a_node_that_leaves_in_the_middle_of_a_run_ends_it(
    untrained: Path, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalFederation(untrained, clock=lambda: NOW) as federation:
        number = next(number for number, name in federation.names.items() if name == node)
        app, calls = federation._grid._apps[number], []

        def leaving(*message: object) -> object:
            calls.append(message)
            if len(calls) > 3:
                raise ConnectionError("gone")
            return app(*message)

        monkeypatch.setitem(federation._grid._apps, number, leaving)
        with pytest.raises(CreditFederationError) as refusal:
            federation.train(default_split(federation), PLAN, MINIMUM_BIN)
        assert refusal.value.code == "TRANSPORT"
        monkeypatch.setitem(federation._grid._apps, number, app)
        assert federation.train(default_split(federation), PLAN, MINIMUM_BIN).model.model
    assert verify_directory(untrained).ok


def test_a_second_run_replaces_the_banks_model(federation_folder: Path) -> None:
    first = read_federation(federation_folder).model
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        federation.train(default_split(federation), TrainingPlan(refinements=0), MINIMUM_BIN)
        (result,) = federation.assess(federation.bank_table.ids[:1])
    second = read_federation(federation_folder).model
    assert result.model == second != first


def test_one_process_at_a_time_serves_a_federation(federation_folder: Path) -> None:
    with LocalFederation(federation_folder, clock=lambda: NOW), pytest.raises(ConfigurationError):
        LocalFederation(federation_folder, clock=lambda: NOW)
    with LocalFederation(federation_folder, clock=lambda: NOW) as again:
        assert again.log.size


def test_a_cohort_below_k_is_bad_input(federation_folder: Path) -> None:
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        size = federation.log.size
        with pytest.raises(ConfigurationError) as refusal:
            federation.train(default_split(federation), PLAN, 1000)
        assert refusal.value.code == "COHORT_TOO_SMALL"
        assert federation.log.size == size


def test_a_quota_is_spent_and_then_denied(federation_folder: Path, trained: TrainedFederation) -> None:
    write_policy(federation_folder / "social" / POLICY_FILE, usual_policy((BANK,), quota=Quota(per_day=2)))
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        results = federation.assess(trained.ids[:3])
    assert [result.status for result in results] == ["ok", "ok", "denied"]
    assert results[2].denied_by == {"social": "QUOTA"}
    with LocalFederation(federation_folder, clock=lambda: NOW + 86_400) as federation:
        assert federation.assess(trained.ids[:1])[0].status == "ok"


def test_a_consent_that_was_withheld_stays_withheld(federation_folder: Path, trained: TrainedFederation) -> None:
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        federation.withhold_consent(trained.ids[0])
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        result, other = federation.assess(trained.ids[:2])
    assert (result.status, result.code) == ("denied", "CONSENT_MISSING")
    assert set(result.denied_by) == set(NODES)
    assert other.status == "ok"


def test_an_opaque_id_with_blanks_in_it_can_withhold_its_consent(tmp_path: Path) -> None:
    ids = [f"Acme  {number} Ltd" for number in range(200)]
    data = write_dataset(tmp_path / "data", ids)
    with quick_keys():
        create_federation(tmp_path / "federation", read_description(data), KEY_BITS, POLICY)
    with LocalFederation(tmp_path / "federation", clock=lambda: NOW) as federation:
        federation.train(default_split(federation), TrainingPlan(refinements=0), MINIMUM_BIN)
        federation.withhold_consent(ids[3])
        assert [result.status for result in federation.assess(ids[3:5])] == ["denied", "ok"]
        for wrong in ("", "two\nlines", "x" * 129):
            with pytest.raises(ConfigurationError):
                federation.assess([wrong])


def test_an_enterprise_that_nobody_knows_gets_no_score_and_is_in_the_log(federation_folder: Path) -> None:
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        size = federation.log.size
        (result,) = federation.assess([synthetic(800_000)])
        assert (result.status, result.code) == ("failed", "INSUFFICIENT_COVERAGE")
        assert result.receipt is not None
        assert size <= result.receipt < federation.log.size


def test_a_category_that_training_never_saw_is_scored(federation_folder: Path, trained: TrainedFederation) -> None:
    path = federation_folder / "data" / "node_tax.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    row = next(i for i, line in enumerate(lines) if line.startswith(trained.ids[0]))
    lines[row] = f"{trained.ids[0]},-9e99,从未见过"
    path.write_text("\n".join(lines), encoding="utf-8")
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        assert federation.assess(trained.ids[:1])[0].status == "ok"


def test_keys_of_an_impossible_length_and_reserved_names_are_refused_before_any_folder(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    with pytest.raises(ConfigurationError) as refusal:
        create_federation(tmp_path / "site", read_description(data), 2050, POLICY)
    assert refusal.value.code == "KEY_LENGTH"
    (data / "node_tax.csv").rename(data / "node_cards.csv")
    write_description(data, {"cards": ["sales"], "social": ["staff"]})
    for name in ("electricity", "housing"):
        (data / f"node_{name}.csv").unlink()
    with pytest.raises(ConfigurationError):
        create_federation(tmp_path / "site", read_description(data), KEY_BITS, POLICY)
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(("size", "seed"), [(0.3, 0), (0.25, 7), (0.5, 2**32 - 1)])
def test_the_split_is_the_one_that_every_report_names(size: float, seed: int) -> None:
    outcomes = np.array([0, 0, 0, 1] * 100)
    split = split_rows(outcomes, size, seed)
    training, test = train_test_split(np.arange(400), test_size=size, random_state=seed, stratify=outcomes)
    assert split.training.tolist() == training.tolist()
    assert split.test.tolist() == test.tolist()


@pytest.mark.parametrize("outcomes", [[0, 0, 0, 0, 1], [0, 1]])
def test_rows_that_cannot_be_split_are_bad_input(outcomes: list[int]) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        split_rows(np.array(outcomes), 0.3, 0)
    assert refusal.value.code == "BAD_SPLIT"


def test_a_batch_gives_every_enterprise_the_answer_it_would_get_alone(federation_folder: Path) -> None:
    with LocalFederation(federation_folder, clock=lambda: NOW) as federation:
        asked = [*federation.bank_table.ids[:30], synthetic(9_999)]
        federation.withhold_consent(asked[3])
        batch = federation.assess(asked)
        alone = [federation.assess([enterprise])[0] for enterprise in asked]
        assert [federation.log.size > 0, federation.log.witnessed_size] == [True, federation.log.size]
    assert [(r.enterprise, r.status, r.code, r.pd, r.score, r.grade, r.themes, r.coverage) for r in batch] == [
        (r.enterprise, r.status, r.code, r.pd, r.score, r.grade, r.themes, r.coverage) for r in alone
    ]
    assert batch[3].code == "CONSENT_MISSING"
    assert batch[-1].code == "INSUFFICIENT_COVERAGE"
    assert len({r.request for r in batch}) == len(asked)
    assert verify_directory(federation_folder).ok
