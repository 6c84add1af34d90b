"""The synthetic economy as a whole: every office's raw records, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from nodes.economy.bank import bank_records
from nodes.economy.electricity import electricity_records
from nodes.economy.housing_fund import housing_fund_records
from nodes.economy.panels import Table
from nodes.economy.population import DOMAINS, Observed, Population, draw_population, observe
from nodes.economy.social import social_records
from nodes.economy.tax import tax_records

LEAST_ENTERPRISES: Final = 20
MOST_ENTERPRISES: Final = 5_000_000

_OFFICES: Final[dict[str, Callable[[Observed, np.random.Generator], dict[str, Table]]]] = {
    "tax": tax_records,
    "social": social_records,
    "housing_fund": housing_fund_records,
    "electricity": electricity_records,
}


@dataclass(frozen=True, slots=True)
class Economy:
    """A population, and the raw tables each owner holds of it.

    `records[domain][table]` holds that owner's rows only; `population` is the hidden truth, which is never written.
    """

    seed: int
    population: Population
    records: dict[str, dict[str, Table]]


def generate(enterprises: int, seed: int) -> Economy:
    """Make an economy in which exactly `enterprises` have a loan outcome; the same seed gives the same bytes.

    Each domain draws from a generator of its own, so changing one office's simulation leaves the others as they were.
    Raises: ValueError if `enterprises` or `seed` is out of range.
    """
    if not LEAST_ENTERPRISES <= enterprises <= MOST_ENTERPRISES:
        raise ValueError(f"enterprises must lie in [{LEAST_ENTERPRISES}, {MOST_ENTERPRISES}]")
    if seed < 0:
        raise ValueError("the seed must not be negative")
    population = draw_population(enterprises, _generator(seed, 0))
    records: dict[str, dict[str, Table]] = {}
    for number, domain in enumerate(DOMAINS, start=1):
        rng = _generator(seed, number)
        observed = observe(population, domain, rng)
        if domain == "bank":
            records[domain] = bank_records(observed, population, rng)
        else:
            records[domain] = _OFFICES[domain](observed, rng)
    return Economy(seed=seed, population=population, records=records)


def _generator(seed: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, stream])))
