"""How a stored part answers an assessment: a tree's leaf takes the place of a feature's bin, all else is unchanged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from protocols.boosting.messages import TreeTables
from protocols.boosting.trees import Codes, Tree
from protocols.channel.wire import decode
from protocols.errors import MalformedMessage
from protocols.scorecard.messages import PointTables


def open_part(data: bytes) -> PointTables:
    """Return a node's part of a model, of either family. Raises: MalformedMessage."""
    try:
        return decode(data, TreeTables)
    except MalformedMessage:
        return decode(data, PointTables)


def places(part: PointTables, bins: Codes) -> NDArray[np.int64]:
    """Return which of its points each entry of a part gives. Shapes: (rows, features) in, (rows, entries) out."""
    return leaves_of(part.trees, bins) if isinstance(part, TreeTables) else np.asarray(bins, dtype=np.int64)


def leaves_of(trees: Sequence[Tree], bins: Codes) -> NDArray[np.int64]:
    """Return the leaf of each tree that each row falls in. Shapes: (rows, features) of fine bins; (rows, trees)."""
    leaves = np.empty((len(bins), len(trees)), dtype=np.int64)
    for index, tree in enumerate(trees):
        leaves[:, index] = tree.leaf_of(bins)
    return leaves
