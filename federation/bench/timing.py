"""Times in microseconds and in mm, the machine's own unit: one `a * b % n^2` of two ciphertexts.

mm is sampled right before and after every measured piece of work, and every 50 ms while it runs; the work's cost in mm
is its CPU time over the mean of those samples. A neighbour that slows the machine for a while slows both, and the
ratio stays. Reported are medians over the repetitions; the samples' own CPU time is taken off.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from gmpy2 import mpz

from protocols.paillier import PublicKey, Randomness

_OPERANDS = 400


@dataclass(frozen=True, slots=True)
class Timing:
    """Median cost of one unit of work: by the clock on the wall, in this process's CPU time, and in mm."""

    wall: float
    cpu: float
    mm: float


class Meter:
    """A stopwatch that takes the machine's pulse before and after."""

    def __init__(self, public_key: PublicKey, randomness: Randomness) -> None:
        width = public_key.ciphertext_bytes
        self._square = public_key.modulus_square
        draw = [mpz.from_bytes(randomness(width), "big") % self._square for _ in range(2 * _OPERANDS)]
        self._left, self._right = draw[:_OPERANDS], draw[_OPERANDS:]
        self._pulses: list[float] = []

    @property
    def mm_seconds(self) -> float:
        """The median time of one mm over all samples so far."""
        return statistics.median(self._pulses)

    def measure(self, work: Callable[[], object], units: int = 1, repeats: int = 5) -> Timing:
        """Run the work `repeats` times and return the median cost of one of its `units`."""
        runs = [self._run(work, units) for _ in range(repeats)]
        return Timing(*(statistics.median(getattr(run, field) for run in runs) for field in ("wall", "cpu", "mm")))

    def _run(self, work: Callable[[], object], units: int) -> Timing:
        before = self._pulse(_OPERANDS)
        sampler = _Sampler(lambda: self._pulse(_OPERANDS // 8))
        wall, cpu = time.perf_counter(), time.process_time()
        with sampler:
            work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu - sampler.seconds
        pulses = [before, *sampler.pulses, self._pulse(_OPERANDS)]
        self._pulses += pulses
        return Timing(wall / units, cpu / units, cpu / units / statistics.fmean(pulses))

    def _pulse(self, count: int) -> float:
        square = self._square
        start = time.thread_time()
        for left, right in zip(self._left[:count], self._right, strict=False):
            left * right % square
        return (time.thread_time() - start) / count


class _Sampler:
    """Calls `pulse` every 50 ms from another thread while its `with` block runs."""

    def __init__(self, pulse: Callable[[], float]) -> None:
        self.pulses: list[float] = []
        self.seconds = 0.0
        self._pulse = pulse
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="mm")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(0.05):
            self.pulses.append(self._pulse())
            self.seconds = time.thread_time()
