"""Enterprises over the streams that are up: their requests go to the nodes, and objections until each has them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from federation.enterprise import EnterpriseDesk
from federation.enterprise.http import AT_ONCE
from federation.relay.switchboard import Switchboard
from federation.witnessing import Deliver
from protocols.channel.identity import PartyId
from protocols.errors import TransportError

logger = logging.getLogger(__name__)
LOOP_SECONDS: Final = 10.0
"""How much longer than a node may take a thread waits for the event loop, which may have ended meanwhile."""

R = TypeVar("R")


class EnterpriseRelay:
    """Carries what the desk for enterprises sends to nodes, each for at most `node_seconds`.

    Its threads are its own: whoever makes enterprises' requests wait holds up neither witnesses nor revocations.
    """

    def __init__(
        self, desk: EnterpriseDesk, switchboard: Switchboard, node_seconds: float, round_seconds: float
    ) -> None:
        self._desk, self._switchboard = desk, switchboard
        self._node_seconds, self._round_seconds = node_seconds, round_seconds
        self._filed = asyncio.Event()
        self._threads = ThreadPoolExecutor(AT_ONCE + 1, thread_name_prefix="enterprises")

    async def serve(self, parcel: bytes) -> bytes:
        """Return the answer to an enterprise's parcel; never raises. What it files is brought to the nodes at once."""
        deliver = self._deliver()
        answer = await self._do(lambda: self._desk.serve(parcel, deliver))
        self._filed.set()
        return answer

    async def run(self) -> None:
        """Bring objections and decisions about, again and again while there are any; keep the index of the log."""
        deliver = self._deliver()
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._round_seconds):
                        await self._filed.wait()
                self._filed.clear()
                try:
                    await self._do(lambda: self._round(deliver))
                except Exception as error:  # the next round tries again; what is on record stays
                    name = type(error).__name__
                    logger.error("a round of objections failed", extra={"error": name}, exc_info=error)
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _round(self, deliver: Deliver) -> None:
        if self._desk.rounds.due:
            self._desk.rounds.run(deliver)
        self._desk.follow_log()

    async def _do(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _deliver(self) -> Deliver:
        loop, patience = asyncio.get_running_loop(), self._node_seconds + LOOP_SECONDS

        def deliver(parcels: Mapping[PartyId, bytes]) -> dict[PartyId, bytes | None]:
            return asyncio.run_coroutine_threadsafe(self._ask_all(parcels), loop).result(patience)

        return deliver

    async def _ask_all(self, parcels: Mapping[PartyId, bytes]) -> dict[PartyId, bytes | None]:
        asked = [self._ask(party, parcel) for party, parcel in parcels.items()]
        return dict(zip(parcels, await asyncio.gather(*asked), strict=True))

    async def _ask(self, party: PartyId, parcel: bytes) -> bytes | None:
        try:
            return await self._switchboard.ask(party, parcel, self._node_seconds)
        except TransportError:
            return None
