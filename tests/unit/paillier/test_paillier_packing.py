"""Packing: exact within its bounds, an error beyond them, never a wrapped value."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.paillier import Packing


@settings(deadline=None)
@given(st.data())
def test_sums_of_packed_values_unpack_exactly(data: st.DataObject) -> None:
    magnitude, addends = data.draw(st.integers(1, 1 << 40)), data.draw(st.integers(1, 6))
    packing = Packing.for_sums(magnitude, addends, data.draw(st.sampled_from([512, 1024])))
    count = data.draw(st.integers(0, 3 * packing.slots))
    value = st.one_of(st.integers(-magnitude, magnitude), st.sampled_from([-magnitude, 0, magnitude]))
    rows = data.draw(st.lists(st.lists(value, min_size=count, max_size=count), min_size=1, max_size=addends))
    packed = [packing.pack(row) for row in rows]
    sums = [sum(column) for column in zip(*packed, strict=True)]
    assert packing.unpack(sums, count) == [sum(column) for column in zip(*rows, strict=True)]


@settings(deadline=None)
@given(st.integers(1, 1 << 60), st.integers(1, 1 << 30), st.sampled_from([512, 2048, 3072]), st.integers(0, 100))
def test_for_sums_is_the_stated_formula_and_never_leaves_half_the_modulus(
    magnitude: int, addends: int, bits: int, reserve: int
) -> None:
    packing = Packing.for_sums(magnitude, addends, bits, reserve)
    assert packing.slot_bits == (magnitude * addends).bit_length() + 1
    assert packing.slots == (bits - 2 - reserve) // packing.slot_bits
    largest = sum(magnitude * addends << (slot * packing.slot_bits) for slot in range(packing.slots))
    assert largest < 1 << (bits - 2 - reserve)


def test_a_value_out_of_bounds_is_not_packed() -> None:
    packing = Packing.for_sums(100, 10, 512)
    assert packing.pack([100, -100]) == [100 - (100 << packing.slot_bits)]
    for value in (101, -101, 1 << 600):
        with pytest.raises(ValueError, match="magnitude"):
            packing.pack([0, value])


def test_more_addends_than_allowed_raise_instead_of_wrapping() -> None:
    packing = Packing.for_sums(100, 10, 512)
    packed = packing.pack([100, 100, -100])
    assert packing.unpack([10 * packed[0]], 3) == [1000, 1000, -1000]
    for addends in range(11, 60):
        with pytest.raises(ValueError, match=r"overflowed|more than its slots"):
            packing.unpack([addends * packed[0]], 3)


def test_what_lies_above_the_slots_raises() -> None:
    packing = Packing(8, 3)
    assert packing.unpack([5 - (6 << 8)], 2) == [5, -6]
    with pytest.raises(ValueError, match="more than its slots"):
        packing.unpack([5 + (1 << 16)], 2)
    with pytest.raises(ValueError, match="more than its slots"):
        packing.unpack([1 << 24], 3)


def test_counts_and_bounds_that_cannot_be_are_refused() -> None:
    packing = Packing(8, 3)
    with pytest.raises(ValueError, match="plaintexts"):
        packing.unpack([1, 2], 3)
    for arguments in ((0, 1, 512), (1, 0, 512), (1, 1, 512, -1), (1 << 600, 1, 512), (1, 1, 512, 510)):
        with pytest.raises(ValueError, match=r"magnitude|fit"):
            Packing.for_sums(*arguments)
    for arguments in ((1, 1), (8, 0)):
        with pytest.raises(ValueError, match="slot"):
            Packing(*arguments)
    with pytest.raises(ValueError, match="do not fit"):
        Packing(8, 3, 100, 2)
