"""Supervised merging of fine bins: few, monotone, each large enough, *missing* apart.

The node cut its feature into fine bins without labels; the bank, which has just decrypted how many bad outcomes each
bin holds, merges neighbours until what is left is a step of a scorecard. Deterministic in its input.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Final

import numpy as np
from scipy.special import chdtrc

from protocols.credit.woe import WOE_LIMIT, Outcomes, information_value, integer_woe


class Direction(StrEnum):
    """How the bad rate may run along an ordered feature: as the data say, one way, the other, or any way."""

    AUTO = "auto"
    INCREASING = "increasing"
    DECREASING = "decreasing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class BinningRules:
    """What a coarse bin must satisfy, and when a feature is kept.

    Units: shares of the training rows; IV without unit. §7's floor of IV .02 is a rule of thumb for a few thousand
    rows; what is kept here must exceed `minimum_iv` *and* be distinguishable from chance at `significance`.
    `directions` maps (domain, feature) to how its bad rate must run; `direction` is that of all others.
    """

    minimum_share: float = 0.05
    minimum_count: int = 50
    maximum_bins: int = 8
    minimum_iv: float = 0.002
    significance: float = 0.01
    direction: Direction = Direction.AUTO
    directions: Mapping[tuple[str, str], Direction] = field(default_factory=dict)
    woe_limit: int = WOE_LIMIT


DEFAULT_RULES: Final = BinningRules()
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class FineHistogram:
    """One feature as the bank sees it: outcomes per fine bin. The last bin holds the missing values.

    Each of the `special` bins before it holds one value that is a code, and is a step of its own.

    Reveals: nothing beyond itself, sums over at least k enterprises per non-empty bin.
    """

    domain: str
    name: str
    ordered: bool
    outcomes: tuple[Outcomes, ...]
    special: int = 0


@dataclass(frozen=True, slots=True)
class BinnedFeature:
    """One feature of the scorecard: which fine bins were merged, and the integer WOE of every fine bin."""

    domain: str
    name: str
    groups: tuple[tuple[int, ...], ...]
    outcomes: tuple[Outcomes, ...]
    woe: tuple[int, ...]
    iv: float
    selected: bool
    reason: str


@dataclass(slots=True)
class _Step:
    bins: list[int]
    outcomes: Outcomes


def bin_feature(histogram: FineHistogram, everyone: Outcomes, rules: BinningRules = DEFAULT_RULES) -> BinnedFeature:
    """Return the feature in coarse bins with WOE and IV, and whether it is worth keeping.

    Shapes: `woe` has one integer per fine bin, missing last. Units: 1/WOE_SCALE. Raises: ValueError without bins.
    """
    if len(histogram.outcomes) <= histogram.special:
        raise ValueError("a feature has at least the bin of missing values")
    missing = len(histogram.outcomes) - 1
    apart = [_Step([i], histogram.outcomes[i]) for i in range(missing - histogram.special, missing + 1)]
    steps = [_Step([i], o) for i, o in enumerate(histogram.outcomes[: missing - histogram.special])]
    floor = max(rules.minimum_count, math.ceil(rules.minimum_share * everyone.total - _ROUNDING))
    if histogram.ordered:
        direction = rules.directions.get((histogram.domain, histogram.name), rules.direction)
        steps = _merge_ordered(steps, everyone, direction, floor, rules.maximum_bins)
    else:
        steps = sorted(steps, key=lambda step: (step.outcomes.bad_rate, step.bins))
        steps = _merge_to_count(_merge_small(steps, floor), everyone, rules.maximum_bins)
    steps += apart
    woe = [0] * len(histogram.outcomes)
    for step in steps:
        for index in step.bins:
            woe[index] = integer_woe(step.outcomes, everyone, rules.woe_limit)
    outcomes = tuple(step.outcomes for step in steps)
    iv = information_value(list(outcomes), everyone)
    reason = _why_dropped(iv, sum(o.total > 0 for o in outcomes), everyone, rules)
    groups = tuple(tuple(sorted(step.bins)) for step in steps)
    return BinnedFeature(histogram.domain, histogram.name, groups, outcomes, tuple(woe), iv, not reason, reason)


def _why_dropped(iv: float, bins: int, everyone: Outcomes, rules: BinningRules) -> str:
    """Return why the feature is dropped, or "" to keep it. IV · GB/(G+B) is χ² with bins − 1 degrees under chance."""
    if bins < 2:
        return "one bin only: too few enterprises to tell values apart"
    if iv < rules.minimum_iv:
        return f"information value below {rules.minimum_iv}"
    statistic = iv * everyone.good * everyone.bad / everyone.total
    if chdtrc(bins - 1, statistic) > rules.significance:
        return f"not distinguishable from chance at {rules.significance}"
    return ""


def _merge_ordered(steps: list[_Step], everyone: Outcomes, direction: Direction, floor: int, limit: int) -> list[_Step]:
    steps = _merge_small(steps, floor)
    if direction is not Direction.NONE:
        signs = {Direction.INCREASING: (1,), Direction.DECREASING: (-1,)}.get(direction, (1, -1))
        candidates = [_merge_to_monotone(steps, everyone, sign, limit) for sign in signs]
        return max(candidates, key=lambda c: information_value([step.outcomes for step in c], everyone))
    return _merge_to_count(steps, everyone, limit)


def _join(steps: list[_Step], at: int) -> list[_Step]:
    left, right = steps[at], steps[at + 1]
    return [*steps[:at], _Step(left.bins + right.bins, left.outcomes + right.outcomes), *steps[at + 2 :]]


def _merge_small(steps: list[_Step], floor: int) -> list[_Step]:
    """Merge the smallest step into the neighbour with the nearer bad rate until all hold `floor` enterprises."""
    while len(steps) > 1:
        smallest = int(np.argmin([step.outcomes.total for step in steps]))
        if steps[smallest].outcomes.total >= floor:
            break
        rate = steps[smallest].outcomes.bad_rate
        sides = [i for i in (smallest - 1, smallest + 1) if 0 <= i < len(steps)]
        nearer = min(sides, key=lambda i: abs(steps[i].outcomes.bad_rate - rate))
        steps = _join(steps, min(smallest, nearer))
    return steps


def _merge_to_monotone(steps: list[_Step], everyone: Outcomes, sign: int, limit: int) -> list[_Step]:
    """Pool adjacent violators until bad rate and WOE run one way in at most `limit` steps (isotonic regression).

    The half cases in a WOE shrink a small step's more than a large one's: rates that differ little may have it turned.
    """
    return _pooled(_merge_to_count(_pooled(steps, everyone, sign), everyone, limit), everyone, sign)


def _pooled(steps: list[_Step], everyone: Outcomes, sign: int) -> list[_Step]:
    done: list[_Step] = []
    for step in steps:
        done.append(step)
        while len(done) > 1 and not _rises(done[-2].outcomes, done[-1].outcomes, everyone, sign):
            done = _join(done, len(done) - 2)
    return done


def _rises(one: Outcomes, following: Outcomes, everyone: Outcomes, sign: int) -> bool:
    """Tell whether the risk rises from one step to the following, or falls if `sign` is negative."""
    steeper = sign * (following.bad_rate - one.bad_rate) > 0
    return steeper and sign * (integer_woe(one, everyone) - integer_woe(following, everyone)) > 0


def _merge_to_count(steps: list[_Step], everyone: Outcomes, limit: int) -> list[_Step]:
    """Join the neighbours whose union costs least information value until at most `limit` steps are left."""
    while len(steps) > limit:
        losses = [
            information_value([a.outcomes, b.outcomes], everyone)
            - information_value([a.outcomes + b.outcomes], everyone)
            for a, b in pairwise(steps)
        ]
        steps = _join(steps, int(np.argmin(losses)))
    return steps
