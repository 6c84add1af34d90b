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
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from nodes.door import ask_socket

PARCEL = "parcel"
DOOR: Final = "door"
TOOK: Final = "took"
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
        content = RecordDict({PARCEL: ArrayRecord({PARCEL: Array(np.frombuffer(reply, dtype=np.uint8))})})
        if timed:
            content[TOOK] = MetricRecord({TOOK: time.monotonic() - started})
        return Message(content, reply_to=message)

    return app


def _socket_door(context: Context) -> Handle:
    path = Path(str(context.node_config[DOOR]))
    return lambda parcel: ask_socket(path, parcel)


def parcel_of(message: Message) -> bytes:
    """Return the parcel that a message carries, or b"" (which decodes to nothing) if it carries none; never raises.

    An exception here would travel to the sender with its text, and what an array may raise on bytes cannot be listed.
    """
    try:
        data = message.content.array_records[PARCEL][PARCEL].numpy()
    except Exception:
        return b""
    return data.tobytes() if data.dtype == np.uint8 else b""
