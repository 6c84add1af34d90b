"""The bank's role in a scorecard run: it decrypts aggregates, fits the model, and never sees a row of a node's data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId, Randomness
from protocols.credit.binning import FineHistogram
from protocols.errors import UnexpectedMessage
from protocols.paillier import OwnerEncryptor, PrivateKey, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.arithmetic import Masking
from protocols.scorecard.bank_role import BankRole, Handlers, Sent
from protocols.scorecard.candidate import Candidate, explain_zeros
from protocols.scorecard.curvature import column_sums, open_gradient, pack_residuals, pair_count
from protocols.scorecard.districts import Districts
from protocols.scorecard.fitting import Fitting
from protocols.scorecard.gathering import GramIntake, HistogramIntake, PooledVectors
from protocols.scorecard.gram import GramAssembly
from protocols.scorecard.histograms import bin_all, open_histograms, plain_histograms, require_outcomes
from protocols.scorecard.model import BankRows, TrainedScorecard, TrainingPlan
from protocols.scorecard.node_role import require
from protocols.scorecard.noise import RunNoise
from protocols.scorecard.products import encrypt_columns, maskings_of, open_products
from protocols.scorecard.releases import TotalsCollection
from protocols.scorecard.rows import WoeColumns, totals
from protocols.scorecard.themes import assign_themes

Residuals = tuple[NDArray[np.int64], NDArray[np.int64]]


class BankTraining(BankRole):
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
        super().__init__(spec, channel)
        self._paillier, self._keys = paillier, keys
        self._data, self._plan, self._randomness, self._noise = data, plan, randomness, RunNoise.of(spec)
        self._nodes = [PartyId(node.party) for node in spec.nodes]
        self._districts = Districts.of(spec)
        self._units = self._districts.units
        self._intake = HistogramIntake(self._districts)
        self._pooled = PooledVectors(self._districts, paillier.public_key)
        self._histograms: dict[PartyId, list[FineHistogram]] = {}
        self._fitting: Fitting | None = None
        self._woe_columns: dict[PartyId, int] = {}
        self._own_columns: WoeColumns | None = None
        self._gram: GramAssembly | None = None
        self._gram_intake: GramIntake | None = None
        self._solved = False
        self._released = 0
        self._candidate: Candidate | None = None
        self._collection: TotalsCollection | None = None
        self._residuals: Residuals | None = None
        self._gradients: dict[PartyId, list[int]] = {}
        self._found: NDArray[np.int64] | None = None
        self.result: TrainedScorecard | None = None

    def _handlers(self) -> Handlers:
        return {
            "BinHistograms": self._on_histograms,
            "LocalGram": self._on_local_gram,
            "MaskedProducts": self._on_products,
            "MaskShare": self._on_mask_share,
            "ProductShare": self._on_product_share,
            "MaskedTotals": self._on_totals,
            "CombinedTotals": self._on_combined,
            "GradientShare": self._on_gradient,
            "DistrictSums": self._on_district_sums,
            "PooledSums": self._on_pooled_sums,
        }

    # ---- binning, WOE and IV

    def _on_histograms(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.BinHistograms)
        unit = self._districts.leads[node]
        return self._take_histograms(unit, self._intake.put_shapes(node, message))

    def _take_histograms(self, node: PartyId, message: m.BinHistograms | None) -> Sent:
        """Open the histograms of one domain; when all are there, bin them and send each node its WOE."""
        if message is None:
            return []
        domain, k = self._domains[node], self.spec.minimum_bin
        noise, smallest = self._noise.histograms(len(message.features)), self._noise.smallest_count(k)
        histograms = open_histograms(message, domain, self.spec.training_rows, self._paillier, noise, smallest)
        require_outcomes(histograms, self._data.everyone, noise.bound + smallest)
        self._histograms[node] = histograms
        if len(self._histograms) < len(self._units):
            return []
        own = plain_histograms(self._data.rows, "bank", self._data.training_bad)
        ordered = {self._me: own} | {unit: self._histograms[unit] for unit in self._units}
        rules = replace(self._plan.rules, woe_limit=self._noise.woe_limit)
        features = bin_all(ordered, self._data.everyone, rules)
        self._fitting = Fitting(features, self._data.training_bad, len(self._units), self._plan.signs)
        return self._send_woe(self._fitting)

    def _send_woe(self, fitting: Fitting) -> Sent:
        tables = {p: tuple(f.woe if f.selected else None for f in fs) for p, fs in fitting.features.items()}
        self._own_columns = WoeColumns.build(self._data.rows, self._data.training_rows, tables[self._me])
        fitting.take_own(self._me, self._own_columns.values())
        self._woe_columns = {party: sum(t is not None for t in table) for party, table in tables.items()}
        rows = self.spec.training_rows
        slack = self._districts.product_slack(rows)
        self._gram = GramAssembly(self._woe_columns, rows, self._keys, self._noise, slack)
        self._gram_intake = GramIntake(self._districts, self._gram, self._maskings)
        if self.spec.row_totals > 1:
            self._collection = TotalsCollection(0, self._nodes)
        unit_of = {self._me: self._me} | self._districts.leads
        plan = tuple(m.ColumnCount(party, self._woe_columns[unit]) for party, unit in unit_of.items())
        sent = [
            self._channel.wrap(node, m.WoeTables(tables[unit_of[node]], plan, *fitting.sums_and_gaps(unit_of[node])))
            for node in self._nodes
        ]
        if self._own_columns.count:
            gram = self._own_columns.gram()
            self._gram.put_local(self._me, tuple(int(v) for v in gram[np.triu_indices(len(gram))]))
            if self._gram.evaluators(self._me):
                vector = encrypt_columns(self._own_columns, self._paillier, self._randomness, self._product_bound())
                sent.append(self._channel.wrap(EVERYONE, m.EncryptedColumns(vector)))
        return sent + self._go_on()

    def _product_bound(self) -> int:
        """Return what two parties together may add to a product in this run."""
        slack = self._districts.product_slack(self.spec.training_rows)
        return self._noise.product_bound(self._most_columns()) + slack

    def _most_columns(self) -> int:
        return max(self._woe_columns.values())

    # ---- the Gram matrix

    def _on_local_gram(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.LocalGram)
        require(self._gram_intake).put_block(node, message.entries)
        return self._go_on()

    def _on_products(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.MaskedProducts)
        columns = require(self._own_columns).count
        rows = self.spec.training_rows
        unit = self._districts.leads[node]
        share = open_products(
            message.vector,
            columns,
            self._woe_columns[unit],
            rows,
            self._paillier,
            self._randomness,
            self._product_bound(),
        )
        require(self._gram_intake).put_owner_share(node, share, self._me, unit)
        return self._go_on()

    def _maskings(self, owner: PartyId, evaluator: PartyId) -> list[Masking]:
        """Return the masking of each product of two parties' columns."""
        columns = self._woe_columns[owner], self._woe_columns[evaluator]
        return maskings_of(*columns, self.spec.training_rows, self._paillier.public_key, self._product_bound())

    def _on_mask_share(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.MaskShare)
        owner = PartyId(message.owner)
        if owner not in self._woe_columns:
            raise UnexpectedMessage(f"{owner} owns no columns of this run")
        require(self._gram_intake).put_mask_share(node, message.low_bits, owner)
        return self._go_on()

    def _on_product_share(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.ProductShare)
        evaluator = PartyId(message.evaluator)
        if evaluator not in self._woe_columns:
            raise UnexpectedMessage(f"{evaluator} multiplies no columns of this run")
        require(self._gram_intake).put_owner_share(node, message.low_bits, self._districts.leads[node], evaluator)
        return self._go_on()

    # ---- totals and gradients

    def _on_totals(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.MaskedTotals)
        require(self._collection).put_share(node, message.release, message.vector)
        return self._go_on()

    def _on_combined(self, envelope: Envelope) -> Sent:
        message = self._channel.unwrap(envelope, m.CombinedTotals)
        if envelope.sender in self._nodes:
            raise UnexpectedMessage(f"{envelope.sender} is not the coordinator")
        require(self._collection).put_product(message.release, message.vector)
        return self._go_on()

    def _on_gradient(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.GradientShare)
        if len(self._districts.members(node)) > 1:
            raise UnexpectedMessage(f"{node} is a district: its gradient goes in shares")
        return self._take_gradient(node, message.vector)

    def _take_gradient(self, node: PartyId, vector: bytes) -> Sent:
        if node in self._gradients or self._residuals is None or not self._woe_columns[node]:
            raise UnexpectedMessage(f"no gradient of {node} is due")
        columns, bound = self._woe_columns[node], self._noise.gradient_bound(self._most_columns())
        rows, pairs = self.spec.training_rows, pair_count(columns, self.spec.rho > 0)
        self._gradients[node] = open_gradient(vector, columns, rows, self._paillier, bound, pairs)
        return self._go_on()

    # ---- districts

    def _on_district_sums(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.DistrictSums)
        if len(self._districts.members(node)) == 1:
            raise UnexpectedMessage(f"{node} is no district")
        unit = self._districts.leads[node]
        return self._take_pooled(message.step, unit, self._pooled.put_share(message.step, unit, node, message.vector))

    def _on_pooled_sums(self, envelope: Envelope) -> Sent:
        message = self._channel.unwrap(envelope, m.PooledSums)
        if envelope.sender in self._nodes:
            raise UnexpectedMessage(f"{envelope.sender} is not the coordinator")
        unit = PartyId(message.lead)
        return self._take_pooled(message.step, unit, self._pooled.put_product(message.step, unit, message.vector))

    def _take_pooled(self, step: str, unit: PartyId, vector: bytes | None) -> Sent:
        """Take a domain's sums, once they are known to be those of its districts' signed shares."""
        if vector is None:
            return []
        if step == "histograms":
            return self._take_histograms(unit, self._intake.put_cells(unit, vector))
        if step != f"gradient/{self._released - 1}":
            raise UnexpectedMessage(f"{step} of {unit} is not due")
        return self._take_gradient(unit, vector)

    # ---- the fit

    def _go_on(self) -> Sent:
        """Take every step for which all is there: the Gram matrix, a release of totals, a gradient."""
        fitting, gram = require(self._fitting), require(self._gram)
        if gram.complete and not self._solved:
            ridge = self._noise.ridge([self._levels(unit) for unit in self._units])
            fitting.take_gram(gram.matrix(), self._gram_slack(), ridge)
            self._solved = True
        if self._collection is not None:
            return self._open_totals(fitting, gram, self._collection) if self._collection.complete else []
        if not self._solved or self._found is not None:
            return []
        if self._residuals is None:
            return self._release(fitting.first())
        return self._refine(fitting, *self._residuals)

    def _gram_slack(self) -> int:
        """Return how far noise may set an entry of the Gram matrix apart from what the histograms say."""
        noise = self._noise
        counts = max((noise.histograms(len(found)).bound for found in self._histograms.values()), default=0)
        bins = max((len(f.woe) for found in require(self._fitting).features.values() for f in found), default=0)
        smallest = noise.smallest_count(self.spec.minimum_bin)
        return noise.gram_bound(self._most_columns()) + (2 * counts + smallest) * bins * noise.woe_limit**2

    def _levels(self, node: PartyId) -> list[list[int]]:
        """Return the distinct WOE of each column of a node."""
        return [sorted(set(feature.woe)) for feature in require(self._fitting).features[node] if feature.selected]

    def _open_totals(self, fitting: Fitting, gram: GramAssembly, collection: TotalsCollection) -> Sent:
        """Open a release; ask for the gradient there, or, after the last one, hold the model ready."""
        if self._candidate is None:
            if not gram.local_complete:
                return []
            self._candidate = fitting.start(gram.blocks())
        own = totals(self._data.rows, self.spec.rows, self._candidate.points[self._me])
        found = collection.open(self.spec.rows, self._paillier) + own
        self._collection, self._released = None, collection.release + 1
        if self._signatures is not None:
            self._found = found
            return self._finish_when_ready()
        self._residuals = fitting.take_totals(self._candidate, found)
        bound = self._noise.gradient_bound(self._most_columns())
        plaintexts = pack_residuals(*self._residuals, self._paillier.public_key.bits, bound)
        vector = OwnerEncryptor(self._paillier, self._randomness).encrypt(plaintexts)
        own_columns = require(self._own_columns)
        pairs = pair_count(own_columns.count, self.spec.rho > 0) > 0
        self._gradients = {self._me: column_sums(own_columns, *self._residuals, pairs=pairs)}
        sent = [self._channel.wrap(EVERYONE, m.EncryptedResiduals(vector.to_bytes()))]
        return sent + self._go_on()

    def _refine(self, fitting: Fitting, residual: NDArray[np.int64], weight: NDArray[np.int64]) -> Sent:
        parties = [party for party, columns in self._woe_columns.items() if columns]
        if any(party not in self._gradients for party in parties):
            return []
        self._residuals = None
        floor = 2 * max((self._noise.gradient(self._levels(node))[1].deviation for node in self._units), default=0.0)
        sums = [self._gradients[party] for party in parties]
        return self._release(fitting.refine(sums, residual, weight, floor))

    def _release(self, candidate: Candidate) -> Sent:
        """Hand each node its part of a candidate and ask for its totals; with the last one, the manifest to sign."""
        self._candidate, self._collection = candidate, TotalsCollection(self._released, self._nodes)
        features = require(self._fitting).features
        themes, theme_of = assign_themes(features, candidate, self._plan.themes, self._me)
        tables = {
            node: m.PointTables(
                self._released,
                m.Rows.ALL,
                tuple(map(m.FeaturePoints, candidate.points[unit], theme_of[unit])),
                self._randomness(32),
            )
            for node, unit in self._districts.leads.items()
        }
        if self._plan.is_last(require(self._fitting).moved):
            return self._propose(tables, candidate.maximum_total(), themes)
        return [self._channel.wrap(node, tables[node]) for node in self._nodes]

    def _finish_when_ready(self) -> Sent:
        signed = require(self._signatures).signed
        if signed is None or self._found is None:
            return []
        fitting = require(self._fitting)
        calibration = fitting.calibrate(self._found)
        candidate = require(self._candidate)
        features = explain_zeros(fitting.features, candidate)
        self.result = TrainedScorecard(signed, features, candidate, calibration, self._found, fitting.moved)
        return self._close(signed)
