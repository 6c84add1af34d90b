"""Growing on known gradients: a turn of the oracle's, and the bank's own trees."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from protocols.boosting.growth import Closing, Grower, Opening, Order
from protocols.boosting.partition import Summary, TurnPartition
from protocols.boosting.rows import PlainRows
from protocols.boosting.splits import Shape
from protocols.boosting.trees import PointedTree
from protocols.scorecard.rows import BinnedRows

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def shapes_of(rows: BinnedRows, domain: str, signs: Mapping[tuple[str, str], int]) -> list[Shape]:
    """Return the shapes of a party's features."""
    return [Shape(len(f.counts), f.ordered, signs.get((domain, f.name), 0), f.special) for f in rows.features]


def grow_turn(
    grower: Grower, partition: TurnPartition, rows: PlainRows, base: Floats | float = 0.0
) -> list[PointedTree]:
    """Return the trees that a turn on known gradients leads to: what the two roles do, in one place."""
    orders: list[Order] = grower.start()
    while orders:
        orders = [reply for order in orders for reply in _obey(grower, partition, rows, order, base)]
    return grower.trees


def _obey(grower: Grower, partition: TurnPartition, rows: PlainRows, order: Order, base: Floats | float) -> list[Order]:
    if isinstance(order, Closing):
        weighing = partition.close_step(order.splits, order.points, order.decrements)
        if grower.gains_due() is not None:
            grower.take_gain(rows.weighted(weighing, partition.adjustment))
        partition.settle()
        return []
    if grower.finished:
        return []
    summary = _summarise(partition, order, base)
    sums = [rows.cells(cells, partition.adjustment) for cells in summary.cells]
    return grower.take(summary.shapes, np.concatenate(sums))


def _summarise(partition: TurnPartition, order: Order, base: Floats | float) -> Summary:
    return partition.open_step(order.features, base) if isinstance(order, Opening) else partition.grow(order.splits)
