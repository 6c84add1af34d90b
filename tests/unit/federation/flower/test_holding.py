"""Questions at the SuperLink are held until there may be something, never longer than asked, and never for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from starlette.types import Message, Receive, Scope, Send

from federation.flower import holding
from federation.flower.holding import ASKERS, Bell, HoldsQuestions

PULL, PUSH = "/v1/fleet/pull-messages", "/v1/runtime/push-object"
LONG = 3600.0
PATIENCE = 60.0


class Flower:
    """Stands behind the door; keeps what reached it."""

    def __init__(self) -> None:
        self.reached: list[tuple[str, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        self.reached.append((scope["path"], body))


class Asker:
    """One connection of a process that asks."""

    def __init__(self, door: HoldsQuestions, port: int) -> None:
        self._door, self._port = door, port
        self._gone = asyncio.Event()

    def leave(self) -> None:
        self._gone.set()

    async def ask(self, path: str, *body: bytes) -> None:
        parts = [{"type": "http.request", "body": b, "more_body": b is not body[-1]} for b in body]

        async def receive() -> Message:
            if parts:
                return parts.pop(0)
            await self._gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            raise AssertionError("nothing is answered here")

        await self._door({"type": "http", "path": path, "client": ("10.0.0.2", self._port)}, receive, send)


def held(scene: Callable[[Flower, HoldsQuestions], Coroutine[None, None, None]]) -> None:
    flower = Flower()
    asyncio.run(asyncio.wait_for(scene(flower, HoldsQuestions(flower)), PATIENCE))


@pytest.fixture(autouse=True)
def for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "HOLD_SECONDS", LONG)


async def settled() -> None:
    """Let everything go on that can go on without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_question_is_held_until_something_is_brought_and_reaches_flower_whole() -> None:
    async def scene(flower: Flower, door: HoldsQuestions) -> None:
        node, server = Asker(door, 1), Asker(door, 2)
        await node.ask(PULL, b"first")  # whoever is new is not held
        waiting = asyncio.create_task(node.ask(PULL, b"sec", b"ond"))
        await settled()
        assert flower.reached == [(PULL, b"first")]
        await server.ask(PUSH, b"object")
        await waiting
        assert flower.reached == [(PULL, b"first"), (PUSH, b"object"), (PULL, b"second")]

    held(scene)


def test_what_was_brought_between_two_questions_is_not_waited_for() -> None:
    async def scene(flower: Flower, door: HoldsQuestions) -> None:
        node, server = Asker(door, 1), Asker(door, 2)
        await node.ask(PULL, b"")
        await server.ask(PUSH, b"object")
        await asyncio.sleep(2 * holding.QUIET_SECONDS)
        await node.ask(PULL, b"")
        assert len(flower.reached) == 3

    held(scene)


def test_an_asker_that_left_takes_no_message_with_it() -> None:
    async def scene(flower: Flower, door: HoldsQuestions) -> None:
        node, server = Asker(door, 1), Asker(door, 2)
        await node.ask(PULL, b"")
        waiting = asyncio.create_task(node.ask(PULL, b""))
        await settled()
        node.leave()
        await waiting
        await server.ask(PUSH, b"object")
        assert [path for path, _ in flower.reached] == [PULL, PUSH]

    held(scene)


def test_nobody_is_held_for_longer_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "HOLD_SECONDS", 0.05)

    async def scene(flower: Flower, door: HoldsQuestions) -> None:
        node = Asker(door, 1)
        await node.ask(PULL, b"")
        await node.ask(PULL, b"")
        assert len(flower.reached) == 2

    held(scene)


def test_a_long_body_is_handed_on_unheld() -> None:
    async def scene(flower: Flower, door: HoldsQuestions) -> None:
        node, part = Asker(door, 1), b"x" * holding.BODY_BYTES
        await node.ask(PULL, b"")
        await node.ask(PULL, part, part + b"y", b"z")
        assert flower.reached[-1] == (PULL, part + part + b"yz")

    held(scene)


def test_replies_do_not_wake_nodes() -> None:
    async def scene(flower: Flower, door: HoldsQuestions) -> None:
        node = Asker(door, 1)
        await node.ask(PULL, b"")
        waiting = asyncio.create_task(node.ask(PULL, b""))
        await Asker(door, 2).ask("/v1/fleet/push-object", b"")
        await asyncio.sleep(2 * holding.QUIET_SECONDS)
        assert not waiting.done()
        node.leave()
        await waiting

    held(scene)


def test_askers_without_end_are_forgotten() -> None:
    bell = Bell()
    for port in range(2 * ASKERS):
        bell.answered(("10.0.0.2", port))
    assert len(bell._heard) == ASKERS
