"""Questions that leave together once many are under way, and so share commits and frames at every party they pass.

While few are under way none waits, so that an answer is as fast as it can be; when all processors are busy anyway, what
waits a moment for others costs all parties less.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

MANY: Final = 8
"""Questions under way from which on new ones leave together."""

CONVOYS: Final = 4
"""Among how many convoys the questions under way are shared out: the parties then work on different ones."""

WAIT_SECONDS: Final = 0.05


class Convoys:
    """One bank's departures. Belongs to one event loop."""

    def __init__(self, wait_seconds: float = WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._under_way = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """Let a question leave, soon even if nobody joins it; it is under way until the block ends."""
        self._under_way += 1
        try:
            if self._under_way >= MANY:
                await self._company()
            yield
        finally:
            self._under_way -= 1

    async def _company(self) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(future)
        if len(self._waiting) >= self._under_way // CONVOYS:
            self._depart()
        elif self._timer is None:
            self._timer = loop.call_later(self._wait_seconds, self._depart)
        await future

    def _depart(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._waiting, self._timer = self._waiting, [], None
        for future in waiting:
            if not future.done():
                future.set_result(None)
