"""Carries frames between a `StreamEnd` and whatever moves bytes, until one of them ends.

Durations are arguments, and the event loop's timers are all that is known of time here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from protocols.channel.envelope import pack_parcel, pack_refusal
from protocols.errors import CreditFederationError, TransportError
from protocols.stream.exchanges import HEARTBEAT, TOO_LARGE, Request, StreamEnd

_LAST_SECONDS: Final = 1.0
NOTHING: Final = pack_parcel(())
"""A reply that says no more than that the request was taken: nobody is in a hurry for it."""

Serve = Callable[[bytes], Awaitable[bytes]]


class Wire(Protocol):
    """One message each way at a time; `read` returns something other than bytes when the peer has ended."""

    async def read(self) -> object:
        """Return the next message."""

    async def write(self, message: bytes, /) -> None:
        """Send a message; returns when there is room for the next."""


@dataclass(frozen=True, slots=True)
class StreamTiming:
    """Units: seconds. A heartbeat is due after `beat` of silence; a peer is cut off that says nothing for `silence`,
    or takes longer than `slow` to accept one frame.
    """

    beat: float = 5.0
    silence: float = 20.0
    slow: float = 10.0


async def carry(end: StreamEnd, wire: Wire, serve: Serve, timing: StreamTiming) -> str:
    """Carry both ways until the stream ends; close the end, tell the peer, and return the code that says why.

    `serve` answers a request of the peer's and never raises; as many run at once as the end's limits allow.
    """
    writing = asyncio.create_task(_write(end, wire, timing))
    tasks = [writing, asyncio.create_task(_read(end, wire, serve, timing))]
    code = "STREAM_ENDED"
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        error = next(iter(done)).exception()
        code = error.code if isinstance(error, CreditFederationError) else code
    except asyncio.CancelledError:
        code = "SHUTTING_DOWN"
        raise
    finally:
        last = end.close(code)
        await asyncio.wait({writing}, timeout=_LAST_SECONDS)  # a frame on its way is not cut short: the last follows it
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(Exception):  # the peer may be gone, in whatever way its transport says so
            async with asyncio.timeout(_LAST_SECONDS):
                await wire.write(last)
    return code


async def _write(end: StreamEnd, wire: Wire, timing: StreamTiming) -> None:
    frame = HEARTBEAT  # the first says that somebody is there
    while True:
        try:
            async with asyncio.timeout(timing.slow):
                await wire.write(frame)
        except TimeoutError as error:
            raise TransportError("the peer does not take its frames", code="TOO_SLOW") from error
        frame = end.at_hand() or await _next_frame(end, timing)


async def _next_frame(end: StreamEnd, timing: StreamTiming) -> bytes:
    try:
        async with asyncio.timeout(timing.beat):
            return await end.outgoing()
    except TimeoutError:
        return HEARTBEAT


async def _read(end: StreamEnd, wire: Wire, serve: Serve, timing: StreamTiming) -> None:
    serving: set[asyncio.Task[None]] = set()
    try:
        while True:
            async with asyncio.timeout(timing.silence):
                frame = await wire.read()
            if not isinstance(frame, bytes):
                raise TransportError("the peer has ended the stream", code="STREAM_ENDED")
            for request in end.incoming(frame):
                task = asyncio.create_task(_answer(end, request, serve))
                serving.add(task)
                task.add_done_callback(serving.discard)
            await end.room()
    except TimeoutError as error:
        raise TransportError("the peer is silent", code="SILENT") from error
    finally:
        for task in serving:
            task.cancel()


async def _answer(end: StreamEnd, request: Request, serve: Serve) -> None:
    reply = await serve(request.parcel)
    try:
        end.reply(request.number, reply, patient=reply == NOTHING)
    except TransportError as error:
        if error.code == TOO_LARGE:
            end.reply(request.number, pack_refusal(TOO_LARGE))
        else:  # closed meanwhile, or so much waits for the peer already that it will never read this
            end.close(error.code)
