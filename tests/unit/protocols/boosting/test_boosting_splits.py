"""Splits take the best cut of the groups, with the missing values on the better side."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.boosting.offer import special_groups
from protocols.boosting.splits import GroupSums, Shape, Shrinkage, best_split
from protocols.boosting.trees import Split, Tree, fits
from protocols.scorecard.arithmetic import RESIDUAL_SCALE

BOLD = Shrinkage(penalty=0.01, least_curvature=1.0)


def sums(residual: list[float], curvature: list[float], groups: tuple[int, ...] | None = None) -> GroupSums:
    units = [np.rint(RESIDUAL_SCALE * np.array(values)).astype(np.int64) for values in (residual, curvature)]
    return GroupSums(groups or tuple(range(len(residual))), *units)


def test_missing_values_go_to_the_side_that_is_like_them() -> None:
    like_low = best_split([(0, sums([-5, -5, 5, 5, -4], [4] * 5))], [Shape(5, True)], BOLD)
    like_high = best_split([(0, sums([-5, -5, 5, 5, 4], [4] * 5))], [Shape(5, True)], BOLD)
    assert like_low is not None
    assert like_high is not None
    assert like_low.split.left == (True, True, False, False, True)
    assert like_high.split.left == (True, True, False, False, False)


def test_codes_stand_outside_the_order_and_each_goes_to_the_side_that_is_like_it() -> None:
    """Bins 4 and 5 hold codes. As the highest values in order, the one like the low end would stay with the high."""
    found = [(0, sums([-5, -5, 5, 5, -6, 6, 0], [4] * 6 + [0]))]
    apart = best_split(found, [Shape(7, True, special=2)], BOLD)
    ordered = best_split(found, [Shape(7, True)], BOLD)
    assert apart is not None
    assert ordered is not None
    assert apart.split.left == (True, True, False, False, True, False, False)
    assert apart.gain > ordered.gain


def test_a_code_that_shares_its_group_with_values_in_order_stays_with_them() -> None:
    found = [(0, sums([-5, -5, 5, -4], [4] * 4, (0, 1, 2, 2, 3)))]
    best = best_split(found, [Shape(5, True, special=1)], BOLD)
    assert best is not None
    assert best.split.left == (True, True, False, False, True)


def test_a_split_of_noisy_sums_gains_more_than_noise_would() -> None:
    found = [(0, sums([-6, 6, 0], [20, 20, 0]))]
    assert best_split(found, [Shape(3, True)], BOLD) is not None
    assert best_split(found, [Shape(3, True)], BOLD.under(400.0)) is None
    assert BOLD.under(0.0) == BOLD
    noisy = BOLD.under(25.0)
    steps = [abs(float(s.step(np.int64(8 * RESIDUAL_SCALE), np.int64(20 * RESIDUAL_SCALE)))) for s in (BOLD, noisy)]
    assert steps[1] < steps[0]


def test_groups_that_hold_codes_alone_are_reported_apart() -> None:
    for groups, special, told in [
        ((0, 1, 2, 3, 4), 2, 2),
        ((0, 1, 1, 2, 3), 2, 1),
        ((0, 1, 2, 2), 1, 1),
        ((0, 0, 1, 1, 2), 0, 0),
    ]:
        assert special_groups(groups, special) == told


def test_categories_are_cut_by_their_steps_and_numbers_in_their_order() -> None:
    found = sums([5, -5, 5, -5, 0], [4, 4, 4, 4, 0])
    category = best_split([(0, found)], [Shape(5, False)], BOLD)
    number = best_split([(0, found)], [Shape(5, True)], BOLD)
    assert category is not None
    assert number is not None
    assert category.split.left == (False, True, False, True, False)
    assert category.gain > number.gain


def test_bins_of_one_group_stay_together_and_the_best_feature_wins() -> None:
    weak = sums([-1, 1], [4, 4], (0, 0, 1))
    strong = sums([-9, 9], [4, 4], (0, 1, 1))
    best = best_split([(0, weak), (1, strong)], [Shape(3, True)] * 2, BOLD)
    assert best is not None
    assert best.split == Split(1, (True, False, False))


def test_a_child_with_little_curvature_is_not_set_apart() -> None:
    found = [(0, sums([9, -1, -1], [0.5, 40, 40]))]
    assert best_split(found, [Shape(3, True)], Shrinkage(penalty=0.01, least_curvature=41.0)) is None


def test_nothing_gained_is_no_split() -> None:
    assert best_split([(0, sums([0, 0, 0], [9, 9, 9]))], [Shape(3, True)], BOLD) is None


def test_leaves_are_numbered_from_the_left() -> None:
    root, below = Split(0, (True, False, False)), Split(1, (True, False))
    tree = Tree(((root,), (None, below)))
    assert all(fits(level, [3, 2]) for level in tree.levels)
    assert not fits(tree.levels[1], [3, 3])
    assert tree.leaves == 3
    codes = np.array([[0, 1], [1, 0], [2, 1]])
    np.testing.assert_array_equal(tree.leaf_of(codes), [0, 1, 2])
    with pytest.raises(ValueError, match="more leaves"):
        Tree(((root,), (None,))).leaf_of(codes)
