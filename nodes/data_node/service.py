"""The data node as a long-lived process: its agent behind its own outbound stream."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prometheus_client import Histogram

from nodes.data_node.agent import DataNodeAgent
from nodes.data_node.encryptors import PooledEncryptors
from nodes.data_node.settings import NodeSettings
from nodes.data_node.site import NodeSite
from nodes.stream import Connection
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
        self._connection = Connection(home, settings.coordinator, self._gatherer.submit)

    @property
    def ready(self) -> bool:
        """Whether the coordinator reaches this node."""
        return self._connection.up

    async def run(self) -> None:
        """Serve until cancelled. Raises: ConfigurationError if a certificate's file is missing."""
        try:
            await self._connection.run()
        finally:
            self._gatherer.close()
            self._encryptors.close()

    def _handle(self, parcels: Sequence[bytes]) -> list[bytes]:
        GROUPS.observe(len(parcels))
        with HANDLED.time():
            return self._agent.handle_group(parcels)
