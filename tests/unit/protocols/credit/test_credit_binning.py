"""Coarse bins: monotone, large enough, few, missing apart; and every input is binned or dropped with a reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.credit.binning import (
    DEFAULT_RULES,
    BinnedFeature,
    BinningRules,
    Direction,
    FineHistogram,
    bin_feature,
)
from protocols.credit.woe import Outcomes, information_value, integer_woe

RULES = replace(DEFAULT_RULES, minimum_count=20, minimum_share=0.02)
fine = st.lists(st.builds(Outcomes, st.integers(0, 400), st.integers(0, 60)), min_size=1, max_size=24)


def binned(outcomes: list[Outcomes], rules: BinningRules = RULES, ordered: bool = True) -> BinnedFeature:
    everyone = sum(outcomes, Outcomes(0, 0))
    return bin_feature(FineHistogram("tax", "x", ordered, tuple(outcomes)), everyone, rules)


def rates(feature: BinnedFeature) -> list[float]:
    return [o.bad_rate for o in feature.outcomes[:-1]]


@settings(max_examples=200)
@given(fine, st.sampled_from(Direction), st.booleans(), st.integers(1, 8))
def test_every_histogram_is_partitioned_with_missing_apart(
    outcomes: list[Outcomes], direction: Direction, ordered: bool, limit: int
) -> None:
    rules = replace(RULES, direction=direction, maximum_bins=limit)
    feature = binned(outcomes, rules, ordered)
    everyone = sum(outcomes, Outcomes(0, 0))
    assert sorted(index for group in feature.groups for index in group) == list(range(len(outcomes)))
    assert feature.groups[-1] == (len(outcomes) - 1,)
    assert len(feature.groups) - 1 <= max(limit, 1)
    for group, total in zip(feature.groups, feature.outcomes, strict=True):
        assert total == sum((outcomes[i] for i in group), Outcomes(0, 0))
        assert {feature.woe[i] for i in group} == {integer_woe(total, everyone)}
    assert feature.iv == information_value(list(feature.outcomes), everyone)
    assert feature.selected == (not feature.reason)
    floor = max(rules.minimum_count, rules.minimum_share * everyone.total - 1e-9)
    if len(feature.groups) > 2:
        assert all(o.total >= floor for o in feature.outcomes[:-1])


@settings(max_examples=150)
@given(fine, st.sampled_from([Direction.AUTO, Direction.INCREASING, Direction.DECREASING]))
def test_ordered_features_run_one_way_and_join_neighbours_only(outcomes: list[Outcomes], direction: Direction) -> None:
    feature = binned(outcomes, replace(RULES, direction=direction))
    for group in feature.groups[:-1]:
        assert list(group) == list(range(group[0], group[0] + len(group)))
    rising, falling = rates(feature) == sorted(rates(feature)), rates(feature) == sorted(rates(feature))[::-1]
    assert {Direction.INCREASING: rising, Direction.DECREASING: falling}.get(direction, rising or falling)
    woe = [feature.woe[group[0]] for group in feature.groups[:-1]]
    assert len(set(woe)) == len(woe)
    assert woe == sorted(woe, reverse=rising)


def test_steps_whose_rates_run_one_way_and_whose_woe_the_other_are_pooled() -> None:
    """Half a case counts more in the small step: 2.1 % of default in the large one, 2.0 % in it, and yet less WOE."""
    large, small = Outcomes(979, 21), Outcomes(98, 2)
    outcomes = [Outcomes(400, 60), large, small, Outcomes(400, 1), Outcomes(0, 0)]
    everyone = sum(outcomes, Outcomes(0, 0))
    assert large.bad_rate > small.bad_rate
    assert integer_woe(large, everyone) > integer_woe(small, everyone)
    feature = binned(outcomes, replace(RULES, direction=Direction.DECREASING))
    assert feature.groups == ((0,), (1, 2), (3,), (4,))


def test_a_clear_feature_keeps_its_steps() -> None:
    feature = binned([Outcomes(200, 2), Outcomes(200, 10), Outcomes(200, 40), Outcomes(50, 5)])
    assert feature.groups == ((0,), (1,), (2,), (3,))
    assert feature.selected
    assert list(feature.woe[:3]) == sorted(feature.woe[:3], reverse=True)


def test_the_wrong_direction_pools_everything() -> None:
    outcomes = [Outcomes(200, 2), Outcomes(200, 10), Outcomes(200, 40), Outcomes(0, 0)]
    feature = binned(outcomes, replace(RULES, direction=Direction.DECREASING))
    assert feature.groups == ((0, 1, 2), (3,))
    assert not feature.selected
    assert feature.reason == "one bin only: too few enterprises to tell values apart"


def test_a_violator_is_pooled_with_its_neighbour() -> None:
    feature = binned([Outcomes(200, 4), Outcomes(200, 30), Outcomes(200, 10), Outcomes(200, 50), Outcomes(9, 1)])
    assert feature.groups == ((0,), (1, 2), (3,), (4,))


def test_a_free_direction_keeps_a_u_shape() -> None:
    outcomes = [Outcomes(200, 50), Outcomes(200, 5), Outcomes(200, 50), Outcomes(0, 0)]
    assert binned(outcomes, replace(RULES, direction=Direction.NONE)).groups == ((0,), (1,), (2,), (3,))


def test_categories_are_joined_by_their_rates_not_by_their_order() -> None:
    outcomes = [Outcomes(200, 50), Outcomes(10, 0), Outcomes(200, 5), Outcomes(12, 3), Outcomes(0, 0)]
    feature = binned(outcomes, ordered=False)
    assert feature.groups == ((1, 2), (0, 3), (4,))


def test_small_bins_join_a_neighbour_and_the_missing_bin_never_does() -> None:
    feature = binned([Outcomes(300, 3), Outcomes(5, 0), Outcomes(300, 60), Outcomes(4, 3)])
    assert feature.groups == ((0, 1), (2,), (3,))


@pytest.mark.parametrize(
    ("outcomes", "reason"),
    [
        ([Outcomes(500, 20)], "one bin only: too few enterprises to tell values apart"),
        ([Outcomes(0, 0)], "one bin only: too few enterprises to tell values apart"),
        ([Outcomes(500, 0), Outcomes(500, 0)], "information value below 0.002"),
        ([Outcomes(0, 500), Outcomes(0, 500)], "information value below 0.002"),
        ([Outcomes(250, 10), Outcomes(250, 10)], "information value below 0.002"),
    ],
)
def test_a_feature_without_information_says_why_it_is_dropped(outcomes: list[Outcomes], reason: str) -> None:
    feature = binned(outcomes)
    assert (feature.selected, feature.reason) == (False, reason)


def test_what_chance_would_do_is_dropped() -> None:
    feature = binned([Outcomes(100, 5), Outcomes(100, 8), Outcomes(0, 0)])
    assert feature.iv > RULES.minimum_iv
    assert feature.reason.startswith("not distinguishable from chance")


def test_no_bins_at_all_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="missing"):
        binned([])


def test_special_values_are_steps_of_their_own_outside_the_order() -> None:
    """The codes' default rates would break any monotone order; they are neither merged nor let into it."""
    ordinary = [Outcomes(90, 10), Outcomes(80, 20), Outcomes(70, 30)]
    codes, missing = [Outcomes(20, 80), Outcomes(99, 1)], Outcomes(50, 50)
    everyone = sum([*codes, missing, *ordinary[1:]], ordinary[0])
    histogram = FineHistogram("tax", "x", True, (*ordinary, *codes, missing), special=2)
    feature = bin_feature(histogram, everyone, replace(RULES, direction=Direction.INCREASING))
    assert feature.groups == ((0,), (1,), (2,), (3,), (4,), (5,))
    assert feature.outcomes == (*ordinary, *codes, missing)
    plain = bin_feature(replace(histogram, special=0), everyone, replace(RULES, direction=Direction.INCREASING))
    assert len(plain.groups) < 6


def test_each_feature_runs_the_way_that_is_declared_for_it() -> None:
    falling = (Outcomes(70, 30), Outcomes(80, 20), Outcomes(90, 10), Outcomes(0, 0))
    everyone = falling[0] + falling[1] + falling[2]
    rules = replace(RULES, directions={("tax", "x"): Direction.INCREASING, ("tax", "y"): Direction.DECREASING})
    widths = {n: len(bin_feature(FineHistogram("tax", n, True, falling), everyone, rules).groups) for n in "xyz"}
    assert widths == {"x": 2, "y": 4, "z": 4}


def test_no_step_holds_less_than_its_share_not_even_by_half_a_row() -> None:
    rules = replace(DEFAULT_RULES, minimum_count=1)
    rates = ((52, 30), (208, 60), (790, 40), (0, 0))  # 52 of 1,050 are 4.95 %
    histogram = FineHistogram("tax", "sales", True, tuple(Outcomes(n - bad, bad) for n, bad in rates))
    found = bin_feature(histogram, Outcomes(920, 130), rules)
    assert found.groups == ((0, 1), (2,), (3,))
    exact = replace(histogram, outcomes=(Outcomes(20, 30), *histogram.outcomes[1:]))
    assert bin_feature(exact, Outcomes(870, 130), rules).groups == ((0,), (1,), (2,), (3,))
