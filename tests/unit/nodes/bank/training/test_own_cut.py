"""The lead's cut of the banks' columns: its own bins, on every bank's rows, and nothing that would not bin a value."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from nodes.bank.training.own_cut import bin_as_cut, decode_cut, make_cut
from nodes.bank.training.runs import TrainingTerms
from nodes.bank.training.split import Split
from nodes.binning import FineBinning
from nodes.features import FeatureTable
from protocols.errors import MalformedMessage

COLUMNS = ("limit", "branch")


def table(rows: int, seed: int) -> FeatureTable:
    rng = np.random.default_rng(seed)
    limit = np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows))
    branch = rng.choice(np.array(["north", "south", None], dtype=object), size=rows)
    return FeatureTable([f"e{i}" for i in range(rows)], {"limit": limit, "branch": branch})


def lead_cut() -> bytes:
    rows = table(200, 1)
    split = Split(np.arange(150), np.arange(150, 200))
    return make_cut(rows, COLUMNS, tuple(rows.ids), split, TrainingTerms((), minimum_bin=20, fine_bins=8))


def test_every_bank_bins_its_rows_as_the_lead_does() -> None:
    other = table(90, 2)
    rows = bin_as_cut(other, COLUMNS, tuple(other.ids), 60, lead_cut())
    assert [feature.name for feature in rows.features] == list(COLUMNS)
    assert rows.codes.shape == (90, 2)
    for index, binning in enumerate(decode_cut(lead_cut())):
        np.testing.assert_array_equal(rows.codes[:, index], binning.assign(other.columns[binning.name]))
        assert sum(rows.features[index].counts) == 60


def test_no_common_column_is_no_bin() -> None:
    rows = bin_as_cut(table(10, 1), (), tuple(f"e{i}" for i in range(10)), 8, msgspec.msgpack.encode(()))
    assert rows.features == ()
    assert rows.codes.shape == (10, 0)


def test_the_leads_bins_hold_k_of_its_own_customers_each() -> None:
    rows = table(200, 1)
    (limit, branch) = bin_as_cut(rows, COLUMNS, tuple(rows.ids), 150, lead_cut()).features
    assert all(count == 0 or count >= 20 for count in (*limit.counts, *branch.counts))


SOUND = FineBinning("limit", True, (0.0, 1.0), {}, 3, 3, 3)
UNSOUND = {
    "a bin that does not exist": msgspec.structs.replace(SOUND, missing=4),
    "a negative bin": msgspec.structs.replace(SOUND, unknown=-1),
    "a category in no bin": msgspec.structs.replace(SOUND, ordered=False, edges=(), categories={"a": 9}),
    "more edges than bins": msgspec.structs.replace(SOUND, edges=(0.0, 1.0, 2.0, 3.0)),
    "edges that do not rise": msgspec.structs.replace(SOUND, edges=(1.0, 0.0)),
    "an edge that is no number": msgspec.structs.replace(SOUND, edges=(0.0, float("nan"))),
    "a million bins": msgspec.structs.replace(SOUND, bins=10**6),
}


@pytest.mark.parametrize("binning", UNSOUND.values(), ids=UNSOUND.keys())
def test_a_cut_that_would_not_bin_every_value_is_refused(binning: FineBinning) -> None:
    assert decode_cut(msgspec.msgpack.encode((SOUND,))) == (SOUND,)
    with pytest.raises(MalformedMessage):
        decode_cut(msgspec.msgpack.encode((binning,)))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"nonsense", msgspec.msgpack.encode({"a": 1})])
def test_bytes_that_are_no_cut_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_cut(data)


def test_a_cut_of_other_columns_is_refused() -> None:
    rows = table(30, 3)
    with pytest.raises(MalformedMessage):
        bin_as_cut(rows, ("limit",), tuple(rows.ids), 20, lead_cut())
