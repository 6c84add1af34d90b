"""Serves the bank's API on an address: this machine alone, unless it has a certificate."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn

from nodes.bank.api.app import create_app
from nodes.bank.api.settings import ApiSettings
from nodes.bank.service import BankService
from nodes.bank.settings import ApiOptions
from nodes.bank.store.database import DATABASE_FILE, Database
from nodes.bank.watching.webhooks import open_signer
from protocols.errors import ConfigurationError

GRACE_SECONDS: Final = 10
MAX_CONNECTIONS: Final = 512


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """Where the API listens, with the files of a TLS certificate and its key if it has one."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None

    def check(self) -> None:
        """Return if API keys are safe on the way there. Raises: ConfigurationError, code BAD_SETTINGS."""
        try:
            loopback = ipaddress.ip_address(self.host).is_loopback
        except ValueError as error:
            raise ConfigurationError(f"{self.host}: not an IP address", code="BAD_SETTINGS") from error
        if (self.certificate is None) != (self.key is None):
            raise ConfigurationError("a certificate and its key go together", code="BAD_SETTINGS")
        if not loopback and self.certificate is None:
            raise ConfigurationError(
                f"{self.host}: beyond this machine the API needs a TLS certificate and its key", code="BAD_SETTINGS"
            )

    @property
    def url(self) -> str:
        """Return what a client calls."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}"


def configured(home: Path, bank: str, options: ApiOptions) -> tuple[ApiAddress, ApiSettings]:
    """Return where and how a bank's configuration wants its API served.

    Raises: ConfigurationError, code BAD_SETTINGS.
    """
    host, _, port = options.listen.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ConfigurationError(f"api.listen: {options.listen}: not an address and a port", code="BAD_SETTINGS")
    certificate, key = (home / path if path else None for path in (options.certificate, options.key))
    address = ApiAddress(host.strip("[]"), int(port), certificate, key)
    address.check()
    notice = read_notice(home / options.objections) if options.objections else ""
    return address, ApiSettings(bank=bank, webhook_hosts=frozenset(options.webhook_hosts), objections=notice)


def read_notice(path: Path) -> str:
    """Return the bank's notice on objections. Raises: ConfigurationError, code BAD_SETTINGS."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{path}: not a text file that can be read", code="BAD_SETTINGS") from error


class _Server(uvicorn.Server):
    """A server that leaves signals to its process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal: who runs the server cancels it."""
        yield


async def serve_api(
    home: Path,
    address: ApiAddress,
    service: BankService,
    settings: ApiSettings,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Serve the API of a bank's folder until cancelled; requests that have begun are answered first.

    Raises: ConfigurationError for an address that cannot be listened on, a wrong certificate, key or database.
    """
    address.check()
    with closing(Database(home / DATABASE_FILE)) as database, closing(_listener(address)) as listener:
        app = create_app(service, database, open_signer(home), settings)
        server = _Server(_config(app, address))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        started()
        try:
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
            await serving


async def serve_together(service: Coroutine[Any, Any, None], api: Coroutine[Any, Any, None]) -> None:
    """Run a bank's service and its API until one ends or both are cancelled; the API, which needs the other, first.

    Raises: what either raises.
    """
    tasks = [asyncio.create_task(api), asyncio.create_task(service)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()


def _config(app: object, address: ApiAddress) -> uvicorn.Config:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        ws="none",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
    )
    try:
        config.load()
    except (OSError, ValueError) as error:
        raise ConfigurationError("the API's certificate or key cannot be read", code="BAD_SETTINGS") from error
    return config


def _listener(address: ApiAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=512)
    except OSError as error:
        text = f"{address.url}: {error.strerror or 'cannot be listened on'}"
        raise ConfigurationError(text, code="BAD_SETTINGS") from error
