"""Gradient and curvature at a candidate: what one refinement needs of the rows, as sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.credit.hessian import Curvature, OwnBlocks
from protocols.credit.logistic import sigmoid
from protocols.credit.woe import WOE_SCALE
from protocols.errors import MalformedMessage
from protocols.paillier import CiphertextVector, PrivateKey, decrypt
from protocols.scorecard.arithmetic import RESIDUAL_SCALE, gradient_packing, unmask_sums
from protocols.scorecard.rows import WoeColumns

Integers = NDArray[np.int64]

PAIR_LIMIT: Final = 1024
"""Most pairs of its columns of which a party tells the curvature: those of some 45 columns."""


def residuals(log_odds: NDArray[np.float64], bad: Integers) -> tuple[Integers, Integers]:
    """Return each row's residual (good − probability of good) and weight p(1 − p), as integers of 1/RESIDUAL_SCALE."""
    p = sigmoid(log_odds)
    residual = np.rint(RESIDUAL_SCALE * ((1 - bad) - p)).astype(np.int64)
    weight = np.rint(RESIDUAL_SCALE * p * (1 - p)).astype(np.int64)
    return residual, weight


def pack_residuals(residual: Integers, weight: Integers, modulus_bits: int, noise: int = 0) -> list[int]:
    """Return one plaintext a row: the residual in the lower slot, the weight in the upper one."""
    slot = gradient_packing(len(residual), modulus_bits, noise).slot_bits
    return [(w << slot) + r for r, w in zip(residual.tolist(), weight.tolist(), strict=True)]


def pair_count(columns: int, noisy: bool) -> int:
    """Return of how many pairs of its columns a party tells the curvature: of all, if they are few and carry no noise.

    The pairs grow with the square of the columns; beyond the limit, and under noise, the diagonal stands for them.
    """
    pairs = columns * (columns - 1) // 2
    return 0 if noisy or pairs > PAIR_LIMIT else pairs


def column_sums(columns: WoeColumns, residual: Integers, weight: Integers, pairs: bool = False) -> list[int]:
    """Return what a node returns encrypted, from known rows: Σ w·r, Σ w·h by column, then Σ w²·r, Σ w²·h.

    With `pairs`, Σ w·w'·r and Σ w·w'·h of every two columns follow.
    """
    values = columns.values()
    sums = []
    for power in (values, values**2):
        for r, h in zip(residual @ power, weight @ power, strict=True):
            sums += [int(r), int(h)]
    if pairs:
        products = [values.T @ (each[:, None] * values) for each in (residual, weight)]
        sums += [int(product[j, k]) for j, k in columns.pairs() for product in products]
    return sums


def open_gradient(vector: bytes, columns: int, rows: int, key: PrivateKey, noise: int = 0, pairs: int = 0) -> list[int]:
    """Return a node's column sums and those of `pairs`, to each of which it may have added `noise` at most.

    Raises: MalformedMessage, VerificationFailed.
    """
    public = key.public_key
    packing = gradient_packing(rows, public.bits, noise)
    plain = decrypt(key, CiphertextVector.from_bytes(public, vector))
    sums = unmask_sums(plain, packing, public, 4 * columns + 2 * pairs)
    squares = sums[2 * columns + 1 : 4 * columns : 2]
    if any(square < -noise for square in squares):
        raise MalformedMessage("a sum of squares is negative")
    if pairs and not _is_moment(squares, sums[4 * columns + 1 :: 2]):
        raise MalformedMessage("a sum of products exceeds those of squares")
    return sums


def _is_moment(squares: Sequence[int], products: Sequence[int]) -> bool:
    """Tell whether no product exceeds the geometric mean of its squares, as Cauchy and Schwarz have it."""
    bounds = [squares[j] * squares[k] for j in range(len(squares)) for k in range(j + 1, len(squares))]
    return all(product**2 <= bound for product, bound in zip(products, bounds, strict=True))


def to_curvature(
    sums: Sequence[list[int]],
    residual: Integers,
    weight: Integers,
    floor: float = 0.0,
    columns: Sequence[int] | None = None,
) -> Curvature:
    """Return gradient and Hessian diagonal of all columns, the intercept's first, from every party's column sums.

    No entry of the diagonal is taken to be below `floor`, the uncertainty of such a sum: a step is then too short.
    With `columns`, how many each party has, its own block of the Hessian comes from the sums of its pairs, where it has
    told them.
    """
    counts = [len(party) // 4 for party in sums] if columns is None else list(columns)
    gradient, diagonal, blocks = [float(residual.sum())], [float(weight.sum())], list[NDArray[np.float64]]()
    linear: list[float] = []
    for party, count in zip(sums, counts, strict=True):
        first, second, pairs = party[: 2 * count], party[2 * count : 4 * count], party[4 * count :]
        gradient += [value / WOE_SCALE for value in first[::2]]
        linear += [value / WOE_SCALE / RESIDUAL_SCALE for value in first[1::2]]
        squares = [max(value, floor) / WOE_SCALE**2 for value in second[1::2]]
        diagonal += squares
        if columns is not None:
            blocks += _blocks(squares, [value / WOE_SCALE**2 for value in pairs[1::2]])
    known = OwnBlocks(np.array(linear), tuple(blocks)) if columns is not None else None
    return Curvature(np.array(gradient) / RESIDUAL_SCALE, np.array(diagonal) / RESIDUAL_SCALE, known)


def _blocks(squares: Sequence[float], products: Sequence[float]) -> list[NDArray[np.float64]]:
    """Return a party's block of the Hessian, or, where it has told no pairs, its diagonal as blocks of one column."""
    if not products:
        return [np.array([[square / RESIDUAL_SCALE]]) for square in squares]
    block = np.diag(squares)
    block[np.triu_indices(len(squares), 1)] = products
    return [(np.triu(block) + np.triu(block, 1).T) / RESIDUAL_SCALE]
