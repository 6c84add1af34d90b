"""One training run as its banks have it: doors open for their SuperNodes, the run handed in, its record followed.

What crosses is what a bank on a machine of its own has: its line to the coordinator, and its own SuperNode's socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from federation.flower import desk_messages as d
from federation.flower.intake import SILENCE_SECONDS
from federation.traffic import RoundEvent, Traffic
from nodes.bank.agent import BankAgent
from nodes.bank.settings import BankSettings
from nodes.bank.training.run_line import RunLine, run_line
from nodes.door import door
from protocols.errors import ConfigurationError, MalformedMessage, PeerRefused, TransportError

_POLL_SECONDS: Final = 0.2


class _Line(msgspec.Struct, frozen=True):
    """One line of a run's record."""

    round: RoundEvent | None = None
    end: d.End | None = None


@dataclass(frozen=True, slots=True)
class BankEnd:
    """A bank that takes part in a run from its own directory."""

    home: Path
    settings: BankSettings
    agent: BankAgent

    @property
    def socket(self) -> Path:
        """Where its SuperNode brings parcels. Raises: ConfigurationError, code NO_DOOR."""
        if not self.settings.door:
            raise ConfigurationError(f"{self.home}: no door is set, so no SuperNode reaches the bank", code="NO_DOOR")
        return self.home / self.settings.door

    async def serve(self, parcel: bytes) -> bytes:
        """Return the agent's reply to a parcel."""
        return await asyncio.to_thread(self.agent.handle, parcel)


async def carry(ends: Sequence[BankEnd], on_round: Callable[[RoundEvent], None]) -> d.End:
    """Let the engine carry the run that the first bank has opened; all of them take part here meanwhile.

    Raises: PeerRefused with the code of its end; TransportError, code ENGINE_SILENT or COORDINATOR_UNAVAILABLE.
    """
    lead = ends[0]
    async with contextlib.AsyncExitStack() as opened:
        for end in ends:
            await opened.enter_async_context(door(end.socket, end.serve))
        line = await opened.enter_async_context(run_line(lead.home, lead.settings.coordinator))
        run = await line.hand_in(lead.agent.collect())
        return await _follow(line, run, on_round)


def traffic_of(end: d.End, labels_seconds: float, seconds: float) -> Traffic:
    """Return what a run took: `seconds` on the clock from when it was handed in."""
    traffic = Traffic(end.rounds, end.bytes_sent, end.bytes_received)
    traffic.seconds |= {"labels": labels_seconds} | end.seconds
    traffic.engine_seconds |= {"start": seconds - sum(end.seconds.values()), "carrying": end.carrying_seconds}
    return traffic


async def _follow(line: RunLine, run: str, on_round: Callable[[RoundEvent], None]) -> d.End:
    """Read a run's record as it grows. Raises: as `carry`; MalformedMessage for lines that are none."""
    read, heard = 0, time.monotonic()
    while time.monotonic() - heard < SILENCE_SECONDS:
        found = await line.record(run, read)
        if found:
            read, heard = read + len(found), time.monotonic()
        for parsed in _lines(found):
            if parsed.round is not None:
                on_round(parsed.round)
            if parsed.end is not None:
                return _good(parsed.end)
        await asyncio.sleep(_POLL_SECONDS)
    text = f"Flower's engine has been silent for {SILENCE_SECONDS:g} s: the run is given up"
    raise TransportError(text, code="ENGINE_SILENT")


def _lines(found: bytes) -> list[_Line]:
    try:
        return [msgspec.json.decode(line, type=_Line) for line in found.splitlines()]
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MalformedMessage(f"{len(found)} bytes are no record of a run") from error


def _good(end: d.End) -> d.End:
    if end.code:
        raise PeerRefused(end.text, code=end.code)
    return end
