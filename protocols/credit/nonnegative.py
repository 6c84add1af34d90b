"""Non-negative least squares from a Gram matrix: the exact optimum, by active sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def solve_nonnegative(matrix: Floats, target: Floats) -> Floats:
    """Return x that minimises ½·xᵀAx − bᵀx with all of x but its first entry not negative.

    Shapes: `matrix` A (d, d), positive definite; `target` b and the result (d,). An entry at its bound is 0 exactly.
    Raises: numpy.linalg.LinAlgError if A is singular. Source: Lawson & Hanson 1974, ch. 23, on normal equations.
    """
    size = len(target)
    free = np.zeros(size, dtype=bool)
    free[0] = True
    x = _on(matrix, target, free)
    tolerance = 1e-10 * float(np.abs(target).max(initial=1e-300))
    for _ in range(10 * size):
        pull = np.where(free, -np.inf, target - matrix @ x)
        entering = int(np.argmax(pull))
        if pull[entering] <= tolerance:
            break
        free[entering] = True
        x = _descend(matrix, target, free, x)
    return x


def _descend(matrix: Floats, target: Floats, free: NDArray[np.bool_], x: Floats) -> Floats:
    """Go to the optimum on the free entries, or to where the first of them becomes 0, which then is no longer free."""
    while True:
        best = _on(matrix, target, free)
        falling = free & (best <= 0)
        falling[0] = False
        if not falling.any():
            return best
        share = float((x[falling] / (x[falling] - best[falling])).min())
        x = x + share * (best - x)
        stopped = falling & (x <= 1e-14 * (1 + np.abs(best)))
        free[stopped] = False
        x[~free] = 0.0


def _on(matrix: Floats, target: Floats, free: NDArray[np.bool_]) -> Floats:
    """Return the optimum with all but the free entries 0."""
    x = np.zeros_like(target)
    x[free] = np.linalg.solve(matrix[np.ix_(free, free)], target[free])
    return x
