"""The streams that are up: one for each party, the newest."""

from __future__ import annotations

import asyncio
import datetime
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from protocols.channel.identity import PartyId
from protocols.errors import TransportError
from protocols.stream import StreamEnd

UNAVAILABLE: Final = "NODE_UNAVAILABLE"
REPLACED: Final = "REPLACED"

UP = Gauge("credfed_streams", "Streams that are up, by party.", ["party"])
CERTIFICATE = Gauge(
    "credfed_stream_certificate_until_seconds", "When a party's certificate expires, seconds since 1970.", ["party"]
)
VERSION = Gauge("credfed_stream_version_info", "The version that a party says it runs.", ["party", "version"])
ENDED = Counter("credfed_streams_ended_total", "Streams that ended, by party and code.", ["party", "code"])
ANSWERED = Histogram("credfed_node_seconds", "Time from asking a party to its reply.", ["party"])


class Switchboard:
    """Who is connected. A party's second stream takes the place of its first, which may be a connection long dead."""

    def __init__(self) -> None:
        self._ends: dict[PartyId, StreamEnd] = {}
        self._versions: dict[PartyId, str] = {}

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
        """Take a party's new stream; an earlier one ends with code REPLACED."""
        earlier = self._ends.get(party)
        self._ends[party] = end
        if earlier is not None:
            earlier.close(REPLACED)
        UP.labels(party).set(1)

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
            with ANSWERED.labels(party).time():
                async with asyncio.timeout(seconds):
                    return await end.request(parcel)
        except TimeoutError as error:
            raise TransportError(f"{party} did not answer in {seconds:g} s", code=UNAVAILABLE) from error
        except TransportError as error:
            raise TransportError(f"{party} went away: {error.code}", code=UNAVAILABLE) from error
