"""Where a score stands between the grades: the geometry of the gauge, which page and PDF draw alike.

Units: a *share* runs from 0 at the riskiest end of the scale to 1 at the safest. Drawings are in a plane whose y grows
downwards, the gauge's centre at (0, 0) and its outer radius 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from protocols.credit.scale import GRADE_LIMITS, grade_scores

LOW: Final = 400.0
HIGH: Final = 820.0
COLOURS: Final = (
    "#b03a2a",
    "#c95b2e",
    "#d9813a",
    "#dba545",
    "#c9b558",
    "#93ae67",
    "#5f9d78",
    "#3a8688",
    "#2a6a86",
)
"""The house's colours of the grades, riskiest first; the run report has the same."""

INNER: Final = 0.74
_GAP: Final = 0.004
_STEPS: Final = 10

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Band:
    """One grade on the scale. Units: `start`, `end` are shares; `above`, `up_to` limits of PD."""

    grade: str
    colour: str
    start: float
    end: float
    above: float
    up_to: float
    chosen: bool


def share(score: float) -> float:
    """Return where a score stands on the scale; one beyond it stands at its end."""
    return (min(HIGH, max(LOW, score)) - LOW) / (HIGH - LOW)


def bands(chosen: str | None) -> tuple[Band, ...]:
    """Return the grades on the scale, riskiest first, with the enterprise's own marked."""
    limits = dict(GRADE_LIMITS)
    ordered = [limit for _, limit in reversed(GRADE_LIMITS)]
    return tuple(
        Band(
            grade=name.value,
            colour=colour,
            start=share(low),
            end=share(high),
            above=(ordered[index] if index < len(ordered) else 0.0),
            up_to=limits.get(name, 1.0),
            chosen=name.value == chosen,
        )
        for index, ((name, low, high), colour) in enumerate(zip(grade_scores(), COLOURS, strict=True))
    )


def arc_band(band: Band) -> tuple[Point, ...]:
    """Return the outline of a grade's piece of the gauge's ring."""
    start, end = band.start + _GAP * (band.start > 0), band.end - _GAP * (band.end < 1)
    places = [start + (end - start) * step / _STEPS for step in range(_STEPS + 1)]
    outer = [_at(place, 1.0) for place in places]
    return (*outer, *(_at(place, INNER) for place in reversed(places)))


def needle(place: float) -> tuple[Point, Point, Point]:
    """Return a triangle that points from inside the ring at a share of the scale."""
    return _at(place, INNER - 0.015), _at(place - 0.026, INNER - 0.13), _at(place + 0.026, INNER - 0.13)


def label_at(band: Band) -> Point:
    """Return the middle of a grade's piece, where its name stands."""
    return _at((band.start + band.end) / 2, (1 + INNER) / 2)


def _at(place: float, radius: float) -> Point:
    angle = math.pi * (1 - place)
    return radius * math.cos(angle), -radius * math.sin(angle)
