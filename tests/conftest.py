"""Fixtures that cost something to make and are made once a process: keys, and a small trained federation."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from federation.local.federation import LocalFederation, Training
from tests.mariadb_server import mariadb_server
from tests.postgres_server import PostgresServer, postgres_server
from tests.small_federation import MINIMUM_BIN, NOW, PLAN, default_split, make_federation, quick_keys

# Every run tries the same examples, however slow the machine; `pytest --hypothesis-profile search` looks for new ones.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", deadline=None)
settings.load_profile("steady")


@dataclass(frozen=True)
class TrainedFederation:
    """A federation's folder after one training run, what crossed the grid meanwhile, and the run itself.

    `recorded` holds, for each Flower message, the party, whether it went to that party, and its bytes.
    """

    folder: Path
    training: Training
    ids: tuple[str, ...]
    recorded: list[tuple[str, bool, bytes]]


@pytest.fixture(autouse=True)
def logging_levels() -> Iterator[None]:
    """Put back what a command set, which is for its whole process: the next test reads logs, too."""
    loggers = [logging.getLogger(name) for name in ("", "nodes", "federation", "protocols", "flwr")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedFederation:
    """A trained federation that no test may change; see `federation_folder` for one that a test may."""
    with quick_keys():
        folder = make_federation(tmp_path_factory.mktemp("federation") / "trained")
    seen: list[tuple[int, bool, bytes]] = []
    with LocalFederation(folder, lambda *message: seen.append(message), clock=lambda: NOW) as federation:
        split = default_split(federation)
        training = federation.train(split, PLAN, MINIMUM_BIN)
        recorded = [(federation.names[node], inbound, data) for node, inbound, data in seen]
        return TrainedFederation(folder, training, federation.bank.cohort_ids(split), recorded)


@pytest.fixture
def federation_folder(trained: TrainedFederation, tmp_path: Path) -> Path:
    """A copy of the trained federation, for this test alone."""
    return Path(shutil.copytree(trained.folder, tmp_path / "federation"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the tests' own."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """The socket of a MariaDB server of the tests' own."""
    with mariadb_server() as socket:
        yield socket
