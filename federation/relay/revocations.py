"""Passes the newest list of revocations to every node, as soon as it is there and as soon as a node is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Final

from federation.coordinator.consents import notice
from federation.relay.desk import RelayDesk
from federation.relay.switchboard import Switchboard
from protocols.channel.envelope import Channel, pack_parcel
from protocols.channel.identity import PartyId
from protocols.errors import TransportError

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0
NODE_SECONDS: Final = 5.0


class RevocationRounds:
    """Reads the list that lies in the coordinator's directory, has it logged, and sends it to the nodes.

    Whoever puts the list there is not trusted: the coordinator and every node verify the issuer's signature.
    """

    def __init__(
        self,
        latest: Callable[[], str],
        channel: Callable[[bytes], Channel],
        party: PartyId,
        nodes: Callable[[], Collection[PartyId]],
        desk: RelayDesk,
        switchboard: Switchboard,
    ) -> None:
        self._latest, self._channel, self._party = latest, channel, party
        self._nodes, self._desk, self._switchboard = nodes, desk, switchboard
        self._logged = ""
        self._told: dict[PartyId, str] = {}

    async def run(self) -> None:
        """Pass lists on for ever."""
        while True:
            latest = await asyncio.to_thread(self._latest)
            if latest:
                await self._pass_on(latest)
            await asyncio.sleep(POLL_SECONDS)

    async def _pass_on(self, revocations: str) -> None:
        parcel = pack_parcel((notice(revocations, self._channel),))
        if revocations != self._logged:
            await self._desk.serve(self._party, parcel)
            self._logged = revocations
        connected = self._switchboard.connected & set(self._nodes())
        self._told = {node: told for node, told in self._told.items() if node in connected}
        await asyncio.gather(*(self._tell(node, revocations, parcel) for node in sorted(connected)))

    async def _tell(self, node: PartyId, revocations: str, parcel: bytes) -> None:
        if self._told.get(node) == revocations:
            return
        try:
            await self._switchboard.ask(node, parcel, NODE_SECONDS)
            self._told[node] = revocations
        except TransportError as error:
            logger.warning("a node has no list of revocations", extra={"party": node, "code": error.code})
