"""Numbers are written one way, and foreign texts with nothing hidden in them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.report.notation import (
    clipped,
    count,
    decimal,
    percent,
    seconds,
    shortened,
    signed,
    size,
    visible,
    width,
    wrapped,
)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_not_available(value: float | None) -> None:
    assert {decimal(value), signed(value), percent(value)} == {"n/a"}


def test_differences_carry_their_sign() -> None:
    assert [signed(v, 1) for v in (1.25, 0.0, -1.25)] == ["+1.2", "+0.0", "−1.2"]


def test_a_share_too_small_for_its_digits_is_not_called_zero() -> None:
    assert percent(0.0, 2) == "0.00\u00a0%"
    assert percent(0.0000021, 2) == "< 0.01\u00a0%"
    assert percent(0.047) == "4.7\u00a0%"


def test_sizes_counts_and_durations() -> None:
    assert [size(v) for v in (0, 999, 1_000, 561_234, 2_301_442, 7 * 10**12)] == [
        "0\u00a0B",
        "999\u00a0B",
        "1.0\u00a0kB",
        "561\u00a0kB",
        "2.3\u00a0MB",
        "7.0\u00a0TB",
    ]
    assert count(1_234_567) == "1\u2009234\u2009567"
    assert [seconds(v) for v in (0.31, 33.71, 179.7)] == ["310\u00a0ms", "33.7\u00a0s", "3 min 0\u00a0s"]


def test_invisible_characters_are_shown() -> None:
    assert visible("a\u202eb\u200bc\nd\ud800") == "a\ufffdb\ufffdc\ufffdd\ufffd"
    assert visible("纳税信用等级 é ½") == "纳税信用等级 é ½"


@given(st.text(max_size=60), st.integers(2, 40))
def test_cut_texts_fit_their_room(text: str, room: int) -> None:
    assert width(clipped(text, room)) <= room
    assert width(shortened(text, room)) <= room
    assert all(width(line) <= room for line in wrapped(text, room, 3))
    assert len(wrapped(text, room, 3)) <= 3


def test_a_short_name_keeps_both_ends() -> None:
    assert shortened("kwh_trend_first_half", 9) == "kwh_…half"
    assert shortened("社保欠缴月数", 8) == "社…月数"
