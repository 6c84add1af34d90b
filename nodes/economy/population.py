"""Who lives in the synthetic economy, how well they truly are, and which of their loans went bad.

Two latent strengths drive everything: *solvency* (does the business earn its keep) and *liquidity* (is there cash on
the day). Nobody observes them. Each office sees them only through its own noisy view, and part of what an office alone
can see (a lost buyer, an idle line) is itself a cause of default. That is why the offices together know more than any
one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodes.economy.timeline import HISTORY_MONTHS, MONTHS
from protocols import uscc

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DOMAINS: Final = ("tax", "social", "housing_fund", "electricity", "bank")
SECTORS: Final = ("manufacturing", "construction", "trade", "services", "hospitality")
REGIONS: Final = 6

COVERAGE: Final = {"tax": 0.95, "social": 0.80, "housing_fund": 0.45, "electricity": 0.70, "bank": 0.60}
DEFAULT_RATE: Final = 0.055
INDETERMINATE_SHARE: Final = 0.03
OUTSIDERS: Final = 0.12
"""Enterprises that offices hold records of and that have no loan at the bank, per enterprise of the cohort."""

NO_LOAN, GOOD, INDETERMINATE, DEFAULT = range(4)

_CORRELATION = 0.35
_INDEX_WEIGHTS = {"solvency": 0.55, "liquidity": 0.55, "own": 0.20, "size": 0.10, "region": 0.20, "chance": 0.70}
_VIEW = {"tax": 0.42, "social": 0.42, "housing_fund": 0.50, "electricity": 0.40, "bank": 0.50}
_SECTOR_RISK = np.array([0.0, 0.18, 0.05, -0.12, 0.22])


@dataclass(frozen=True, slots=True)
class Population:
    """Every enterprise, one entry each in every array; the latent truth that no file holds.

    Shapes: arrays of length n; `own` maps a domain to (n, 2), what its office alone can see of solvency and liquidity;
    `stress` is (n, MONTHS), 0 up to the as-of date and rising towards 1 afterwards where the loan went bad.
    """

    codes: NDArray[np.object_]
    sector: Integers
    region: Integers
    size: Floats
    solvency: Floats
    liquidity: Floats
    own: dict[str, Floats]
    first_month: Integers
    outcome: Integers
    stress: Floats

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, slots=True)
class Observed:
    """The enterprises that one office covers, as it sees them.

    Shapes: arrays of length m, `index` pointing into the population; `active` and `stress` are (m, MONTHS).
    `solvency` and `liquidity` are the office's noisy views, standard normal over the population.
    """

    index: Integers
    sector: Integers
    region: Integers
    size: Floats
    solvency: Floats
    liquidity: Floats
    first_month: Integers
    stress: Floats
    active: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.index)


def draw_population(enterprises: int, rng: np.random.Generator) -> Population:
    """Draw a population in which exactly `enterprises` have a loan outcome, good or default.

    Those with an indeterminate outcome, and those without a loan at the bank, come on top.
    """
    borrowers = enterprises + round(enterprises * INDETERMINATE_SHARE / (1 - INDETERMINATE_SHARE))
    total = borrowers + round(enterprises * OUTSIDERS)
    solvency = rng.standard_normal(total)
    liquidity = _CORRELATION * solvency + np.sqrt(1 - _CORRELATION**2) * rng.standard_normal(total)
    size = rng.standard_normal(total)
    sector = rng.choice(len(SECTORS), total, p=[0.26, 0.12, 0.30, 0.22, 0.10])
    region = rng.integers(0, REGIONS, total)
    own = {domain: rng.standard_normal((total, 2)) for domain in DOMAINS}
    weights = _INDEX_WEIGHTS
    risk = (
        -weights["solvency"] * solvency
        - weights["liquidity"] * liquidity
        - weights["own"] * sum((values.sum(axis=1) for values in own.values()), start=np.zeros(total))
        - weights["size"] * size
        + weights["region"] * rng.standard_normal(REGIONS)[region]
        + _SECTOR_RISK[sector]
        + weights["chance"] * rng.standard_normal(total)
    )
    outcome = _outcomes(risk, borrowers, enterprises, rng)
    return Population(
        codes=_codes(total, rng),
        sector=sector,
        region=region,
        size=size,
        solvency=solvency,
        liquidity=liquidity,
        own=own,
        first_month=_first_months(total, rng),
        outcome=outcome,
        stress=_stress(outcome, rng),
    )


def observe(population: Population, domain: str, rng: np.random.Generator) -> Observed:
    """Draw which enterprises an office covers, and how it sees them.

    The share covered is exact. Small and weak enterprises are missing more often, so missing is itself a signal.
    """
    view, own = _VIEW[domain], population.own[domain]
    rest = np.sqrt(1 - view**2)
    seen = 0.5 * population.size + 0.16 * population.solvency + 0.10 * population.liquidity
    order = np.argsort(-(seen + rng.standard_normal(len(population))), kind="stable")
    index = np.sort(order[: round(len(population) * COVERAGE[domain])])
    first_month = population.first_month[index]
    return Observed(
        index=index,
        sector=population.sector[index],
        region=population.region[index],
        size=population.size[index],
        solvency=view * population.solvency[index] + rest * own[index, 0],
        liquidity=view * population.liquidity[index] + rest * own[index, 1],
        first_month=first_month,
        stress=population.stress[index],
        active=np.arange(MONTHS) >= first_month[:, None],
    )


def _codes(total: int, rng: np.random.Generator) -> NDArray[np.object_]:
    serials = rng.choice(500_000_000, total, replace=False)
    return np.array([uscc.synthetic(int(serial)) for serial in serials], dtype=object)


def _first_months(total: int, rng: np.random.Generator) -> Integers:
    """Draw the month each enterprise began, in months from the first on record; about one in nine began within it."""
    young = rng.random(total) < 0.11
    return np.where(young, rng.integers(0, HISTORY_MONTHS - 4, total), -rng.integers(1, 180, total))


def _outcomes(risk: Floats, borrowers: int, enterprises: int, rng: np.random.Generator) -> Integers:
    """Make the riskiest borrowers default, so the default rate is exact, and the next riskiest indeterminate."""
    outcome = np.full(len(risk), NO_LOAN, dtype=np.int64)
    chosen = rng.permutation(len(risk))[:borrowers]
    ranked = chosen[np.argsort(-risk[chosen], kind="stable")]
    defaults = round(enterprises * DEFAULT_RATE)
    outcome[ranked] = GOOD
    outcome[ranked[:defaults]] = DEFAULT
    outcome[ranked[defaults : defaults + borrowers - enterprises]] = INDETERMINATE
    return outcome


def _stress(outcome: Integers, rng: np.random.Generator) -> Floats:
    """Ramp from 0 at the as-of date to 1 within half a year where a loan goes bad; half as far where it wobbles."""
    peak = np.select([outcome == DEFAULT, outcome == INDETERMINATE], [1.0, 0.5], 0.0)
    pace = rng.uniform(0.15, 0.4, len(outcome))
    months_after = np.clip(np.arange(MONTHS) - HISTORY_MONTHS + 1, 0, None)
    return peak[:, None] * np.minimum(pace[:, None] * months_after, 1.0)
