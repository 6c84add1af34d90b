"""A bank's API that really serves HTTP on a loopback port, over a small federation in the same process."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

from federation.local.bank_service import LocalBankService
from federation.local.federation import LocalFederation
from federation.local.layout import BANK
from nodes.bank.api.app import create_app
from nodes.bank.api.context import BankContext
from nodes.bank.api.settings import ApiSettings
from nodes.bank.store import api_keys
from nodes.bank.store.api_keys import Scope
from nodes.bank.store.database import DATABASE_FILE, Database
from nodes.bank.watching.webhooks import open_signer
from tests.small_federation import NOW

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # every address here is plain HTTP; the usual one is slow to make


class Clock:
    """A clock that a test sets; it stands still otherwise."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@dataclass(frozen=True)
class RunningApi:
    """One API that is served now."""

    address: str
    bank: BankContext
    database: Database
    federation: LocalFederation
    clock: Clock

    def client(self, *scopes: Scope) -> httpx.Client:
        """A client with an API key of these scopes; of all, without any."""
        granted = frozenset(scopes or Scope)
        _, token = self.database.do(lambda c: api_keys.create(c, "test", granted, self.clock(), None))
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.address, headers=headers, timeout=60, verify=_NO_TLS)


@contextmanager
def served(
    folder: Path, *, lend_consents: bool = True, settings: ApiSettings | None = None, clock: Clock | None = None
) -> Iterator[RunningApi]:
    """Serve the API of a trained federation's folder until the end of the block."""
    ticking = clock or Clock()
    with ExitStack() as stack:
        federation = stack.enter_context(LocalFederation(folder, clock=ticking))
        service = stack.enter_context(closing(LocalBankService(federation, lend_consents=lend_consents)))
        database = stack.enter_context(closing(Database(folder / BANK / DATABASE_FILE)))
        chosen = settings or ApiSettings(bank=BANK, loopback_webhooks=True, clock=ticking, idle_seconds=0.05)
        app = create_app(service, database, open_signer(folder / BANK), chosen)
        address = stack.enter_context(_listening(app))
        yield RunningApi(address, app.state.bank, database, federation, ticking)


@contextmanager
def _listening(app: FastAPI) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="info", log_config=None, ws="none"))
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=30)
