"""One end of a stream: requests are numbered, replies find their request, and nothing waits without bound.

    end = StreamEnd(limits)
    reply = await end.request(parcel)        # whoever has something to ask
    frame = await end.outgoing()             # the task that writes
    for request in end.incoming(frame): …    # the task that reads; `end.reply(request.number, parcel)` answers
    await end.room()                         # before it reads on

What is `patient` goes with whatever else is sent next, or alone a moment later: a frame costs what many small exchanges
in it do.

An end that is full refuses to take more; a peer that breaks a bound, or answers what was not asked, is an error.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from protocols.errors import MalformedMessage, NotSent, TransportError, UnexpectedMessage
from protocols.stream.wire import Closing, Delivery, Exchange, Frame, Heartbeat, read_frame

EXCHANGES_PER_FRAME: Final = 128
TOO_LARGE: Final = "PARCEL_TOO_LARGE"
ENDED: Final = "STREAM_ENDED"
CLOSING_CODES: Final = frozenset(
    {
        "CERTIFICATE_EXPIRED",
        "MALFORMED_MESSAGE",
        "PARTY_SUSPENDED",
        "REPLACED",
        "SHUTTING_DOWN",
        "SILENT",
        "STREAM_FULL",
        "TOO_SLOW",
        "UNEXPECTED_MESSAGE",
    }
)
"""Why an end may close; a peer that names another reason is only said to have ended."""

_OVERHEAD: Final = 32  # bytes that an exchange adds to its parcel, at most
HEARTBEAT: Final[bytes] = Frame(heartbeat=Heartbeat()).SerializeToString()


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What one end keeps at most, and how long what is patient.

    Units: bytes of one frame; bytes that wait to be sent; requests in progress; seconds.
    """

    frame_bytes: int = 4 << 20
    waiting_bytes: int = 16 << 20
    open_requests: int = 512
    patience: float = 0.1


@dataclass(frozen=True, slots=True)
class Request:
    """What the peer asks; `number` is what its reply must name."""

    number: int
    parcel: bytes = field(repr=False)


class StreamEnd:
    """The state of one end. Belongs to one event loop; knows neither sockets nor time."""

    def __init__(self, limits: StreamLimits) -> None:
        self._limits = limits
        self._waiting: deque[Exchange] = deque()
        self._waiting_bytes = 0
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._next = 1
        self._given_up = 0
        self._serving: set[int] = set()
        self._something, self._room = asyncio.Event(), asyncio.Event()
        self._due: asyncio.TimerHandle | None = None
        self._room.set()
        self._closed: TransportError | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is under way: no request of either end, and nothing that waits to be sent."""
        return not (self._asked or self._serving or self._waiting)

    @property
    def waiting_bytes(self) -> int:
        """How many bytes wait to be sent."""
        return self._waiting_bytes

    async def request(self, parcel: bytes, *, patient: bool = False) -> bytes:
        """Return the peer's reply; whoever stops waiting gives the request up.

        Raises: NotSent, codes PARCEL_TOO_LARGE, STREAM_FULL, or that of the close; TransportError with that if it comes
        meanwhile.
        """
        number, self._next = self._next, self._next + 1
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._put(Exchange(number=number, reply=False, parcel=parcel), patient)
        self._asked[number] = future
        try:
            return await future
        except asyncio.CancelledError:
            self._given_up += 1
            raise
        finally:
            self._asked.pop(number, None)

    def reply(self, number: int, parcel: bytes, *, patient: bool = False) -> None:
        """Answer a request of the peer's, once. Raises: TransportError as `request`; ValueError if none is open."""
        self._check_open()
        if number not in self._serving:
            raise ValueError(f"request {number} is not open")
        self._put(Exchange(number=number, reply=True, parcel=parcel), patient)
        self._serving.discard(number)
        if len(self._serving) < self._limits.open_requests:
            self._room.set()

    async def outgoing(self) -> bytes:
        """Return the next frame to send, as soon as there is one. Raises: TransportError once closed."""
        while (frame := self.at_hand()) is None:
            self._check_open()
            self._something.clear()
            await self._something.wait()
        return frame

    def at_hand(self) -> bytes | None:
        """Return the next frame to send if anything waits, None if nothing does. Raises: as `outgoing`."""
        if not self._waiting:
            return None
        self._check_open()
        taken: list[Exchange] = []
        size = 0
        while self._waiting and len(taken) < EXCHANGES_PER_FRAME:
            size += len(self._waiting[0].parcel) + _OVERHEAD
            if taken and size > self._limits.frame_bytes:
                break
            taken.append(self._waiting.popleft())
            self._waiting_bytes -= len(taken[-1].parcel) + _OVERHEAD
        data: bytes = Frame(delivery=Delivery(exchanges=taken)).SerializeToString()
        return data

    def incoming(self, data: bytes) -> list[Request]:
        """Take a frame: replies reach who waits for them, requests are returned.

        Raises: MalformedMessage, UnexpectedMessage for what an honest peer never sends; TransportError once closed.
        """
        self._check_open()
        frame = read_frame(data)
        if frame.HasField("closing"):
            code = frame.closing.code if frame.closing.code in CLOSING_CODES else ENDED
            raise TransportError("the other end has closed the stream", code=code)
        exchanges = frame.delivery.exchanges
        if len(exchanges) > EXCHANGES_PER_FRAME:
            raise MalformedMessage(f"a frame of {len(exchanges)} exchanges")
        requests = []
        for exchange in exchanges:
            if exchange.reply:
                self._receive_reply(exchange)
            else:
                requests.append(self._receive_request(exchange))
        return requests

    async def room(self) -> None:
        """Return once the peer may have further requests in progress: until then, its frames stay unread."""
        await self._room.wait()

    def close(self, code: str) -> bytes:
        """End it: whoever waits gets a TransportError with this code. Return the frame that tells the peer."""
        if self._closed is None:
            self._closed = TransportError("the stream is closed", code=code)
            for future in self._asked.values():
                if not future.done():
                    future.set_exception(TransportError("the stream was closed before the reply", code=code))
            self._waiting.clear()
            self._waiting_bytes = 0
            self._serving.clear()
            self._something.set()
            self._room.set()
        data: bytes = Frame(closing=Closing(code=code)).SerializeToString()
        return data

    def _receive_reply(self, exchange: Exchange) -> None:
        future = self._asked.get(exchange.number)
        if future is not None and not future.done():
            future.set_result(exchange.parcel)
            del self._asked[exchange.number]
            return
        self._given_up -= 1  # perhaps it answers, late, a request that was given up
        if self._given_up < 0 or exchange.number >= self._next:
            raise UnexpectedMessage("a reply to no request")

    def _receive_request(self, exchange: Exchange) -> Request:
        if exchange.number in self._serving:
            raise UnexpectedMessage(f"request {exchange.number} is still open")
        self._serving.add(exchange.number)
        if len(self._serving) >= self._limits.open_requests:
            self._room.clear()
        return Request(exchange.number, exchange.parcel)

    def _put(self, exchange: Exchange, patient: bool) -> None:
        self._check_open()
        size = len(exchange.parcel) + _OVERHEAD
        if size > self._limits.frame_bytes:
            raise NotSent(f"a parcel of {len(exchange.parcel)} bytes", code=TOO_LARGE)
        if self._waiting_bytes + size > self._limits.waiting_bytes:
            raise NotSent(f"{self._waiting_bytes} bytes wait for the other end", code="STREAM_FULL")
        self._waiting.append(exchange)
        self._waiting_bytes += size
        if not patient:
            self._something.set()
        elif self._due is None:
            self._due = asyncio.get_running_loop().call_later(self._limits.patience, self._send_now)

    def _send_now(self) -> None:
        self._due = None
        self._something.set()

    def _check_open(self) -> None:
        if self._closed is not None:
            raise NotSent("the stream is closed", code=self._closed.code)
