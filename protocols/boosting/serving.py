"""How a stored part answers an assessment: a tree's leaf takes the place of a feature's bin, all else is unchanged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from protocols.boosting.messages import TreeTables
from protocols.boosting.trees import Tree
from protocols.channel.wire import decode
from protocols.errors import MalformedMessage
from protocols.scorecard.messages import PointTables


def open_part(data: bytes) -> PointTables:
    """Return a node's part of a model, of either family. Raises: MalformedMessage."""
    try:
        return decode(data, TreeTables)
    except MalformedMessage:
        return decode(data, PointTables)


def places(part: PointTables, bins: Sequence[int]) -> list[int]:
    """Return which of its points each entry of a part gives an enterprise with these fine bins."""
    return leaves_of(part.trees, bins) if isinstance(part, TreeTables) else list(bins)


def leaves_of(trees: Sequence[Tree], bins: Sequence[int]) -> list[int]:
    """Return the leaf of each tree that an enterprise with these fine bins falls in."""
    codes = np.asarray(bins, dtype=np.int64).reshape(1, -1)
    return [int(tree.leaf_of(codes)[0]) for tree in trees]
