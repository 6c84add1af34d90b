"""A node's own reckoning: what its part gives enterprises in points, theme bands and coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.assessment.layout import Coverage, band, lay_out
from protocols.assessment.manifest import Manifest
from protocols.scorecard.messages import FeaturePoints


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A node's own view of enterprises under one model. Never leaves the node in this form.

    `enterprises` enter the masks: shares open only if every node was asked about the same ones, in the same order.
    Shapes: `places` (enterprises, entries of the part), `coverage` and `enterprises` (enterprises,).
    """

    places: NDArray[np.int64] = field(repr=False)
    coverage: Sequence[Coverage] = field(repr=False)
    enterprises: Sequence[str] = field(repr=False)


def plain_shares(manifest: Manifest, node: int, part: Sequence[FeaturePoints], evaluation: Evaluation) -> list[int]:
    """Return, per enterprise, the integer that the `node`-th node of the manifest adds to the sum.

    Raises: ValueError if a number does not fit its slot.
    """
    count = len(evaluation.enterprises)
    totals = np.zeros(count, dtype=np.int64)
    lost = np.zeros((len(manifest.themes), count), dtype=np.int64)
    for feature, places in zip(part, evaluation.places.T, strict=True):
        points = np.asarray(feature.points, dtype=np.int64)[places]
        totals += points
        if feature.theme >= 0:
            lost[feature.theme] += max(feature.points) - points
    shares = []
    for row, (total, coverage) in enumerate(zip(totals.tolist(), evaluation.coverage, strict=True)):
        bands = [band(theme, points) for theme, points in zip(manifest.themes, lost[:, row].tolist(), strict=True)]
        shares.append(lay_out(manifest, node, total, bands, coverage))
    return shares
