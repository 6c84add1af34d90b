"""What a report says of a boosted model's features: bins and IV as in a scorecard, and whether trees use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from protocols.boosting.model import ServedModel
from protocols.channel.identity import PartyId
from protocols.credit.binning import BinnedFeature, BinningRules, FineHistogram, bin_feature
from protocols.credit.woe import Outcomes


def report_features(
    histograms: Mapping[PartyId, Sequence[FineHistogram]],
    everyone: Mapping[PartyId, Outcomes],
    model: ServedModel,
    rules: BinningRules,
) -> dict[PartyId, list[BinnedFeature]]:
    """Return every party's features, selected if a tree of the final model uses them. Shapes: in the parties' order."""
    return {
        party: [_report(index, histogram, everyone[party], _used(model, party), rules) for index, histogram in found]
        for party, found in ((party, list(enumerate(features))) for party, features in histograms.items())
    }


def _report(
    index: int, histogram: FineHistogram, everyone: Outcomes, used: set[int], rules: BinningRules
) -> BinnedFeature:
    binned = bin_feature(histogram, everyone, rules)
    return replace(binned, selected=index in used, reason="" if index in used else binned.reason or "no tree uses it")


def _used(model: ServedModel, party: PartyId) -> set[int]:
    return {
        split.feature
        for tree in model.trees[party]
        for level in tree.tree.levels
        for split in level
        if split is not None
    }
