"""Tells every party whose stream is up of a new roster, in an order in which nobody meets a key it does not know.

First the data nodes, then the banks, and last whoever has changed: it takes its next keys into use when it sees them
named. A party that was away is told before anything else is sent to it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from federation.enrolment.registrar import Registrar
from federation.relay.switchboard import Switchboard
from protocols.channel.envelope import Channel, open_parcel, pack_parcel
from protocols.channel.identity import PartyId, PartyRole
from protocols.enrolment.upkeep import RosterNotice
from protocols.errors import CreditFederationError
from protocols.stream import StreamEnd

logger = logging.getLogger(__name__)
POLL_SECONDS: Final = 0.5
PARTY_SECONDS: Final = 15.0


class RosterRounds:
    """Looks for what operators have decided, and passes on what follows."""

    def __init__(
        self, registrar: Registrar, channel: Callable[[bytes], Channel], party: PartyId, switchboard: Switchboard
    ) -> None:
        self._registrar, self._channel, self._party = registrar, channel, party
        self._switchboard = switchboard
        self._telling = asyncio.Lock()

    async def run(self) -> None:
        """Bring decisions into effect for ever."""
        while True:
            try:
                if await asyncio.to_thread(self._registrar.reconcile):
                    await self.tell_all(None)
            except CreditFederationError as error:
                logger.error("a decision has no effect", extra={"code": error.code, "text": str(error)})
            await asyncio.sleep(POLL_SECONDS)

    async def tell_all(self, changed: PartyId | None) -> None:
        """Tell all parties whose streams are up; `changed` is told last. Suspended ones are cut off."""
        async with self._telling:
            entries = self._registrar.entries
            self._switchboard.cut_off({party for party, entry in entries.items() if entry.suspended})
            roles = {party: entry.lineage.card.role for party, entry in entries.items()}
            others = [party for party in self._switchboard.connected if party != changed]
            nodes = [party for party in others if roles.get(party) is PartyRole.DATA_NODE]
            await self._tell(nodes)
            await self._tell([party for party in others if party not in nodes])
            if changed is not None:
                await self._tell([changed])

    def greet(self, party: PartyId, end: StreamEnd, sequence: int) -> asyncio.Task[None] | None:
        """Begin to tell a party on its new stream, before all else, unless it has the newest roster."""
        if sequence >= self._registrar.roster.roster.sequence:
            return None
        return asyncio.create_task(self._greet(party, end))

    def newer(self, party: PartyId, sequence: int) -> bytes:
        """Return the parcel that tells a party of a newer roster than it has, b"" if there is none."""
        return b"" if sequence >= self._registrar.roster.roster.sequence else self._parcel(party)

    async def _greet(self, party: PartyId, end: StreamEnd) -> None:
        await self._ask(party, end.request(self._parcel(party)))

    async def _tell(self, parties: list[PartyId]) -> None:
        asked = (self._switchboard.ask(party, self._parcel(party), PARTY_SECONDS) for party in parties)
        await asyncio.gather(*(self._ask(party, answer) for party, answer in zip(parties, asked, strict=True)))

    async def _ask(self, party: PartyId, answer: Awaitable[bytes]) -> None:
        try:
            async with asyncio.timeout(PARTY_SECONDS):
                open_parcel(await answer)
        except TimeoutError:
            logger.warning("a party has not taken the roster", extra={"party": party, "code": "NO_ANSWER"})
        except CreditFederationError as error:
            logger.warning("a party has not taken the roster", extra={"party": party, "code": error.code})

    def _parcel(self, party: PartyId) -> bytes:
        notice = RosterNotice(self._registrar.roster)
        return pack_parcel((self._channel(notice.transcript()).wrap(party, notice, sealed=False),))
