"""The one model at a bank: tables and manifests that every bank of the consortium makes alike."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.assessment.manifest import Manifest, PartEntry, SignedManifest, Theme
from protocols.channel.identity import PartyId, PartyKeys
from protocols.channel.wire import digest
from protocols.consent import Purpose
from protocols.consortium.admission import agreed_model, agreement_bytes
from protocols.consortium.messages import ConsortiumSpec, ModelAgreement
from protocols.consortium.own_columns import BANKS
from protocols.credit.binning import BinnedFeature
from protocols.credit.metrics import Validation
from protocols.scorecard.arithmetic import TOTAL_BITS
from protocols.scorecard.candidate import Candidate
from protocols.scorecard.messages import FeaturePoints, PointTables, Rows
from protocols.scorecard.model import TrainedScorecard


def sign_agreement(spec: ConsortiumSpec, keys: PartyKeys, model: bytes) -> ModelAgreement:
    """Return a bank's signature on the model of a run."""
    return ModelAgreement(model, keys.signing.sign(agreement_bytes(spec.transcript(), model)))


@dataclass(slots=True)
class Closure:
    """A candidate as all banks state it: salts follow from the banks' common secret, all else from the candidate."""

    spec: ConsortiumSpec
    candidate: Candidate = field(repr=False)
    themes: tuple[Theme, ...]
    theme_of: Mapping[PartyId, tuple[int, ...]] = field(repr=False)
    seed: bytes = field(repr=False)
    parts: dict[PartyId, bytes] = field(default_factory=dict)
    signatures: dict[PartyId, bytes] = field(default_factory=dict)
    pooled: Validation | None = None

    def tables(self, release: int, rows: Rows) -> dict[PartyId, PointTables]:
        """Return each node's part of the candidate."""
        return {
            node: PointTables(
                release,
                rows,
                tuple(map(FeaturePoints, self.candidate.points[node], self.theme_of[node])),
                self._salt(node, release),
            )
            for node in (PartyId(entry.party) for entry in self.spec.nodes)
        }

    def _salt(self, node: PartyId, release: int) -> bytes:
        told = f"credit-federation/consortium-salt/v1/{node}/{release}/".encode()
        return hashlib.sha256(told + self.spec.transcript() + self.seed).digest()

    def state(self, tables: Mapping[PartyId, PointTables]) -> None:
        """Fix the nodes' parts of the final model, which the manifests name by their hashes."""
        self.parts = {node: digest(table) for node, table in tables.items()}

    def manifest(self, bank: PartyId) -> Manifest:
        """Return the manifest under which one bank is served; those of two banks differ in the bank alone."""
        entries = tuple(PartEntry(n.party, n.domain, n.card, self.parts[PartyId(n.party)]) for n in self.spec.nodes)
        return Manifest(
            self.spec.transcript(),
            bank,
            Purpose.ASSESSMENT,
            entries,
            TOTAL_BITS,
            self.candidate.maximum_total(),
            self.themes,
            self.spec.created,
            self.spec.row_totals,
            self.spec.rho,
        )

    def model(self) -> bytes:
        """Return the name of the model that all banks agree to, 32 bytes."""
        return agreed_model(tuple(self.manifest(PartyId(member.party)) for member in self.spec.members))

    def scorecard(
        self, signed: SignedManifest, features: Mapping[PartyId, list[BinnedFeature]], log_odds: NDArray[np.float64]
    ) -> TrainedScorecard:
        """Return the model in the name of the manifest's bank, which holds the banks' own columns as its own."""
        bank = PartyId(signed.manifest.bank)
        candidate = self.candidate
        points = {bank if party == BANKS else party: table for party, table in candidate.points.items()}
        own = Candidate(candidate.coefficients, points, candidate.offset)
        named = {bank if party == BANKS else party: binned for party, binned in features.items()}
        return TrainedScorecard(signed, named, own, own.calibration(), own.nearest_totals(log_odds))
