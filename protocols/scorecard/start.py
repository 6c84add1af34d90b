"""The first candidate: each domain weighs its own columns, before anything is known of how domains go together.

Within a domain the weights are Fisher's discriminant: the columns' own covariance, solved for the gap between good and
bad enterprises in each column. Domain and bank both compute them, so nothing about them is sent. Only operations whose
result IEEE 754 fixes to the last bit are used, in a fixed order: two machines never differ.
Source: Fisher 1936; as a start for Newton's method on the whole model, docs/scorecard.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.credit.woe import WOE_SCALE, Outcomes
from protocols.scorecard.arithmetic import TOTAL_BITS
from protocols.scorecard.messages import GAP_LIMIT
from protocols.scorecard.points import points_of

Integers = NDArray[np.int64]
Tables = Sequence[tuple[int, ...]]

WEIGHT_SCALE: Final = 256
"""Integer units in a weight of 1."""

WEIGHT_LIMIT: Final = 1 << 15
_RIDGE: Final = 1e-3
"""Relative ridge: near-copies share their weight."""


def gaps_of(sums: Integers, good_sums: Integers, everyone: Outcomes) -> tuple[int, ...]:
    """Return each column's mean among good enterprises less that among bad ones. Units: 1/WOE_SCALE² of WOE.

    No column's two means lie further apart than `GAP_LIMIT`; noise in the sums can make it seem so.
    """
    good, bad = max(1, everyone.good), max(1, everyone.bad)
    gaps = (
        WOE_SCALE * (g * bad - (s - g) * good) // (good * bad)
        for s, g in zip(sums.tolist(), good_sums.tolist(), strict=True)
    )
    return tuple(max(-GAP_LIMIT, min(GAP_LIMIT, gap)) for gap in gaps)


def start_weights(
    gram: Integers, sums: Sequence[int], gaps: Sequence[int], rows: int, tables: Tables, parties: int
) -> tuple[int, ...]:
    """Return the weight of each column, small enough that totals over `parties` such parts fit their slots.

    Shapes: d columns, `gram` (d, d), `sums` and `gaps` (d,), one table of WOE by fine bin each. Units: 1/WEIGHT_SCALE.
    """
    products, totals = gram.tolist(), [int(value) for value in sums]
    covariance = [
        [float(rows * products[i][j] - totals[i] * totals[j]) / float(rows * rows) for j in range(len(totals))]
        for i in range(len(totals))
    ]
    weights = [_as_weight(value) for value in _solve(covariance, [float(gap) for gap in gaps])]
    while _highest(weights, tables) * parties >= 1 << TOTAL_BITS:
        weights = [weight // 2 if weight > 0 else -(-weight // 2) for weight in weights]
    return tuple(weights)


def start_points(weight: int, table: tuple[int, ...]) -> tuple[int, ...]:
    """Return the points of one column's fine bins."""
    return points_of(weight / WEIGHT_SCALE, table)[0]


def _highest(weights: Sequence[int], tables: Tables) -> int:
    return sum(max(start_points(weight, table)) for weight, table in zip(weights, tables, strict=True))


def _as_weight(value: float) -> int:
    """Return a weight in range; 0 for what is no number, which only false sums lead to."""
    scaled = WEIGHT_SCALE * value
    return round(scaled) if -WEIGHT_LIMIT < scaled < WEIGHT_LIMIT else 0


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Return the solution of a ridged, symmetric system by elimination; a pivot never falls below the ridge."""
    size = len(right)
    rows = [[*line, value] for line, value in zip(matrix, right, strict=True)]
    floors = [max(1.0, abs(matrix[i][i])) * _RIDGE for i in range(size)]
    for i in range(size):
        rows[i][i] += floors[i]
    for i in range(size):
        rows[i][i] = max(rows[i][i], floors[i])
        for j in range(i + 1, size):
            factor = rows[j][i] / rows[i][i]
            for k in range(i, size + 1):
                rows[j][k] -= factor * rows[i][k]
    found = [0.0] * size
    for i in reversed(range(size)):
        value = rows[i][size]
        for k in range(i + 1, size):
            value -= rows[i][k] * found[k]
        found[i] = value / rows[i][i]
    return found
