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
from protocols.privacy import NO_NOISE, Noise
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
    partition = TurnPartition(rows, spec.training_rows, spec.folds, spec.minimum_bin, first=True, noisy=spec.rho > 0)
    groups = tuple(partition.root_groups(feature) for feature in range(len(rows.features)))
    sizes = [group_count(group) for group in groups]
    codes = np.empty((spec.training_rows, len(groups)), dtype=np.int64)
    for feature, group in enumerate(groups):
        codes[:, feature] = np.asarray(group)[rows.codes[: spec.training_rows, feature]]
    shapes = tuple(
        FeatureShape(
            shape.name,
            shape.ordered,
            tuple(np.bincount(codes[:, j], minlength=sizes[j]).tolist()),
            special_groups(groups[j], shape.special),
        )
        for j, shape in enumerate(rows.features)
    )
    cells = vector.histograms(codes, sizes)
    return shapes, groups, CiphertextVector.concat([*cells, vector[:0]])


def group_count(groups: Group) -> int:
    """Return how many groups a feature is counted by, the one of missing values included."""
    alone = len(groups) == 1 or groups.count(groups[-1]) == 1
    return max(groups) + (1 if alone else 2)


def special_groups(groups: Group, special: int) -> int:
    """Return how many groups hold values that are codes, and nothing else but perhaps missing ones.

    Shapes: `special` fine bins before that of missing values hold one code each.
    """
    first = len(groups) - 1 - special
    return len(set(groups[first:-1]) - set(groups[:first]))


def open_offer(
    message: FeatureHistograms,
    domain: str,
    rows: int,
    key: PrivateKey,
    signs: Mapping[tuple[str, str], int],
    noise: Noise = NO_NOISE,
    smallest: int = 0,
) -> tuple[list[Shape], list[FineHistogram]]:
    """Return the shapes of a node's features, and their good and bad outcomes by group. Shapes: `rows` training rows.

    `noise` and `smallest` are as `open_histograms` takes them.
    Raises: MalformedMessage, VerificationFailed.
    """
    if not len(message.groups) == len(message.special) == len(message.features):
        raise MalformedMessage(f"{len(message.groups)} groupings of {len(message.features)} features")
    for groups, special, shape in zip(message.groups, message.special, message.features, strict=True):
        if not groups or not is_grouping(groups, len(groups)) or len(shape.counts) != group_count(groups):
            raise MalformedMessage("a feature's groups do not match its counts")
        if special >= len(groups):
            raise MalformedMessage(f"{special} special bins of {len(groups)}")
    histograms = open_histograms(BinHistograms(message.features, message.vector), domain, rows, key, noise, smallest)
    shapes = [
        Shape(len(groups), shape.ordered, signs.get((domain, shape.name), 0), special)
        for groups, special, shape in zip(message.groups, message.special, message.features, strict=True)
    ]
    return shapes, histograms
