"""Unsupervised fine bins at the node: quantiles for numbers, frequencies for categories, never fewer than k in one.

The edges and categories stay here. What leaves is how many enterprises each bin holds.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from nodes.features import FeatureTable
from protocols.errors import PolicyDenied
from protocols.scorecard.messages import FeatureShape
from protocols.scorecard.rows import BinnedRows

Column = NDArray[np.float64] | NDArray[np.object_]
Codes = NDArray[np.uint16]
OTHER: Final = "_other"


class FineBinning(msgspec.Struct, frozen=True):
    """How one feature is cut. Kept with the node's part of a model, so that a later value falls in the same bin.

    `bins` counts the ordinary bins; code `bins` is that of missing values, which is where `missing` points unless too
    few values were missing for a bin of their own. `unknown` takes categories that training did not see. `special`
    holds numbers that are codes, and `special_codes` the bin of each: its own, one of the last before that of missing
    values, or that of missing values where fewer than k firms had it. `hashed`
    says that `categories` names cells, as the districts of one domain count them.
    """

    name: str
    ordered: bool
    edges: tuple[float, ...]
    categories: dict[str, int]
    bins: int
    missing: int
    unknown: int
    special: tuple[float, ...] = ()
    special_codes: tuple[int, ...] = ()
    hashed: bool = False

    @property
    def own_bins(self) -> int:
        """Return how many special values have a bin of their own."""
        return sum(code != self.missing for code in self.special_codes)

    def assign(self, column: Column) -> Codes:
        """Return the fine bin of each value. Shapes: (rows,) in and out."""
        if self.ordered:
            values = _as_numbers(column)
            steps = np.searchsorted(_edges(self.edges), values, side="right")
            assigned = np.where(np.isfinite(values), steps, self.missing).astype(np.uint16)
            for value, code in zip(self.special, self.special_codes, strict=True):
                assigned[values == value] = code
            return assigned
        texts = [None if _is_missing(value) else str(value) for value in column.tolist()]
        if self.hashed:
            texts = [None if text is None else category_cell(text) for text in texts]
        codes = [self.missing if text is None else self.categories.get(text, self.unknown) for text in texts]
        return np.array(codes, dtype=np.uint16)


@functools.lru_cache(maxsize=1024)
def _edges(edges: tuple[float, ...]) -> NDArray[np.float64]:
    return np.array(edges, dtype=np.float64)


def category_cell(text: str) -> str:
    """Return the name of the cell in which the districts of a domain count a category: 16 bits of its hash."""
    return hashlib.sha256(text.encode()).hexdigest()[:4]


def fit_binning(name: str, column: Column, limit: int, minimum: int, special: tuple[float, ...] = ()) -> FineBinning:
    """Return bins of at least `minimum` values each, at most `limit`, without looking at any label.

    Shapes: `column` holds the training rows, missing for enterprises that the node does not know; `special` the numbers
    that are codes, each kept apart from the others and from the values in order.
    """
    if column.dtype == np.float64:
        return _fit_special(name, _as_numbers(column), limit, minimum, special)
    return _fit_categories(name, column, limit, minimum)


def _fit_special(
    name: str, values: NDArray[np.float64], limit: int, minimum: int, special: tuple[float, ...]
) -> FineBinning:
    """Cut what is no code, and give each frequent code a bin of its own, unless too few values would remain."""
    frequent = [value for value in special if np.count_nonzero(values == value) >= minimum]
    own = frequent[: max(0, limit - 2)]
    ordinary = np.where(np.isin(values, special), np.nan, values)
    rest = ordinary[~np.isin(values, own)]
    binning = _fit_numbers(name, rest, limit - len(own), minimum)
    held = np.bincount(binning.assign(rest), minlength=1)
    if not binning.bins or ((held > 0) & (held < minimum)).any():
        binning, own = _fit_numbers(name, ordinary, limit, minimum), []
    bins = binning.bins + len(own)
    missing = bins if binning.missing == binning.bins else binning.missing
    codes = tuple(binning.bins + own.index(value) if value in own else missing for value in special)
    return msgspec.structs.replace(binning, bins=bins, missing=missing, special=special, special_codes=codes)


def _fit_numbers(name: str, values: NDArray[np.float64], limit: int, minimum: int) -> FineBinning:
    present = np.sort(values[np.isfinite(values)])
    edges: list[float] = []
    if len(present) >= 2 * minimum:
        quantiles = np.unique(np.quantile(present, np.linspace(0, 1, limit + 1)[1:-1], method="inverted_cdf"))
        start = 0
        for edge in quantiles[quantiles > present[0]]:
            at = int(np.searchsorted(present, edge, side="left"))
            if at - start >= minimum and len(present) - at >= minimum:
                edges.append(float(edge))
                start = at
    bins = len(edges) + 1 if len(present) else 0
    counts = np.bincount(np.searchsorted(np.array(edges), present, side="right"), minlength=bins)
    return _with_missing(name, True, tuple(edges), {}, counts, len(values) - len(present), minimum)


def _fit_categories(name: str, column: NDArray[np.object_] | Column, limit: int, minimum: int) -> FineBinning:
    texts = [str(value) for value in column.tolist() if not _is_missing(value)]
    frequent = [(text, n) for text, n in sorted(Counter(texts).items(), key=lambda item: (-item[1], item[0]))]
    kept = [text for text, n in frequent if n >= minimum][: limit - 1]
    rest = len(texts) - sum(n for text, n in frequent if text in set(kept))
    if 0 < rest < minimum and kept:
        kept.pop()
    categories = {text: code for code, text in enumerate(kept)}
    codes = [categories.get(text, len(kept)) for text in texts]
    bins = max(codes, default=-1) + 1
    counts = np.bincount(codes, minlength=bins) if codes else np.zeros(0, dtype=np.int64)
    return _with_missing(name, False, (), categories, counts, len(column) - len(texts), minimum)


def _with_missing(
    name: str,
    ordered: bool,
    edges: tuple[float, ...],
    categories: dict[str, int],
    counts: NDArray[np.integer],
    missing: int,
    minimum: int,
) -> FineBinning:
    """Give missing values a bin of their own if they, and the values that are there, are numerous enough."""
    bins = len(counts)
    if bins and 0 < missing < minimum:
        code = int(np.argmax(counts))
    elif bins and int(np.min(counts)) < minimum:
        bins, code, edges, categories = 0, 0, (), {}
    else:
        code = bins
    unknown = len(categories) if len(categories) < bins else code
    return FineBinning(name, ordered, edges, categories, bins, code, unknown)


def bin_rows(
    table: FeatureTable, ids: tuple[str, ...], training_rows: int, limit: int, minimum: int
) -> tuple[BinnedRows, tuple[FineBinning, ...]]:
    """Cut every feature of the cohort's rows; an enterprise that the node does not know has missing values.

    Shapes: one row per id, in order; bins are fitted on the enterprises of the first `training_rows`, so that each bin
    holds `minimum` enterprises or none, even where one of them stands in several banks' rows.
    Raises: PolicyDenied, code COHORT_TOO_SMALL, if those are fewer than `minimum`.
    """
    enterprises = np.array(sorted({name: row for row, name in reversed(list(enumerate(ids[:training_rows])))}.values()))
    if len(enterprises) < minimum:
        raise PolicyDenied(f"{len(enterprises)} training rows are fewer than {minimum}", code="COHORT_TOO_SMALL")
    columns = cohort_columns(table, row_index(table), ids)
    binnings = tuple(
        fit_binning(n, c[enterprises], limit, minimum, table.special.get(n, ())) for n, c in columns.items()
    )
    codes = assign_rows(binnings, columns, len(ids))
    shapes = tuple(_shape(b, codes[:training_rows, i]) for i, b in enumerate(binnings))
    return BinnedRows(shapes, codes), binnings


def assign_rows(binnings: Sequence[FineBinning], columns: Mapping[str, Column], rows: int) -> Codes:
    """Return the fine bins of aligned columns. Shapes: (rows, binnings), also for no rows or no binnings."""
    codes = np.empty((rows, len(binnings)), dtype=np.uint16)
    for index, binning in enumerate(binnings):
        codes[:, index] = binning.assign(columns[binning.name])
    return codes


def row_index(table: FeatureTable) -> dict[str, int]:
    """Return the row of each enterprise of a table."""
    return {identifier: row for row, identifier in enumerate(table.ids)}


def cohort_columns(table: FeatureTable, row_of: Mapping[str, int], ids: Sequence[str]) -> dict[str, Column]:
    """Return the table's columns for these enterprises, in their order, missing for those that it lacks."""
    rows = np.array([row_of.get(identifier, -1) for identifier in ids], dtype=np.intp)
    aligned: dict[str, Column] = {}
    absent = rows < 0
    for name, column in table.columns.items():
        values = column[rows]
        if absent.any():
            values[absent] = np.nan if column.dtype == np.float64 else None
        aligned[name] = values
    return aligned


def _shape(binning: FineBinning, codes: Codes) -> FeatureShape:
    counts = np.bincount(codes, minlength=binning.bins + 1)
    return FeatureShape(binning.name, binning.ordered, tuple(int(count) for count in counts), binning.own_bins)


def _as_numbers(column: Column) -> NDArray[np.float64]:
    if column.dtype == np.float64:
        return np.asarray(column, dtype=np.float64)
    return np.array([_number(value) for value in column.tolist()], dtype=np.float64)


def _number(value: object) -> float:
    try:
        return float(str(value)) if value is not None else float("nan")
    except ValueError:
        return float("nan")


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and not np.isfinite(value))
