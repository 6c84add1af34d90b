"""A log and consoles over it, made once; a test that writes makes its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from federation.console.accounts import Accounts, Role
from federation.console.app import create_app, make_console
from federation.console.context import Console
from federation.console.examination import Examiner
from federation.console.index import Index
from federation.console.sources import Sources
from tests.console_site import BASE, HOSTS, NOW, Book, make_site, sources

PASSWORD = "correct horse battery"  # noqa: S105  of an account that lives as long as a test
SECURE = BASE.replace("http:", "https:")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log, which no test changes."""
    folder = make_site(tmp_path_factory.mktemp("console") / "site")
    (folder / "console").mkdir()
    return folder


class Clock:
    """The console's time, which tests move."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@dataclass(frozen=True)
class Door:
    """A console, and browsers that stand before it."""

    sources: Sources
    accounts: Accounts
    book: Book
    clock: Clock
    console: Console
    visit: Callable[[], TestClient]

    def enter(self, role: Role = Role.AUDITOR, name: str = "lin.wei") -> TestClient:
        """A browser that has logged in, the account made if there is none."""
        if name not in {one.name for one in self.accounts.every()}:
            token = self.accounts.add(name, role, self.clock())
            assert self.accounts.set_up(name, token, PASSWORD, self.clock())
        browser = self.visit()
        answer = browser.post("/login", data={"name": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return browser


def open_door(folder: Path, home: Path, live: bool = True) -> Door:
    """A console over `folder` with its own folder `home`; nothing is examined until a test asks for it."""
    book, clock = Book(), Clock()
    found = dataclasses.replace(sources(folder, book, live), home=home)
    accounts, index = Accounts(home), Index(home / "index.sqlite")
    console = make_console(found, accounts, index, clock)
    app = create_app(console, HOSTS)

    def visit() -> TestClient:
        return TestClient(
            app, SECURE, headers={"origin": SECURE}, follow_redirects=False, raise_server_exceptions=False
        )

    return Door(found, accounts, book, clock, console, visit)


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
