"""Sums over rows, in two ways that agree to the last bit: of what is encrypted, and of what is known.

A row's residual and curvature are what the bank sent, times a factor, plus the node's own plaintext adjustment, which
differs from fold to fold as the folds' models do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.paillier import CiphertextVector, Packing

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What a node adds to each row for each fold's model. Shapes: (folds, rows). Units: 1/RESIDUAL_SCALE.

    `factor` multiplies what was sent.
    """

    factor: int
    residual: Integers = field(repr=False)
    curvature: Integers = field(repr=False)


@dataclass(frozen=True, slots=True)
class Span:
    """Cells to return: for each i below `length`, the sum of a column's cells start + i over `starts`, for `fold`."""

    column: int
    starts: tuple[int, ...]
    length: int
    fold: int


@dataclass(frozen=True, slots=True)
class Cells:
    """A request for sums: of the rows at `rows`, by the cells that `codes` puts them in, in the order of `spans`.

    Shapes: `codes` (len(rows), columns), column j in [0, sizes[j]).
    """

    rows: NDArray[np.intp] = field(repr=False)
    codes: Integers = field(repr=False)
    sizes: tuple[int, ...]
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Weighing:
    """A request for weighted sums of all rows, each as the model of its own fold has it.

    Shapes: `folds` (rows,), the fold of each row; `weights` (rows, columns).
    """

    folds: Integers = field(repr=False)
    weights: Integers = field(repr=False)


@dataclass(frozen=True, slots=True)
class EncryptedRows:
    """Gradients under the bank's key. Reveals: nothing; whoever sends the sums masks and re-randomises them."""

    vector: CiphertextVector = field(repr=False)
    packing: Packing

    def cells(self, request: Cells, adjustment: Adjustment) -> CiphertextVector:
        """Return one ciphertext per cell, both slots filled."""
        histograms = self.vector.take(request.rows).histograms(request.codes, request.sizes)
        parts = []
        for span in request.spans:
            of_column = histograms[span.column]
            first, *others = (of_column[start : start + span.length] for start in span.starts)
            parts.append(sum(others, first))
        return self._adjusted(CiphertextVector.concat(parts), adjustment.factor, _plain_cells(request, adjustment))

    def weighted(self, request: Weighing, adjustment: Adjustment) -> CiphertextVector:
        """Return one ciphertext per column of weights, both slots filled. Rows of equal weights are summed first."""
        distinct, codes = np.unique(request.weights, axis=0, return_inverse=True)
        sums = self.vector.histogram(codes.reshape(-1), len(distinct)).weighted_sums(distinct)
        return self._adjusted(sums, adjustment.factor, _plain_weighted(request, adjustment))

    def _adjusted(self, sums: CiphertextVector, factor: int, plain: Integers) -> CiphertextVector:
        packed = [(int(h) << self.packing.slot_bits) + int(r) for r, h in plain]
        scaled = sums if factor == 1 else sums.scale([factor] * len(sums))
        return scaled.add_plain(packed)


@dataclass(frozen=True, slots=True)
class PlainRows:
    """Gradients in the clear: the bank's own, or the oracle's. Shapes: (rows,)."""

    residual: Integers = field(repr=False)
    curvature: Integers = field(repr=False)

    def cells(self, request: Cells, adjustment: Adjustment) -> Integers:
        """Return the sums of each cell. Shapes: (cells, 2)."""
        return _plain_cells(request, self._with(adjustment))

    def weighted(self, request: Weighing, adjustment: Adjustment) -> Integers:
        """Return the weighted sums. Shapes: (columns of weights, 2)."""
        return _plain_weighted(request, self._with(adjustment))

    def _with(self, adjustment: Adjustment) -> Adjustment:
        factor = adjustment.factor
        residual = factor * self.residual + adjustment.residual
        return Adjustment(1, residual, factor * self.curvature + adjustment.curvature)


def _plain_cells(request: Cells, adjustment: Adjustment) -> Integers:
    """Shapes: (cells, 2). Sums stay below 2^53, so that counting in floating point is exact."""
    found: dict[tuple[int, int], Integers] = {}
    for column, fold in {(span.column, span.fold) for span in request.spans}:
        codes, size = request.codes[:, column], request.sizes[column]
        sums = [
            np.bincount(codes, weights=values[fold][request.rows], minlength=size)
            for values in (adjustment.residual, adjustment.curvature)
        ]
        found[column, fold] = np.column_stack(sums).astype(np.int64)
    parts = [np.empty((0, 2), dtype=np.int64)]
    for span in request.spans:
        sums_of = found[span.column, span.fold]
        stack = np.stack([sums_of[start : start + span.length] for start in span.starts])
        parts.append(stack.sum(axis=0))
    return np.concatenate(parts)


def _plain_weighted(request: Weighing, adjustment: Adjustment) -> Integers:
    where = request.folds, np.arange(len(request.folds))
    values = np.column_stack([adjustment.residual[where], adjustment.curvature[where]])
    return request.weights.T @ values
