"""Fine bins hold nobody or at least k, whatever the column, and give a later value the code that training gave it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nodes.binning import FineBinning, bin_rows, cohort_columns, fit_binning, row_index
from nodes.features import FeatureTable
from protocols.errors import PolicyDenied

Column = NDArray[np.float64] | NDArray[np.object_]
K = 7

numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 1.0, float("nan"), float("inf"), float("-inf"), 5e-324, 1.7e308]),
)
texts = st.one_of(st.none(), st.sampled_from(["甲", "乙", "丙", "_other", "", "nan"]), st.text(max_size=3))


def column_of(values: list[float] | list[str | None]) -> Column:
    if values and not all(isinstance(value, float) for value in values):
        return np.array(values, dtype=object)
    return np.array(values, dtype=np.float64)


columns = st.one_of(
    st.lists(numbers, min_size=K, max_size=150),
    st.lists(texts, min_size=K, max_size=150).filter(lambda values: any(v is None or v for v in values)),
).map(column_of)


def counts(binning: FineBinning, column: Column) -> NDArray[np.intp]:
    return np.bincount(binning.assign(column), minlength=binning.bins + 1)


@settings(max_examples=300, deadline=None)
@given(columns, st.integers(2, 40))
def test_every_bin_holds_nobody_or_at_least_k(column: Column, limit: int) -> None:
    binning = fit_binning("x", column, limit, K)
    held = counts(binning, column)
    assert len(held) == binning.bins + 1 <= limit + 1
    assert held.sum() == len(column)
    assert all(count == 0 or count >= K for count in held)


@settings(max_examples=200, deadline=None)
@given(columns, st.integers(2, 40))
def test_a_value_gets_its_code_alone_as_in_company(column: Column, limit: int) -> None:
    binning = fit_binning("x", column, limit, K)
    together = binning.assign(column)
    alone = [int(binning.assign(column[row : row + 1])[0]) for row in range(len(column))]
    assert together.tolist() == alone
    order = np.random.default_rng(0).permutation(len(column))
    assert fit_binning("x", column[order], limit, K) == binning


@settings(max_examples=200, deadline=None)
@given(columns, st.integers(2, 40), st.one_of(numbers, texts))
def test_a_value_never_seen_falls_into_a_bin_that_exists(column: Column, limit: int, value: float | str | None) -> None:
    binning = fit_binning("x", column, limit, K)
    code = int(binning.assign(np.array([value], dtype=object))[0])
    assert 0 <= code <= binning.bins


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=3 * K, max_size=120), st.integers(2, 40))
def test_ordered_bins_follow_the_order_of_values(values: list[float], limit: int) -> None:
    column = np.sort(np.array(values))
    assert np.all(np.diff(fit_binning("x", column, limit, K).assign(column).astype(int)) >= 0)


def test_quantiles_cut_an_even_spread_evenly() -> None:
    column = np.arange(1000, dtype=np.float64)
    held = counts(fit_binning("x", column, 10, 50), column)
    assert len(held) == 11
    assert held[:10].min() >= 99
    assert held[:10].max() <= 101


@pytest.mark.parametrize(
    ("column", "bins"),
    [
        (np.full(100, np.nan), 0),
        (np.array([None] * 100, dtype=object), 0),
        (np.full(100, 3.0), 1),
        (np.array(["甲"] * 100, dtype=object), 1),
        (np.array([1.0] * 95 + [2.0] * 5), 1),
        (np.array([1.0] * 50 + [2.0] * 50), 2),
        (np.array(["甲"] * 97 + ["乙"] * 3, dtype=object), 1),
        (np.array([f"c{i}" for i in range(100)], dtype=object), 1),
        (np.array([np.inf] * 50 + [-np.inf] * 50), 0),
    ],
    ids=["all missing", "no text", "constant", "one text", "tie", "two ties", "rare text", "all distinct", "infinite"],
)
def test_degenerate_columns_still_bin(column: Column, bins: int) -> None:
    binning = fit_binning("x", column, 32, K)
    assert binning.bins == bins
    assert counts(binning, column).sum() == 100


@pytest.mark.parametrize(("missing", "apart"), [(0, True), (1, False), (K - 1, False), (K, True)])
def test_missing_values_are_apart_only_if_they_are_k(missing: int, apart: bool) -> None:
    column = np.array([float(i % 4) for i in range(80)] + [np.nan] * missing)
    binning = fit_binning("x", column, 32, K)
    assert (binning.missing == binning.bins) is apart
    assert all(count == 0 or count >= K for count in counts(binning, column))


def test_too_few_present_values_join_the_missing_ones() -> None:
    column = np.array([1.0] * (K - 1) + [np.nan] * 50)
    binning = fit_binning("x", column, 32, K)
    assert counts(binning, column).tolist() == [50 + K - 1]
    assert int(binning.assign(np.array([99.0]))[0]) == 0


def test_unseen_categories_join_the_rare_ones_if_there_are_any() -> None:
    with_rest = np.array(["甲"] * 20 + ["乙"] * 20 + [f"r{i}" for i in range(10)], dtype=object)
    binning = fit_binning("x", with_rest, 32, K)
    codes = binning.assign(np.array(["甲", "r3", "new"], dtype=object)).tolist()
    assert codes[1] == codes[2] != codes[0]
    without_rest = fit_binning("x", with_rest[:40], 32, K)
    assert int(without_rest.assign(np.array(["new"], dtype=object))[0]) == without_rest.missing


def test_a_stored_binning_takes_a_number_that_arrives_as_text() -> None:
    binning = fit_binning("x", np.arange(100, dtype=np.float64), 4, K)
    as_text = np.array(["12.5", None, "none of it"], dtype=object)
    assert binning.assign(as_text).tolist() == [
        int(binning.assign(np.array([12.5]))[0]),
        binning.missing,
        binning.missing,
    ]


TABLE = FeatureTable(["a", "b", "c"], {"n": np.array([1.0, 2.0, 3.0]), "t": np.array(["甲", None, "乙"], dtype=object)})


def test_an_enterprise_that_the_node_does_not_know_is_missing() -> None:
    columns = cohort_columns(TABLE, row_index(TABLE), ("c", "nobody", "a"))
    np.testing.assert_array_equal(columns["n"], [3.0, np.nan, 1.0])
    assert columns["t"].tolist() == ["乙", None, "甲"]
    np.testing.assert_array_equal(TABLE.columns["n"], [1.0, 2.0, 3.0])


def test_bins_are_fitted_on_training_rows_alone_and_counted_there() -> None:
    ids = [f"e{i}" for i in range(60)]
    table = FeatureTable(ids, {"n": np.array([float(i % 2) for i in range(40)] + [1e9] * 20)})
    rows, (binning,) = bin_rows(table, (*ids, "absent"), 40, 32, K)
    assert rows.codes.shape == (61, 1)
    assert rows.features[0].counts == (20, 20, 0)
    assert rows.codes[40:60, 0].tolist() == [1] * 20
    assert rows.codes[60, 0] == binning.missing == 2


def test_a_cohort_below_k_is_refused() -> None:
    with pytest.raises(PolicyDenied) as refusal:
        bin_rows(TABLE, ("a", "b", "c"), 3, 32, 4)
    assert refusal.value.code == "COHORT_TOO_SMALL"


coded = st.lists(st.one_of(numbers, st.sampled_from([-999.0, -998.0, -997.0])), min_size=K, max_size=150).map(
    lambda values: np.array(values, dtype=np.float64)
)
SPECIAL = (-999.0, -998.0, -997.0)


@settings(max_examples=300, deadline=None)
@given(coded, st.integers(2, 40))
def test_special_values_stand_apart_and_no_bin_holds_fewer_than_k(column: Column, limit: int) -> None:
    binning = fit_binning("x", column, limit, K, SPECIAL)
    held = counts(binning, column)
    assert len(held) == binning.bins + 1 <= limit + 1
    assert all(count == 0 or count >= K for count in held)
    codes = binning.assign(column)
    own = [code for code in binning.special_codes if code != binning.missing]
    assert sorted(own) == list(range(binning.bins - len(own), binning.bins))
    for value, code in zip(SPECIAL, binning.special_codes, strict=True):
        assert set(codes[column == value]) <= {code}
        if code != binning.missing:
            assert set(column[codes == code]) == {value}


def test_a_rare_code_counts_as_missing_and_a_frequent_one_does_not_move_the_quantiles() -> None:
    values = np.arange(200, dtype=np.float64)
    column = np.concatenate([values, np.full(50, -999.0), np.full(3, -998.0), np.full(K, np.nan)])
    binning = fit_binning("x", column, 8, K, SPECIAL)
    assert binning.edges == fit_binning("x", values, 7, K).edges
    assert binning.assign(np.array([-999.0, -998.0, np.nan, 5.0])).tolist() == [
        binning.bins - 1,
        binning.missing,
        binning.missing,
        0,
    ]
    plain = fit_binning("x", column, 8, K)
    assert plain.assign(np.array([-999.0])).tolist() == [0]
    assert plain.special == ()


def test_a_table_says_which_numbers_are_codes() -> None:
    ids = tuple(f"e{i}" for i in range(60))
    column = np.array([float(i) for i in range(40)] + [-1.0] * 20)
    table = FeatureTable(list(ids), {"n": column}, {"n": (-1.0,)})
    rows, _ = bin_rows(table, ids, 60, 8, 10)
    assert rows.features[0].special == 1
    assert rows.features[0].counts[-2] == 20
