"""`credfed train --federation DIR`: a run over Flower's engine, from a folder that is up or a bank's own directory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from federation.cli.enterprise.consent_text import read_consent_text
from federation.cli.training.cards import write_card, write_card_at
from federation.cli.training.consortium import consortium_results
from federation.cli.training.results import Results, build_results, write_results
from federation.local.deployed.enrolled import EnrolledBank
from federation.local.deployed.members import placement_of
from federation.local.deployed.status import read_status
from federation.local.deployed.training import DeployedBanks
from federation.local.layout import FEDERATION_FILE, read_federation
from federation.process.settings import read_settings
from federation.traffic import RoundEvent
from nodes.bank.opening import open_bank_site
from nodes.bank.settings import BANK_FILE, BankSettings
from nodes.bank.training.split import split_rows
from protocols.boosting.model import BoostingPlan
from protocols.credit.logistic import Signs
from protocols.errors import ConfigurationError
from protocols.scorecard.model import TrainingPlan

Watch = Callable[[RoundEvent], None]


def is_banks_own(folder: Path) -> bool:
    """Tell whether a folder is a bank's own directory, and no federation's."""
    return (folder / BANK_FILE).is_file() and not (folder / FEDERATION_FILE).exists()


def require_up(folder: Path) -> None:
    """Return if the federation of a folder is up. Raises: ConfigurationError, code NOT_UP."""
    if read_status(folder) is None:
        raise ConfigurationError(f"{folder} is not up: credfed up {folder}", code="NOT_UP")


def train_deployed(
    folder: Path,
    plan: TrainingPlan | BoostingPlan,
    test_size: float,
    seed: int,
    minimum_bin: int,
    on_round: Watch,
) -> Results:
    """Train over Flower's engine; write results.json and the model cards into the folder. Raises: as the run does."""
    require_up(folder)
    file, name = read_federation(folder), folder.name
    with ExitStack() as opened:
        sites = {
            bank: opened.enter_context(
                open_bank_site(folder / bank, read_settings(folder / bank / BANK_FILE, BankSettings))
            )
            for bank in file.bank_parties
        }
        banks = DeployedBanks(folder, sites, test_size, seed, placement_of(folder))
        if len(sites) > 1:
            together = banks.train_together(_scorecard(plan), minimum_bin, name, on_round)
            results = consortium_results(banks, together, banks.splits, _scorecard(plan), minimum_bin, name)
            models = [training.model for training in together.banks.values()]
        else:
            training = banks.train(plan, minimum_bin, name, on_round)
            results, models = build_results(name, training, file.key_bits, plan, None), [training.model]
    for model in models:
        write_card(folder, model)
    write_results(folder, results)
    return results


def train_enrolled(
    home: Path,
    plan: TrainingPlan | BoostingPlan,
    test_size: float,
    seed: int,
    minimum_bin: int,
    consent: str | None,
    on_round: Watch,
) -> Results:
    """Train from a bank's own directory; write results.json, model and card into it.

    Raises: ConfigurationError, code CONSENT_NEEDED, which names what to get a consent for; as the run does.
    """
    settings = read_settings(home / BANK_FILE, BankSettings)
    with open_bank_site(home, settings) as site:
        bank = EnrolledBank(home, settings, site, split_rows(site.outcomes, test_size, seed))
        if consent is None:
            bank.refresh()
            domains = "".join(f" --domain {domain}" for domain in sorted({node.domain for node in bank.nodes()}))
            terms = f"--bank {site.keys.party} --purpose training{domains} --cards {home / settings.cards}"
            ask = f"credfed consent issue SERVICE {bank.subject} {terms}"
            raise ConfigurationError(f"--consent is needed, for this cohort: {ask}", code="CONSENT_NEEDED")
        training = bank.train(plan, minimum_bin, read_consent_text(consent), on_round)
        results = build_results(home.name, training, site.paillier.public_key.bits, plan, None)
    write_card_at(home, training.model)
    write_results(home, results)
    return results


def _scorecard(plan: TrainingPlan | BoostingPlan) -> TrainingPlan:
    """Return the plan if several banks can follow it together. Raises: ConfigurationError."""
    if not isinstance(plan, TrainingPlan):
        raise ConfigurationError("several banks train a scorecard together, no boosted trees", code="UNKNOWN_MODEL")
    if plan.signs is not Signs.FREE:
        raise ConfigurationError("--signs is for one bank: a consortium's are free", code="FREE_SIGNS")
    return plan
