"""A node's features: what it tells the bank of them, and how the bank reads it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from protocols.boosting.groups import is_grouping
from protocols.boosting.messages import BoostingSpec, FeatureHistograms, Group
from protocols.boosting.partition import TurnPartition
from protocols.boosting.splits import Shape
from protocols.credit.binning import FineHistogram
from protocols.errors import MalformedMessage
from protocols.paillier import CiphertextVector, PrivateKey
from protocols.scorecard.histograms import open_histograms
from protocols.scorecard.messages import BinHistograms, FeatureShape
from protocols.scorecard.rows import BinnedRows


def offer_features(
    rows: BinnedRows, spec: BoostingSpec, vector: CiphertextVector
) -> tuple[tuple[FeatureShape, ...], tuple[Group, ...], CiphertextVector]:
    """Return shapes, groups, and encrypted default counts by group, of the training rows.

    Shapes: `vector` one encrypted label per training row. A group of missing values alone comes last; where there is
    none, an empty one is added.
    """
    partition = TurnPartition(rows, spec.training_rows, spec.folds, spec.minimum_bin, first=True)
    groups = tuple(partition.root_groups(feature) for feature in range(len(rows.features)))
    sizes = [group_count(group) for group in groups]
    codes = np.empty((spec.training_rows, len(groups)), dtype=np.int64)
    for feature, group in enumerate(groups):
        codes[:, feature] = np.asarray(group)[rows.codes[: spec.training_rows, feature]]
    shapes = tuple(
        FeatureShape(shape.name, shape.ordered, tuple(np.bincount(codes[:, j], minlength=sizes[j]).tolist()))
        for j, shape in enumerate(rows.features)
    )
    cells = vector.histograms(codes, sizes)
    return shapes, groups, CiphertextVector.concat([*cells, vector[:0]])


def group_count(groups: Group) -> int:
    """Return how many groups a feature is counted by, the one of missing values included."""
    alone = len(groups) == 1 or groups.count(groups[-1]) == 1
    return max(groups) + (1 if alone else 2)


def open_offer(
    message: FeatureHistograms, domain: str, rows: int, key: PrivateKey, signs: Mapping[tuple[str, str], int]
) -> tuple[list[Shape], list[FineHistogram]]:
    """Return the shapes of a node's features, and their good and bad outcomes by group. Shapes: `rows` training rows.

    Raises: MalformedMessage, VerificationFailed.
    """
    if len(message.groups) != len(message.features):
        raise MalformedMessage(f"{len(message.groups)} groupings of {len(message.features)} features")
    for groups, shape in zip(message.groups, message.features, strict=True):
        if not groups or not is_grouping(groups, len(groups)) or len(shape.counts) != group_count(groups):
            raise MalformedMessage("a feature's groups do not match its counts")
    histograms = open_histograms(BinHistograms(message.features, message.vector), domain, rows, key)
    shapes = [
        Shape(len(groups), shape.ordered, signs.get((domain, shape.name), 0))
        for groups, shape in zip(message.groups, message.features, strict=True)
    ]
    return shapes, histograms
