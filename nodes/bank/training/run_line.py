"""A bank's line to the coordinator for training: hands a run's opening in, and reads the record of what becomes of it.

It stands beside the bank's stream, under the same certificate, so that a bank that answers questions can train.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import grpc.aio

from nodes.stream.connection import call_code
from nodes.stream.settings import StreamSettings
from protocols.channel.wire import Message, encode
from protocols.errors import TransportError
from protocols.stream import SERVICE_NAME, TRAINING_METHOD
from protocols.stream.runs import (
    LARGEST_PIECE,
    LARGEST_ROSTER,
    OpeningPiece,
    RecordQuestion,
    RosterQuestion,
    decode_held,
    decode_record,
    decode_roster,
)

CALL_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 0.5
UNREACHED_SECONDS: Final = 60.0
"""For how long a coordinator that does not answer is asked again."""
_SLACK: Final = 4096
_FINAL: Final = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
Ask = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]


class RunLine:
    """One line, while it is open. Made by `run_line`."""

    def __init__(self, ask: Ask, piece_bytes: int) -> None:
        self._ask, self._piece_bytes = ask, piece_bytes

    async def newest_roster(self, known: int) -> bytes:
        """Return the parcel with a roster that is newer than the one of sequence `known`, b"" if there is none.

        Raises: as `hand_in`.
        """
        return decode_roster(await self._persist(RosterQuestion(known))).parcel

    async def hand_in(self, opening: bytes) -> str:
        """Hand in the parcel that opens a run; return the name of the run that was begun.

        Raises: PeerRefused with the coordinator's code; TransportError, COORDINATOR_UNAVAILABLE or why it refuses.
        """
        asked, at, size = secrets.token_bytes(16), 0, len(opening)
        while True:
            piece = OpeningPiece(asked, size, at, opening[at : at + self._piece_bytes])
            held = decode_held(await self._persist(piece))
            if held.run:
                return held.run
            if not at < held.size < size:
                raise TransportError(f"the coordinator holds {held.size} of {size} bytes", code="OPENING_LOST")
            at = held.size

    async def record(self, run: str, at: int) -> bytes:
        """Return the lines of a run's record from byte `at` on that are there. Raises: as `hand_in`."""
        return decode_record(await self._persist(RecordQuestion(run, at))).lines

    async def _persist(self, message: Message) -> bytes:
        limit = time.monotonic() + UNREACHED_SECONDS
        while True:
            try:
                return await self._ask(encode(message), timeout=CALL_SECONDS)
            except grpc.aio.AioRpcError as error:
                if error.code() in _FINAL or time.monotonic() > limit:
                    code = call_code(error)
                    raise TransportError(f"the coordinator does not take the call: {code}", code=code) from error
            await asyncio.sleep(RETRY_SECONDS)


@asynccontextmanager
async def run_line(home: Path, settings: StreamSettings) -> AsyncIterator[RunLine]:
    """Dial the coordinator under the certificate in `home`. Raises: ConfigurationError if a file is missing."""
    options = [
        ("grpc.ssl_target_name_override", settings.server_name),
        ("grpc.max_receive_message_length", LARGEST_ROSTER + _SLACK),
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    credentials = settings.tls.credentials(home)
    async with grpc.aio.secure_channel(settings.address, credentials, options) as channel:
        ask: Ask = channel.unary_unary(f"/{SERVICE_NAME}/{TRAINING_METHOD}")
        yield RunLine(ask, min(LARGEST_PIECE, settings.frame_bytes // 2))
