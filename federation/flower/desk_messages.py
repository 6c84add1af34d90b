"""What the ServerApp and the coordinator's desk say to each other, over a socket of the coordinator's own machine."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from federation.traffic import RoundEvent
from protocols.errors import MalformedMessage

RunName = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}\Z")]


class Begin(msgspec.Struct, frozen=True, tag=True):
    """A run begins: whom must it reach, and whose turn is first?"""

    run: RunName


class Route(msgspec.Struct, frozen=True, tag=True):
    """What parties have sent in one round; the desk answers with what goes on."""

    run: RunName
    parcels: dict[str, bytes]


class Report(msgspec.Struct, frozen=True, tag=True):
    """What a round did."""

    run: RunName
    event: RoundEvent


class Alive(msgspec.Struct, frozen=True, tag=True):
    """A run goes on, though no round has ended."""

    run: RunName


class End(msgspec.Struct, frozen=True):
    """How a run ended, and what it took; `code` is empty if it ended well. Units: bytes by party, seconds by phase.

    `carrying_seconds` are those of all rounds in which no party worked: the engine's.
    """

    code: str
    text: str
    bytes_sent: dict[str, int]
    bytes_received: dict[str, int]
    rounds: int
    seconds: dict[str, float]
    leaks: dict[str, int] = {}
    carrying_seconds: float = 0.0


class Finished(msgspec.Struct, frozen=True, tag=True):
    """A run has ended."""

    run: RunName
    end: End


class Parties(msgspec.Struct, frozen=True, tag=True):
    """Whom a run must reach, and the parcel with which the first of them asks for it."""

    first: str
    opening: bytes
    parties: tuple[str, ...]


class Routed(msgspec.Struct, frozen=True, tag=True):
    """A parcel for each party that is to get something next."""

    parcels: dict[str, bytes]


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Why the desk does not go on with a run."""

    code: str
    text: str


class Noted(msgspec.Struct, frozen=True, tag=True):
    """The desk has kept what it was told."""


Request = Begin | Route | Report | Alive | Finished
Answer = Parties | Routed | Refused | Noted
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)
_LONGEST_ALIVE = 256
_UNDECODABLE = (msgspec.DecodeError, ValueError, RecursionError)


def encode(message: Request | Answer) -> bytes:
    """Return a message's bytes."""
    return msgspec.msgpack.encode(message)


def decode_request(data: bytes) -> Request:
    """Return a request. Raises: MalformedMessage."""
    try:
        return _requests.decode(data)
    except _UNDECODABLE as error:
        raise MalformedMessage(f"{len(data)} bytes are no request to the desk") from error


def is_sign_of_life(data: bytes) -> bool:
    """Tell whether a request is an `Alive`, without reading a long one."""
    try:
        return len(data) < _LONGEST_ALIVE and isinstance(decode_request(data), Alive)
    except MalformedMessage:
        return False


def decode_answer(data: bytes) -> Answer:
    """Return an answer. Raises: MalformedMessage."""
    try:
        return _answers.decode(data)
    except _UNDECODABLE as error:
        raise MalformedMessage(f"{len(data)} bytes are no answer of the desk") from error
