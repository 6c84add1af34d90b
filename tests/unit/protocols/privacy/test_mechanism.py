"""Noise is as wide as its share of the budget says, within the bound that both sides compute, or not there at all."""

from __future__ import annotations

import math

import pytest
from scipy.stats import norm

from protocols.privacy import NANO, NO_NOISE, GaussianNoise, epsilon, gaussian
from tests.unit.protocols.privacy.test_sampling import stream


def test_the_variance_is_what_the_share_of_the_budget_buys() -> None:
    noise = gaussian(2 * 23, NANO // 2)
    assert noise.deviation**2 == pytest.approx(2 * 23 / (2 * 0.5))
    draws = noise.draw(4000, stream("variance"))
    assert sum(x * x for x in draws) / len(draws) == pytest.approx(noise.deviation**2, rel=0.1)


def test_no_budget_or_nothing_to_hide_is_no_noise() -> None:
    assert gaussian(5, 0) is NO_NOISE
    assert gaussian(0, 5) is NO_NOISE
    assert NO_NOISE.draw(3, stream("")) == [0, 0, 0]
    assert NO_NOISE.bound == 0


def test_draws_beyond_the_bound_would_come_less_than_once_in_2_to_the_80() -> None:
    noise = gaussian(10**6, NANO)
    assert 2 * norm.sf(noise.bound / noise.deviation) < 2**-80


def test_a_draw_beyond_the_bound_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = GaussianNoise(4, 1)
    values = iter([noise.bound + 1, -noise.bound - 1, noise.bound])
    monkeypatch.setattr("protocols.privacy.mechanism.discrete_gaussian", lambda *_: next(values))
    assert noise.draw(1, stream("")) == [noise.bound]


@pytest.mark.parametrize("rho", [1e-6, 0.01, 0.5, 1.0, 10.0])
@pytest.mark.parametrize("delta", [1e-9, 1e-5])
def test_epsilon_is_sound_and_no_worse_than_the_simple_bound(rho: float, delta: float) -> None:
    """ρ-zCDP is (ε, δ): the Gaussian mechanism of that ρ has exactly this δ at ε, which must not exceed the promise."""
    promised = epsilon(rho, delta)
    assert 0 < promised <= rho + 2 * math.sqrt(rho * math.log(1 / delta))
    mu = math.sqrt(2 * rho)
    exact = norm.cdf(mu / 2 - promised / mu) - math.exp(promised) * norm.cdf(-mu / 2 - promised / mu)
    assert exact <= delta


def test_epsilon_grows_with_what_is_spent_and_nothing_costs_nothing() -> None:
    assert epsilon(0, 1e-6) == 0
    assert epsilon(0.1, 1e-6) < epsilon(0.2, 1e-6) < epsilon(0.2, 1e-9)
    for rho, delta in ((-1.0, 0.1), (1.0, 0.0), (1.0, 1.0)):
        with pytest.raises(ValueError, match="delta"):
            epsilon(rho, delta)
