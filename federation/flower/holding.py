"""Whoever asks the SuperLink whether there is something for it is answered when there is, not at its next poll.

Flower's processes ask again and again, and each question costs the SuperLink about as much as a part of a message. Here
a question is held until what it asks for may have come, for three seconds at most. What is asked and what is answered
stays Flower's own: a process that polls a SuperLink without this gets the same answers, later.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOLD_SECONDS: Final = 3.0
QUIET_SECONDS: Final = 0.03
"""A message's parts follow each other closer than this; the bell rings after the last one."""
ASKERS: Final = 1024
BODY_BYTES: Final = 1 << 16
QUESTIONS: Final = {
    "/v1/fleet/pull-messages": "to nodes",
    "/v1/runtime/pull-messages": "from nodes",
    "/v1/runtime/acquire-task": "runs",
}
NEWS: Final = {
    "/v1/runtime/push-messages": "to nodes",
    "/v1/runtime/push-object": "to nodes",
    "/v1/fleet/push-messages": "from nodes",
    "/v1/fleet/push-object": "from nodes",
    "/v1/control/start-run": "runs",
}
Asker = tuple[str, int]


class Bell:
    """Rings once something was brought, and lets each asker wait for the first ring since it last asked."""

    def __init__(self) -> None:
        self._rings = 0
        self._rung = asyncio.Event()
        self._heard: OrderedDict[Asker, int] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def brought(self) -> None:
        """Ring soon, unless more is brought first."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._ring)

    async def wait(self, asker: Asker) -> None:
        """Return at the next ring, or at once if there was one since this asker's last question, or it is new."""
        while self._heard.get(asker) == self._rings:
            await self._rung.wait()

    def answered(self, asker: Asker) -> None:
        """Remember that the asker is told all that was brought until now; of many askers the latest are remembered."""
        self._heard[asker] = self._rings
        self._heard.move_to_end(asker)
        if len(self._heard) > ASKERS:
            self._heard.popitem(last=False)

    def _ring(self) -> None:
        self._rings += 1
        self._rung.set()
        self._rung = asyncio.Event()


class HoldsQuestions:
    """Holds a question of Flower's processes until its bell rings; forgets it if the asker has gone meanwhile."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._bells: dict[str, Bell] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's scope."""
        path = scope["path"] if scope["type"] == "http" else ""
        if path in QUESTIONS and scope.get("client"):
            await self._hold(self._bell(QUESTIONS[path]), scope, receive, send)
            return
        await self._app(scope, receive, send)
        if path in NEWS:
            self._bell(NEWS[path]).brought()

    def _bell(self, name: str) -> Bell:
        return self._bells.setdefault(name, Bell())

    async def _hold(self, bell: Bell, scope: Scope, receive: Receive, send: Send) -> None:
        host, port = scope["client"]
        parts = await _body(receive)
        whole = not parts[-1].get("more_body", False)
        if whole and await _gone_before(bell.wait((host, port)), receive):
            return  # a message would be handed to nobody, and count as delivered
        bell.answered((host, port))
        await self._app(scope, _first(parts, receive), send)


async def _body(receive: Receive) -> list[Message]:
    """Return the parts of a question's body; of a long one, as none of Flower's is, only the first."""
    parts = [await receive()]
    size = len(parts[0].get("body", b""))
    while parts[-1].get("more_body", False) and size < BODY_BYTES:
        parts.append(await receive())
        size += len(parts[-1].get("body", b""))
    return parts


async def _gone_before(ring: Coroutine[None, None, None], receive: Receive) -> bool:
    """Return whether the asker went away before the ring, or before it has waited for long enough."""
    rung, gone = asyncio.ensure_future(ring), asyncio.ensure_future(receive())
    try:
        await asyncio.wait({rung, gone}, timeout=HOLD_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        return gone.done()
    finally:
        for task in (rung, gone):
            task.cancel()
        await asyncio.gather(rung, gone, return_exceptions=True)


def _first(parts: list[Message], receive: Receive) -> Receive:
    """Return what gives the parts that were read already, and then the rest."""
    left = iter(parts)

    async def give() -> Message:
        part = next(left, None)
        return await receive() if part is None else part

    return give
