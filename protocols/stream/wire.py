"""The generated frame, and the names of the service, for code that has a channel."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError

from protocols.errors import MalformedMessage
from protocols.stream.frame_pb2 import DESCRIPTOR, Closing, Delivery, Exchange, Frame, Heartbeat

__all__ = [
    "ROSTER_HEADER",
    "SERVICE_METHOD",
    "SERVICE_NAME",
    "TRAINING_METHOD",
    "UPKEEP_METHOD",
    "VERSION_KEY",
    "Closing",
    "Delivery",
    "Exchange",
    "Frame",
    "Heartbeat",
    "read_frame",
]

_SERVICE = DESCRIPTOR.services_by_name["Relay"]
SERVICE_NAME: Final[str] = _SERVICE.full_name
VERSION_KEY: Final = "credfed-version"
"""The metadata in which a party says which version it runs; nothing rests on it."""

SERVICE_METHOD: Final[str] = _SERVICE.methods_by_name["Connect"].name
UPKEEP_METHOD: Final = "Upkeep"
"""One parcel each way, under the same certificate: what a party asks for its own certificate and card."""

TRAINING_METHOD: Final = "Training"
"""One message each way, under the same certificate: a run that a bank hands in, and its record (`runs`)."""

ROSTER_HEADER: Final = "credfed-roster"
"""With which a party says, when it dials, which roster it has."""


def read_frame(data: bytes) -> Frame:
    """Return the frame that bytes from a peer encode. Raises: MalformedMessage."""
    try:
        frame: Frame = Frame.FromString(data)
    except DecodeError as error:
        raise MalformedMessage(f"not a frame ({len(data)} bytes)") from error
    return frame
