"""Splits take the best cut of the groups, with the missing values on the better side."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.boosting.splits import GroupSums, Shape, Shrinkage, best_split
from protocols.boosting.trees import Split, Tree, well_formed
from protocols.scorecard.arithmetic import RESIDUAL_SCALE

BOLD = Shrinkage(penalty=0.01, least_curvature=1.0, least_share=0.0)


def sums(residual: list[float], curvature: list[float], groups: tuple[int, ...] | None = None) -> GroupSums:
    units = [np.rint(RESIDUAL_SCALE * np.array(values)).astype(np.int64) for values in (residual, curvature)]
    return GroupSums(groups or tuple(range(len(residual))), *units)


def test_missing_values_go_to_the_side_that_is_like_them() -> None:
    like_low = best_split([(0, sums([-5, -5, 5, 5, -4], [4] * 5))], [Shape(5, True)], BOLD, last=True)
    like_high = best_split([(0, sums([-5, -5, 5, 5, 4], [4] * 5))], [Shape(5, True)], BOLD, last=True)
    assert like_low is not None
    assert like_high is not None
    assert like_low.split.left == (True, True, False, False, True)
    assert like_high.split.left == (True, True, False, False, False)


def test_categories_are_cut_by_their_steps_and_numbers_in_their_order() -> None:
    found = sums([5, -5, 5, -5, 0], [4, 4, 4, 4, 0])
    category = best_split([(0, found)], [Shape(5, False)], BOLD, last=True)
    number = best_split([(0, found)], [Shape(5, True)], BOLD, last=True)
    assert category is not None
    assert number is not None
    assert category.split.left == (False, True, False, True, False)
    assert category.gain > number.gain


def test_bins_of_one_group_stay_together_and_the_best_feature_wins() -> None:
    weak = sums([-1, 1], [4, 4], (0, 0, 1))
    strong = sums([-9, 9], [4, 4], (0, 1, 1))
    best = best_split([(0, weak), (1, strong)], [Shape(3, True)] * 2, BOLD, last=True)
    assert best is not None
    assert best.split == Split(1, (True, False, False))


def test_a_child_with_little_curvature_is_not_set_apart() -> None:
    found = [(0, sums([9, -1, -1], [0.5, 40, 40]))]
    assert best_split(found, [Shape(3, True)], Shrinkage(penalty=0.01, least_curvature=41.0), last=True) is None
    lopsided = [(0, sums([9, -9, 0], [4, 96, 0]))]
    assert best_split(lopsided, [Shape(3, True)], Shrinkage(penalty=0.01, least_share=0.05), last=True) is not None
    assert best_split(lopsided, [Shape(3, True)], Shrinkage(penalty=0.01, least_share=0.05), last=False) is None


def test_nothing_gained_is_no_split() -> None:
    assert best_split([(0, sums([0, 0, 0], [9, 9, 9]))], [Shape(3, True)], BOLD, last=True) is None


def test_leaves_are_numbered_from_the_left() -> None:
    root, below = Split(0, (True, False, False)), Split(1, (True, False))
    tree = Tree(((root,), (None, below)))
    assert well_formed(tree, [3, 2])
    assert not well_formed(tree, [3, 3])
    assert tree.leaves == 3
    codes = np.array([[0, 1], [1, 0], [2, 1]])
    np.testing.assert_array_equal(tree.leaf_of(codes), [0, 1, 2])
    with pytest.raises(ValueError, match="more leaves"):
        Tree(((root,), (None,))).leaf_of(codes)
