"""The bank's role in a scorecard run: it decrypts aggregates, fits the model, and never sees a row of a node's data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from protocols.assessment.manifest import (
    Manifest,
    PartEntry,
    SignedManifest,
    verify_manifest_signature,
)
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId, Randomness
from protocols.channel.wire import Message, digest
from protocols.consent import Purpose
from protocols.credit.binning import BinnedFeature, FineHistogram
from protocols.credit.logistic import Moments, first_step, refine
from protocols.errors import UnexpectedMessage, VerificationFailed
from protocols.paillier import OwnerEncryptor, PrivateKey, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.arithmetic import TOTAL_BITS
from protocols.scorecard.candidate import Candidate, Span, check_gram, moments, prune_correlated, restrict
from protocols.scorecard.curvature import column_sums, open_gradient, pack_residuals, residuals, to_curvature
from protocols.scorecard.gram import GramAssembly
from protocols.scorecard.histograms import bin_all, open_histograms, plain_histograms, require_outcomes
from protocols.scorecard.model import BankRows, TrainedScorecard, TrainingPlan
from protocols.scorecard.noise import RunNoise
from protocols.scorecard.products import encrypt_columns, open_products
from protocols.scorecard.releases import TotalsCollection
from protocols.scorecard.rows import WoeColumns, totals
from protocols.scorecard.themes import assign_themes

M = TypeVar("M", bound=Message)
V = TypeVar("V")
Sent = list[Envelope]


class BankTraining:
    """The bank in one run: `start` opens it, `receive` drives it, `result` is set when it is done.

    Raises: MalformedMessage, UnexpectedMessage, VerificationFailed; CreditFederationError with code FIT_DIVERGED.
    """

    def __init__(
        self,
        spec: m.RunSpec,
        channel: Channel,
        paillier: PrivateKey,
        keys: Mapping[PartyId, PublicKey],
        data: BankRows,
        plan: TrainingPlan,
        randomness: Randomness,
    ) -> None:
        self.spec, self._channel, self._paillier, self._keys = spec, channel, paillier, keys
        self._data, self._plan, self._randomness, self._noise = data, plan, randomness, RunNoise.of(spec)
        self._me = channel.keys.party
        self._nodes = [PartyId(node.party) for node in spec.nodes]
        self._domains = {PartyId(node.party): node.domain for node in spec.nodes}
        self._histograms: dict[PartyId, list[FineHistogram]] = {}
        self._features: dict[PartyId, list[BinnedFeature]] = {}
        self._woe_columns: dict[PartyId, int] = {}
        self._own_columns: WoeColumns | None = None
        self._gram: GramAssembly | None = None
        self._moments: Moments | None = None
        self._kept: NDArray[np.intp] = np.empty(0, dtype=np.intp)
        self._candidate: Candidate | None = None
        self._span = Span()
        self._coefficients: NDArray[np.float64] = np.zeros(1)
        self._log_odds: NDArray[np.float64] = np.zeros(0)
        self._collection: TotalsCollection | None = None
        self._residuals: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
        self._gradients: dict[PartyId, list[int]] = {}
        self._manifest: Manifest | None = None
        self._signatures: dict[PartyId, bytes] = {}
        self.result: TrainedScorecard | None = None

    def start(self, labels: m.EncryptedLabels, cohorts: Mapping[PartyId, m.Cohort]) -> Sent:
        """Open the run: announce it, hand out the labels' ciphertexts and, sealed to each node, its cohort."""
        return [
            self._channel.wrap(EVERYONE, self.spec),
            self._channel.wrap(EVERYONE, labels),
            *(self._channel.wrap(node, cohorts[node]) for node in self._nodes),
        ]

    def receive(self, envelope: Envelope) -> Sent:
        """Take one envelope of the run, from a relay that may be hostile; return the envelopes it leads to."""
        handlers: dict[str, Callable[[Envelope], Sent]] = {
            "BinHistograms": self._on_histograms,
            "LocalGram": self._on_local_gram,
            "MaskedProducts": self._on_products,
            "MaskShare": self._on_mask_share,
            "ProductShare": self._on_product_share,
            "MaskedTotals": self._on_totals,
            "CombinedTotals": self._on_combined,
            "GradientShare": self._on_gradient,
            "ManifestSignature": self._on_signature,
        }
        handler = handlers.get(envelope.message)
        if handler is None:
            raise UnexpectedMessage(f"a bank does not take {envelope.message}")
        return handler(envelope)

    # ---- binning, WOE and IV

    def _on_histograms(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.BinHistograms)
        if node in self._histograms:
            raise UnexpectedMessage(f"histograms of {node} were already received")
        domain, k = self._domains[node], self.spec.minimum_bin
        noise, smallest = self._noise.histograms(len(message.features)), self._noise.smallest_count(k)
        histograms = open_histograms(message, domain, self.spec.training_rows, self._paillier, noise, smallest)
        require_outcomes(histograms, self._data.everyone, noise.bound + smallest)
        self._histograms[node] = histograms
        if len(self._histograms) < len(self._nodes):
            return []
        own = plain_histograms(self._data.rows, "bank", self._data.training_bad)
        ordered = {self._me: own} | {node: self._histograms[node] for node in sorted(self._nodes)}
        rules = replace(self._plan.rules, woe_limit=self._noise.woe_limit)
        self._features = bin_all(ordered, self._data.everyone, rules)
        return self._send_woe()

    def _send_woe(self) -> Sent:
        tables = {p: tuple(f.woe if f.selected else None for f in fs) for p, fs in self._features.items()}
        self._own_columns = WoeColumns.build(self._data.rows, self._data.training_rows, tables[self._me])
        self._woe_columns = {party: sum(t is not None for t in table) for party, table in tables.items()}
        self._gram = GramAssembly(self._woe_columns, self.spec.training_rows, self._keys, self._noise)
        plan = tuple(m.ColumnCount(party, columns) for party, columns in self._woe_columns.items())
        sent = [self._channel.wrap(node, m.WoeTables(tables[node], plan)) for node in self._nodes]
        if self._own_columns.count:
            gram = self._own_columns.gram()
            self._gram.put_local(self._me, tuple(int(v) for v in gram[np.triu_indices(len(gram))]))
            if self._gram.evaluators(self._me):
                vector = encrypt_columns(self._own_columns, self._paillier, self._randomness, self._product_bound())
                sent.append(self._channel.wrap(EVERYONE, m.EncryptedColumns(vector)))
        return sent + self._solve_when_ready()

    def _product_bound(self) -> int:
        """Return what two parties together may add to a product in this run."""
        return self._noise.product_bound(self._most_columns())

    def _most_columns(self) -> int:
        return max(self._woe_columns.values())

    # ---- the Gram matrix

    def _on_local_gram(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.LocalGram)
        _require(self._gram).put_local(node, message.entries)
        return self._solve_when_ready()

    def _on_products(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.MaskedProducts)
        columns = _require(self._own_columns).count
        rows = self.spec.training_rows
        share = open_products(
            message.vector,
            columns,
            self._woe_columns[node],
            rows,
            self._paillier,
            self._randomness,
            self._product_bound(),
        )
        _require(self._gram).put_owner_share(self._me, node, share)
        return self._solve_when_ready()

    def _on_mask_share(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.MaskShare)
        _require(self._gram).put_mask_share(PartyId(message.owner), node, message.low_bits)
        return self._solve_when_ready()

    def _on_product_share(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.ProductShare)
        _require(self._gram).put_owner_share(node, PartyId(message.evaluator), message.low_bits)
        return self._solve_when_ready()

    def _solve_when_ready(self) -> Sent:
        gram = _require(self._gram)
        if not gram.complete or self._candidate is not None:
            return []
        everyone = self._data.everyone
        check_gram(self._features, gram.matrix(), self._gram_slack())
        ridge = self._noise.ridge([self._levels(node) for node in self._nodes])
        matrix = gram.matrix() + ridge * np.eye(len(gram.matrix()), dtype=np.int64)
        full = moments(self._features, everyone.total, everyone.good, matrix)
        self._features, self._kept = prune_correlated(self._features, full)
        self._moments = restrict(full, self._kept)
        return self._release(Candidate.build(first_step(self._moments), self._features))

    def _gram_slack(self) -> int:
        """Return how far noise may set an entry of the Gram matrix apart from what the histograms say."""
        noise = self._noise
        counts = max((noise.histograms(len(found)).bound for found in self._histograms.values()), default=0)
        bins = max((len(f.woe) for found in self._features.values() for f in found), default=0)
        smallest = noise.smallest_count(self.spec.minimum_bin)
        return noise.gram_bound(self._most_columns()) + (2 * counts + smallest) * bins * noise.woe_limit**2

    def _levels(self, node: PartyId) -> list[list[int]]:
        """Return the distinct WOE of each column of a node."""
        return [sorted(set(feature.woe)) for feature in self._features[node] if feature.selected]

    # ---- totals and refinement

    def _release(self, candidate: Candidate) -> Sent:
        """Hand each node its part of a candidate, and ask for its totals."""
        release = 0 if self._collection is None else self._collection.release + 1
        self._candidate = candidate
        self._collection = TotalsCollection(release, self._nodes)
        tables = self._tables(candidate, release, m.Rows.ALL)
        return [self._channel.wrap(node, tables[node]) for node in self._nodes]

    def _serve(self, coefficients: NDArray[np.float64]) -> Sent:
        """Hand each node its part of the final model, and all of them the manifest to sign."""
        release = _require(self._collection).release + 1
        self._candidate = final = Candidate.build(coefficients, self._features)
        themes, _ = assign_themes(self._features, final, self._plan.themes, self._me)
        tables = self._tables(final, release, m.Rows.NONE)
        self._manifest = Manifest(
            self._channel.transcript,
            self._me,
            Purpose.ASSESSMENT,
            tuple(
                PartEntry(node.party, node.domain, node.card, digest(tables[PartyId(node.party)]))
                for node in self.spec.nodes
            ),
            TOTAL_BITS,
            final.maximum_total(),
            themes,
            self.spec.created,
            self.spec.row_totals,
            self.spec.rho,
        )
        sent = [self._channel.wrap(node, tables[node]) for node in self._nodes]
        return [*sent, self._channel.wrap(EVERYONE, self._manifest)]

    def _tables(self, candidate: Candidate, release: int, rows: m.Rows) -> dict[PartyId, m.PointTables]:
        _, theme_of = assign_themes(self._features, candidate, self._plan.themes, self._me)
        return {
            node: m.PointTables(
                release,
                rows,
                tuple(map(m.FeaturePoints, candidate.points[node], theme_of[node])),
                self._randomness(32),
            )
            for node in self._nodes
        }

    def _on_totals(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.MaskedTotals)
        _require(self._collection).put_share(node, message.release, message.vector)
        return self._open_totals_when_ready()

    def _on_combined(self, envelope: Envelope) -> Sent:
        message = self._channel.unwrap(envelope, m.CombinedTotals)
        if envelope.sender in self._nodes:
            raise UnexpectedMessage(f"{envelope.sender} is not the coordinator")
        _require(self._collection).put_product(message.release, message.vector)
        return self._open_totals_when_ready()

    def _open_totals_when_ready(self) -> Sent:
        collection = _require(self._collection)
        if not collection.complete:
            return []
        candidate = _require(self._candidate)
        own = totals(self._data.rows, self.spec.rows, candidate.points[self._me])
        self._span.add(candidate, collection.open(self.spec.rows, self._paillier) + own)
        bad = self._data.training_bad
        self._coefficients, self._log_odds = self._span.fit(1 - bad)
        if collection.release == self._plan.refinements:
            return self._serve(self._coefficients)
        self._residuals = residuals(self._log_odds[: len(bad)], bad)
        bound = self._noise.gradient_bound(self._most_columns())
        plaintexts = pack_residuals(*self._residuals, self._paillier.public_key.bits, bound)
        vector = OwnerEncryptor(self._paillier, self._randomness).encrypt(plaintexts)
        self._gradients = {self._me: column_sums(_require(self._own_columns), *self._residuals)}
        sent = [self._channel.wrap(EVERYONE, m.EncryptedResiduals(vector.to_bytes()))]
        return sent + self._refine_when_ready()

    def _on_gradient(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.GradientShare)
        if node in self._gradients or self._residuals is None or not self._woe_columns[node]:
            raise UnexpectedMessage(f"no gradient of {node} is due")
        columns, bound = self._woe_columns[node], self._noise.gradient_bound(self._most_columns())
        self._gradients[node] = open_gradient(message.vector, columns, self.spec.training_rows, self._paillier, bound)
        return self._refine_when_ready()

    def _refine_when_ready(self) -> Sent:
        residual, weight = _require(self._residuals)
        parties = [party for party, columns in self._woe_columns.items() if columns]
        if any(party not in self._gradients for party in parties):
            return []
        floor = 2 * max((self._noise.gradient(self._levels(node))[1].deviation for node in self._nodes), default=0.0)
        sums = [self._gradients[party] for party in parties]
        curvature = to_curvature(sums, residual, weight, floor).restrict(self._kept)
        self._residuals = None
        better = refine(self._coefficients, _require(self._moments), curvature)
        return self._release(Candidate.build(better, self._features))

    # ---- the manifest

    def _on_signature(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.ManifestSignature)
        manifest = _require(self._manifest)
        if message.manifest != manifest.model_hash() or node in self._signatures:
            raise VerificationFailed(f"{node} has signed another manifest, or twice")
        verify_manifest_signature(manifest, self._channel.cards[node], message.signature)
        self._signatures[node] = message.signature
        return self._finish_when_ready()

    def _finish_when_ready(self) -> Sent:
        manifest, candidate = _require(self._manifest), _require(self._candidate)
        if len(self._signatures) < len(self._nodes):
            return []
        signatures = tuple(self._signatures[PartyId(entry.party)] for entry in manifest.nodes)
        signed = SignedManifest(manifest, signatures)
        found = candidate.nearest_totals(self._log_odds)
        self.result = TrainedScorecard(signed, self._features, candidate, candidate.calibration(), found)
        return [
            self._channel.wrap(EVERYONE, signed),
            self._channel.wrap(EVERYONE, m.RunFinished(manifest.model_hash())),
        ]

    def _from_node(self, envelope: Envelope, kind: type[M]) -> tuple[PartyId, M]:
        sender = PartyId(envelope.sender)
        if sender not in self._domains:
            raise UnexpectedMessage(f"{envelope.message} of {sender}, which is no node of this run")
        return sender, self._channel.unwrap(envelope, kind)


def _require(value: V | None) -> V:
    """Return a state that an earlier message must have set. Raises: UnexpectedMessage if it has not."""
    if value is None:
        raise UnexpectedMessage("an earlier message of the run is missing")
    return value
