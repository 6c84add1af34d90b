"""Enterprises over the streams that are up: their requests go to the nodes, and objections until each has them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from federation.enterprise import EnterpriseDesk
from federation.relay.switchboard import Switchboard
from federation.witnessing import Deliver
from protocols.channel.identity import PartyId
from protocols.errors import TransportError

logger = logging.getLogger(__name__)


class EnterpriseRelay:
    """Carries what the desk for enterprises sends to nodes, each for at most `node_seconds`."""

    def __init__(
        self, desk: EnterpriseDesk, switchboard: Switchboard, node_seconds: float, round_seconds: float
    ) -> None:
        self._desk, self._switchboard = desk, switchboard
        self._node_seconds, self._round_seconds = node_seconds, round_seconds
        self._filed = asyncio.Event()

    async def serve(self, parcel: bytes) -> bytes:
        """Return the answer to an enterprise's parcel; never raises. What it files is brought to the nodes at once."""
        answer = await asyncio.to_thread(self._desk.serve, parcel, self._deliver())
        self._filed.set()
        return answer

    async def run(self) -> None:
        """Bring objections and decisions about, again and again while there are any."""
        while True:
            try:
                async with asyncio.timeout(self._round_seconds):
                    await self._filed.wait()
            except TimeoutError:
                pass
            self._filed.clear()
            try:
                if await asyncio.to_thread(lambda: self._desk.rounds.due):
                    await asyncio.to_thread(self._desk.rounds.run, self._deliver())
            except Exception as error:  # the next round tries again; what is on record stays
                logger.error("a round of objections failed", extra={"error": type(error).__name__}, exc_info=error)

    def _deliver(self) -> Deliver:
        loop = asyncio.get_running_loop()

        def deliver(parcels: Mapping[PartyId, bytes]) -> dict[PartyId, bytes | None]:
            return asyncio.run_coroutine_threadsafe(self._ask_all(parcels), loop).result()

        return deliver

    async def _ask_all(self, parcels: Mapping[PartyId, bytes]) -> dict[PartyId, bytes | None]:
        asked = [self._ask(party, parcel) for party, parcel in parcels.items()]
        return dict(zip(parcels, await asyncio.gather(*asked), strict=True))

    async def _ask(self, party: PartyId, parcel: bytes) -> bytes | None:
        try:
            return await self._switchboard.ask(party, parcel, self._node_seconds)
        except TransportError:
            return None
