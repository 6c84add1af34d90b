"""Months × enterprises: the noise, delays and tables that every office's records are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodes.economy.population import Observed
from nodes.economy.timeline import MONTHS, RECORDS_END, spring_festival_share

Floats = NDArray[np.float64]
Dates = NDArray[np.datetime64]

_SEASON_AMPLITUDE = np.array([0.06, 0.16, 0.10, 0.04, 0.14])
_SEASON_PEAK_MONTH = np.array([11, 9, 12, 6, 8])
_FESTIVAL_DEPTH = np.array([0.75, 0.85, 0.45, 0.40, 0.25])


@dataclass(frozen=True, slots=True)
class Table:
    """One raw table: columns of equal length, of which `enterprise` points into the population's codes.

    Shapes: every column (rows,). Dates are datetime64[D], NaT where there is none; floats hold NaN where there is none.
    """

    columns: Mapping[str, NDArray[np.generic]]

    def __post_init__(self) -> None:
        if len({len(column) for column in self.columns.values()}) != 1 or "enterprise" not in self.columns:
            raise ValueError("a table needs an enterprise column and columns of equal length")

    def __len__(self) -> int:
        return len(self.columns["enterprise"])


def panel_table(observed: Observed, columns: Mapping[str, NDArray[np.generic]]) -> Table:
    """Flatten (m, MONTHS) or (MONTHS,) arrays into rows by enterprise and month, leaving out inactive months."""
    shape = (len(observed), MONTHS)
    flat = {name: np.broadcast_to(values, shape)[observed.active] for name, values in columns.items()}
    enterprise = np.broadcast_to(observed.index[:, None], shape)[observed.active]
    return Table({"enterprise": enterprise, **flat})


def activity(observed: Observed) -> Floats:
    """Give the share of normal business done each month: sector season, and the Spring Festival dip.

    Shapes: (m, MONTHS), around 1.
    """
    month_of_year = (np.arange(MONTHS) + 10) % 12 + 1
    phase = 2 * np.pi * (month_of_year[None, :] - _SEASON_PEAK_MONTH[:, None]) / 12
    season = 1 + _SEASON_AMPLITUDE[:, None] * np.cos(phase)
    festival = 1 - _FESTIVAL_DEPTH[:, None] * spring_festival_share()[None, :]
    return np.asarray((season * festival)[observed.sector])


def autoregressive(rows: int, persistence: float, rng: np.random.Generator) -> Floats:
    """Draw stationary AR(1) noise with unit variance. Shapes: (rows, MONTHS)."""
    noise = rng.standard_normal((rows, MONTHS))
    noise[:, 1:] *= np.sqrt(1 - persistence**2)
    for month in range(1, MONTHS):
        noise[:, month] += persistence * noise[:, month - 1]
    return noise


def chance(log_odds: Floats) -> Floats:
    """Turn log-odds into a probability."""
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def delayed(due_on: Dates, late: NDArray[np.bool_], scale_days: Floats, rng: np.random.Generator) -> Dates:
    """Give the day a thing due on `due_on` was done: a few days early, or late by an exponential delay.

    Shapes: all broadcast to (m, MONTHS). NaT where it was not done before the records end.
    """
    early = -rng.integers(0, 6, late.shape)
    delay = 1 + rng.exponential(1.0, late.shape) * scale_days
    done = due_on + np.where(late, delay, early).astype("timedelta64[D]")
    done[done >= RECORDS_END] = np.datetime64("NaT")
    return np.asarray(done)


def yuan(amount: Floats) -> Floats:
    """Round to cents."""
    return np.round(amount, 2)
