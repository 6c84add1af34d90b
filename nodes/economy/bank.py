"""What the bank holds: its customers' accounts by month, and the loans of the cohort with their repayment."""

from __future__ import annotations

import numpy as np

from nodes.economy.panels import Floats, Table, activity, autoregressive, chance, panel_table, yuan
from nodes.economy.population import DEFAULT, INDETERMINATE, NO_LOAN, Integers, Observed, Population
from nodes.economy.timeline import AS_OF, FIRST_MONTH, MONTH_STARTS, MONTHS

_MONTHS_ON_BOOK = 12


def bank_records(observed: Observed, population: Population, rng: np.random.Generator) -> dict[str, Table]:
    """Simulate `accounts`, `account_months`, `loans` and `loan_months` (the days past due after each draw-down).

    The bank's view of an enterprise comes from its accounts; `population` gives the outcomes of the loans.
    """
    months_before = np.ceil(observed.first_month * rng.random(len(observed))).astype(np.int64)
    opened = FIRST_MONTH + np.where(observed.first_month < 0, months_before, observed.first_month)
    accounts = {"enterprise": observed.index, "opened_on": opened.astype("datetime64[D]") + 9}
    loans, loan_months = _loans(population, rng)
    return {
        "accounts": Table(accounts),
        "account_months": _account_months(observed, rng),
        "loans": loans,
        "loan_months": loan_months,
    }


def _account_months(observed: Observed, rng: np.random.Generator) -> Table:
    m, shape = len(observed), (len(observed), MONTHS)
    years = (np.arange(MONTHS) - 13) / 12
    growth = 0.03 + 0.14 * observed.solvency + 0.12 * rng.standard_normal(m)
    level = 12.3 + 1.05 * observed.size + 0.6 * rng.standard_normal(m)
    noise = 0.30 * autoregressive(m, 0.3, rng)
    inflow = np.exp(level[:, None] + growth[:, None] * years + noise) * activity(observed) * (1 - 0.6 * observed.stress)
    margin = 0.05 * observed.liquidity + 0.03 * rng.standard_normal(m)
    outflow = inflow * (1 - margin[:, None] + 0.10 * rng.standard_normal(shape) + 0.1 * observed.stress)
    bounce_rate = np.exp(-3.0 - 0.90 * observed.liquidity + 0.6 * rng.standard_normal(m))
    bounced = rng.poisson(bounce_rate[:, None] * (1 + 5 * observed.stress))
    has_line = rng.random(m) < 0.8
    limit = np.round(np.exp(12.6 + 0.9 * observed.size + 0.4 * rng.standard_normal(m)), -4) + 10_000
    use = chance((-0.2 - 0.85 * observed.liquidity + 0.7 * rng.standard_normal(m))[:, None] + 0.3 * _drift(shape, rng))
    return panel_table(
        observed,
        {
            "month": MONTH_STARTS,
            "inflow": yuan(inflow),
            "outflow": yuan(outflow),
            "bounced": bounced,
            "credit_limit": np.where(has_line, limit, np.nan)[:, None],
            "drawn": np.where(has_line[:, None], yuan(limit[:, None] * use), np.nan),
            "days_past_due": np.where(has_line[:, None], _line_dpd(observed, rng), 0),
        },
    )


def _drift(shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    return autoregressive(shape[0], 0.8, rng)


def _line_dpd(observed: Observed, rng: np.random.Generator) -> Floats:
    """Worst days past due on the credit line in each month: mostly none, sometimes days, seldom weeks."""
    m, shape = len(observed), (len(observed), MONTHS)
    odds = -4.1 - 0.95 * observed.liquidity + 0.7 * rng.standard_normal(m)
    late = rng.random(shape) < chance(odds[:, None] + 2.5 * observed.stress)
    days = 1 + np.floor(rng.exponential(9.0, shape) * np.exp(-0.3 * observed.liquidity)[:, None])
    return np.where(late, np.minimum(days, 60), 0)


def _loans(population: Population, rng: np.random.Generator) -> tuple[Table, Table]:
    """One loan per borrower, drawn in the month after the as-of date, and its state on each of twelve monthly dates."""
    borrowers = np.flatnonzero(population.outcome != NO_LOAN)
    count = len(borrowers)
    drawn_on = np.datetime64(AS_OF, "D") + rng.integers(1, 32, count)
    principal = (
        np.round(np.exp(12.8 + 0.9 * population.size[borrowers] + 0.4 * rng.standard_normal(count)), -4) + 50_000
    )
    loan_id = np.arange(1, count + 1)
    loans = {"enterprise": borrowers, "loan_id": loan_id, "drawn_on": drawn_on, "principal": principal}
    book = np.arange(1, _MONTHS_ON_BOOK + 1)
    observed_on = drawn_on[:, None] + (np.round(book * 30.4).astype(np.int64)).astype("timedelta64[D]")
    months = {
        "enterprise": np.repeat(borrowers, _MONTHS_ON_BOOK),
        "loan_id": np.repeat(loan_id, _MONTHS_ON_BOOK),
        "month_on_book": np.tile(book, count),
        "observed_on": observed_on.ravel(),
        "days_past_due": _days_past_due(population.outcome[borrowers], rng).ravel(),
    }
    return Table(loans), Table(months)


def _days_past_due(outcome: Integers, rng: np.random.Generator) -> Integers:
    """Days past due by month on book: beyond 90 for defaults, a peak of 30 to 89 for wobbles, else below 30.

    Shapes: (loans,) -> (loans, 12), whole days.
    """
    count, book = len(outcome), np.arange(1, _MONTHS_ON_BOOK + 1)
    onset = rng.integers(1, 9, count)
    since = book - onset[:, None]
    first = rng.integers(1, 30, count)[:, None]
    climbing = np.where(since >= 0, first + np.round(30.4 * since), 0)
    peak = rng.integers(30, 90, count)[:, None]
    wobble = np.where(since == 0, np.minimum(first, peak), np.where(since == 1, peak, 0))
    slip = np.where(rng.random((count, _MONTHS_ON_BOOK)) < 0.02, rng.integers(1, 15, (count, _MONTHS_ON_BOOK)), 0)
    kinds = [outcome[:, None] == DEFAULT, outcome[:, None] == INDETERMINATE]
    return np.asarray(np.select(kinds, [climbing, wobble], slip), dtype=np.int64)
