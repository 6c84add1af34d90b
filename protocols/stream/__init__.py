"""How parcels travel between long-lived processes: one bidirectional stream of frames for each party.

`frame.proto` is what is on the wire, `frame_pb2` is generated from it (`make stubs`); `exchanges` is one end of a
stream as plain state: it numbers requests, matches replies, and bounds everything that waits; `carrying` moves its
frames over any wire; `gathering` makes one call, and one commit, of what waits. Sockets and certificates are the
business of whoever holds the end: the party (`nodes/stream`) or the coordinator (`federation/relay`).
"""

from protocols.stream.carrying import Serve, StreamTiming, Wire, carry
from protocols.stream.exchanges import TOO_LARGE, StreamEnd, StreamLimits
from protocols.stream.gathering import Gatherer
from protocols.stream.wire import (
    ROSTER_HEADER,
    SERVICE_METHOD,
    SERVICE_NAME,
    TRAINING_METHOD,
    UPKEEP_METHOD,
    VERSION_KEY,
)

__all__ = [
    "ROSTER_HEADER",
    "SERVICE_METHOD",
    "SERVICE_NAME",
    "TOO_LARGE",
    "TRAINING_METHOD",
    "UPKEEP_METHOD",
    "VERSION_KEY",
    "Gatherer",
    "Serve",
    "StreamEnd",
    "StreamLimits",
    "StreamTiming",
    "Wire",
    "carry",
]
