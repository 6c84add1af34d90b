"""What a social insurance fund holds: the register of employers and their monthly contributions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nodes.economy.panels import Floats, Table, chance, delayed, panel_table, yuan
from nodes.economy.population import Observed
from nodes.economy.timeline import FIRST_MONTH, MONTH_STARTS, MONTHS, same_month

_WAGE = np.array([6300.0, 5600.0, 5200.0, 6900.0, 4300.0])
_RATE = 0.264


def social_records(observed: Observed, rng: np.random.Generator) -> dict[str, Table]:
    """Simulate `employers` (one row each) and `contributions` (one row per employer and month)."""
    registered = FIRST_MONTH + observed.first_month
    days = rng.integers(0, 28, len(observed))
    employers = {"enterprise": observed.index, "registered_on": registered.astype("datetime64[D]") + days}
    return {"employers": Table(employers), "contributions": _contributions(observed, rng)}


def staff_path(
    observed: Observed, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Simulate headcount at month end, joiners and leavers; a firm keeps at least one person. Shapes: (m, MONTHS)."""
    m = len(observed)
    start = 1 + rng.poisson(np.exp(2.2 + 0.9 * observed.size + 0.3 * rng.standard_normal(m)))
    churn = 0.030 * np.exp(-0.35 * observed.solvency + 0.45 * rng.standard_normal(m))
    drift = 0.002 + 0.0080 * observed.solvency + 0.005 * rng.standard_normal(m)
    headcount = np.empty((m, MONTHS), dtype=np.int64)
    joiners, leavers = np.zeros_like(headcount), np.zeros_like(headcount)
    current = start
    for month in range(MONTHS):
        pressure = 0.08 * observed.stress[:, month]
        left = rng.binomial(current, np.clip(churn + np.maximum(-drift, 0) + pressure, 0, 0.6))
        joined = rng.poisson(current * np.clip(churn + np.maximum(drift, 0) - pressure / 2, 0, None))
        left = np.minimum(left, current + joined - 1)
        leavers[:, month], joiners[:, month] = left, joined
        current = current + joined - left
        headcount[:, month] = current
    return headcount, joiners, leavers


def _contributions(observed: Observed, rng: np.random.Generator) -> Table:
    m, shape = len(observed), (len(observed), MONTHS)
    headcount, joiners, leavers = staff_path(observed, rng)
    raises = 1 + 0.05 * np.floor((np.arange(MONTHS) + 4) / 12)
    wage = _WAGE[observed.sector] * np.exp(0.10 * observed.solvency + 0.08 * observed.size + _noise(m, 0.22, rng))
    base = yuan(wage[:, None] * raises * np.exp(0.01 * rng.standard_normal(shape)))
    due = yuan(headcount * base * _RATE)
    due_on = same_month(25)
    late_odds = -2.7 - 1.05 * observed.liquidity + _noise(m, 0.6, rng)
    late = rng.random(shape) < chance(late_odds[:, None] + 2.5 * observed.stress)
    scale = 45 * np.exp(-0.3 * observed.liquidity + _noise(m, 0.3, rng))
    paid_on = delayed(due_on, late, scale[:, None], rng)
    return panel_table(
        observed,
        {
            "month": MONTH_STARTS,
            "headcount": headcount,
            "joiners": joiners,
            "leavers": leavers,
            "contribution_base": base,
            "due": due,
            "paid": np.where(np.isnat(paid_on), 0.0, due),
            "due_on": due_on,
            "paid_on": paid_on,
        },
    )


def _noise(rows: int, scale: float, rng: np.random.Generator) -> Floats:
    return scale * rng.standard_normal(rows)
