"""How a bank hands a training run in, and follows it: one message each way, beside its stream, under its certificate.

The opening of a run may be larger than a frame, so it comes in pieces; each may be sent again. What is said of a run is
its record: lines that only grow, read from wherever the reader stands. So a line that breaks costs nothing.

    bank   RosterQuestion        coordinator   RosterParcel: the newest roster, which a bank that was away has missed
    bank   OpeningPiece …        coordinator   RunHeld: the run's name, once all pieces are there and it was begun
    bank   RecordQuestion …      coordinator   RecordPiece: what has been added
"""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from protocols.channel.wire import Message, decode
from protocols.errors import MalformedMessage, PeerRefused

LARGEST_OPENING: Final = 1 << 30
LARGEST_PIECE: Final = 1 << 20
LARGEST_ROSTER: Final = 1 << 24
_RUN: Final = r"^[a-z0-9-]{0,64}\Z"
RunName = Annotated[str, Meta(pattern=_RUN)]
Place = Annotated[int, Meta(ge=0, le=LARGEST_OPENING)]


class RosterQuestion(Message, frozen=True):
    """Is there a newer roster than the one that the bank has pinned? Reveals: which it has."""

    OPEN: ClassVar[bool] = True

    known: Annotated[int, Meta(ge=0, lt=1 << 53)]


class RosterParcel(Message, frozen=True):
    """The parcel with a newer roster, as it is told to every party; empty if there is none. Reveals: the roster."""

    OPEN: ClassVar[bool] = True

    parcel: Annotated[bytes, Meta(max_length=LARGEST_ROSTER)]


class OpeningPiece(Message, frozen=True):
    """A piece of the parcel with which a bank opens a run; `asked` is its own name for it. Reveals: the size."""

    OPEN: ClassVar[bool] = True

    asked: Annotated[bytes, Meta(min_length=16, max_length=16)]
    size: Annotated[int, Meta(ge=1, le=LARGEST_OPENING)]
    at: Place
    data: Annotated[bytes, Meta(max_length=LARGEST_PIECE)]


class RunHeld(Message, frozen=True):
    """What is held of an opening; `run` is empty while something is missing. Reveals nothing."""

    OPEN: ClassVar[bool] = True

    size: Place
    run: RunName


class RecordQuestion(Message, frozen=True):
    """What is there of a run's record from byte `at` on? Reveals nothing."""

    OPEN: ClassVar[bool] = True

    run: RunName
    at: Place


class RecordPiece(Message, frozen=True):
    """Whole lines of a run's record. Reveals, to those who take part: rounds, sizes, seconds, how it ended."""

    OPEN: ClassVar[bool] = True

    lines: Annotated[bytes, Meta(max_length=LARGEST_PIECE)]


class RunRefused(Message, frozen=True):
    """The code of a refusal. Reveals nothing else."""

    OPEN: ClassVar[bool] = True

    code: Annotated[str, Meta(max_length=64, pattern=r"^[A-Z_]+\Z")]


Asked = RosterQuestion | OpeningPiece | RecordQuestion
Answered = RosterParcel | RunHeld | RecordPiece


def decode_asked(data: bytes) -> Asked:
    """Return what a bank asks. Raises: MalformedMessage."""
    kinds: tuple[type[OpeningPiece] | type[RosterQuestion], ...] = (OpeningPiece, RosterQuestion)
    for kind in kinds:
        with suppress(MalformedMessage):
            return decode(data, kind)
    return decode(data, RecordQuestion)


def decode_roster(data: bytes) -> RosterParcel:
    """Return the answer to a question about the roster. Raises: as `decode_held`."""
    _refused(data)
    return decode(data, RosterParcel)


def decode_held(data: bytes) -> RunHeld:
    """Return the answer to a piece. Raises: MalformedMessage; PeerRefused with the coordinator's code."""
    _refused(data)
    return decode(data, RunHeld)


def decode_record(data: bytes) -> RecordPiece:
    """Return the answer to a question about a record. Raises: as `decode_held`."""
    _refused(data)
    return decode(data, RecordPiece)


def _refused(data: bytes) -> None:
    try:
        refusal = decode(data, RunRefused)
    except MalformedMessage:
        return
    raise PeerRefused(f"the coordinator refuses: {refusal.code}", code=refusal.code)
