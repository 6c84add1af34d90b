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
from protocols.channel.pins import SUSPENDED
from protocols.errors import NotSent, TransportError
from protocols.stream import (
    ROSTER_HEADER,
    SERVICE_METHOD,
    SERVICE_NAME,
    UPKEEP_METHOD,
    VERSION_KEY,
    Serve,
    StreamEnd,
    carry,
)

logger = logging.getLogger(__name__)

UNAVAILABLE: Final = "COORDINATOR_UNAVAILABLE"
REPLACED: Final = "REPLACED"
UPKEEP_SECONDS: Final = 30.0
Call = grpc.aio.StreamStreamCall[bytes, bytes]
_SLACK: Final = 4096

CONNECTED = Gauge("credfed_stream_connected", "Whether the stream to the coordinator is up.")
ENDED = Counter("credfed_stream_ended_total", "Streams that ended, by the code that says why.", ["code"])


class Connection:
    """Dials, serves what the coordinator asks, and dials again whenever the stream ends."""

    def __init__(
        self, home: Path, settings: StreamSettings, serve: Serve, roster: Callable[[], int] = lambda: 0
    ) -> None:
        """`roster` returns the sequence of the roster that is pinned: a newer one is sent before anything else."""
        self._home, self._settings, self._serve, self._roster = home, settings, serve, roster
        self._end: StreamEnd | None = None
        self._channel: grpc.aio.Channel | None = None
        self._suspended = False
        self._streams = 0
        self._up, self._fresh = asyncio.Event(), asyncio.Event()
        self._randomness = random.SystemRandom()

    @property
    def up(self) -> bool:
        """Whether the coordinator has been heard on the present stream."""
        return self._up.is_set()

    @property
    def streams(self) -> int:
        """How many streams have come up so far: what was said on an earlier one is said again."""
        return self._streams

    async def reached(self) -> None:
        """Return once the stream is up; the caller sets the limit. Raises: NotSent, code PARTY_SUSPENDED."""
        if self._suspended:
            raise NotSent("the coordinator has suspended this party", code=SUSPENDED)
        await self._up.wait()

    async def request(self, parcel: bytes, *, patient: bool = False) -> bytes:
        """Return the coordinator's reply, waiting for the stream to be up if it is not; the caller sets the limit.

        What is `patient` goes with whatever is sent next.

        Raises: TransportError, with the code of the stream's end if it ends meanwhile; NotSent, codes PARCEL_TOO_LARGE,
        STREAM_FULL, PARTY_SUSPENDED.
        """
        await self.reached()
        end = self._present()
        try:
            return await end.request(parcel, patient=patient)
        except TransportError as error:
            if error.code != REPLACED or self._end in (None, end):
                raise
            left = not isinstance(error, NotSent)
        try:
            return await self._present().request(
                parcel, patient=patient
            )  # the first stream had ended before this was on its way
        except NotSent as error:
            raise (TransportError(str(error), code=error.code) if left else error) from error

    async def upkeep(self, parcel: bytes) -> bytes:
        """Return the coordinator's answer to what this party asks for its certificate or card.

        Raises: TransportError, code COORDINATOR_UNAVAILABLE.
        """
        channel = self._channel
        if channel is None:
            raise TransportError("there is no stream to the coordinator", code=UNAVAILABLE)
        try:
            ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
                f"/{SERVICE_NAME}/{UPKEEP_METHOD}"
            )
            return await ask(parcel, timeout=UPKEEP_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise TransportError(error.code().name, code=call_code(error)) from error

    def renew(self) -> None:
        """Dial anew, with the certificate as it is now; the present stream goes on until the new one is up."""
        self._fresh.set()

    async def run(self) -> None:
        """Keep the stream up until cancelled. Raises: ConfigurationError if a certificate's file is missing."""
        delay = self._settings.retry_seconds
        while True:
            started = time.monotonic()
            code = await self._hold()
            self._suspended = code == SUSPENDED
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

    async def _hold(self) -> str:
        """Hold a stream, and what takes its place when it is renewed; return the code with which the last has ended."""
        streams = [asyncio.create_task(self._dial())]
        try:
            while True:
                fresh = asyncio.create_task(self._fresh.wait())
                await asyncio.wait({*streams, fresh}, return_when=asyncio.FIRST_COMPLETED)
                fresh.cancel()
                if self._fresh.is_set() and len(streams) == 1 and not streams[0].done():
                    streams.append(asyncio.create_task(self._dial()))
                self._fresh.clear()
                ended = [stream for stream in streams if stream.done()]
                streams = [stream for stream in streams if not stream.done()]
                codes = [stream.result() for stream in ended]
                if not streams:
                    return codes[-1]
        finally:
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*streams, return_exceptions=True)

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
            ("grpc.use_local_subchannel_pool", 1),  # a connection of its own, under its own certificate
        ]
        credentials = settings.tls.credentials(self._home)
        metadata = (*_metadata(), (ROSTER_HEADER, str(self._roster())))
        async with grpc.aio.secure_channel(settings.address, credentials, options) as channel:
            call: Call = channel.stream_stream(f"/{SERVICE_NAME}/{SERVICE_METHOD}")(metadata=metadata)
            end = StreamEnd(settings.limits)
            try:
                return await carry(end, _Heard(call, lambda: self._came_up(end, channel)), self._serve, settings.timing)
            finally:
                if self._end is end:
                    self._end = self._channel = None
                    self._up.clear()
                    CONNECTED.set(0)
                call.cancel()

    def _present(self) -> StreamEnd:
        if self._end is None:
            raise NotSent("there is no stream to the coordinator", code=UNAVAILABLE)
        return self._end

    def _came_up(self, end: StreamEnd, channel: grpc.aio.Channel) -> None:
        self._end, self._channel, self._suspended = end, channel, False
        self._streams += 1
        self._up.set()
        CONNECTED.set(1)
        logger.info("stream up", extra={"address": self._settings.address})


class _Heard:
    """A call whose first message is announced: from then on the other end is known to be the coordinator."""

    def __init__(self, call: Call, announce: Callable[[], None]) -> None:
        self._call, self._announce = call, announce
        self._announced = False

    async def read(self) -> object:
        try:
            message: object = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise TransportError(error.code().name, code=call_code(error)) from error
        if isinstance(message, bytes) and not self._announced:
            self._announced = True
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


def call_code(error: grpc.aio.AioRpcError) -> str:
    """Return the relay's own code where it gave one, else what gRPC says."""
    details = error.details() or ""
    refused = error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
    if refused and details.isascii() and details.replace("_", "").isupper() and len(details) <= 64:
        return details
    return UNAVAILABLE if error.code() is grpc.StatusCode.UNAVAILABLE else f"GRPC_{error.code().name}"
