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
    """

    features: tuple[FeatureShape, ...]
    codes: NDArray[np.uint16] = field(repr=False)

    def fine_bins(self) -> list[int]:
        """Return the number of fine bins of each feature."""
        return [len(feature.counts) for feature in self.features]


@dataclass(frozen=True, slots=True)
class WoeColumns:
    """A party's selected features as coarse codes and the integer WOE of each code.

    Shapes: `codes` (training rows, d); `levels` d tuples. Two fine bins of equal WOE share one code: sums stay exact.
    """

    codes: NDArray[np.uint16] = field(repr=False)
    levels: tuple[tuple[int, ...], ...]

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

    def gram(self) -> NDArray[np.int64]:
        """Return XᵀX, exact: |entries| ≤ rows · 2^22, far inside 64 bits."""
        values = self.values()
        return values.T @ values


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
