"""What a housing fund holds: each employer's monthly deposit."""

from __future__ import annotations

import numpy as np

from nodes.economy.panels import Table, autoregressive, chance, delayed, panel_table, yuan
from nodes.economy.population import Observed
from nodes.economy.timeline import MONTH_STARTS, MONTHS, same_month


def housing_fund_records(observed: Observed, rng: np.random.Generator) -> dict[str, Table]:
    """Simulate `deposits`: one row per employer and month, with the rate each side pays (5 to 12 per cent)."""
    m, shape = len(observed), (len(observed), MONTHS)
    years = (np.arange(MONTHS) - 13) / 12
    growth = 0.02 + 0.11 * observed.solvency + 0.07 * rng.standard_normal(m)
    level = 2.0 + 0.9 * observed.size + 0.3 * rng.standard_normal(m)
    path = level[:, None] + growth[:, None] * years - 0.5 * observed.stress + 0.03 * autoregressive(m, 0.7, rng)
    contributors = 1 + np.floor(np.exp(path)).astype(np.int64)
    generosity = 7.6 + 1.5 * observed.solvency + 0.9 * rng.standard_normal(m)
    rate = np.clip(np.round(generosity), 5, 12) / 100
    base = 5600 * np.exp(0.2 * rng.standard_normal(m))
    due = yuan(2 * contributors * base[:, None] * rate[:, None])
    due_on = same_month(20)
    late_odds = -2.2 - 1.10 * observed.liquidity + 0.5 * rng.standard_normal(m)
    late = rng.random(shape) < chance(late_odds[:, None] + 2.5 * observed.stress)
    scale = 14 * np.exp(-0.35 * observed.liquidity + 0.4 * rng.standard_normal(m))
    paid_on = delayed(due_on, late, scale[:, None], rng)
    skipped_odds = -4.4 - 1.00 * observed.liquidity + 0.5 * rng.standard_normal(m)
    skipped = rng.random(shape) < chance(skipped_odds[:, None] + 2.0 * observed.stress)
    paid_on = np.where(skipped, np.datetime64("NaT", "D"), paid_on)
    table = panel_table(
        observed,
        {
            "month": MONTH_STARTS,
            "contributors": contributors,
            "deposit_rate": np.broadcast_to(rate[:, None], shape),
            "due": due,
            "paid": np.where(np.isnat(paid_on), 0.0, due),
            "due_on": due_on,
            "paid_on": paid_on,
        },
    )
    return {"deposits": table}
