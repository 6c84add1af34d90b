"""Weight of evidence and information value, against figures worked by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.credit.woe import (
    WOE_LIMIT,
    WOE_SCALE,
    Outcomes,
    information_value,
    integer_woe,
    weight_of_evidence,
)

counts = st.integers(0, 100_000)
groups = st.builds(Outcomes, counts, counts)


def test_three_bins_worked_by_hand() -> None:
    """Good 100/60/40, bad 5/10/35, each count with half a case added."""
    bins = [Outcomes(100, 5), Outcomes(60, 10), Outcomes(40, 35)]
    everyone = Outcomes(200, 50)
    expected = [
        math.log((100.5 / 200.5) / (5.5 / 50.5)),
        math.log((60.5 / 200.5) / (10.5 / 50.5)),
        math.log((40.5 / 200.5) / (35.5 / 50.5)),
    ]
    assert [weight_of_evidence(b, everyone) for b in bins] == pytest.approx(expected, abs=1e-12)
    assert expected == pytest.approx([1.5266, 0.3724, -1.2471], abs=1e-4)
    iv = (0.5 - 0.1) * expected[0] + (0.3 - 0.2) * expected[1] + (0.2 - 0.7) * expected[2]
    assert information_value(bins, everyone) == pytest.approx(iv, abs=1e-12)
    assert iv == pytest.approx(1.2714, abs=1e-4)
    assert [integer_woe(b, everyone) for b in bins] == [391, 95, -319]


def test_no_information_in_one_bin_or_in_equal_bins() -> None:
    everyone = Outcomes(200, 50)
    assert information_value([everyone], everyone) == 0.0
    halves = [Outcomes(100, 25)] * 2
    assert information_value(halves, everyone) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("everyone", [Outcomes(0, 0), Outcomes(5, 0), Outcomes(0, 5)])
def test_without_both_outcomes_there_is_no_information(everyone: Outcomes) -> None:
    assert information_value([everyone], everyone) == 0.0
    assert isinstance(integer_woe(everyone, everyone), int)


def test_an_empty_group_is_neutral_and_a_perfect_one_finite() -> None:
    everyone = Outcomes(1000, 1000)
    assert integer_woe(Outcomes(0, 0), everyone) == 0
    assert 0 < integer_woe(Outcomes(1000, 0), everyone) <= WOE_LIMIT
    assert -WOE_LIMIT <= integer_woe(Outcomes(0, 1000), everyone) < 0
    assert integer_woe(Outcomes(10**9, 0), Outcomes(10**9, 10**9)) == WOE_LIMIT


@given(groups, groups)
def test_integer_woe_is_the_rounded_woe_within_its_limit(group: Outcomes, rest: Outcomes) -> None:
    everyone = group + rest
    value = integer_woe(group, everyone)
    assert -WOE_LIMIT <= value <= WOE_LIMIT
    exact = WOE_SCALE * weight_of_evidence(group, everyone)
    if group.total and abs(exact) < WOE_LIMIT:
        assert abs(value - exact) <= 0.5


@given(st.lists(groups, min_size=1, max_size=6))
def test_information_value_is_symmetric_in_the_outcomes(bins: list[Outcomes]) -> None:
    everyone = sum(bins, Outcomes(0, 0))
    mirrored = [Outcomes(b.bad, b.good) for b in bins]
    other = information_value(mirrored, Outcomes(everyone.bad, everyone.good))
    assert information_value(bins, everyone) == pytest.approx(other, rel=1e-9, abs=1e-9)
