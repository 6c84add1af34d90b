"""A node's own reckoning: what its part gives enterprises in points, theme bands and coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.assessment.layout import Coverage, band, lay_out, mark
from protocols.assessment.manifest import Manifest
from protocols.scorecard.messages import FeaturePoints


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A node's own view of enterprises under one model. Never leaves the node in this form.

    `enterprises` enter the masks: shares open only if every node was asked about the same ones, in the same order.
    `absent` holds the places of an enterprise that the node does not know: districts of a split domain need them.
    `as_of` is the day as of which the node's records speak, as an ISO date, "" if it does not say.
    `objected` tells of whom an objection is not decided, whichever node it is about; by default of nobody.
    Shapes: `places` (enterprises, entries of the part), `coverage`, `enterprises`, `objected` (enterprises,), `absent`
    (entries,).
    """

    places: NDArray[np.int64] = field(repr=False)
    coverage: Sequence[Coverage] = field(repr=False)
    enterprises: Sequence[str] = field(repr=False)
    absent: NDArray[np.int64] | None = field(default=None, repr=False)
    objected: Sequence[bool] = field(default=(), repr=False)
    as_of: str = ""


def plain_shares(manifest: Manifest, node: int, part: Sequence[FeaturePoints], evaluation: Evaluation) -> list[int]:
    """Return, per enterprise, the integer that the `node`-th node of the manifest adds to the sum.

    Of a district that does not stand in for its domain it is what knowing the enterprise changes: 0 if it does not.
    Raises: ValueError if a number does not fit its slot.
    """
    shares = _answers(manifest, node, part, evaluation.places, evaluation.coverage)
    if evaluation.objected:
        marks = [mark(manifest) if objected else 0 for objected in evaluation.objected]
        shares = [share + added for share, added in zip(shares, marks, strict=True)]
    if manifest.stands_in(node):
        return shares
    if evaluation.absent is None:
        raise ValueError("a district knows what it says of an enterprise that it does not know")
    (nobody,) = _answers(manifest, node, part, evaluation.absent[None, :], [Coverage.ABSENT])
    return [share - nobody for share in shares]


def _answers(
    manifest: Manifest,
    node: int,
    part: Sequence[FeaturePoints],
    rows: NDArray[np.int64],
    coverages: Sequence[Coverage],
) -> list[int]:
    """Return each row's answer, laid out. Shapes: `rows` (enterprises, entries of the part)."""
    count = len(coverages)
    totals = np.zeros(count, dtype=np.int64)
    lost = np.zeros((len(manifest.themes), count), dtype=np.int64)
    for feature, places in zip(part, rows.T, strict=True):
        points = np.asarray(feature.points, dtype=np.int64)[places]
        totals += points
        if feature.theme >= 0:
            lost[feature.theme] += max(feature.points) - points
    shares = []
    for row, (total, coverage) in enumerate(zip(totals.tolist(), coverages, strict=True)):
        bands = [band(theme, points) for theme, points in zip(manifest.themes, lost[:, row].tolist(), strict=True)]
        shares.append(lay_out(manifest, node, total, bands, coverage))
    return shares
