"""The bank's model as a file: what it needs to read an answer, and what an auditor of the model needs to see.

JSON; written by the bank for itself. It holds the bank's own part, and the nodes' bins and points as the bank computed
them; it holds no enterprise.
"""

from __future__ import annotations

import base64

import msgspec

from nodes.binning import FineBinning
from protocols.assessment.manifest import SignedManifest
from protocols.channel.wire import decode, encode
from protocols.credit.binning import BinnedFeature
from protocols.credit.logistic import Calibration
from protocols.credit.woe import WOE_SCALE
from protocols.errors import MalformedMessage
from protocols.scorecard.model import TrainedScorecard

FORMAT = "credit-federation-scorecard/1"


class ModelBin(msgspec.Struct, frozen=True):
    """One step of a feature: its share of the training rows, how many of it defaulted, and what it scores."""

    share: float
    bad_rate: float
    woe: float
    points: int
    missing: bool


class ModelFeature(msgspec.Struct, frozen=True):
    """One feature of the scorecard, in coarse bins. Points are tenths of a score point."""

    party: str
    domain: str
    name: str
    iv: float
    selected: bool
    reason: str
    bins: tuple[ModelBin, ...]


class ModelFile(msgspec.Struct, frozen=True):
    """A trained model at its bank. `manifest` is the signed manifest, base64 of its canonical bytes."""

    format: str
    model: str
    manifest: str
    intercept: float
    slope: float
    own_points: tuple[tuple[int, ...], ...]
    own_binnings: tuple[FineBinning, ...]
    features: tuple[ModelFeature, ...]

    def signed_manifest(self) -> SignedManifest:
        """Return the manifest with all nodes' signatures. Raises: MalformedMessage."""
        try:
            return decode(base64.b64decode(self.manifest, validate=True), SignedManifest)
        except ValueError as error:
            raise MalformedMessage("the model file's manifest is not base64") from error

    @property
    def calibration(self) -> Calibration:
        """Return how a total becomes log-odds."""
        return Calibration(self.intercept, self.slope)


def model_file(trained: TrainedScorecard, bank: str, binnings: tuple[FineBinning, ...]) -> ModelFile:
    """Return the file of a trained scorecard."""
    points = trained.candidate.points
    features = tuple(
        _feature(party, feature, table)
        for party, binned in trained.features.items()
        for feature, table in zip(binned, points[party], strict=True)
    )
    own = next((tables for party, tables in points.items() if party == bank), ())
    return ModelFile(
        FORMAT,
        trained.manifest.manifest.model_hash().hex(),
        base64.b64encode(encode(trained.manifest)).decode(),
        trained.calibration.intercept,
        trained.calibration.slope,
        own,
        binnings,
        features,
    )


def _feature(party: str, feature: BinnedFeature, points: tuple[int, ...]) -> ModelFeature:
    rows = sum(outcome.total for outcome in feature.outcomes)
    missing = len(feature.woe) - 1
    bins = tuple(
        ModelBin(
            outcome.total / rows if rows else 0.0,
            outcome.bad_rate,
            feature.woe[group[0]] / WOE_SCALE,
            points[group[0]],
            missing in group,
        )
        for group, outcome in zip(feature.groups, feature.outcomes, strict=True)
    )
    return ModelFeature(party, feature.domain, feature.name, feature.iv, feature.selected, feature.reason, bins)
