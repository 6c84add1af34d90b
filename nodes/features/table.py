"""One owner's features as a table, wherever they come from."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64] | NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """One owner's features, one row per enterprise, ordered by code.

    Shapes: every column (len(ids),). A numeric column is float64 with NaN for missing; a categorical one is an object
    array of str or None. `special` names the numbers in a column that are codes; `as_of` is the day as of which the
    records speak, if known. The bank's table has its label as the last column, 0.0 or 1.0, never missing.
    """

    ids: list[str]
    columns: dict[str, Column]
    special: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    as_of: datetime.date | None = None

    @property
    def said_as_of(self) -> str:
        """Return `as_of` as messages say it: an ISO date, or "" where it is not known."""
        return "" if self.as_of is None else self.as_of.isoformat()

    def __post_init__(self) -> None:
        if any(column.shape != (len(self.ids),) for column in self.columns.values()):
            raise ValueError("every column needs one value per id")

    def __len__(self) -> int:
        return len(self.ids)
