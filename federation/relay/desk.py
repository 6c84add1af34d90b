"""Serves what a party asks: routes its parcel, asks those whom it is for, collects what comes back.

Who may send what to whom is the coordinator's business (`federation/coordinator/`), and nothing of it goes on before
its leaf is durable; many parcels share one commit.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from prometheus_client import Counter, Histogram

from federation.coordinator import Coordinator
from federation.relay.switchboard import Switchboard
from federation.traffic import Routed
from protocols.channel.envelope import Envelope, open_parcel, pack_parcel, pack_refusal
from protocols.channel.identity import PartyId
from protocols.errors import CreditFederationError, PeerRefused, UnexpectedMessage
from protocols.stream import Gatherer

logger = logging.getLogger(__name__)

SERVED = Counter("credfed_requests_total", "What parties asked for, by party and code.", ["party", "code"])
TIMES = Histogram("credfed_request_seconds", "Time from a party's request to its reply.", ["party"])
GROUPS = Histogram("credfed_commit_parcels", "Parcels that shared one commit.", buckets=(1, 2, 4, 8, 16, 32, 64))
_served, _times = functools.cache(SERVED.labels), functools.cache(TIMES.labels)  # each look-up takes a lock
COMMITS = Histogram("credfed_commit_seconds", "Time to verify, log and route one group of parcels.")

Arrival = tuple[PartyId, bytes]

REFUSED: Final = "NODE_REFUSED"
BYTES_PER_SECOND: Final = 50_000
"""How much longer a node may take for more: a batch of a thousand enterprises brings it half a megabyte."""


class RelayDesk:
    """One coordinator's desk. Work that was begun is finished, also for a party that has gone away: it is on record."""

    def __init__(
        self,
        coordinator: Coordinator,
        switchboard: Switchboard,
        may_ask: Callable[[PartyId], bool],
        node_seconds: float,
    ) -> None:
        """`may_ask` tells whether a party may ask now: banks may. Data nodes only answer."""
        self._coordinator, self._switchboard = coordinator, switchboard
        self._may_ask, self._node_seconds = may_ask, node_seconds
        self._gatherer: Gatherer[Arrival, Routed] = Gatherer("route", self._route)
        self._serving: set[asyncio.Task[bytes]] = set()

    async def serve(self, party: PartyId, parcel: bytes) -> bytes:
        """Return the reply to a party's request: all that is for it, or the code of a refusal; never raises."""
        task = asyncio.create_task(self._serve(party, parcel))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Finish what was begun."""
        await asyncio.gather(*self._serving, return_exceptions=True)
        self._gatherer.close()

    async def _serve(self, party: PartyId, parcel: bytes) -> bytes:
        code = counted = "OK"
        with _times(party).time():
            try:
                if not self._may_ask(party):
                    raise UnexpectedMessage(f"{party} has nothing to ask")
                routed = await self._gatherer.submit((party, parcel))
                return pack_parcel(tuple(await self._pass_on(routed, party)))
            except CreditFederationError as error:
                code = error.code
                counted = REFUSED if isinstance(error, PeerRefused) else code  # a peer's codes would be labels no end
                told = {"party": party, "code": code, "bytes": len(parcel), "text": str(error)}
                logger.warning("request refused", extra=told)
            except Exception as error:
                code = counted = "INTERNAL_ERROR"
                logger.error("request failed", extra={"party": party, "error": type(error).__name__}, exc_info=error)
            finally:
                _served(party, counted).inc()
        return pack_refusal(code)

    async def _pass_on(self, routed: Routed, asker: PartyId) -> list[Envelope]:
        """Ask all others for whom something is; return what is for the asker. Raises: CreditFederationError."""
        collected: list[Envelope] = []
        while routed:
            parcels: dict[PartyId, list[Envelope]] = {}
            for receiver, envelope in routed:
                (collected if receiver == asker else parcels.setdefault(receiver, [])).append(envelope)
            routed = await self._answers(parcels)
        return collected

    async def _answers(self, parcels: Mapping[PartyId, Sequence[Envelope]]) -> Routed:
        """Return what all answer, routed together: one commit for a question's answers, also if one does not come.

        Raises: CreditFederationError.
        """
        asked = [self._ask(party, tuple(envelopes)) for party, envelopes in parcels.items()]
        replies = await asyncio.gather(*asked, return_exceptions=True)
        arrived = [(party, reply) for party, reply in zip(parcels, replies, strict=True) if isinstance(reply, bytes)]
        outcomes = await asyncio.gather(*map(self._gatherer.submit, arrived), return_exceptions=True)
        failed = [outcome for outcome in (*replies, *outcomes) if isinstance(outcome, BaseException)]
        if failed:
            raise failed[0]
        return [step for outcome in outcomes if not isinstance(outcome, BaseException) for step in outcome]

    async def _ask(self, party: PartyId, envelopes: tuple[Envelope, ...]) -> bytes:
        parcel = pack_parcel(envelopes)
        return await self._switchboard.ask(party, parcel, self._node_seconds + len(parcel) / BYTES_PER_SECOND)

    def _route(self, arrivals: Sequence[Arrival]) -> list[Routed | Exception]:
        """Open, verify, log and route a group of parcels, in the gatherer's thread."""
        GROUPS.observe(len(arrivals))
        with COMMITS.time():
            opened = [_open(party, parcel) for party, parcel in arrivals]
            good = [arrival for arrival in opened if not isinstance(arrival, Exception)]
            routed = iter(self._coordinator.route_group(good))
            return [arrival if isinstance(arrival, Exception) else next(routed) for arrival in opened]


def _open(party: PartyId, parcel: bytes) -> tuple[PartyId, tuple[Envelope, ...]] | CreditFederationError:
    try:
        return party, open_parcel(parcel)
    except PeerRefused as refusal:
        return PeerRefused(f"{party} refused: {refusal.code}", code=refusal.code)
    except CreditFederationError as error:
        return error
