"""The months of the synthetic economy: 26 of history, then ten more that no feature may look at.

The records run on past the as-of date on purpose. A feature that peeks finds the defaults already visible there, and
the test that cuts the records at the as-of date catches it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodes.features.compute import DEFAULT_AS_OF

HISTORY_MONTHS: Final = 26
MONTHS: Final = 36
FIRST_MONTH: Final = np.datetime64("2021-11", "M")
MONTH_STARTS: Final[NDArray[np.datetime64]] = (FIRST_MONTH + np.arange(MONTHS)).astype("datetime64[D]")
AS_OF: Final = DEFAULT_AS_OF
"""The loans of the cohort are drawn in the month after this day."""
RECORDS_END: Final = (FIRST_MONTH + MONTHS).astype("datetime64[D]")
"""Nothing that happens on or after this day is on record: a bill paid later is a bill still unpaid."""

_SPRING_FESTIVALS = np.array(["2022-02-01", "2023-01-22", "2024-02-10"], dtype="datetime64[D]")
_CLOSED_DAYS = np.arange(-6, 9)


def spring_festival_share() -> NDArray[np.float64]:
    """Give, per month, the share of its days on which firms are closed for the Spring Festival.

    Shapes: (MONTHS,), in [0, 1]. The fifteen closed days move between January and February with the lunar calendar.
    """
    closed = (_SPRING_FESTIVALS[:, None] + _CLOSED_DAYS).ravel().astype("datetime64[M]")
    counts = np.array([np.count_nonzero(closed == month) for month in MONTH_STARTS.astype("datetime64[M]")])
    days = np.diff(np.append(MONTH_STARTS, RECORDS_END)).astype(np.int64)
    return counts / days


def following_month(day_of_month: int) -> NDArray[np.datetime64]:
    """Give, per month, the date of that day in the month after it. Shapes: (MONTHS,)."""
    return (MONTH_STARTS.astype("datetime64[M]") + 1).astype("datetime64[D]") + (day_of_month - 1)


def same_month(day_of_month: int) -> NDArray[np.datetime64]:
    """Give, per month, the date of that day in it. Shapes: (MONTHS,)."""
    return MONTH_STARTS + (day_of_month - 1)
