"""Tells the coordinator by which policy this node goes, for the log: on every stream, and whenever it changes."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from nodes.data_node.site import NodeSite
from nodes.stream import Connection
from protocols.channel.envelope import open_parcel, pack_parcel
from protocols.channel.identity import PartyId, PartyRole
from protocols.enrolment.upkeep import PolicyNotice
from protocols.errors import CreditFederationError

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 5.0


class PolicyAnnouncer:
    """One node's announcements. Its answers name their policy, too: none waits for this."""

    def __init__(self, site: NodeSite, connection: Connection) -> None:
        self._site, self._connection = site, connection

    async def run(self) -> None:
        """Announce for ever; what fails is tried again."""
        told: tuple[int, bytes] | None = None
        while True:
            pause = POLL_SECONDS
            await asyncio.to_thread(self._site.rules.renew)
            state = self._connection.streams, self._site.policy.digest()
            if self._connection.up and state != told:
                try:
                    await self._tell(state[1])
                    told = state
                except CreditFederationError as error:
                    logger.warning("policy not announced", extra={"code": error.code})
                    pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def _tell(self, policy: bytes) -> None:
        """Say it once. Raises: TransportError; PeerRefused with the coordinator's code."""
        notice = PolicyNotice(policy, self._site.clock())
        coordinator = PartyId(self._site.pins.only(PartyRole.COORDINATOR).party)
        envelope = self._site.channel(notice.transcript()).wrap(coordinator, notice, sealed=False)
        open_parcel(await self._connection.upkeep(pack_parcel((envelope,))))
