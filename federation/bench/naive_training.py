"""The same trainings as `phe` would do them when used as its manual shows, as counts of its operations.

Every sum is of single encrypted numbers: no packing, no tables, each row's value multiplied and added one by one.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from federation.bench.naive import NaiveCosts
from federation.bench.workload import FINE_BINS

_PAIR = 2  # gradient and curvature, apart


def naive_scorecard(costs: NaiveCosts, rows: int, all_rows: int, domains: Mapping[str, int], releases: int) -> float:
    """Return the mm of a scorecard with `releases` releases of totals, one refinement less."""
    features, nodes = sum(domains.values()), len(domains) - 1
    histograms = rows * (costs.encrypt + features * costs.add) + features * FINE_BINS * costs.decrypt
    across = sum(a * b for a, b in itertools.combinations(domains.values(), 2))
    sent = sum(sorted(domains.values())[1:])  # the party with the fewest features sends none
    products = rows * (sent * costs.encrypt + across * costs.multiply_add) + across * costs.decrypt
    refinement = _PAIR * (rows * (costs.encrypt + features * costs.multiply_add) + features * costs.decrypt)
    totals = all_rows * (nodes * costs.encrypt + (nodes - 1) * costs.add + costs.decrypt)
    return histograms + products + (releases - 1) * refinement + releases * totals


def naive_trees(costs: NaiveCosts, rows: int, features: int, depth: int, trees: int, vectors: int) -> float:
    """Return the mm of trees of one party on its own features, with sums of every node of every level.

    The gradients of all rows are encrypted `vectors` times.
    """
    splits = (1 << depth) - 1
    tree = rows * depth * features * costs.add + splits * features * FINE_BINS * costs.decrypt
    return _PAIR * (vectors * rows * costs.encrypt + trees * tree)
