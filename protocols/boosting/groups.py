"""Groups of fine bins: none is summed unless it holds nobody, or at least k enterprises on either side of a split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def safe_groups(counts: Sequence[Counts], parent: Sequence[int], minimum: int, filled: bool = False) -> tuple[int, ...]:
    """Return the group of each fine bin: neighbouring groups of the parent, joined until all are safe.

    Shapes: `counts` one (bins,) array per side, `parent` and the result (bins,), numbered from 0 without gaps.
    Safe: on every side a group counts 0, or at least `minimum`; if none can be, all bins are one group, which is safe
    where the sides themselves are. With `filled`, no group counts 0: under noise, the bank could not tell that it does.
    """
    sides = [np.bincount(np.asarray(parent), weights=side).astype(np.int64) for side in counts]
    found: list[list[int]] = []  # the groups so far, each the list of parent groups in it
    waiting: list[int] = []
    for group in range(len(sides[0])):
        waiting.append(group)
        if _is_safe(waiting, sides, minimum, filled) and any(side[waiting].any() for side in sides):
            found.append(waiting)
            waiting = []
    while waiting and found:
        waiting = found.pop() + waiting
        if _is_safe(waiting, sides, minimum, filled):
            found.append(waiting)
            waiting = []
    joined = {group: number for number, groups in enumerate(found or [waiting]) for group in groups}
    return tuple(joined[group] for group in parent)


def _is_safe(groups: list[int], sides: Sequence[Counts], minimum: int, filled: bool) -> bool:
    """Tell whether on every side these groups together count at least `minimum`, or 0 unless they must be `filled`."""
    return all((total == 0 and not filled) or total >= minimum for total in (int(side[groups].sum()) for side in sides))


def is_grouping(groups: Sequence[int], bins: int) -> bool:
    """Tell whether `groups` numbers the groups of so many bins from 0 without gaps."""
    return len(groups) == bins and set(groups) == set(range(max(groups, default=-1) + 1))
