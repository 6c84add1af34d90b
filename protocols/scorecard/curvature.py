"""Gradient and curvature at a candidate: what one refinement needs of the rows, as sums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from protocols.credit.logistic import Curvature, sigmoid
from protocols.credit.woe import WOE_SCALE
from protocols.errors import MalformedMessage
from protocols.paillier import CiphertextVector, PrivateKey, decrypt
from protocols.scorecard.arithmetic import RESIDUAL_SCALE, gradient_packing, unmask_sums
from protocols.scorecard.rows import WoeColumns

Integers = NDArray[np.int64]


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


def column_sums(columns: WoeColumns, residual: Integers, weight: Integers) -> list[int]:
    """Return what a node returns encrypted, from known rows: Σ w·r, Σ w·h by column, then Σ w²·r, Σ w²·h."""
    values = columns.values()
    sums = []
    for power in (values, values**2):
        for r, h in zip(residual @ power, weight @ power, strict=True):
            sums += [int(r), int(h)]
    return sums


def open_gradient(vector: bytes, columns: int, rows: int, key: PrivateKey, noise: int = 0) -> list[int]:
    """Return a node's column sums, to each of which it may have added `noise` at most.

    Raises: MalformedMessage, VerificationFailed.
    """
    public = key.public_key
    packing = gradient_packing(rows, public.bits, noise)
    plain = decrypt(key, CiphertextVector.from_bytes(public, vector))
    sums = unmask_sums(plain, packing, public, 4 * columns)
    if any(weight < -noise for weight in sums[2 * columns + 1 :: 2]):
        raise MalformedMessage("a sum of squares is negative")
    return sums


def to_curvature(sums: Sequence[list[int]], residual: Integers, weight: Integers, floor: float = 0.0) -> Curvature:
    """Return gradient and Hessian diagonal of all columns, the intercept's first, from every party's column sums.

    No entry of the diagonal is taken to be below `floor`, the uncertainty of such a sum: a step is then too short.
    """
    gradient, diagonal = [float(residual.sum())], [float(weight.sum())]
    for party in sums:
        half = len(party) // 2
        gradient += [value / WOE_SCALE for value in party[:half:2]]
        diagonal += [max(value, floor) / WOE_SCALE**2 for value in party[half + 1 :: 2]]
    return Curvature(np.array(gradient) / RESIDUAL_SCALE, np.array(diagonal) / RESIDUAL_SCALE)
