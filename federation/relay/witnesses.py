"""Has the log cosigned by the parties whose streams are up, again and again while it grows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from prometheus_client import Gauge

from federation.audit import AuditLog
from federation.relay.switchboard import Switchboard
from federation.witnessing import Witnessing
from protocols.channel.identity import PartyId, PartyKeys
from protocols.channel.pins import Pins
from protocols.errors import ConfigurationError, TransportError
from protocols.transparency.notes import VerifierKey
from protocols.transparency.succession import follow

logger = logging.getLogger(__name__)

LEAVES = Gauge("credfed_log_leaves", "Leaves of the log that are durable.")
WITNESSED = Gauge("credfed_log_witnessed_leaves", "Leaves of the log that a quorum of witnesses has seen.")


class WitnessRounds:
    """Collects cosignatures over the streams, every `seconds` in which the log has grown."""

    def __init__(
        self,
        keys: PartyKeys,
        pins: Pins,
        log: AuditLog,
        witnesses: Callable[[], Mapping[PartyId, VerifierKey]],
        switchboard: Switchboard,
        seconds: float,
        admitted: Callable[[], None],
    ) -> None:
        """`witnesses` returns who may cosign now; `admitted` is told when the log has come to count on more of them."""
        self._keys, self._pins, self._log, self._witnesses = keys, pins, log, witnesses
        self._admitted = admitted
        self._switchboard, self._seconds = switchboard, seconds

    async def run(self) -> None:
        """Collect for ever. Raises: VerificationFailed if a witness proves that the log was rolled back or forked."""
        while True:
            LEAVES.set(self._log.size)
            WITNESSED.set(self._log.witnessed_size)
            await asyncio.sleep(self._seconds)
            proposed = await asyncio.to_thread(self._propose)
            grown = self._log.witnessed_size < self._log.size
            if (grown or proposed) and self._witnesses().keys() & self._switchboard.connected:
                await self._collect()

    def _propose(self) -> bool:
        """Let the log know of new witnesses and new keys; tell whether some wait to be counted on."""
        renewed = self._log.cosigners.renew(lambda key: follow(key, self._pins.successions))
        self._log.cosigners.propose(list(self._witnesses().values()))
        if self._log.cosigners.admit() or renewed:
            self._admitted()
        return self._log.cosigners.proposed

    async def _collect(self) -> None:
        loop = asyncio.get_running_loop()

        def exchange(parcels: Mapping[PartyId, bytes]) -> dict[PartyId, bytes | None]:
            return asyncio.run_coroutine_threadsafe(self._ask_all(parcels), loop).result()

        witnessing = Witnessing(self._keys, self._pins, self._log, self._witnesses())
        await asyncio.to_thread(witnessing.collect, exchange)
        await asyncio.to_thread(self._propose)
        refused = {str(party): code for party, code in witnessing.refused.items()}
        extra = {"cosigned": len(witnessing.cosigned), "leaves": self._log.witnessed_size, "refused": refused}
        logger.info("log witnessed", extra=extra)

    async def _ask_all(self, parcels: Mapping[PartyId, bytes]) -> dict[PartyId, bytes | None]:
        asked = [self._ask(party, parcel) for party, parcel in parcels.items()]
        return dict(zip(parcels, await asyncio.gather(*asked), strict=True))

    async def _ask(self, party: PartyId, parcel: bytes) -> bytes | None:
        try:
            return await self._switchboard.ask(party, parcel, self._seconds)
        except TransportError:
            return None


def witnesses_by_party(names: Mapping[str, str], keys: tuple[VerifierKey, ...]) -> dict[PartyId, VerifierKey]:
    """Return each witness's key by its party, from the names under which they cosign.

    Raises: ConfigurationError if a name is none of the log's witnesses.
    """
    by_name = {key.name: key for key in keys}
    unknown = sorted(party for party, name in names.items() if name not in by_name)
    if unknown:
        raise ConfigurationError(f"witnesses.{unknown[0]}: no such name in witnesses.txt", code="BAD_SETTINGS")
    return {PartyId(party): by_name[name] for party, name in names.items()}
