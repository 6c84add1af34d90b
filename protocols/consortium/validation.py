"""How the consortium's model does on all banks' test rows: counts by score band, pooled, and the measures of those.

Each bank measures its own test rows exactly. Of the pool it learns, by band, how many rows and how many defaults there
are: bands are cut by the training rows' spread so that about `FEWEST_IN_BAND` of the pooled test rows, or more, fall in
each. No data node's figures are in it beyond the totals that each bank already has of its own customers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from protocols.credit.metrics import Validation, validate
from protocols.errors import VerificationFailed

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MOST_BANDS: Final = 200
FEWEST_IN_BAND: Final = 10


@dataclass(frozen=True, slots=True)
class ScoreBands:
    """Bands of log-odds. Shapes: `edges` one fewer than `middles`, which stand for the rows of their band."""

    edges: Floats = field(repr=False)
    middles: Floats = field(repr=False)

    @classmethod
    def cut(cls, centre: float, spread: float, test_rows: int) -> ScoreBands:
        """Return bands of equal shares of a normal distribution."""
        count = max(2, min(MOST_BANDS, test_rows // FEWEST_IN_BAND))
        shares = np.arange(count) / count
        return cls(centre + spread * ndtri(shares[1:]), centre + spread * ndtri(shares + 0.5 / count))

    def counts(self, log_odds: Floats, bad: Integers) -> list[int]:
        """Return rows by band, then defaults by band."""
        place = np.searchsorted(self.edges, log_odds, side="right")
        found = [np.bincount(place[mask], minlength=len(self.middles)) for mask in (bad >= 0, bad == 1)]
        return [int(value) for part in found for value in part]

    def validation(self, counts: list[int], test_rows: int) -> Validation:
        """Return the measures of pooled counts, each row at the middle of its band.

        Raises: VerificationFailed, code WRONG_BANDS, for counts that no rows have.
        """
        rows, bads = np.array(counts[: len(self.middles)]), np.array(counts[len(self.middles) :])
        if np.any(bads < 0) or np.any(bads > rows) or sum(rows.tolist()) != test_rows:
            raise VerificationFailed("the pooled score bands do not add up to the test rows", code="WRONG_BANDS")
        log_odds = np.repeat(self.middles, rows)
        within = np.arange(test_rows) - np.repeat(np.cumsum(rows) - rows, rows)
        return validate(log_odds, (within < np.repeat(bads, rows)).astype(np.int64))
