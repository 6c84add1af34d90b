"""Work for one thread, gathered: whatever came in while it was busy is its next call, so that one commit serves all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Gatherer(Generic[T, R]):
    """Calls `work` with everything that waits, in order, at most `limit` at once, in one thread of its own.

    `work` returns one result for each item; an exception among them is raised where the item was submitted, one that
    `work` raises wherever an item of that call was. Belongs to one event loop.
    """

    def __init__(self, name: str, work: Callable[[Sequence[T]], Sequence[R | Exception]], limit: int = 64) -> None:
        self._work, self._limit = work, limit
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._running: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """Return what `work` makes of an item; work that has begun is finished, even if nobody waits any more."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    def close(self) -> None:
        """Wait for the call that is in progress; what waits for the next is cancelled."""
        self._thread.shutdown()
        for _, future in self._waiting:
            future.cancel()
        self._waiting = []

    async def _run(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                group = [(item, future) for item, future in taken if not future.done()]
                if group:
                    await self._call(group)
        finally:
            self._running = None

    async def _call(self, group: list[tuple[T, asyncio.Future[R]]]) -> None:
        loop = asyncio.get_running_loop()
        items = [item for item, _ in group]
        try:
            results = await loop.run_in_executor(self._thread, self._work, items)
        except Exception as error:
            results = [error] * len(group)
        for (_, future), result in zip(group, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
