"""The parts of what an enterprise sends: one that all may read, and one sealed to each node."""

from __future__ import annotations

from collections.abc import Sequence

from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.errors import UnexpectedMessage


def subjects_by_node(
    envelope: Envelope, sealed: Sequence[Envelope], nodes: Sequence[str], kind: str, channel: Channel
) -> dict[PartyId, tuple[Envelope, Envelope]]:
    """Return what goes to each node: the open part, and the part that is sealed to it.

    Raises: VerificationFailed for a part that is not the sender's; UnexpectedMessage unless each node has exactly one.
    """
    parts: dict[PartyId, tuple[Envelope, Envelope]] = {}
    for part in sealed:
        channel.verify(part)
        node = PartyId(part.receiver)
        if part.sender != envelope.sender or part.message != kind or not part.sealed or node in parts:
            raise UnexpectedMessage(f"{part.message} to {node} is not part of this request")
        parts[node] = envelope, part
    if set(parts) != set(nodes):
        raise UnexpectedMessage(f"{len(parts)} sealed parts for {len(nodes)} nodes")
    return parts
