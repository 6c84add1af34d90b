"""The data node as a long-lived process: its agent behind its own outbound stream, and at its door for Flower.

Questions come by the stream, training by the door; each has a thread of its own, so that neither waits for the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

from prometheus_client import Histogram

from nodes.data_node.agent import DataNodeAgent
from nodes.data_node.announcing import PolicyAnnouncer
from nodes.data_node.encryptors import PooledEncryptors
from nodes.data_node.settings import NodeSettings
from nodes.data_node.site import NodeSite
from nodes.door import door
from nodes.further_keys import further_keys
from nodes.stream import Connection
from nodes.upkeep import Upkeep
from protocols.channel.identity import PartyId, PartyRole
from protocols.stream import Gatherer

GROUPS = Histogram("credfed_node_commit_parcels", "Parcels that shared one commit.", buckets=(1, 2, 4, 8, 16, 32, 64))
HANDLED = Histogram("credfed_node_commit_seconds", "Time to answer one group of parcels, durably.")


class NodeService:
    """Everything that `credfed node run` keeps alive: it dials, and answers what the coordinator brings."""

    def __init__(self, home: Path, settings: NodeSettings, site: NodeSite) -> None:
        self._encryptors = PooledEncryptors(site.randomness, settings.shares_ahead)
        self._agent = DataNodeAgent(site, self._encryptors)
        for card in site.pins.cards.values():
            if card.role is PartyRole.BANK:  # checks the bank's key, and begins to fill the pool, before it is asked
                self._encryptors.of(site.pins.paillier_key(PartyId(card.party), site.paillier.public_key.bits))
        self._gatherer: Gatherer[bytes, bytes] = Gatherer("agent", self._handle)
        self._connection = Connection(home, settings.coordinator, self._gatherer.submit, lambda: site.pins.sequence)
        self._upkeep = Upkeep(
            home,
            settings.coordinator.tls,
            site.ring,
            self._connection,
            lambda: asyncio.to_thread(site.ring.refresh),
            further_keys(home, home / settings.cards, settings.door, site.ring, site.witness),
        )
        self._announcer = PolicyAnnouncer(site, self._connection)
        self._training = ThreadPoolExecutor(1, thread_name_prefix="training")
        self._door = home / settings.door if settings.door else None

    @property
    def ready(self) -> bool:
        """Whether the coordinator reaches this node."""
        return self._connection.up

    async def run(self) -> None:
        """Serve until cancelled. Raises: ConfigurationError if a certificate's file is missing."""
        async with AsyncExitStack() as open_doors:
            if self._door is not None:
                await open_doors.enter_async_context(door(self._door, self._train))
            beside = [asyncio.create_task(work) for work in (self._upkeep.run(), self._announcer.run())]
            try:
                await self._connection.run()
            finally:
                for task in beside:
                    task.cancel()
                self._gatherer.close()
                self._encryptors.close()

    async def _train(self, parcel: bytes) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._training, self._agent.handle_training, parcel)

    def _handle(self, parcels: Sequence[bytes]) -> list[bytes]:
        GROUPS.observe(len(parcels))
        with HANDLED.time():
            return self._agent.handle_group(parcels)
