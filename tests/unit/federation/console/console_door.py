"""A console over a folder, and browsers that stand before it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi.testclient import TestClient

from federation.console.accounts import Accounts, Role
from federation.console.app import create_app, make_console
from federation.console.context import Console
from federation.console.index import Index
from federation.console.sources import Sources
from tests.console_site import BASE, HOSTS, NOW, Book, sources

PASSWORD = "correct horse battery"  # noqa: S105  of an account that lives as long as a test
SECURE = BASE.replace("http:", "https:")
EVIL = "</title><script>alert(1)</script><img src=x onerror=alert(2)>'\"\u202e"


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
