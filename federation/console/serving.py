"""Serves the console on an address: this machine alone, unless it has a certificate."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from federation.process.serving import WebServer, listen
from protocols.errors import ConfigurationError

GRACE_SECONDS: Final = 5
MAX_CONNECTIONS: Final = 256
MAX_HEAD: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class ConsoleAddress:
    """Where the console listens; the files of a TLS certificate and its key, and the names that it goes by then."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    names: tuple[str, ...] = ()

    def check(self) -> None:
        """Return if passwords are safe on the way there. Raises: ConfigurationError, code BAD_OPTION."""
        try:
            loopback = ipaddress.ip_address(self.host).is_loopback
        except ValueError as error:
            raise ConfigurationError(f"{self.host}: not an IP address", code="BAD_OPTION") from error
        if (self.certificate is None) != (self.key is None):
            raise ConfigurationError("a certificate and its key go together", code="BAD_OPTION")
        if not loopback and self.certificate is None:
            text = f"{self.host}: beyond this machine the console needs a TLS certificate and its key"
            raise ConfigurationError(text, code="BAD_OPTION")

    @property
    def url(self) -> str:
        """What a browser opens."""
        return f"{'https' if self.certificate else 'http'}://{self.names[0] if self.names else self._host}:{self.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """The Host headers under which the console answers: no name that somebody else lets point here."""
        names = {self._host, *self.names}
        if ipaddress.ip_address(self.host).is_loopback:
            names |= {"localhost", "127.0.0.1", "[::1]"}
        default = 443 if self.certificate else 80
        return frozenset({f"{name}:{self.port}" for name in names} | (names if self.port == default else set()))

    @property
    def _host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


class ConsoleServer:
    """One console on one address."""

    def __init__(self, app: ASGIApp, address: ConsoleAddress) -> None:
        """Raises: ConfigurationError for an address that is not safe, a wrong certificate or key."""
        address.check()
        self._address = address
        self._server = WebServer(_config(app, address))

    @property
    def ready(self) -> bool:
        """Whether it answers."""
        return self._server.started

    async def run(self) -> None:
        """Serve until cancelled. Raises: ConfigurationError for an address that cannot be listened on."""
        with closing(_listener(self._address)) as listener:
            await self._server.serve_until_cancelled(listener)


def check_listening(address: ConsoleAddress) -> None:
    """Return if the console could listen there now. Raises: ConfigurationError if not, or for a wrong certificate."""

    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    _config(nothing, address)
    _listener(address).close()


def _config(app: ASGIApp, address: ConsoleAddress) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        log_config=None,
        ws="none",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=MAX_HEAD,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
    )
    try:
        config.load()
    except (OSError, ValueError) as error:
        raise ConfigurationError("the console's certificate or key cannot be read", code="BAD_OPTION") from error
    return config


def _listener(address: ConsoleAddress) -> socket.socket:
    try:
        return listen(address.host, address.port)
    except OSError as error:
        text = f"{address.url}: {error.strerror or 'cannot be listened on'}"
        raise ConfigurationError(text, code="BAD_OPTION") from error
