"""Weight of evidence and information value, from counts of good and bad outcomes.

Source: Siddiqi, Credit Risk Scorecards, 2006, ch. 6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

WOE_SCALE: Final = 256
"""Integer units in one unit of WOE: all encrypted arithmetic is on `round(WOE · 256)`."""

WOE_LIMIT: Final = 2047
"""Largest magnitude of an integer WOE (about ±8): bounds every product in the encrypted Gram matrix."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many of a group turned out good and bad."""

    good: int
    bad: int

    @property
    def total(self) -> int:
        """Size of the group."""
        return self.good + self.bad

    @property
    def bad_rate(self) -> float:
        """Share of bad outcomes, 0 for an empty group."""
        return self.bad / self.total if self.total else 0.0

    def __add__(self, other: Outcomes) -> Outcomes:
        return Outcomes(self.good + other.good, self.bad + other.bad)


def weight_of_evidence(group: Outcomes, everyone: Outcomes) -> float:
    """Return ln((good_i/G)/(bad_i/B)) with half a case added to each count; positive means safer than average."""
    good = (group.good + 0.5) / (everyone.good + 0.5)
    bad = (group.bad + 0.5) / (everyone.bad + 0.5)
    return math.log(good / bad)


def information_value(groups: list[Outcomes], everyone: Outcomes) -> float:
    """Return Σ (good_i/G − bad_i/B)·WOE_i over the groups of one feature; below .02 a feature is usually noise."""
    if not everyone.good or not everyone.bad:
        return 0.0
    return sum(
        (group.good / everyone.good - group.bad / everyone.bad) * weight_of_evidence(group, everyone)
        for group in groups
        if group.total
    )


def integer_woe(group: Outcomes, everyone: Outcomes, limit: int = WOE_LIMIT) -> int:
    """Return the WOE in units of 1/`WOE_SCALE`, clipped to ±`limit`; an empty group is neutral."""
    if not group.total:
        return 0
    scaled = round(WOE_SCALE * weight_of_evidence(group, everyone))
    return max(-limit, min(limit, scaled))
