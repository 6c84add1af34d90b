"""What a power supplier holds: monthly bills, and the days on which the meter stood still."""

from __future__ import annotations

import numpy as np

from nodes.economy.panels import Table, activity, autoregressive, chance, delayed, panel_table, yuan
from nodes.economy.population import Observed
from nodes.economy.timeline import MONTH_STARTS, MONTHS, following_month, spring_festival_share

_INTENSITY = np.array([1.2, 0.2, -0.3, -0.5, 0.6])
_PRICE = 0.68


def electricity_records(observed: Observed, rng: np.random.Generator) -> dict[str, Table]:
    """Simulate `bills`: one row per customer and month, issued on the 5th and due on the 25th of the next month."""
    m, shape = len(observed), (len(observed), MONTHS)
    years = (np.arange(MONTHS) - 13) / 12
    growth = 0.01 + 0.11 * observed.solvency + 0.08 * rng.standard_normal(m)
    turn = (0.05 * observed.solvency + 0.05 * rng.standard_normal(m))[:, None] * np.clip(np.arange(MONTHS) - 19, 0, 6)
    spread = 0.13 * np.exp(-0.25 * observed.solvency + 0.35 * rng.standard_normal(m))
    level = 8.3 + 0.95 * observed.size + _INTENSITY[observed.sector] + 0.5 * rng.standard_normal(m)
    path = level[:, None] + growth[:, None] * years + turn / 6 + spread[:, None] * autoregressive(m, 0.5, rng)
    idle_rate = np.exp(-1.9 - 0.55 * observed.solvency + 0.8 * rng.standard_normal(m))
    festival_days = 14 * spring_festival_share()[None, :]
    idle = np.minimum(rng.poisson(idle_rate[:, None] * (1 + 4 * observed.stress) + festival_days), 28)
    used = np.exp(path) * activity(observed) * (1 - 0.5 * observed.stress) * (1 - 0.6 * idle / 30)
    kwh = np.round(used)
    due_on = following_month(25)
    late_odds = -2.5 - 0.90 * observed.liquidity + 0.8 * rng.standard_normal(m)
    late = rng.random(shape) < chance(late_odds[:, None] + 2.5 * observed.stress)
    scale = 11 * np.exp(-0.35 * observed.liquidity + 0.4 * rng.standard_normal(m))
    table = panel_table(
        observed,
        {
            "month": MONTH_STARTS,
            "kwh": kwh,
            "amount": yuan(kwh * _PRICE),
            "issued_on": following_month(5),
            "due_on": due_on,
            "paid_on": delayed(due_on, late, scale[:, None], rng),
            "shutdown_days": idle,
        },
    )
    return {"bills": table}
