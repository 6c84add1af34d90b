"""Times in microseconds and in mm, the machine's own unit: one `a * b % n^2` of two ciphertexts.

Each repetition of a measured piece of work stands between two samples of mm, and its cost in mm is taken against those
two, in CPU time: a neighbour that slows the machine for a while slows both. Reported are medians over the repetitions.
"""

from __future__ import annotations

import statistics
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
        walls, cpus, ratios = [], [], []
        before = self._pulse()
        for _ in range(repeats):
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            cpus.append((time.process_time() - cpu) / units)
            walls.append((time.perf_counter() - wall) / units)
            after = self._pulse()
            ratios.append(cpus[-1] / ((before + after) / 2))
            before = after
        return Timing(statistics.median(walls), statistics.median(cpus), statistics.median(ratios))

    def _pulse(self) -> float:
        square = self._square
        start = time.process_time()
        for left, right in zip(self._left, self._right, strict=True):
            left * right % square
        pulse = (time.process_time() - start) / _OPERANDS
        self._pulses.append(pulse)
        return pulse
