"""The door for Flower: a `ClientApp` that passes bytes to the agent and bytes back, and knows nothing else.

In one process the agent is a call away. Deployed, a SuperNode runs whatever bundle the coordinator submits, so it runs
as a user who can reach one thing alone: the socket at which the agent takes parcels, as it would from anybody.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from nodes.door import ask_socket

PARCEL = "parcel"
DOOR: Final = "door"
TOOK: Final = "took"
WHOLE_BYTES: Final = 1 << 20
"""A parcel up to this size travels as one of Flower's objects; a larger one as an array, which Flower cuts into pieces,
two objects more. Each object is a request of its own at every step of the way."""

Handle = Callable[[bytes], bytes]


def make_client_app(handle: Handle) -> ClientApp:
    """Return an app that relays each query message to `handle`, an agent's door, which never raises."""
    return _relaying(lambda context: handle)


def make_socket_app() -> ClientApp:
    """Return an app that relays each query message to the socket that its SuperNode's configuration names.

    Each reply says how many seconds the agent took for it, so that they can be told from the engine's.
    """
    return _relaying(_socket_door, timed=True)


def _relaying(door: Callable[[Context], Handle], timed: bool = False) -> ClientApp:
    app = ClientApp()

    @app.query()
    def relay(message: Message, context: Context) -> Message:
        started = time.monotonic()
        reply = door(context)(parcel_of(message))
        took = {TOOK: time.monotonic() - started} if timed else {}
        return Message(_content(reply, took), reply_to=message)

    return app


def _content(parcel: bytes, took: dict[str, float]) -> RecordDict:
    if len(parcel) <= WHOLE_BYTES:
        return RecordDict({PARCEL: ConfigRecord({PARCEL: parcel, **took})})
    content = RecordDict({PARCEL: ArrayRecord({PARCEL: Array(np.frombuffer(parcel, dtype=np.uint8))})})
    if took:
        content[TOOK] = ConfigRecord({**took})
    return content


def _socket_door(context: Context) -> Handle:
    path = Path(str(context.node_config[DOOR]))
    return lambda parcel: ask_socket(path, parcel)


def parcel_of(message: Message) -> bytes:
    """Return the parcel that a message carries, or b"" (which decodes to nothing) if it carries none; never raises.

    An exception here would travel to the sender with its text, and what a record may raise on bytes cannot be listed.
    """
    try:
        record = message.content[PARCEL]
        value = record[PARCEL].numpy() if isinstance(record, ArrayRecord) else record[PARCEL]
        octets = value.tobytes() if isinstance(value, np.ndarray) and value.dtype == np.uint8 else value
    except Exception:
        return b""
    return octets if isinstance(octets, bytes) else b""
