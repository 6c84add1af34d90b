"""A party's own rows, binned: what a role computes with, and never sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.channel.identity import PartyId
from protocols.scorecard.messages import FeatureShape


@dataclass(frozen=True, slots=True)
class BinnedRows:
    """The cohort's rows at one party: for each feature the fine bin of each enterprise.

    Shapes: `codes` (rows, features), training rows first, in cohort order; `features` counts the training rows.
    `absent` tells where each feature puts an enterprise that the party does not know; only districts need it.
    """

    features: tuple[FeatureShape, ...]
    codes: NDArray[np.uint16] = field(repr=False)
    absent: tuple[int, ...] = ()

    def fine_bins(self) -> list[int]:
        """Return the number of fine bins of each feature."""
        return [len(feature.counts) for feature in self.features]


@dataclass(frozen=True, slots=True)
class WoeColumns:
    """A party's selected features as coarse codes and the integer WOE of each code.

    Shapes: `codes` (training rows, d); `levels` d tuples. Two fine bins of equal WOE share one code: sums stay exact.
    `bases` is what a district that does not stand in for the absent has taken off each column's WOE, or nothing.
    """

    codes: NDArray[np.uint16] = field(repr=False)
    levels: tuple[tuple[int, ...], ...]
    bases: tuple[int, ...] = ()

    @classmethod
    def build(cls, rows: BinnedRows, training_rows: int, tables: Sequence[tuple[int, ...] | None]) -> WoeColumns:
        """Map the fine bins of each feature to coarse codes by its integer WOE; None drops the feature."""
        columns, levels = [], []
        for index, table in enumerate(tables):
            if table is not None:
                distinct, code_of = np.unique(np.asarray(table, dtype=np.int64), return_inverse=True)
                columns.append(code_of.astype(np.uint16)[rows.codes[:training_rows, index]])
                levels.append(tuple(int(value) for value in distinct))
        codes = np.column_stack(columns) if columns else np.empty((training_rows, 0), dtype=np.uint16)
        return cls(codes, tuple(levels))

    @property
    def count(self) -> int:
        """Number of columns, d."""
        return len(self.levels)

    def values(self) -> NDArray[np.int64]:
        """Return the integer WOE matrix, (training rows, d)."""
        matrix = np.empty(self.codes.shape, dtype=np.int64)
        for index, table in enumerate(self.levels):
            matrix[:, index] = np.asarray(table, dtype=np.int64)[self.codes[:, index]]
        return matrix

    def relative(self, bases: tuple[int, ...]) -> WoeColumns:
        """Return the columns as what each row adds to these bases: an absent enterprise then adds nothing."""
        shifted = tuple(tuple(v - base for v in table) for table, base in zip(self.levels, bases, strict=True))
        return WoeColumns(self.codes, shifted, bases)

    def squares(self) -> list[list[int]]:
        """Return the squared WOE of each code, less the squared base."""
        bases = self.bases or (0,) * self.count
        return [[(v + b) ** 2 - b**2 for v in table] for table, b in zip(self.levels, bases, strict=True)]

    def pairs(self) -> list[tuple[int, int]]:
        """Return every two columns, each pair once, in the order in which their products are told."""
        return [(j, k) for j in range(self.count) for k in range(j + 1, self.count)]

    def products(self, j: int, k: int) -> list[int]:
        """Return the product of two columns' WOE for each pair of codes, that of `k` fastest, less the bases'."""
        bases = self.bases or (0,) * self.count
        off = bases[j] * bases[k]
        return [(v + bases[j]) * (w + bases[k]) - off for v in self.levels[j] for w in self.levels[k]]

    def gram(self) -> NDArray[np.int64]:
        """Return XᵀX of the WOE, less that of the bases, exact: |entries| ≤ rows · 2^22, far inside 64 bits."""
        bases = np.array(self.bases or (0,) * self.count, dtype=np.int64)
        values = self.values() + bases
        return values.T @ values - len(values) * np.outer(bases, bases)


def totals(rows: BinnedRows, count: int, tables: Sequence[tuple[int, ...]]) -> NDArray[np.int64]:
    """Return each of the first `count` enterprises' sum of points over the features."""
    total = np.zeros(count, dtype=np.int64)
    for index, table in enumerate(tables):
        total += np.asarray(table, dtype=np.int64)[rows.codes[:count, index]]
    return total


def owner_order(bank: str, nodes: tuple[str, ...]) -> tuple[PartyId, ...]:
    """Return the order in which parties own encrypted columns: the bank, then the nodes by name.

    Each party's columns are evaluated by all that come after it.
    """
    return (PartyId(bank), *(PartyId(node) for node in sorted(nodes)))
