"""One API that all tests of this folder call; none of them stops it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.bank_api import RunningApi, served
from tests.conftest import TrainedFederation


@pytest.fixture(scope="package")
def api(trained: TrainedFederation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    folder = tmp_path_factory.mktemp("bank-api") / "federation"
    shutil.copytree(trained.folder, folder)
    with served(folder) as running:
        yield running
