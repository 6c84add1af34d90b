"""The coordinator's door for enterprises over HTTP: one address, one method, bytes in and bytes out, all of it bounded.

Who asks is proved by the signature inside, not by the connection; what a reader of the line may learn is who talks to
the coordinator, so beyond this machine it needs TLS.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import uvicorn

from federation.enterprise.desk import MAX_REQUEST_BYTES
from federation.process.serving import WebServer, listen
from federation.relay.settings import EnterpriseOptions
from protocols.errors import ConfigurationError

logger = logging.getLogger(__name__)

PATH: Final = "/v1/enterprise"
MEDIA_TYPE: Final = b"application/octet-stream"
BODY_SECONDS: Final = 15.0
AT_ONCE: Final = 8
"""Requests that are worked on at once; more wait, up to `WAITING`, and what comes beyond that is told to come again."""

WAITING: Final = 64
MAX_CONNECTIONS: Final = 256
GRACE_SECONDS: Final = 10

Scope = MutableMapping[str, Any]  # as ASGI has it
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
Serve = Callable[[bytes], Awaitable[bytes]]


class EnterpriseDoor:
    """An ASGI application that hands parcels to `serve`, which never raises."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._slots, self._waiting = asyncio.Semaphore(AT_ONCE), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: 200 with a parcel, or a status and nothing else."""
        if scope["type"] != "http":
            return
        status, body = await self._answer(scope, receive)
        headers = [(b"content-type", MEDIA_TYPE), (b"content-length", str(len(body)).encode())]
        if status != 200:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        if scope["path"] != PATH:
            return 404, b""
        if scope["method"] != "POST":
            return 405, b""
        if dict(scope["headers"]).get(b"content-type") != MEDIA_TYPE:
            return 415, b""
        if self._waiting >= WAITING:
            return 503, b""
        self._waiting += 1
        try:
            async with asyncio.timeout(BODY_SECONDS):
                parcel = await _read(receive)
            if parcel is None:
                return 413, b""
            async with self._slots:
                return 200, await self._serve(parcel)
        except TimeoutError:
            return 408, b""
        finally:
            self._waiting -= 1


async def _read(receive: Receive) -> bytes | None:
    """Return a request's body, None as soon as it is too long."""
    received = bytearray()
    more = True
    while more:
        message = await receive()
        received += message.get("body", b"")
        if len(received) > MAX_REQUEST_BYTES:
            return None
        more = message["type"] == "http.request" and message.get("more_body", False)
    return bytes(received)


async def serve_enterprises(home: Path, options: EnterpriseOptions, serve: Serve) -> None:
    """Serve enterprises until cancelled; requests that have begun are answered first.

    Raises: ConfigurationError, code BAD_SETTINGS.
    """
    host, port = check_desk(options)
    with closing(_listener(host, port)) as listener:
        server = WebServer(_config(home, options, EnterpriseDoor(serve)))
        logger.info("serving enterprises", extra={"address": options.listen})
        await server.serve_until_cancelled(listener)


def check_desk(options: EnterpriseOptions) -> tuple[str, int]:
    """Return where enterprises are served: this machine alone, or with a certificate. Raises: ConfigurationError."""
    host, _, port = options.listen.rpartition(":")
    try:
        loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        raise ConfigurationError(f"enterprises.listen: {options.listen}: no address", code="BAD_SETTINGS") from None
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ConfigurationError(f"enterprises.listen: {options.listen}: no port", code="BAD_SETTINGS")
    if bool(options.certificate) != bool(options.key) or not (loopback or options.certificate):
        text = "enterprises: beyond this machine it needs a certificate and its key"
        raise ConfigurationError(text, code="BAD_SETTINGS")
    return host.strip("[]"), int(port)


def _config(home: Path, options: EnterpriseOptions, door: EnterpriseDoor) -> uvicorn.Config:
    config = uvicorn.Config(
        door,
        log_config=None,
        ws="none",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=home / options.certificate if options.certificate else None,
        ssl_keyfile=home / options.key if options.key else None,
    )
    try:
        config.load()
    except (OSError, ValueError) as error:
        raise ConfigurationError("enterprises: the certificate or key cannot be read", code="BAD_SETTINGS") from error
    return config


def _listener(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        text = f"enterprises.listen: {host}:{port}: {error.strerror or 'cannot be listened on'}"
        raise ConfigurationError(text, code="BAD_SETTINGS") from error
