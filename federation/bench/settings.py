"""Settings to measure accuracy on: a data set as it is, and the same made harder in ways that nobody chose by hand.

All is drawn from a generator, so that a seed names a setting that led to no choice in the code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64] | NDArray[np.object_]
Generator = np.random.Generator

FEWEST: Final = 2_000
"""Rows that are left where few are."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Everybody's columns on the same enterprises, by party; the first `cohort` rows are trained and tested on.

    What follows them only tests. Shapes: `bad` and every column (rows,), missing as NaN or None. `special` names the
    numbers in a column that are codes. The bank is the first party, and may have no column.
    """

    parties: Mapping[str, Mapping[str, Column]] = field(repr=False)
    special: Mapping[str, tuple[float, ...]]
    bad: NDArray[np.int64] = field(repr=False)
    cohort: int

    @property
    def bank(self) -> str:
        """Return the party that has the outcomes."""
        return next(iter(self.parties))

    def taken(self, rows: NDArray[np.intp]) -> Setting:
        """Return the setting with these rows, in this order, all of them in the cohort."""
        parties = {party: {name: c[rows] for name, c in columns.items()} for party, columns in self.parties.items()}
        return replace(self, parties=parties, bad=self.bad[rows], cohort=len(rows))


Hardship = Callable[[Setting, Generator], Setting]


def as_it_is(setting: Setting, generator: Generator) -> Setting:
    """Return the setting."""
    return setting


def shuffled(setting: Setting, generator: Generator) -> Setting:
    """Return the setting with its rows in an order of their own."""
    return setting.taken(generator.permutation(len(setting.bad)))


def few_firms(setting: Setting, generator: Generator) -> Setting:
    """Leave a fifth of the firms in the cohort, but not fewer than FEWEST; all others test."""
    return replace(shuffled(setting, generator), cohort=min(setting.cohort, max(FEWEST, setting.cohort // 5)))


def few_defaults(setting: Setting, generator: Generator) -> Setting:
    """Keep one default in four."""
    kept = (setting.bad == 0) | (generator.random(len(setting.bad)) < 0.25)
    return setting.taken(generator.permutation(np.flatnonzero(kept)))


def dealt(setting: Setting, generator: Generator) -> Setting:
    """Deal all columns at random to three to six parties; on a half of the seeds the bank gets none."""
    columns = [(f"{p}.{name}", p, name) for p, own in setting.parties.items() for name in own]
    order = generator.permutation(len(columns))
    nodes = [f"party_{number}" for number in range(int(generator.integers(3, 7)))]
    hands: dict[str, dict[str, Column]] = {party: {} for party in (setting.bank, *nodes)}
    holders = [*nodes[1:], setting.bank] if generator.random() < 0.5 else nodes
    for number, column in enumerate(order):
        label, party, name = columns[column]
        hands[holders[number % len(holders)]][label] = setting.parties[party][name]
    special = {label: setting.special[name] for label, _, name in columns if name in setting.special}
    parties = {party: own for party, own in hands.items() if own or party == setting.bank}
    return shuffled(replace(setting, parties=parties, special=special), generator)


def half_missing(setting: Setting, generator: Generator) -> Setting:
    """Lose half of all values, each by itself."""
    gone = {p: generator.random((len(own), len(setting.bad))) < 0.5 for p, own in setting.parties.items()}
    return _without(setting, gone)


def half_absent(setting: Setting, generator: Generator) -> Setting:
    """Let each node know only half of the firms, each another half; the bank knows all."""
    gone = {p: np.tile(generator.random(len(setting.bad)) < 0.5, (len(own), 1)) for p, own in setting.parties.items()}
    gone[setting.bank] &= False
    return _without(setting, gone)


HARDSHIPS: Final[Mapping[str, Hardship]] = {
    "as it is": as_it_is,
    "few firms": few_firms,
    "few defaults": few_defaults,
    "dealt": dealt,
    "dealt, few firms": lambda setting, generator: few_firms(dealt(setting, generator), generator),
    "half missing": half_missing,
    "half absent": half_absent,
}


def _without(setting: Setting, gone: Mapping[str, NDArray[np.bool_]]) -> Setting:
    """Return the setting with values missing. Shapes: `gone` (columns, rows) for each party."""
    parties = {
        party: {name: _missing_at(column, gone[party][number]) for number, (name, column) in enumerate(own.items())}
        for party, own in setting.parties.items()
    }
    return replace(setting, parties=parties)


def _missing_at(column: Column, gone: NDArray[np.bool_]) -> Column:
    found = column.copy()
    found[gone] = np.nan if column.dtype == np.float64 else None
    return found
