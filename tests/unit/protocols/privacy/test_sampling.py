"""The numbers that hide an enterprise have exactly the distribution that the proof is about."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Callable

import pytest
from scipy.stats import chi2

from protocols.privacy.sampling import bernoulli_exp, discrete_gaussian, discrete_laplace, uniform_below

DRAWS = 8_000


def stream(seed: str) -> Callable[[int], bytes]:
    """Random bytes that are the same in every run."""
    block = itertools.count()

    def read(size: int) -> bytes:
        return hashlib.shake_256(f"{seed}/{next(block)}".encode()).digest(size)

    return read


def fit(draws: list[int], weight: Callable[[int], float]) -> float:
    """The chance, were the weights exact, of a χ² as large as that of the draws; rare values are pooled."""
    total = sum(weight(x) for x in range(-2000, 2001))
    counts = Counter(draws)
    statistic, cells, rare_expected, rare_found = 0.0, 0, 0.0, 0
    for x in range(-2000, 2001):
        expected = len(draws) * weight(x) / total
        if expected < 10:
            rare_expected, rare_found = rare_expected + expected, rare_found + counts[x]
            continue
        statistic, cells = statistic + (counts[x] - expected) ** 2 / expected, cells + 1
    statistic += (rare_found - rare_expected) ** 2 / rare_expected
    return float(chi2.sf(statistic, cells))


@pytest.mark.parametrize(("numerator", "denominator"), [(1, 4), (1, 1), (9, 2), (100, 1)])
def test_discrete_gaussians_have_the_exact_probabilities(numerator: int, denominator: int) -> None:
    read = stream(f"gaussian {numerator}/{denominator}")
    draws = [discrete_gaussian(numerator, denominator, read) for _ in range(DRAWS)]
    variance = numerator / denominator
    assert fit(draws, lambda x: math.exp(-x * x / (2 * variance))) > 0.001
    assert fit(draws, lambda x: math.exp(-x * x / (2 * 1.25 * variance))) < 0.001  # the test would notice


@pytest.mark.parametrize("scale", [1, 2, 7])
def test_discrete_laplaces_have_the_exact_probabilities(scale: int) -> None:
    read = stream(f"laplace {scale}")
    draws = [discrete_laplace(scale, read) for _ in range(DRAWS)]
    assert fit(draws, lambda x: math.exp(-abs(x) / scale)) > 0.001
    assert fit(draws, lambda x: math.exp(-abs(x) / (1.25 * scale))) < 0.001


@pytest.mark.parametrize(("numerator", "denominator"), [(0, 1), (1, 3), (1, 1), (7, 3)])
def test_chances_are_exponentials(numerator: int, denominator: int) -> None:
    read, share = stream(f"chance {numerator}/{denominator}"), math.exp(-numerator / denominator)
    found = sum(bernoulli_exp(numerator, denominator, read) for _ in range(DRAWS))
    assert abs(found - DRAWS * share) <= 4 * math.sqrt(DRAWS * share * (1 - share))


def test_uniform_integers_are_unbiased_where_a_remainder_would_not_be() -> None:
    """Bytes modulo 192 would show the lower 64 numbers twice as often."""
    read = stream("uniform")
    low = sum(uniform_below(192, read) < 64 for _ in range(DRAWS))
    assert abs(low - DRAWS / 3) < 4 * math.sqrt(DRAWS * 2 / 9)


def test_empty_ranges_and_variances_are_refused() -> None:
    for call in (lambda: uniform_below(0, stream("")), lambda: discrete_gaussian(0, 1, stream(""))):
        with pytest.raises(ValueError, match="positive"):
            call()


def test_equal_bytes_give_equal_noise_and_no_other_source_is_asked() -> None:
    """The caller's bytes are all the randomness there is: with them known, the noise is known."""
    first, second = ([discrete_gaussian(10_000, 7, stream("same")) for _ in range(3)] for _ in range(2))
    assert first == second
    read = stream("same")
    assert len({discrete_gaussian(10_000, 7, read) for _ in range(20)}) > 10
