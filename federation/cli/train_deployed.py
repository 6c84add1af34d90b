"""`credfed train --federation DIR`: a run over the processes that `credfed up` keeps running."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from federation.cli.cards import write_card
from federation.cli.results import Results, build_results, write_results
from federation.local.deployed.members import placement_of
from federation.local.deployed.supervisor import read_status
from federation.local.deployed.training import DeployedTraining
from federation.local.layout import BANK, read_federation
from federation.process.settings import read_settings
from federation.rounds import RoundEvent
from nodes.bank.opening import open_bank_site
from nodes.bank.settings import BANK_FILE, BankSettings
from protocols.boosting.model import BoostingPlan
from protocols.errors import ConfigurationError
from protocols.scorecard.model import TrainingPlan


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
    on_round: Callable[[RoundEvent], None],
) -> Results:
    """Train over Flower's engine; write results.json and the model card into the folder. Raises: as the run does."""
    require_up(folder)
    home = folder / BANK
    settings = read_settings(home / BANK_FILE, BankSettings)
    with open_bank_site(home, settings) as site:
        run = DeployedTraining(folder, site, test_size, seed, placement_of(folder))
        training = run.run(plan, minimum_bin, folder.name, on_round)
    results = build_results(folder.name, training, read_federation(folder).key_bits, plan, None)
    write_card(folder, training.model)
    write_results(folder, results)
    return results
