"""Growing on known gradients: a turn of the oracle's, and the bank's own trees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from protocols.boosting.arithmetic import logistic_gradients, to_log_odds
from protocols.boosting.growth import PATIENCE, Closing, Deepening, Grower, GrowthRules, Opening, Order, PointedTree
from protocols.boosting.partition import Summary, TurnPartition
from protocols.boosting.rows import PlainRows
from protocols.boosting.splits import Shape
from protocols.scorecard.rows import BinnedRows

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def shapes_of(rows: BinnedRows) -> list[Shape]:
    """Return the shapes of a party's features."""
    return [Shape(len(feature.counts), feature.ordered) for feature in rows.features]


def grow_turn(grower: Grower, partition: TurnPartition, rows: PlainRows, base: int) -> list[PointedTree]:
    """Return the trees that a turn on known gradients leads to: what the two roles do, in one place."""
    orders: list[Order] = grower.start()
    while orders:
        orders = [reply for order in orders for reply in _obey(grower, partition, rows, order, base)]
    return grower.trees


def _obey(grower: Grower, partition: TurnPartition, rows: PlainRows, order: Order, base: int) -> list[Order]:
    if isinstance(order, Closing):
        held_out, weights = partition.close_step(order.splits, order.points, order.decrements)
        if grower.gains_due() is not None:
            grower.take_gain(rows.weighted(held_out, weights, partition.adjustment))
        partition.settle()
        return []
    if grower.finished:
        return []
    summary = _summarise(partition, order, base)
    sums = [rows.cells(cells, partition.adjustment) for cells in summary.cells]
    return grower.take(summary.shapes, np.concatenate(sums))


def _summarise(partition: TurnPartition, order: Opening | Deepening, base: int) -> Summary:
    if isinstance(order, Opening):
        return partition.open_step(order.features, base)
    return partition.grow(order.splits)


def grow_own(
    rows: BinnedRows,
    good: Integers,
    log_odds: Floats,
    held_out: range,
    steps: int,
    minimum: int,
    rules: GrowthRules,
    name: str,
) -> tuple[list[PointedTree], Integers]:
    """Return the bank's own trees of one turn, and every row's points: exact gradients before each step.

    Shapes: `good` (training rows,), `log_odds` (rows,), result (rows,). The step after which the held-out rows are
    most likely is the last that is kept.
    """
    n, points = len(good), np.zeros(len(log_odds), dtype=np.int64)
    trees: list[list[PointedTree]] = []
    kept, best, found = 0, -np.inf, points
    for step in range(steps if rows.features else 0):
        likelihood = _log_likelihood(log_odds + to_log_odds(points), good, held_out)
        if likelihood > best or not held_out:
            kept, best, found = step, likelihood, points
        elif step - kept >= PATIENCE:
            break
        gradients = PlainRows(*logistic_gradients(good, log_odds[:n] + to_log_odds(points[:n])))
        grower = Grower(f"{name}/{step}", 0, 1, shapes_of(rows), rules, validated=False)
        partition = TurnPartition(rows, n, held_out, minimum, first=False)
        grown = grow_turn(grower, partition, gradients, base=0)
        trees.append(grown)
        points = points + total_points(grown, rows, len(points))
    if _log_likelihood(log_odds + to_log_odds(points), good, held_out) > best or not held_out:
        kept, found = len(trees), points
    return [tree for grown in trees[:kept] for tree in grown], found


def total_points(trees: Sequence[PointedTree], rows: BinnedRows, count: int) -> Integers:
    """Return the sum of points over the trees of each of the first `count` rows."""
    total = np.zeros(count, dtype=np.int64)
    for tree in trees:
        total += np.asarray(tree.points, dtype=np.int64)[tree.tree.leaf_of(rows.codes[:count])]
    return total


def _log_likelihood(log_odds: Floats, good: Integers, held_out: range) -> float:
    rows = slice(held_out.start, held_out.stop)
    z = log_odds[: len(good)][rows]
    return float(np.sum(good[rows] * z - np.logaddexp(0.0, z)))
