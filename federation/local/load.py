"""Puts a federation of processes under load, as a bank's systems would, and says how long its answers took.

Paced load is open: questions come at their rate whether or not earlier ones are answered, and an answer's time counts
from when its question was due. Saturation is closed: a fixed number of questions is always under way.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nodes.bank.asking.results import AssessmentResult
from protocols.errors import CreditFederationError

UNKNOWN = "INSUFFICIENT_COVERAGE"
"""No node knows the enterprise: no score, but an answer as good as any."""

Ask = Callable[[], Awaitable[AssessmentResult]]


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """Units: milliseconds from when a question was due to its answer; answers a second; questions without an answer."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    throughput: float
    errors: int
    codes: Mapping[str, int]


@dataclass(slots=True)
class _Record:
    milliseconds: list[float] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)

    async def time(self, ask: Ask, due: float) -> None:
        """Ask, and record how long after `due` the answer came."""
        try:
            code = (await ask()).code
        except CreditFederationError as error:
            code = error.code
        self.milliseconds.append(1000 * (time.perf_counter() - due))
        if code and code != UNKNOWN:
            self.codes[code] += 1

    def figures(self, seconds: float) -> LoadFigures:
        ordered = sorted(self.milliseconds)
        errors = sum(self.codes.values())
        p50, p95, p99 = (percentile(ordered, share) for share in (0.5, 0.95, 0.99))
        return LoadFigures(p50, p95, p99, (len(ordered) - errors) / seconds, errors, dict(self.codes))


async def paced(asks: Iterator[Ask], rate: float, seconds: float) -> LoadFigures:
    """Ask `rate` questions a second, evenly, for `seconds`."""
    record, started = _Record(), time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(round(rate * seconds)):
            due = started + number / rate
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            tasks.create_task(record.time(next(asks), due))
    return record.figures(time.perf_counter() - started)


async def saturated(asks: Iterator[Ask], under_way: int, seconds: float) -> LoadFigures:
    """Keep `under_way` questions going for `seconds`."""
    record, started = _Record(), time.perf_counter()

    async def keep_asking() -> None:
        while time.perf_counter() < started + seconds:
            await record.time(next(asks), time.perf_counter())

    async with asyncio.TaskGroup() as tasks:
        for _ in range(under_way):
            tasks.create_task(keep_asking())
    return record.figures(time.perf_counter() - started)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the ordered values lie; 0 of none."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def in_turn(asks: Sequence[Ask]) -> Iterator[Ask]:
    """Return the same questions over and over."""
    return itertools.cycle(asks)
