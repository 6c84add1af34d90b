"""Sums over rows, in two ways that agree to the last bit: of what is encrypted, and of what is known.

A row's residual and curvature are what the bank sent, times a factor, plus the node's own plaintext adjustment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from protocols.paillier import CiphertextVector, Packing

Integers = NDArray[np.int64]
Sums_co = TypeVar("Sums_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Cells:
    """A request for sums: of the rows at `rows`, by the cells that `codes` puts them in.

    Shapes: `codes` (len(rows), columns), column j in [0, sizes[j]); `order` lists (column, start, stop) in the order
    in which the cells are returned.
    """

    rows: NDArray[np.intp] = field(repr=False)
    codes: Integers = field(repr=False)
    sizes: tuple[int, ...]
    order: tuple[tuple[int, int, int], ...]

    @property
    def count(self) -> int:
        """Number of cells."""
        return sum(stop - start for _, start, stop in self.order)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What a node adds to each row. Shapes: (rows,). Units: 1/RESIDUAL_SCALE; `factor` multiplies what was sent."""

    factor: int
    residual: Integers = field(repr=False)
    curvature: Integers = field(repr=False)


class GradientRows(Protocol[Sums_co]):
    """Rows whose residuals and curvatures can be summed."""

    def cells(self, request: Cells, adjustment: Adjustment) -> Sums_co:
        """Return the sums of each cell, in order."""
        ...

    def weighted(self, rows: NDArray[np.intp], weights: Integers, adjustment: Adjustment) -> Sums_co:
        """Return the weighted sums of the rows, one for each column of weights. Shapes: `weights` (len(rows), d)."""
        ...


@dataclass(frozen=True, slots=True)
class EncryptedRows:
    """Gradients under the bank's key. Reveals: nothing; whoever sends the sums masks and re-randomises them."""

    vector: CiphertextVector = field(repr=False)
    packing: Packing

    def cells(self, request: Cells, adjustment: Adjustment) -> CiphertextVector:
        """Return one ciphertext per cell, both slots filled."""
        histograms = self.vector.take(request.rows).histograms(request.codes, request.sizes)
        sums = CiphertextVector.concat([histograms[column][start:stop] for column, start, stop in request.order])
        return self._adjusted(sums, adjustment.factor, _plain_cells(request, adjustment))

    def weighted(self, rows: NDArray[np.intp], weights: Integers, adjustment: Adjustment) -> CiphertextVector:
        """Return one ciphertext per column of weights, both slots filled."""
        sums = self.vector.take(rows).weighted_sums(weights)
        return self._adjusted(sums, adjustment.factor, _plain_weighted(rows, weights, adjustment))

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

    def weighted(self, rows: NDArray[np.intp], weights: Integers, adjustment: Adjustment) -> Integers:
        """Return the weighted sums. Shapes: (columns of weights, 2)."""
        return _plain_weighted(rows, weights, self._with(adjustment))

    def _with(self, adjustment: Adjustment) -> Adjustment:
        factor = adjustment.factor
        residual = factor * self.residual + adjustment.residual
        return Adjustment(1, residual, factor * self.curvature + adjustment.curvature)


def _plain_cells(request: Cells, adjustment: Adjustment) -> Integers:
    values = np.column_stack([adjustment.residual[request.rows], adjustment.curvature[request.rows]])
    sums = []
    for column, size in enumerate(request.sizes):
        found = np.zeros((size, 2), dtype=np.int64)
        np.add.at(found, request.codes[:, column], values)
        sums.append(found)
    parts = [sums[column][start:stop] for column, start, stop in request.order]
    return np.concatenate(parts) if parts else np.empty((0, 2), dtype=np.int64)


def _plain_weighted(rows: NDArray[np.intp], weights: Integers, adjustment: Adjustment) -> Integers:
    return np.column_stack([weights.T @ adjustment.residual[rows], weights.T @ adjustment.curvature[rows]])
