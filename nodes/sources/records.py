"""A party's rows as its source gives them, before anything is checked: ids may be missing, wrong or repeated."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64] | NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Records:
    """Rows of one source. Shapes: every column (len(ids),). `newest` is the date of the newest record, if known."""

    ids: list[str | None] = field(repr=False)
    columns: dict[str, Column] = field(repr=False)
    newest: datetime.date | None = None


def number_column(values: Sequence[object]) -> NDArray[np.float64]:
    """Return numbers, NaN for missing. Raises: ValueError for anything else; the text quotes no value."""
    return np.array([_number(value) for value in values], dtype=np.float64)


def category_column(values: Sequence[object]) -> NDArray[np.object_]:
    """Return texts, None for missing."""
    column = np.empty(len(values), dtype=object)
    column[:] = [None if value is None or value == "" else str(value).strip() for value in values]
    return column


def _number(value: object) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, bool | int | float | Decimal | np.number):
        return float(value)
    raise ValueError(f"a {type(value).__name__} where a number is due")
