"""The data that every engine is measured on: a cohort of independent features, the worst case for joint buckets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEATURES = 23
FINE_BINS, WOE_BINS = 32, 10
DEPTH = 5
SCALE = 1 << 16  # fixed point of residuals and gradients: 1.5e-5, far below the noise of a label
NODES = 4  # data nodes in an assessment
ASSESSMENTS = 10_000
SCORE_BITS = 39  # of a partial score with its themes: signed, a slot of 40 bits


@dataclass(frozen=True, slots=True)
class Workload:
    """Shapes: per row `weights` (FEATURES,) signed 8-bit, `woe` and `fine` bin indices; residual, gradient, hessian."""

    rows: int
    weights: NDArray[np.int64]
    woe: NDArray[np.int64]
    fine: NDArray[np.int64]
    residuals: list[int]
    gradients: list[int]
    hessians: list[int]


def make_workload(rows: int, seed: int = 20240601) -> Workload:
    """Return a cohort of `rows` enterprises, about 20 % of them bad, the same for the same seed."""
    generator = np.random.default_rng(seed)
    fine = generator.integers(0, FINE_BINS, (rows, FEATURES))
    effects = generator.normal(0, 0.6, FEATURES)
    margin = (fine / (FINE_BINS - 1) - 0.5) @ effects * 2 - 1.5
    labels = generator.random(rows) < 1 / (1 + np.exp(-margin))
    prior = float(labels.mean())
    model = np.clip(prior + generator.normal(0, 0.05, rows), 0.01, 0.99)  # as after some epochs
    residuals = np.rint((model - labels) * SCALE).astype(np.int64)
    hessians = np.rint(model * (1 - model) * SCALE).astype(np.int64)
    return Workload(
        rows=rows,
        weights=generator.integers(-128, 128, (rows, FEATURES)),
        woe=generator.integers(0, WOE_BINS, (rows, FEATURES)),
        fine=fine,
        residuals=residuals.tolist(),
        gradients=residuals.tolist(),
        hessians=hessians.tolist(),
    )


def node_rows(fine: NDArray[np.int64], split: tuple[int, int], rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Tell for each of `rows` whether it goes left at a split (feature, threshold bin)."""
    feature, threshold = split
    left: NDArray[np.bool_] = fine[rows, feature] <= threshold
    return left
