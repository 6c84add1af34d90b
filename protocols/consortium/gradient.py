"""Gradient and curvature of the pool: residuals in slots as wide as the pooled sums, and those sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.consortium.shares import Residues, sum_bits, unpack_sums
from protocols.errors import MalformedMessage
from protocols.scorecard.arithmetic import gradient_packing
from protocols.scorecard.curvature import column_sums
from protocols.scorecard.rows import WoeColumns

Integers = NDArray[np.int64]

GRADIENT_BITS: Final = 128
"""Bits of a pooled sum that a bank adds up itself: of residuals, or of products of its own columns."""


def pack_pooled(residual: Integers, weight: Integers, pool_rows: int, modulus_bits: int, noise: int = 0) -> list[int]:
    """Return one plaintext a row: the residual in the lower slot, the weight in the upper one."""
    slot = gradient_packing(pool_rows, modulus_bits, noise).slot_bits
    return [(w << slot) + r for r, w in zip(residual.tolist(), weight.tolist(), strict=True)]


def own_sums(columns: WoeColumns, residual: Integers, weight: Integers) -> Residues:
    """Return Σ r, Σ h, and the column sums of a bank's own columns."""
    sums = [int(residual.sum()), int(weight.sum()), *column_sums(columns, residual, weight)]
    return Residues.of(sums, GRADIENT_BITS)


def open_gradients(
    pooled: Residues, columns: Sequence[int], pool_rows: int, modulus_bits: int, noise: int = 0
) -> tuple[int, int, list[list[int]]]:
    """Return Σ r, Σ h, and each party's column sums: the banks' own first, then those of nodes with columns.

    To each sum a node may have added `noise` at most.
    Raises: MalformedMessage if a sum of squares is negative or a slot overflows.
    """
    packing = gradient_packing(pool_rows, modulus_bits, noise)
    own = 2 + 4 * columns[0]
    residual, weight, *first = pooled.take(0, own).signed()
    parties, start = ([first] if first else []), own
    for count in columns[1:]:
        size = len(sum_bits(4 * count, packing))
        parties.append(unpack_sums(pooled.take(start, size), packing, 4 * count))
        start += size
    if any(value < -noise for sums in parties for value in sums[len(sums) // 2 + 1 :: 2]) or weight < 0:
        raise MalformedMessage("a sum of squares is negative")
    return residual, weight, parties
