"""Cells of a public grid on their way: as narrow as a sum allows, exact, and no bomb."""

from __future__ import annotations

import secrets
import zlib

import numpy as np
import pytest

from protocols.errors import MalformedMessage
from protocols.scorecard.cells import add_up, fold, narrow, unfold, width


@pytest.mark.parametrize(("districts", "rows", "expected"), [(2, 127, 1), (2, 128, 2), (16, 4095, 2), (16, 4096, 3)])
def test_a_cell_is_as_wide_as_the_rows_of_all_districts(districts: int, rows: int, expected: int) -> None:
    assert width(districts, rows) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_masks_modulo_two_to_the_thirty_two_cancel_in_narrow_cells(size: int) -> None:
    own = [np.random.default_rng(seed).integers(0, 100, 1000).astype(np.uint32) for seed in (1, 2)]
    mask = np.frombuffer(secrets.token_bytes(4000), dtype="<u4")
    parts = [narrow(own[0] + mask, size), narrow(own[1] - mask, size)]
    assert len(parts[0]) == 1000 * size
    np.testing.assert_array_equal(add_up(parts, size), own[0] + own[1])


def test_parts_of_different_lengths_or_of_half_a_cell_are_refused() -> None:
    for parts in ([b"12", b"1234"], [b"123", b"123"]):
        with pytest.raises(MalformedMessage):
            add_up(parts, 2)


def test_folded_counts_come_back_and_their_length_does_not_follow_how_many_cells_are_held() -> None:
    few, more = np.zeros(1 << 17, dtype=np.uint32), np.zeros(1 << 17, dtype=np.uint32)
    few[5], more[: 1 << 17 : 400] = 70, 3
    for cells in (few, more):
        np.testing.assert_array_equal(unfold(fold(cells), len(cells)), cells)
    assert len(fold(few)) == len(fold(more)) == 1 << 14


@pytest.mark.parametrize(
    "data",
    [b"", b"no deflated data", fold(np.zeros(9, np.uint32)), fold(np.zeros(10, np.uint32)) + b"x", zlib.compress(b"1")],
)
def test_what_does_not_inflate_to_the_due_cells_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        unfold(data, 10)


def test_a_bomb_is_not_inflated() -> None:
    with pytest.raises(MalformedMessage):
        unfold(zlib.compress(bytes(1 << 28)), 10)
