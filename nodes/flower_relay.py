"""The door for Flower: a `ClientApp` that passes bytes to the agent and bytes back, and knows nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

PARCEL = "parcel"


def make_client_app(handle: Callable[[bytes], bytes]) -> ClientApp:
    """Return an app that relays each query message to `handle`, an agent's door, which never raises."""
    app = ClientApp()

    @app.query()
    def relay(message: Message, context: Context) -> Message:
        reply = handle(parcel_of(message))
        array = Array(np.frombuffer(reply, dtype=np.uint8))
        return Message(RecordDict({PARCEL: ArrayRecord({PARCEL: array})}), reply_to=message)

    return app


def parcel_of(message: Message) -> bytes:
    """Return the parcel that a message carries, or b"" (which decodes to nothing) if it carries none; never raises.

    An exception here would travel to the sender with its text, and what an array may raise on bytes cannot be listed.
    """
    try:
        data = message.content.array_records[PARCEL][PARCEL].numpy()
    except Exception:
        return b""
    return data.tobytes() if data.dtype == np.uint8 else b""
