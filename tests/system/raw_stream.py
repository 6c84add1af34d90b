"""A stream that keeps to no rule: whatever certificate, whatever bytes."""

from __future__ import annotations

import datetime
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from federation.local.services import read_authority
from federation.relay.authority import Issued, issue
from nodes.stream.settings import SERVER_NAME
from protocols.channel.identity import PartyId
from protocols.stream import ROSTER_HEADER, SERVICE_METHOD, SERVICE_NAME
from protocols.stream.wire import Closing, Delivery, Exchange, Frame

Call = grpc.aio.StreamStreamCall[bytes, bytes]


@dataclass(frozen=True)
class Shown:
    """What a client shows when it dials: a certificate, or none."""

    issued: Issued | None

    def credentials(self, authority: Issued) -> grpc.ChannelCredentials:
        if self.issued is None:
            return grpc.ssl_channel_credentials(authority.certificate)
        return grpc.ssl_channel_credentials(authority.certificate, self.issued.key, self.issued.certificate)


def of_party(folder: Path, party: str, days: float = 1, made: datetime.timedelta = datetime.timedelta()) -> Shown:
    """A certificate of the federation's own authority, made so long ago."""
    now = datetime.datetime.now(datetime.UTC) - made
    return Shown(issue(read_authority(folder), PartyId(party), now, days))


@asynccontextmanager
async def dial(folder: Path, address: str, shown: Shown) -> AsyncIterator[Call]:
    """Open a stream; nothing is read or written by itself."""
    options = [
        ("grpc.ssl_target_name_override", SERVER_NAME),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.enable_retries", 0),
    ]
    async with grpc.aio.secure_channel(address, shown.credentials(read_authority(folder)), options) as channel:
        newest = ((ROSTER_HEADER, str(1 << 40)),)  # no roster is sent to it: it hears what the tests are about
        call: Call = channel.stream_stream(f"/{SERVICE_NAME}/{SERVICE_METHOD}")(metadata=newest)
        try:
            yield call
        finally:
            call.cancel()


async def read_frame(call: Call) -> Frame:
    """The next frame that is not a heartbeat. Raises: AioRpcError, EOFError."""
    while True:
        data = await call.read()
        if not isinstance(data, bytes):
            raise EOFError
        frame = Frame.FromString(data)
        if not frame.HasField("heartbeat"):
            return frame


async def ended_with(call: Call) -> str:
    """Read until the stream ends; return the code that the coordinator gave, or gRPC's."""
    code = ""
    try:
        while True:
            frame = await read_frame(call)
            if frame.HasField("closing"):
                code = frame.closing.code
    except EOFError:
        return code
    except grpc.aio.AioRpcError as error:
        return code or (error.details() if error.code() is grpc.StatusCode.UNAUTHENTICATED else error.code().name)


def requests(parcels: list[bytes], first: int = 1) -> bytes:
    """One frame of requests."""
    exchanges = [Exchange(number=first + i, parcel=parcel) for i, parcel in enumerate(parcels)]
    return Frame(delivery=Delivery(exchanges=exchanges)).SerializeToString()


def reply(number: int, parcel: bytes) -> bytes:
    """One frame with one reply."""
    return Frame(delivery=Delivery(exchanges=[Exchange(number=number, reply=True, parcel=parcel)])).SerializeToString()


def closing(code: str) -> bytes:
    """The frame that ends a stream."""
    return Frame(closing=Closing(code=code)).SerializeToString()


def resident_mib(pid: int) -> float:
    """The memory that a process holds now."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]
