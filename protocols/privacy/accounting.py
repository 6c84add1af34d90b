"""What a spent ρ means: the ε of (ε, δ)-differential privacy. ρ itself simply adds up, release by release."""

from __future__ import annotations

from math import exp, log, sqrt
from typing import Final

NANO: Final = 10**9
"""Ledgers and messages count ρ in whole billionths, so that sums are exact."""


def epsilon(rho: float, delta: float) -> float:
    """Return an ε so that ρ-zCDP implies (ε, δ)-differential privacy: never more than ρ + 2√(ρ·ln 1/δ).

    Raises: ValueError for a negative ρ, or a δ outside (0, 1). Source: Canonne, Kamath, Steinke 2020, corollary 13.
    """
    from scipy.optimize import minimize_scalar

    if rho < 0 or not 0 < delta < 1:
        raise ValueError("rho is not negative, and delta lies between 0 and 1")
    if rho == 0:
        return 0.0
    best = minimize_scalar(lambda u: _at_order(1 + exp(u), rho, delta), bounds=(-12, 40), method="bounded")
    simple = rho + 2 * sqrt(rho * log(1 / delta))
    return max(0.0, min(float(best.fun), simple))


def _at_order(alpha: float, rho: float, delta: float) -> float:
    """Return the ε that the Rényi divergence of one order gives; each order's is valid, the smallest is the best."""
    return alpha * rho + log(1 - 1 / alpha) - (log(delta) + log(alpha)) / (alpha - 1)
