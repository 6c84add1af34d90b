"""What the rounds of a run did: who sent how much, how long it took, and which phase of the protocol it belonged to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocols.channel.envelope import Envelope
from protocols.channel.identity import PartyId

Routed = list[tuple[PartyId, Envelope]]
"""What goes on, each envelope with the party that it is for."""

PHASES: Mapping[str, str] = {
    "RunSpec": "histograms",
    "EncryptedLabels": "histograms",
    "Cohort": "histograms",
    "DistrictCounts": "histograms",
    "DomainCounts": "histograms",
    "DistrictSums": "binning",
    "PooledSums": "binning",
    "BinHistograms": "binning",
    "WoeTables": "gram_matrix",
    "EncryptedColumns": "gram_matrix",
    "MaskedProducts": "gram_matrix",
    "MaskShare": "gram_matrix",
    "ProductShare": "gram_matrix",
    "LocalGram": "gram_matrix",
    "PointTables": "totals",
    "MaskedTotals": "totals",
    "CombinedTotals": "totals",
    "EncryptedResiduals": "refinement",
    "GradientShare": "refinement",
    "Invitation": "consortium",
    "Acceptance": "consortium",
    "ConsortiumSpec": "histograms",
    "BankCut": "histograms",
    "HistogramShare": "binning",
    "OwnProductShare": "gram_matrix",
    "GradientPoolShare": "refinement",
    "PoolShare": "pooling",
    "ModelAgreement": "manifest",
    "BoostingSpec": "histograms",
    "FeatureHistograms": "binning",
    "Gradients": "gradients",
    "StepOpening": "trees",
    "LeafHistograms": "trees",
    "Growth": "trees",
    "StepClosing": "trees",
    "ValidationGain": "trees",
    "TreeTables": "totals",
    "Manifest": "manifest",
    "ManifestSignature": "manifest",
    "SignedManifest": "manifest",
    "Query": "assessment",
    "Subject": "assessment",
    "ScoreShare": "assessment",
    "CombinedScore": "assessment",
    "BatchQuery": "assessment",
    "BatchSlips": "assessment",
    "BatchSubjects": "assessment",
    "BatchDecisions": "assessment",
    "BatchOpening": "assessment",
    "BatchShares": "assessment",
    "CombinedBatch": "assessment",
}


@dataclass(frozen=True, slots=True)
class RoundEvent:
    """What a round did. Units: bytes on the wire in both directions, seconds of wall time."""

    number: int
    phase: str
    parties: tuple[str, ...]
    bytes: int
    seconds: float


@dataclass(slots=True)
class Traffic:
    """What has passed so far, for reports.

    `engine_seconds` is how much of the wall time a deployed engine took for itself: to start a run, and to carry.
    """

    rounds: int = 0
    bytes_sent: dict[str, int] = field(default_factory=dict)
    bytes_received: dict[str, int] = field(default_factory=dict)
    messages_received: dict[str, int] = field(default_factory=dict)
    kinds_received: dict[str, set[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    engine_seconds: dict[str, float] = field(default_factory=dict)

    @property
    def total_bytes(self) -> int:
        """Bytes of all parcels, in both directions."""
        return sum(self.bytes_sent.values()) + sum(self.bytes_received.values())


def phase_of(pending: Mapping[PartyId, list[Envelope]]) -> str:
    """Return the phase that most bytes of a round belong to."""
    weights: dict[str, int] = {}
    for envelopes in pending.values():
        for envelope in envelopes:
            phase = PHASES.get(envelope.message, "other")
            weights[phase] = weights.get(phase, 0) + len(envelope.body)
    return max(weights, key=lambda phase: weights[phase], default="opening")
