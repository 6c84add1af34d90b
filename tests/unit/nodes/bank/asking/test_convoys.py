"""Questions leave at once while few are under way, and together once many are; none waits for long, or for the dead."""

from __future__ import annotations

import asyncio

from nodes.bank.asking.convoys import CONVOYS, MANY, Convoys


async def _leave(convoys: Convoys, left: list[int], number: int, end: asyncio.Event) -> None:
    async with convoys.joined():
        left.append(number)
        await end.wait()


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_few_questions_leave_at_once_and_many_together() -> None:
    async def test() -> None:
        convoys, left, end = Convoys(wait_seconds=3600), list[int](), asyncio.Event()
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for number in range(MANY - 1):
                tasks.create_task(_leave(convoys, left, number, end))
            await _settle()
            assert left == list(range(MANY - 1))
            tasks.create_task(_leave(convoys, left, 100, end))
            await _settle()
            assert 100 not in left
            for number in range(101, 100 + MANY // CONVOYS):
                tasks.create_task(_leave(convoys, left, number, end))
            await _settle()
            assert sorted(left[MANY - 1 :]) == list(range(100, 100 + MANY // CONVOYS))
            end.set()

    asyncio.run(test())


def test_a_question_that_nobody_joins_leaves_alone_and_one_that_was_given_up_holds_up_none() -> None:
    async def test() -> None:
        convoys, left, end = Convoys(), list[int](), asyncio.Event()
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for number in range(2 * MANY):
                tasks.create_task(_leave(convoys, left, number, end))
            while len(left) < 2 * MANY:
                await asyncio.sleep(0.001)
            given_up = tasks.create_task(_leave(convoys, left, 100, end))
            await _settle()
            given_up.cancel()
            tasks.create_task(_leave(convoys, left, 101, end))
            while 101 not in left:
                await asyncio.sleep(0.001)
            assert 100 not in left
            end.set()

    asyncio.run(test())
