"""Two banks train over Flower's deployed engine what they train in one process, bit for bit; each then asks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from federation.audit import verify_directory
from federation.cli.training.model import verified_model
from federation.local.consortium import train_consortium
from federation.local.deployed.training import DeployedBanks
from federation.local.federation import LocalFederation
from tests.small_federation import MINIMUM_BIN, NODES, PLAN
from tests.system.deploying import deployed_federation, open_banks, passable_folder
from tests.system.test_consortium_federation import A, B, found, splits_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with passable_folder("consortium") as outer:
        found(outer / "federation")
        yield outer / "federation"


def test_a_deployed_consortium_gives_the_embedded_ones_model(folder: Path) -> None:
    shutil.copytree(folder, folder.parent / "embedded")
    with LocalFederation(folder.parent / "embedded") as federation:
        embedded = train_consortium(federation, splits_of(federation), PLAN, MINIMUM_BIN, "embedded")
    rounds = []
    with deployed_federation(folder), open_banks(folder) as sites:
        banks = DeployedBanks(folder, sites, 0.3, 0)
        training = banks.train_together(PLAN, MINIMUM_BIN, "deployed", rounds.append)
    assert list(training.banks) == [A, B]
    for bank, held in training.banks.items():
        same = embedded.banks[bank]
        assert held.scorecard.candidate.points == same.scorecard.candidate.points
        assert held.scorecard.calibration == same.scorecard.calibration
        np.testing.assert_array_equal(held.scorecard.totals, same.scorecard.totals)
        assert held.leaks == same.leaks
        assert verified_model(folder, bank).model == held.model.model
    assert len(rounds) == training.banks[A].traffic.rounds == embedded.banks[A].traffic.rounds
    assert set(training.banks[A].traffic.bytes_sent) == {A, B, *NODES}
    assert verify_directory(folder).ok
