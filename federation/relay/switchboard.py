"""The streams that are up: one for each party, the newest."""

from __future__ import annotations

import asyncio
import datetime
import functools
import time
from collections.abc import Collection
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from protocols.channel.identity import PartyId
from protocols.channel.pins import SUSPENDED
from protocols.errors import TransportError
from protocols.stream import StreamEnd

UNAVAILABLE: Final = "NODE_UNAVAILABLE"
REPLACED: Final = "REPLACED"
DRAIN_SECONDS: Final = 30.0
IDLE_SECONDS: Final = 2.0
"""A replaced stream ends once nothing was under way on it for so long: what is on its way to either end arrives."""

_DRAIN_STEP: Final = 0.05

UP = Gauge("credfed_streams", "Streams that are up, by party.", ["party"])
CERTIFICATE = Gauge(
    "credfed_stream_certificate_until_seconds", "When a party's certificate expires, seconds since 1970.", ["party"]
)
VERSION = Gauge("credfed_stream_version_info", "The version that a party says it runs.", ["party", "version"])
ENDED = Counter("credfed_streams_ended_total", "Streams that ended, by party and code.", ["party", "code"])
ANSWERED = Histogram("credfed_node_seconds", "Time from asking a party to its reply.", ["party"])
_answered = functools.cache(ANSWERED.labels)  # parties are few, and each look-up takes a lock


class Switchboard:
    """Who is connected. A party's second stream takes the place of its first, which may be a connection long dead.

    What is under way on the first may end there: so a party changes over to a stream under a new certificate without
    losing a question.
    """

    def __init__(self) -> None:
        self._ends: dict[PartyId, StreamEnd] = {}
        self._versions: dict[PartyId, str] = {}
        self._draining: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> frozenset[PartyId]:
        """The parties whose streams are up."""
        return frozenset(self._ends)

    def describe(self, party: PartyId, expires: datetime.datetime, version: str) -> None:
        """Show when a party's certificate expires and which version it says it runs; only its newest word stands."""
        CERTIFICATE.labels(party).set(expires.timestamp())
        spoken = self._versions.get(party)
        if spoken is not None and spoken != version:
            VERSION.remove(party, spoken)
        self._versions[party] = version
        VERSION.labels(party, version).set(1)

    def connect(self, party: PartyId, end: StreamEnd) -> None:
        """Take a party's new stream; an earlier one ends with code REPLACED, once nothing is under way on it."""
        earlier = self._ends.get(party)
        self._ends[party] = end
        if earlier is not None:
            task = asyncio.create_task(self._drain(earlier))
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)
        UP.labels(party).set(1)

    def cut_off(self, parties: Collection[PartyId]) -> None:
        """End the streams of these parties with code PARTY_SUSPENDED."""
        for party in parties:
            end = self._ends.pop(party, None)
            if end is not None:
                end.close(SUSPENDED)
                UP.labels(party).set(0)

    async def _drain(self, end: StreamEnd) -> None:
        began = busy = time.monotonic()
        while (now := time.monotonic()) < busy + IDLE_SECONDS and now < began + DRAIN_SECONDS:
            busy = busy if end.idle else now
            await asyncio.sleep(_DRAIN_STEP)
        end.close(REPLACED)

    def disconnect(self, party: PartyId, end: StreamEnd, code: str) -> None:
        """Forget a stream, unless another has taken its place."""
        ENDED.labels(party, code).inc()
        if self._ends.get(party) is end:
            del self._ends[party]
            UP.labels(party).set(0)

    async def ask(self, party: PartyId, parcel: bytes, seconds: float) -> bytes:
        """Return a party's reply. Raises: TransportError, code NODE_UNAVAILABLE, if there is none in time."""
        end = self._ends.get(party)
        if end is None:
            raise TransportError(f"{party} is not connected", code=UNAVAILABLE)
        try:
            with _answered(party).time():
                async with asyncio.timeout(seconds):
                    return await end.request(parcel)
        except TimeoutError as error:
            raise TransportError(f"{party} did not answer in {seconds:g} s", code=UNAVAILABLE) from error
        except TransportError as error:
            raise TransportError(f"{party} went away: {error.code}", code=UNAVAILABLE) from error
