"""Units, bounds and packing of encrypted gradients: what bank and node must agree on.

A row's plaintext is residual + curvature · 2^S, S the width of a slot. In the first turn it is the label, from which
the node makes the residual of its own model. Sums keep the two slots apart, and carry nothing above them but a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.credit.logistic import sigmoid
from protocols.credit.scale import POINTS_PER_LOG_ODDS
from protocols.paillier import Packing
from protocols.scorecard.arithmetic import MASK_BITS, RESIDUAL_SCALE

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

RESIDUAL_LIMIT: Final = 4 * RESIDUAL_SCALE
"""Largest magnitude of a residual, one of the bank's (at most 1) and a node's adjustment of it together."""

ADJUSTMENT_LIMIT: Final = 3 * RESIDUAL_SCALE

GAIN_LEVELS: Final = 32
"""Largest magnitude of a step's points when rows are weighed by them, and of their square: squared."""


def fold_of(rows: int, folds: int) -> Integers:
    """Return the fold of each training row: by turns, so that no order of the rows makes folds differ."""
    return np.arange(rows, dtype=np.int64) % folds


def gradient_packing(rows: int, modulus_bits: int, noise: int = 0) -> Packing:
    """Pairs of slots for sums of residuals and curvatures over all rows, plain or weighted by their gain, and noise."""
    addends = rows * GAIN_LEVELS**2 + -(-noise // RESIDUAL_LIMIT)
    packing = Packing.for_sums(RESIDUAL_LIMIT, addends, modulus_bits, MASK_BITS)
    return replace(packing, slots=packing.slots - packing.slots % 2)


def pack_gradients(residual: Integers, curvature: Integers, packing: Packing) -> list[int]:
    """Return one plaintext a row: the residual in the lower slot, the curvature in the upper one."""
    return [(h << packing.slot_bits) + r for r, h in zip(residual.tolist(), curvature.tolist(), strict=True)]


def logistic_gradients(good: Integers, log_odds: Floats) -> tuple[Integers, Integers]:
    """Return residual (good − probability of good) and curvature p(1 − p) of each row, in 1/RESIDUAL_SCALE."""
    p = sigmoid(log_odds)
    residual = np.rint(RESIDUAL_SCALE * (good - p)).astype(np.int64)
    return residual, np.rint(RESIDUAL_SCALE * p * (1 - p)).astype(np.int64)


def to_log_odds(points: Integers | int) -> Floats:
    """Return the log-odds that points stand for."""
    return np.asarray(points / POINTS_PER_LOG_ODDS, dtype=np.float64)


def gain_unit(points: Sequence[tuple[int, ...]], folds: int) -> int:
    """Return the points per level in which a step's points by the model of any fold fit ±GAIN_LEVELS."""
    highest = [max(map(abs, leaves), default=0) for leaves in points]
    most = max(folds * sum(highest[fold::folds]) for fold in range(folds))
    return max(1, -(-most // GAIN_LEVELS))


def gain_weights(step_points: Integers, unit: int) -> NDArray[np.int64]:
    """Return each row's points in whole levels, and their square. Shapes: (rows,) in, (rows, 2) out."""
    levels = np.rint(step_points / unit).astype(np.int64)
    return np.column_stack([levels, levels**2])
