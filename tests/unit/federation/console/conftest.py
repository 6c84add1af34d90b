"""A log and consoles over it, made once; a test that writes makes its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from console_door import Clock, Door, open_door
from fastapi.testclient import TestClient

from federation.console.examination import Examiner
from tests.console_site import make_site, sources


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log, which no test changes."""
    folder = make_site(tmp_path_factory.mktemp("console") / "site")
    (folder / "console").mkdir()
    return folder


@pytest.fixture
def door(site: Path, tmp_path: Path) -> Iterator[Door]:
    """A console of this test's own over the shared log."""
    opened = open_door(site, tmp_path)
    yield opened
    opened.accounts.close()
    opened.console.index.close()


@pytest.fixture(scope="session")
def shared(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Door:
    """A console over the shared log, examined; tests only read."""
    opened = open_door(site, tmp_path_factory.mktemp("home"))
    opened.console.examiner.examine()
    return opened


@pytest.fixture(scope="session")
def auditor(shared: Door) -> TestClient:
    """An auditor's browser."""
    return shared.enter()


@pytest.fixture
def examiner(site: Path) -> Examiner:
    """An examiner of the shared log."""
    return Examiner(sources(site), Clock())
