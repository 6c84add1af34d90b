"""A federation of processes that several modules share: starting one takes longer than most tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import TrainedFederation
from tests.system.service_federation import ServiceFederation, prepare, up

QUICK_STREAM = {"heartbeat_seconds": 0.5, "silence_seconds": 5.0, "slow_seconds": 1.0}


@pytest.fixture(scope="package")
def services(trained: TrainedFederation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceFederation]:
    """Coordinator and data nodes, running; a test that stops one starts it again."""
    folder = Path(shutil.copytree(trained.folder, tmp_path_factory.mktemp("services") / "federation"))
    with up(prepare(folder, node_seconds=3.0, witness_seconds=0.5, stream=QUICK_STREAM)) as federation:
        yield federation
