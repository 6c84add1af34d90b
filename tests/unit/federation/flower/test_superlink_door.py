"""From other machines the SuperLink answers at the Fleet API alone, however the path is spelled."""

from __future__ import annotations

import asyncio

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from federation.flower.superlink import FleetOnly


async def served(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("served")(scope, receive, send)


def status_of(path: str, client: str) -> int:
    said: list[Message] = []

    async def ask() -> None:
        async def send(message: Message) -> None:
            said.append(message)

        async def receive() -> Message:
            return {"type": "http.request", "body": b""}

        await FleetOnly(served)({"type": "http", "path": path, "client": (client, 1), "headers": []}, receive, send)

    asyncio.run(ask())
    return int(said[0]["status"])


@pytest.mark.parametrize("path", ["/v1/control/start-run", "/docs", "/v1/fleet/../control/start-run", "/v1/fleet", ""])
def test_what_is_not_the_fleet_api_is_found_from_here_alone(path: str) -> None:
    assert status_of(path, "10.0.0.2") == 404
    assert status_of(path, "no address") == 404
    assert status_of(path, "127.0.0.1") == 200


def test_the_fleet_api_is_found_from_anywhere() -> None:
    assert status_of("/v1/fleet/pull-messages", "10.0.0.2") == 200
