"""What a tax office holds: monthly VAT declarations and yearly tax credit grades."""

from __future__ import annotations

import numpy as np

from nodes.economy.panels import Floats, Table, activity, autoregressive, chance, delayed, panel_table, yuan
from nodes.economy.population import Observed
from nodes.economy.timeline import MONTH_STARTS, MONTHS, following_month

_GRADES = np.array(["A", "B", "M", "C", "D"], dtype=object)
_GRADE_YEARS = (2021, 2022, 2023)
_VAT_RATE = np.array([0.032, 0.028, 0.012, 0.030, 0.020])


def tax_records(observed: Observed, rng: np.random.Generator) -> dict[str, Table]:
    """Simulate `vat_declarations` (one row per enterprise and period) and `credit_grades` (one per year)."""
    return {"vat_declarations": _declarations(observed, rng), "credit_grades": _grades(observed, rng)}


def _sales(observed: Observed, rng: np.random.Generator) -> Floats:
    """Monthly sales in yuan, zero in the months an enterprise declares none. Shapes: (m, MONTHS)."""
    m = len(observed)
    years = (np.arange(MONTHS) - 13) / 12
    growth = 0.04 + 0.10 * observed.solvency + 0.12 * rng.standard_normal(m)
    spread = 0.20 * np.exp(-0.22 * observed.solvency + 0.35 * rng.standard_normal(m))
    level = np.exp(12.9 + 1.1 * observed.size + 0.35 * rng.standard_normal(m))
    path = growth[:, None] * years + spread[:, None] * autoregressive(m, 0.45, rng)
    sales = level[:, None] * np.exp(path) * activity(observed) * (1 - 0.6 * observed.stress)
    idle_odds = -4.6 - 0.75 * observed.solvency - 0.45 * observed.size + 0.9 * rng.standard_normal(m)
    idle = rng.random((m, MONTHS)) < chance(idle_odds[:, None] + 2.0 * observed.stress)
    return yuan(np.where(idle, 0.0, sales))


def _declarations(observed: Observed, rng: np.random.Generator) -> Table:
    m, shape = len(observed), (len(observed), MONTHS)
    sales = _sales(observed, rng)
    tax_due = yuan(sales * _VAT_RATE[observed.sector][:, None] * rng.uniform(0.8, 1.2, shape))
    due_on = following_month(15)
    habit = 0.9 * rng.standard_normal(m)
    late_odds = -3.5 - 0.60 * observed.liquidity + habit
    late = rng.random(shape) < chance(late_odds[:, None] + 2.0 * observed.stress)
    filed_on = delayed(due_on, late, np.full((m, 1), 12.0), rng)
    owing_odds = -3.9 - 0.75 * observed.liquidity + habit
    owing = rng.random(shape) < chance(owing_odds[:, None] + 2.5 * observed.stress)
    scale = 30 * np.exp(-0.30 * observed.liquidity + 0.4 * rng.standard_normal(m))
    settled_on = delayed(due_on, owing, scale[:, None], rng)
    paid_on = np.where(owing, settled_on, np.maximum(filed_on, due_on - np.timedelta64(5, "D")))
    paid_on = np.where(np.isnat(filed_on), np.datetime64("NaT", "D"), np.maximum(paid_on, filed_on))
    ticket = np.exp(8.6 + 0.5 * rng.standard_normal(m) + 0.3 * observed.size)
    invoices = rng.poisson(sales / ticket[:, None])
    void_share = np.clip(0.02 * np.exp(-0.30 * observed.liquidity + 0.7 * rng.standard_normal(m)), 0, 0.5)
    concentration = 0.2 - 0.40 * observed.solvency - 0.25 * observed.size + 0.9 * rng.standard_normal(m)
    top5 = chance(concentration[:, None] + 0.35 * autoregressive(m, 0.6, rng))
    return panel_table(
        observed,
        {
            "period": MONTH_STARTS,
            "sales": sales,
            "tax_due": tax_due,
            "due_on": due_on,
            "filed_on": filed_on,
            "paid_on": paid_on,
            "invoice_count": invoices,
            "invoice_void_count": rng.binomial(invoices, void_share[:, None]),
            "top5_buyer_share": np.where(sales > 0, np.round(top5, 4), np.nan),
        },
    )


def _grades(observed: Observed, rng: np.random.Generator) -> Table:
    """Grade each year A to D by noisy health, M where the enterprise was not yet a year old; published next April."""
    m, years = len(observed), np.array(_GRADE_YEARS)
    persistent = 0.35 * observed.solvency + 0.35 * observed.liquidity + 0.8 * rng.standard_normal(m)
    health = persistent[:, None] + 0.4 * rng.standard_normal((m, len(years)))
    grade = np.select([health > 0.8, health > -0.6, health > -1.35], [0, 1, 3], 4)
    january = (years - 2021) * 12 - 10
    grade = np.where(observed.first_month[:, None] > january, 2, grade)
    exists = observed.first_month[:, None] <= january + 11
    published = np.array([f"{year + 1}-04-{25 + year % 5}" for year in years], dtype="datetime64[D]")
    return Table(
        {
            "enterprise": np.broadcast_to(observed.index[:, None], exists.shape)[exists],
            "year": np.broadcast_to(years, exists.shape)[exists],
            "grade": _GRADES[grade][exists],
            "published_on": np.broadcast_to(published, exists.shape)[exists],
        }
    )
