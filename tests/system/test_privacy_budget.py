"""A budget of differential privacy is spent by bank and year, at every node; a restart does not refill it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from federation.local.consortium import train_consortium
from federation.local.federation import LocalFederation
from federation.local.founding import create_federation
from federation.local.layout import BANK
from nodes.bank.training.split import split_rows
from nodes.data_node.charges import YearAccount
from nodes.policy import PrivacyRules, TrainingRules, usual_policy
from nodes.sources import read_description
from protocols.boosting.model import BoostingPlan
from protocols.channel.identity import PartyId
from protocols.errors import BudgetExceeded, ConfigurationError, PeerRefused, PolicyDenied
from protocols.privacy import NANO
from protocols.scorecard.model import TrainingPlan
from tests.small_federation import (
    KEY_BITS,
    MINIMUM_BIN,
    NODES,
    NOW,
    POLICY,
    codes,
    default_split,
    make_federation,
    quick_keys,
    write_dataset,
)
from tests.split_banks import split_bank

# So much that noise hardly moves a sum: which features a run selects, and so what it releases, is not left to chance.
RULES = PrivacyRules(rho_per_year=1000, rho_per_run=400)
YEAR = 366 * 86_400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with quick_keys():
        training = msgspec.structs.replace(POLICY.rules[0].training, privacy=RULES)
        return make_federation(tmp_path / "private", usual_policy((BANK,), training=training))


def train(folder: Path, rho: float, now: int = NOW) -> dict[str, YearAccount]:
    with LocalFederation(folder, clock=lambda: now) as federation:
        plan = TrainingPlan(refinements=1, rho=round(rho * NANO))
        return federation.train(default_split(federation), plan, MINIMUM_BIN).accounts


def refusal(folder: Path, rho: float, now: int = NOW) -> str:
    with pytest.raises(PeerRefused) as refused:
        train(folder, rho, now)
    return refused.value.code


def test_runs_spend_the_years_budget_across_restarts_until_it_refuses(folder: Path) -> None:
    assert refusal(folder, 0) == "NOISE_REQUIRED"
    assert refusal(folder, 420) == "PRIVACY_BUDGET"
    for runs in (1, 2):
        accounts = train(folder, 400)
        assert set(accounts) == set(NODES)
        for account in accounts.values():
            assert 400 * runs - 1 < account.rho_spent <= 400 * runs
            assert account.rho_per_year == 1000
    assert refusal(folder, 400) == "PRIVACY_BUDGET"
    assert train(folder, 400, NOW + YEAR)["tax"].rho_spent <= 400


def test_a_run_that_breaks_off_has_spent_what_it_released(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node's histograms are out when the run ends: their share stays spent, the rest does not."""

    def broken(*_: object) -> None:
        raise ConfigurationError("the bank's machine stops")

    with monkeypatch.context() as patch:
        patch.setattr("protocols.scorecard.bank.bin_all", broken)
        with pytest.raises(PeerRefused):
            train(folder, 400)
    assert 559 < train(folder, 400)["tax"].rho_spent < 561


def test_rules_admit_what_they_name_and_nothing_beyond() -> None:
    RULES.check(10 * NANO)
    PrivacyRules(rho_per_year=2).check(2 * NANO)
    with pytest.raises(PolicyDenied):
        RULES.check(0)
    with pytest.raises(BudgetExceeded):
        PrivacyRules(rho_per_year=2).check(2 * NANO + 1)


@pytest.mark.slow
def test_boosted_trees_spend_the_same_budget_and_a_restart_keeps_it(folder: Path) -> None:
    plan = BoostingPlan(trees=8, group=2, row_totals=1, rho=400 * NANO)
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        accounts = federation.train(default_split(federation), plan, MINIMUM_BIN).accounts
    assert set(accounts) == set(NODES)
    assert all(40 <= account.rho_spent <= 400 for account in accounts.values())
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        assert federation.accounts(BANK) == accounts
    exact = BoostingPlan(trees=8, group=2, row_totals=1)
    with LocalFederation(folder, clock=lambda: NOW) as federation, pytest.raises(PeerRefused) as refused:
        federation.train(default_split(federation), exact, MINIMUM_BIN)
    assert refused.value.code == "NOISE_REQUIRED"


@pytest.mark.slow
def test_each_bank_of_a_consortium_is_charged_for_itself_and_a_restart_keeps_it(tmp_path: Path) -> None:
    """Neither bank's year has room for a second run of the same size, whoever asks with it."""
    banks, folder = (PartyId("bank_a"), PartyId("bank_b")), tmp_path / "together"
    write_dataset(folder / "data", codes(500))
    split_bank(folder / "data", dict.fromkeys(map(str, banks), 0.5))
    rules = TrainingRules(minimum_bin=MINIMUM_BIN, minimum_key_bits=KEY_BITS, privacy=PrivacyRules(rho_per_year=1000))
    with quick_keys():
        create_federation(folder, read_description(folder / "data"), KEY_BITS, usual_policy(banks, training=rules))
    plan = TrainingPlan(refinements=1, rho=800 * NANO)
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        splits = {bank: split_rows(known, 0.3, 0) for bank, known in federation.bank_outcomes.items()}
        trained = train_consortium(federation, splits, plan, MINIMUM_BIN, "")
        assert {held.model.bank for held in trained.banks.values()} == set(banks)
    with LocalFederation(folder, clock=lambda: NOW) as federation:
        for bank in banks:
            accounts = federation.accounts(bank)
            assert all(799 < account.rho_spent <= 800 and account.rho_per_year == 1000 for account in accounts.values())
        with pytest.raises(PeerRefused) as refused:
            train_consortium(federation, splits, plan, MINIMUM_BIN, "")
        assert refused.value.code == "PRIVACY_BUDGET"
