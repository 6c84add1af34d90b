"""The relay's desk: what the nodes answer to one question is put on record at once, also if one of them is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from federation.coordinator import Coordinator
from federation.relay.desk import RelayDesk
from federation.relay.switchboard import Switchboard
from federation.traffic import Routed
from protocols.channel.envelope import Envelope, open_parcel, pack_parcel
from protocols.channel.identity import PartyId
from protocols.errors import PeerRefused
from protocols.stream import StreamEnd, StreamLimits

BANK, NODES = PartyId("bank"), tuple(map(PartyId, ("a", "b", "c")))


def _envelope(sender: str, receiver: str) -> Envelope:
    return Envelope(bytes(32), sender, receiver, "Query", False, b"", bytes(64))


class _Clerk:
    """Routes as a coordinator does, without a log: the bank's envelope to all nodes, theirs to the bank."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []

    def route_group(self, arrivals: Sequence[tuple[PartyId, Sequence[Envelope]]]) -> list[Routed]:
        self.groups.append(sorted(sender for sender, _ in arrivals))
        return [[(to, e) for to in (NODES if who == BANK else (BANK,)) for e in sent] for who, sent in arrivals]


async def _answering(end: StreamEnd, node: PartyId) -> None:
    while True:
        probe = StreamEnd(StreamLimits())
        for request in probe.incoming(await end.outgoing()):
            probe.reply(request.number, pack_parcel((_envelope(node, BANK),)))
            end.incoming(await probe.outgoing())


def _ask(connected: Sequence[PartyId]) -> tuple[bytes, list[list[str]]]:
    async def ask() -> bytes:
        switchboard, tasks = Switchboard(), list[asyncio.Task[None]]()
        for node in connected:
            end = StreamEnd(StreamLimits())
            switchboard.connect(node, end)
            tasks.append(asyncio.create_task(_answering(end, node)))
        desk = RelayDesk(cast(Coordinator, clerk), switchboard, lambda party: party == BANK, 60)
        async with asyncio.timeout(60):
            reply = await desk.serve(BANK, pack_parcel((_envelope(BANK, "all"),)))
            await desk.close()
        for task in tasks:
            task.cancel()
        return reply

    clerk = _Clerk()
    return asyncio.run(ask()), clerk.groups


def test_all_answers_to_one_question_share_one_commit() -> None:
    reply, groups = _ask(NODES)
    assert [envelope.sender for envelope in open_parcel(reply)] == list(NODES)
    assert groups == [["bank"], ["a", "b", "c"]]


def test_answers_are_on_record_although_a_node_is_away() -> None:
    reply, groups = _ask(NODES[:2])
    with pytest.raises(PeerRefused) as refused:
        open_parcel(reply)
    assert refused.value.code == "NODE_UNAVAILABLE"
    assert groups == [["bank"], ["a", "b"]]
