"""From a coefficient to the integer points of one feature's fine bins: the same at the bank and at a node."""

from __future__ import annotations

from collections.abc import Sequence

from protocols.credit.scale import POINTS_PER_LOG_ODDS
from protocols.credit.woe import WOE_SCALE


def points_of(coefficient: float, woe: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Return the points of each fine bin, the lowest 0, and the offset that was taken off them.

    Units: `coefficient` in log-odds per unit of WOE, `woe` in 1/WOE_SCALE, points in 1/POINTS_PER_LOG_ODDS.
    """
    factor = coefficient * POINTS_PER_LOG_ODDS / WOE_SCALE
    raw = [round(factor * value) for value in woe]
    lowest = min(raw)
    return tuple(value - lowest for value in raw), lowest
