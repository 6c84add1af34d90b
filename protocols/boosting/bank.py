"""The bank's role in a boosting run: it decrypts sums, decides how trees grow, and sees no row of a node's data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from protocols.boosting import messages as b
from protocols.boosting.arithmetic import gradient_packing, pack_gradients
from protocols.boosting.growth import Closing, Deepening, Grower, Order
from protocols.boosting.model import BoostingPlan, ServedModel, TrainedBoosting
from protocols.boosting.noise import TreeNoise
from protocols.boosting.offer import open_offer
from protocols.boosting.report import report_features
from protocols.boosting.splits import Shape
from protocols.boosting.stages import as_offset_points
from protocols.boosting.themes import TreeThemes
from protocols.boosting.totals import offsets
from protocols.boosting.turns import Turns
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId, Randomness
from protocols.channel.wire import Message
from protocols.credit.binning import FineHistogram
from protocols.credit.woe import Outcomes
from protocols.errors import UnexpectedMessage
from protocols.paillier import CiphertextVector, OwnerEncryptor, Packing, PrivateKey, decrypt
from protocols.scorecard import messages as m
from protocols.scorecard.arithmetic import unmask_sums
from protocols.scorecard.bank_role import BankRole, Handlers, Sent
from protocols.scorecard.histograms import plain_histograms, require_outcomes
from protocols.scorecard.model import BankRows
from protocols.scorecard.node_role import require
from protocols.scorecard.releases import TotalsCollection


class BankBoosting(BankRole):
    """The bank in one run: `start` opens it, `receive` drives it, `result` is set when it is done.

    Raises: MalformedMessage, UnexpectedMessage, VerificationFailed; CreditFederationError with code FIT_DIVERGED.
    """

    spec: b.BoostingSpec

    def __init__(
        self,
        spec: b.BoostingSpec,
        channel: Channel,
        paillier: PrivateKey,
        data: BankRows,
        plan: BoostingPlan,
        randomness: Randomness,
    ) -> None:
        super().__init__(spec, channel)
        self._paillier, self._data, self._plan, self._randomness = paillier, data, plan, randomness
        self._noise = TreeNoise.of(spec)
        self._packings: dict[PartyId, Packing] = {}
        self._shapes: dict[PartyId, list[Shape]] = {}
        self._histograms: dict[PartyId, list[FineHistogram]] = {}
        self._turns = Turns(self._me, data, plan, spec.minimum_bin)
        self._turn, self._growers = 0, dict[PartyId, Grower]()
        self._collection: TotalsCollection | None = None
        self._offset = np.zeros(spec.rows, dtype=np.int64)
        self._served: ServedModel | None = None
        self.result: TrainedBoosting | None = None

    def _handlers(self) -> Handlers:
        return {
            "FeatureHistograms": self._on_offer,
            "LeafHistograms": self._on_histograms,
            "ValidationGain": self._on_gain,
            "MaskedTotals": self._on_totals,
            "CombinedTotals": self._on_combined,
        }

    # ---- features

    def _on_offer(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, b.FeatureHistograms)
        if node in self._shapes:
            raise UnexpectedMessage(f"features of {node} were already received")
        fitted, count = self._fitted(), len(message.features)
        noise, smallest = self._noise.histograms(count), self._noise.smallest_count(self.spec.minimum_bin)
        shapes, histograms = open_offer(
            message, self._domains[node], fitted.total, self._paillier, self._plan.signs, noise, smallest
        )
        require_outcomes(histograms, fitted, noise.bound + smallest)
        self._packings[node] = gradient_packing(fitted.total, self.spec.key_bits, self._noise.bound(count))
        self._shapes[node], self._histograms[node] = shapes, histograms
        return self._open_turn() if len(self._shapes) == len(self._domains) else []

    def _fitted(self) -> Outcomes:
        """Return the outcomes of the training rows."""
        bad = int(self._data.training_bad.sum())
        return Outcomes(self.spec.training_rows - bad, bad)

    # ---- a turn

    def _open_turn(self) -> Sent:
        turn, sent = self._turn, Sent()
        if turn:
            packing = gradient_packing(self.spec.training_rows, self.spec.key_bits)  # noise is of the first turn alone
            plaintexts = pack_gradients(*self._turns.ensemble.gradients(), packing)
            vector = OwnerEncryptor(self._paillier, self._randomness).encrypt(plaintexts)
            sent.append(self._channel.wrap(EVERYONE, b.Gradients(turn, vector.to_bytes())))
        self._growers = {node: self._turns.grower(node, turn, shapes) for node, shapes in self._shapes.items()}
        for node, grower in self._growers.items():
            sent += self._orders(node, grower.start())
        return sent + self._close_turn_when_ready()

    def _orders(self, node: PartyId, orders: list[Order]) -> Sent:
        return [self._channel.wrap(node, self._message(order)) for order in orders]

    def _message(self, order: Order) -> Message:
        if isinstance(order, Closing):
            return b.StepClosing(self._turn, order.step, order.splits, order.points, order.decrements)
        if isinstance(order, Deepening):
            return b.Growth(self._turn, order.step, order.level, order.splits)
        base = 0 if self._turn else self._turns.ensemble.base
        return b.StepOpening(self._turn, order.step, base, order.features)

    def _on_histograms(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, b.LeafHistograms)
        grower = self._grower(node, message.turn)
        if grower.finished:
            return []  # the answer to a step that was opened before the last gain was known
        if (message.step, message.level) != grower.due():
            raise UnexpectedMessage(f"sums of step {message.step}, level {message.level} of {node} are not due")
        sums = self._open_sums(node, message.vector, grower.expected(message.leaves))
        return self._orders(node, grower.take(message.leaves, sums)) + self._close_turn_when_ready()

    def _on_gain(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, b.ValidationGain)
        grower = self._grower(node, message.turn)
        if message.step != grower.gains_due():
            raise UnexpectedMessage(f"the gain of step {message.step} of {node} is not due")
        grower.take_gain(self._open_sums(node, message.vector, 2))
        return self._close_turn_when_ready()

    def _grower(self, node: PartyId, turn: int) -> Grower:
        if turn != self._turn or node not in self._growers:
            raise UnexpectedMessage(f"nothing of turn {turn} of {node} is due")
        return self._growers[node]

    def _open_sums(self, node: PartyId, vector: bytes, cells: int) -> NDArray[np.int64]:
        """Return residual and curvature of each cell of a node. Shapes: (cells, 2)."""
        key = self._paillier.public_key
        plain = decrypt(self._paillier, CiphertextVector.from_bytes(key, vector))
        return np.array(unmask_sums(plain, self._packings[node], key, 2 * cells), dtype=np.int64).reshape(-1, 2)

    def _close_turn_when_ready(self) -> Sent:
        if not all(grower.finished for grower in self._growers.values()) or self._collection is not None:
            return []
        self._collection = TotalsCollection(self._turn, [*self._domains])
        self._offset = np.zeros(self.spec.rows, dtype=np.int64)
        sent, folds = Sent(), self.spec.folds_of(self._turn)
        for node, grower in self._growers.items():
            points, lowest = as_offset_points(grower.trees)
            self._offset += offsets(lowest, self.spec.rows, self.spec.training_rows, folds)
            trees = tuple(tree.tree for tree in grower.trees)
            features = tuple(m.FeaturePoints(leaves) for leaves in points)
            tables = b.TreeTables(self._turn, m.Rows.ALL, features, self._randomness(32), trees)
            sent.append(self._channel.wrap(node, tables))
        return sent

    # ---- totals

    def _on_totals(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.MaskedTotals)
        require(self._collection).put_share(node, message.release, message.vector)
        return self._weigh_when_ready()

    def _on_combined(self, envelope: Envelope) -> Sent:
        message = self._channel.unwrap(envelope, m.CombinedTotals)
        if envelope.sender in self._domains:
            raise UnexpectedMessage(f"{envelope.sender} is not the coordinator")
        require(self._collection).put_product(message.release, message.vector)
        return self._weigh_when_ready()

    def _weigh_when_ready(self) -> Sent:
        collection, turn, spec = require(self._collection), self._turn, self.spec
        if not collection.complete:
            return []
        points = collection.open(spec.rows, self._paillier) + self._offset
        self._turns.close(turn, {node: grower.trees for node, grower in self._growers.items()}, points)
        self._collection, self._growers, self._turn = None, {}, turn + 1
        return self._serve() if self._turn == len(spec.steps) else self._open_turn()

    # ---- the manifest

    def _serve(self) -> Sent:
        """Hand each node its part of the final model, and all of them the manifest to sign."""
        self._turns.ensemble.settle()
        parties = [self._me, *sorted(self._domains)]
        own = plain_histograms(self._data.rows, "bank", self._data.training_bad)
        names = {p: [(h.domain, h.name) for h in hs] for p, hs in ({self._me: own} | self._histograms).items()}
        self._served = model = self._turns.ensemble.serve(parties, TreeThemes(self._me, names, self._plan.themes))
        tables = {node: self._final_tables(model, node) for node in self._domains}
        return self._propose(tables, model.maximum_total(), model.themes)

    def _final_tables(self, model: ServedModel, node: PartyId) -> b.TreeTables:
        trees = model.trees[node]
        features = tuple(m.FeaturePoints(tree.points, tree.theme) for tree in trees)
        return b.TreeTables(self._turn, m.Rows.NONE, features, self._randomness(32), tuple(t.tree for t in trees))

    def _finish_when_ready(self) -> Sent:
        signed = require(self._signatures).signed
        if signed is None:
            return []
        model = require(self._served)
        fitted = dict.fromkeys(self._domains, self._fitted()) | {self._me: self._data.everyone}
        own = plain_histograms(self._data.rows, "bank", self._data.training_bad)
        ordered = {self._me: own} | {node: self._histograms[node] for node in sorted(self._domains)}
        features = report_features(ordered, fitted, model, self._plan.rules)
        found = model.nearest_totals(self._turns.ensemble.log_odds)
        self.result = TrainedBoosting(signed, features, model, model.calibration(), found)
        return self._close(signed)
