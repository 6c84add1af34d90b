"""No group of bins counts fewer than k enterprises on any side of a split, and groups only ever grow coarser."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from protocols.boosting.groups import is_grouping, safe_groups


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[list[int]], list[int], int]:
    bins = draw(st.integers(1, 12))
    sides = draw(st.lists(st.lists(st.integers(0, 30), min_size=bins, max_size=bins), min_size=1, max_size=2))
    cuts = [0, *(draw(st.booleans()) for _ in range(bins - 1))]
    return sides, np.cumsum(cuts).tolist(), draw(st.integers(1, 40))


@given(cases())
def test_every_group_is_empty_or_large_on_each_side_unless_all_is_one_group(
    case: tuple[list[list[int]], list[int], int],
) -> None:
    sides, parent, minimum = case
    counts = [np.array(side) for side in sides]
    groups = safe_groups(counts, parent, minimum)
    assert is_grouping(groups, len(parent))
    if max(groups) > 0:
        for side in counts:
            sums = np.bincount(groups, weights=side)
            assert all(total == 0 or total >= minimum for total in sums)


@given(cases())
def test_groups_are_unions_of_the_parents(case: tuple[list[list[int]], list[int], int]) -> None:
    sides, parent, minimum = case
    groups = safe_groups([np.array(side) for side in sides], parent, minimum)
    assert len(set(zip(parent, groups, strict=True))) == len(set(parent))


def test_a_tail_that_is_too_small_joins_until_it_is_safe_on_both_sides() -> None:
    left, right = np.array([0, 60, 10]), np.array([60, 60, 0])
    assert safe_groups([left, right], [0, 1, 2], 50) == (0, 1, 1)
    assert safe_groups([np.array([60, 0, 10]), np.array([60, 60, 0])], [0, 1, 2], 50) == (0, 0, 0)


def test_what_is_no_grouping() -> None:
    assert is_grouping((0, 1, 1), 3)
    assert not is_grouping((0, 2, 2), 3)
    assert not is_grouping((0, 1), 3)
