"""The party's end of its stream, kept up for as long as the process runs."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import grpc.aio
from prometheus_client import Counter, Gauge

from nodes.stream.settings import StreamSettings
from protocols.errors import TransportError
from protocols.stream import SERVICE_METHOD, SERVICE_NAME, VERSION_KEY, Serve, StreamEnd, carry

logger = logging.getLogger(__name__)

UNAVAILABLE: Final = "COORDINATOR_UNAVAILABLE"
REPLACED: Final = "REPLACED"
Call = grpc.aio.StreamStreamCall[bytes, bytes]
_SLACK: Final = 4096

CONNECTED = Gauge("credfed_stream_connected", "Whether the stream to the coordinator is up.")
ENDED = Counter("credfed_stream_ended_total", "Streams that ended, by the code that says why.", ["code"])


class Connection:
    """Dials, serves what the coordinator asks, and dials again whenever the stream ends."""

    def __init__(self, home: Path, settings: StreamSettings, serve: Serve) -> None:
        self._home, self._settings, self._serve = home, settings, serve
        self._end: StreamEnd | None = None
        self._up = asyncio.Event()
        self._randomness = random.SystemRandom()

    @property
    def up(self) -> bool:
        """Whether the coordinator has been heard on the present stream."""
        return self._up.is_set()

    async def request(self, parcel: bytes) -> bytes:
        """Return the coordinator's reply, waiting for the stream to be up if it is not; the caller sets the limit.

        Raises: TransportError, with the code of the stream's end if it ends meanwhile; PARCEL_TOO_LARGE; STREAM_FULL.
        """
        await self._up.wait()
        end = self._end
        if end is None:
            raise TransportError("there is no stream to the coordinator", code=UNAVAILABLE)
        return await end.request(parcel)

    async def run(self) -> None:
        """Keep the stream up until cancelled. Raises: ConfigurationError if a certificate's file is missing."""
        delay = self._settings.retry_seconds
        while True:
            started = time.monotonic()
            code = await self._dial()
            ENDED.labels(code).inc()
            lasted = time.monotonic() - started
            if lasted > self._settings.retry_limit_seconds:
                delay = self._settings.retry_seconds
            if code == REPLACED:  # another process of this party dials as well: do not take turns with it
                delay = self._settings.retry_limit_seconds
            pause = delay * (0.5 + self._randomness.random() / 2)
            logger.warning("stream ended", extra={"code": code, "seconds": round(lasted, 1), "pause": round(pause, 2)})
            await asyncio.sleep(pause)
            delay = min(2 * delay, self._settings.retry_limit_seconds)

    async def _dial(self) -> str:
        """Hold one stream until it ends; return the code that says why."""
        settings = self._settings
        size = settings.frame_bytes + _SLACK
        options = [
            ("grpc.ssl_target_name_override", settings.server_name),
            ("grpc.max_receive_message_length", size),
            ("grpc.max_send_message_length", size),
            ("grpc.keepalive_time_ms", round(1000 * settings.silence_seconds)),
            ("grpc.enable_retries", 0),
            ("grpc.enable_http_proxy", 0),
        ]
        credentials = settings.tls.credentials(self._home)
        async with grpc.aio.secure_channel(settings.address, credentials, options) as channel:
            call: Call = channel.stream_stream(f"/{SERVICE_NAME}/{SERVICE_METHOD}")(metadata=_metadata())
            self._end = end = StreamEnd(settings.limits)
            try:
                return await carry(end, _Heard(call, self._came_up), self._serve, settings.timing)
            finally:
                self._up.clear()
                CONNECTED.set(0)
                self._end = None
                call.cancel()

    def _came_up(self) -> None:
        if not self._up.is_set():
            self._up.set()
            CONNECTED.set(1)
            logger.info("stream up", extra={"address": self._settings.address})


class _Heard:
    """A call whose first message is announced: from then on the other end is known to be the coordinator."""

    def __init__(self, call: Call, announce: Callable[[], None]) -> None:
        self._call, self._announce = call, announce

    async def read(self) -> object:
        try:
            message: object = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise TransportError(error.code().name, code=_code(error)) from error
        if isinstance(message, bytes):
            self._announce()
        return message

    async def write(self, message: bytes) -> None:
        try:
            await self._call.write(message)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            raise TransportError("the call is over", code=UNAVAILABLE) from error


def _metadata() -> tuple[tuple[str, str], ...]:
    """Return what a party says of itself when it dials: which version it runs, if it was installed as one."""
    try:
        return ((VERSION_KEY, version("credit-federation")),)
    except PackageNotFoundError:
        return ()


def _code(error: grpc.aio.AioRpcError) -> str:
    """Return the relay's own code where it gave one, else what gRPC says."""
    details = error.details() or ""
    refused = error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
    if refused and details.isascii() and details.replace("_", "").isupper() and len(details) <= 64:
        return details
    return UNAVAILABLE if error.code() is grpc.StatusCode.UNAVAILABLE else f"GRPC_{error.code().name}"
