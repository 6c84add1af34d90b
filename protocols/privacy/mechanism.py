"""The noise of one release: discrete Gaussian, as wide as its sensitivity and its share of ρ ask for; or none."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Final, Protocol

from protocols.privacy.accounting import NANO
from protocols.privacy.sampling import Randomness, discrete_gaussian

TAIL: Final = 113
"""A draw exceeds σ·√113 with probability below 2^−80: 2·exp(−113/2)."""


class Noise(Protocol):
    """What is added to each number of a release. Every draw lies within ±`bound`."""

    @property
    def bound(self) -> int:
        """The largest magnitude of a draw."""
        ...

    @property
    def deviation(self) -> float:
        """The standard deviation of a draw."""
        ...

    def draw(self, count: int, randomness: Randomness) -> list[int]:
        """Return so many independent draws."""
        ...


@dataclass(frozen=True, slots=True)
class NoNoise:
    """Nothing: what is released is exact."""

    bound: int = 0
    deviation: float = 0.0

    def draw(self, count: int, randomness: Randomness) -> list[int]:
        """Return zeros."""
        return [0] * count


NO_NOISE: Final = NoNoise()


@dataclass(frozen=True, slots=True)
class GaussianNoise:
    """Discrete Gaussian noise of variance `numerator`/`denominator`, drawn again beyond √113 deviations."""

    numerator: int
    denominator: int

    @property
    def bound(self) -> int:
        """The largest magnitude of a draw; both sides of a release compute it, in integers."""
        return isqrt(TAIL * self.numerator // self.denominator) + 1

    @property
    def deviation(self) -> float:
        """The standard deviation of a draw."""
        return float((self.numerator / self.denominator) ** 0.5)

    def draw(self, count: int, randomness: Randomness) -> list[int]:
        """Return so many independent draws."""
        return [self._one(randomness) for _ in range(count)]

    def _one(self, randomness: Randomness) -> int:
        bound = self.bound
        while True:
            value = discrete_gaussian(self.numerator, self.denominator, randomness)
            if -bound <= value <= bound:
                return value


def gaussian(squared_sensitivity: int, rho: int) -> Noise:
    """Return the noise that makes a release ρ-zCDP: of variance Δ²/2ρ.

    Shapes: `squared_sensitivity` is Δ², the largest squared Euclidean distance between what two records of one
    enterprise would release. Units: `rho` in billionths; 0 buys no noise. Source: Bun & Steinke 2016, prop. 6.
    """
    if rho == 0 or squared_sensitivity == 0:
        return NO_NOISE
    return GaussianNoise(squared_sensitivity * NANO, 2 * rho)
