"""The Hessian that stands for the true one, of which each party's own block is known and what lies between is not.

The Gram matrix G knows how all columns go together, but weighs every row alike. Rows count by their curvature h; its
sums over the columns of *one* party are aggregates like any other, those over the columns of two are not to be had. So
each party's block S of columns is mapped as G's block there must be to become the true one: S·G·S' is then exact within
every party, positive semidefinite, and carries the correlations between parties over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BLOCK_RIDGE: Final = 1e-6
"""Relative ridge on a block: a direction in which its columns are near-copies is mapped to itself."""


@dataclass(frozen=True, slots=True)
class OwnBlocks:
    """Exact curvature sums: Σ x·h of each column, and XᵀHX of each party's columns, in order. Units: WOE.

    A party of which only the diagonal is known has one block a column.
    """

    linear: Floats
    blocks: tuple[Floats, ...]

    def places(self) -> Iterator[tuple[slice, Floats]]:
        """Yield each block and where its columns stand."""
        start = 0
        for block in self.blocks:
            yield slice(start, start + len(block)), block
            start += len(block)


@dataclass(frozen=True, slots=True)
class Curvature:
    """Gradient of the log-likelihood and diagonal of its Hessian at a candidate; intercept first, units of WOE.

    `own` holds each party's own block of the Hessian, where sums are exact.
    """

    gradient: Floats
    diagonal: Floats
    own: OwnBlocks | None = None

    def restrict(self, kept: NDArray[np.intp]) -> Curvature:
        """Return those of the intercept and of the kept columns, without blocks."""
        places = np.concatenate([[0], kept + 1])
        return Curvature(self.gradient[places], self.diagonal[places])


def rescaled(basis: Floats, curvature: Curvature, level: float, share: float) -> Floats:
    """Return the Gram matrix `basis`, rescaled to the curvature with a `share` of one that is `level` in every row.

    Shapes: (d + 1, d + 1), intercept first, as the result.
    """
    if curvature.own is not None:
        return _by_blocks(basis, curvature.diagonal[0], curvature.own, level, share)
    squares = np.diag(basis)
    scale = np.sqrt(_mixed(curvature.diagonal, squares, level, share) / np.maximum(squares, 1e-12))
    return np.asarray(basis * np.outer(scale, scale), dtype=np.float64)


def _mixed(exact: Floats, gram: Floats, level: float, share: float) -> Floats:
    return np.asarray((1 - share) * exact + share * level * gram, dtype=np.float64)


def _by_blocks(basis: Floats, total: float, own: OwnBlocks, level: float, share: float) -> Floats:
    """Rescale around the means, which the intercept takes: those of all rows in G, those by curvature in the result."""
    rows = basis[0, 0]
    whole = (1 - share) * total + share * level * rows
    means = _mixed(own.linear, basis[0, 1:], level, share) / whole
    centred = basis[1:, 1:] - np.outer(basis[0, 1:], basis[0, 1:]) / rows
    scale = np.zeros_like(centred)
    for place, block in own.places():
        exact = _mixed(block, basis[1:, 1:][place, place], level, share)
        scale[place, place] = _map_between(centred[place, place], exact - whole * np.outer(means[place], means[place]))
    hessian = np.empty_like(basis)
    hessian[0, 0], hessian[0, 1:], hessian[1:, 0] = whole, whole * means, whole * means
    hessian[1:, 1:] = scale @ centred @ scale + whole * np.outer(means, means)
    return hessian


def _map_between(source: Floats, target: Floats) -> Floats:
    """Return the symmetric S for which S·source·S is `target`: what moves one covariance to the other the least.

    Source: Olkin & Pukelsheim 1982.
    """
    level = float(np.trace(source)) / len(source)
    if level <= 0:
        return np.zeros_like(source)
    eye, reached = BLOCK_RIDGE * np.eye(len(source)), max(float(np.trace(target)) / len(source), 0.0)
    source, target = source + eye * level, target + eye * reached
    root, inverse = _power(source, 0.5), _power(source, -0.5)
    return np.asarray(inverse @ _power(root @ target @ root, 0.5) @ inverse, dtype=np.float64)


def _power(matrix: Floats, exponent: float) -> Floats:
    """Return a power of a symmetric matrix, none of whose eigenvalues is taken to be less than next to nothing."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    steady = np.maximum(values, max(1e-9 * float(values.max()), 1e-30))
    return np.asarray((vectors * steady**exponent) @ vectors.T, dtype=np.float64)
