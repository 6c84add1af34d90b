"""The data node's role in a boosting run: it grows trees on its own rows, and sends only what the messages allow.

Every step that reveals something asks the node's `Site` first. The bank decides which splits are made; the node
refuses one that would set fewer enterprises apart than the run's minimum, and points for a tree that it has not grown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from protocols.boosting import messages as b
from protocols.boosting.admission import check_boosting
from protocols.boosting.arithmetic import gradient_packing, to_log_odds
from protocols.boosting.noise import TreeNoise
from protocols.boosting.offer import offer_features
from protocols.boosting.partition import Summary, TurnPartition
from protocols.boosting.rows import EncryptedRows, Weighing
from protocols.boosting.totals import honest_totals
from protocols.boosting.trees import Level, PointedTree, Tree, fits, leaf_count
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import Randomness
from protocols.errors import MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.paillier import CiphertextVector, PublicKey
from protocols.privacy import NO_NOISE, Noise
from protocols.scorecard import messages as m
from protocols.scorecard.arithmetic import TOTAL_BITS, histogram_packing, masked_sums
from protocols.scorecard.histograms import noisy_shapes
from protocols.scorecard.node_role import Handlers, NodeRole, Sent, Site, require
from protocols.scorecard.releases import mask_totals
from protocols.scorecard.rows import BinnedRows


class NodeBoosting(NodeRole):
    """One data node in one run. `receive` takes a verified-on-entry envelope and returns what to send.

    Raises: MalformedMessage, UnexpectedMessage, VerificationFailed, PolicyDenied, BudgetExceeded.
    """

    spec: b.BoostingSpec

    def __init__(
        self, spec: b.BoostingSpec, channel: Channel, bank_key: PublicKey, site: Site, randomness: Randomness
    ) -> None:
        check_boosting(spec, channel.cards)
        super().__init__(spec, channel, bank_key, site, randomness)
        self._noise = TreeNoise.of(spec)
        self._packing = gradient_packing(spec.training_rows, bank_key.bits)
        self._rows: BinnedRows | None = None
        self._turn, self._step, self._level = 0, 0, -1  # level −1: no step is open
        self._partition: TurnPartition | None = None
        self._gradients: EncryptedRows | None = None
        self._grown: set[Tree] = set()
        self._leaves: tuple[int, ...] = ()
        self._leaf_noise: Noise = NO_NOISE
        self._releases = 0

    def _handlers(self) -> Handlers:
        return {
            "Gradients": self._on_gradients,
            "StepOpening": self._on_opening,
            "Growth": self._on_growth,
            "StepClosing": self._on_closing,
            "TreeTables": self._on_tables,
        }

    # ---- cohort and features

    def _begin(self, labels: CiphertextVector, rows: BinnedRows) -> Sent:
        self._site.release(self.spec, "FeatureHistograms", m.LeakClass.AGGREGATE)
        self._rows = rows
        bits, count = self._bank_key.bits, len(rows.features)
        self._packing = gradient_packing(len(labels), bits, self._noise.bound(count))
        self._open_turn(labels)
        features, groups, cells = offer_features(rows, self.spec, labels)
        noise = self._noise.histograms(count)
        features, added = noisy_shapes(features, noise, self._randomness)
        sums = masked_sums(cells, histogram_packing(len(labels), bits, noise.bound), self._randomness, noise=added)
        special = tuple(feature.special for feature in rows.features)
        return [self._channel.wrap(self._bank, b.FeatureHistograms(features, groups, special, sums.to_bytes()))]

    # ---- a turn

    def _on_gradients(self, envelope: Envelope) -> Sent:
        message = self._from_bank(envelope, b.Gradients)
        if message.turn != self._turn or not self._turn or self._gradients is not None:
            raise UnexpectedMessage(f"gradients of turn {message.turn} are not due")
        self._mark("Gradients", hashlib.sha256(message.vector).hexdigest())
        self._open_turn(self._rows_vector(message.vector, "gradients"))
        return []

    def _open_turn(self, vector: CiphertextVector) -> None:
        spec, rows = self.spec, require(self._rows)
        folds = spec.folds_of(self._turn)
        first, noisy = self._turn == 0, spec.rho > 0
        self._partition = TurnPartition(rows, spec.training_rows, folds, spec.minimum_bin, first, noisy)
        self._gradients = EncryptedRows(vector.prepared(), self._packing)
        self._step, self._level = 0, -1

    def _on_opening(self, envelope: Envelope) -> Sent:
        message, rows = self._from_bank(envelope, b.StepOpening), require(self._rows)
        partition, _ = require(self._partition), require(self._gradients)
        steps = self.spec.steps[self._turn]
        if (message.turn, message.step) != (self._turn, self._step) or self._level >= 0 or self._step >= steps:
            raise UnexpectedMessage(f"step {message.step} of turn {message.turn} is not due")
        usable = all(f and f == tuple(sorted(set(f))) and f[-1] < len(rows.features) for f in message.features)
        if len(message.features) != self.spec.group or not usable:
            raise MalformedMessage("the trees of a step do not match this node's features")
        self._level, self._leaves = 0, (1,) * self.spec.group
        self._leaf_noise = self._noise.leaves([len(features) for features in message.features])
        return self._histograms(partition.open_step(message.features, to_log_odds(message.base)))

    def _on_growth(self, envelope: Envelope) -> Sent:
        message = self._from_bank(envelope, b.Growth)
        due = (self._turn, self._step, self._level + 1)
        if (message.turn, message.step, message.level) != due or self._level < 0 or due[2] >= self.spec.depth:
            raise UnexpectedMessage(f"level {message.level} of step {message.step} is not due")
        self._check_splits(message.splits)
        if not any(split is not None for level in message.splits for split in level):
            raise MalformedMessage("no leaf splits")
        self._level += 1
        return self._histograms(require(self._partition).grow(message.splits))

    def _histograms(self, summary: Summary) -> Sent:
        where = f"{self._turn}.{self._step}.{self._level}"
        self._site.release(self.spec, f"LeafHistograms/{where}", m.LeakClass.AGGREGATE)
        gradients, adjustment = require(self._gradients), require(self._partition).adjustment
        sums = CiphertextVector.concat([gradients.cells(cells, adjustment) for cells in summary.cells])
        added = self._leaf_noise.draw(2 * len(sums), self._randomness)
        message = b.LeafHistograms(self._turn, self._step, self._level, summary.shapes, self._masked(sums, added))
        return [self._channel.wrap(self._bank, message)]

    def _on_closing(self, envelope: Envelope) -> Sent:
        message, partition = self._from_bank(envelope, b.StepClosing), require(self._partition)
        if (message.turn, message.step) != (self._turn, self._step) or self._level < 0:
            raise UnexpectedMessage(f"the end of step {message.step} is not due")
        self._check_splits(message.splits)
        leaves = [leaf_count(level) for level in message.splits]
        if [len(p) for p in message.points] != leaves or [len(d) for d in message.decrements] != leaves:
            raise MalformedMessage("points or decrements do not match the leaves")
        weighing = partition.close_step(message.splits, message.points, message.decrements)
        self._grown |= set(partition.trees)
        sent = self._gain(weighing)
        partition.settle()
        self._step, self._level = self._step + 1, -1
        return sent

    def _gain(self, weighing: Weighing) -> Sent:
        if self.spec.folds_of(self._turn) == 1:
            return []
        self._site.release(self.spec, f"ValidationGain/{self._turn}.{self._step}", m.LeakClass.AGGREGATE)
        adjustment = require(self._partition).adjustment
        sums = require(self._gradients).weighted(weighing, adjustment)
        added = [extra for noise in self._noise.gain() for extra in noise.draw(2, self._randomness)]
        message = b.ValidationGain(self._turn, self._step, self._masked(sums, added))
        return [self._channel.wrap(self._bank, message)]

    def _masked(self, sums: CiphertextVector, noise: Sequence[int]) -> bytes:
        return masked_sums(sums, self._packing, self._randomness, filled=2, noise=noise).to_bytes()

    def _check_splits(self, splits: Sequence[Level]) -> None:
        """Raises: MalformedMessage if they are not one for each leaf of each tree that is growing."""
        bins = require(self._rows).fine_bins()
        if tuple(len(level) for level in splits) != self._leaves or not all(fits(level, bins) for level in splits):
            raise MalformedMessage("splits do not match the leaves of this step")
        self._leaves = tuple(leaf_count(level) for level in splits)

    # ---- totals

    def _on_tables(self, envelope: Envelope) -> Sent:
        tables, rows = self._from_bank(envelope, b.TreeTables), require(self._rows)
        final = tables.rows is m.Rows.NONE
        if tables.release != self._releases or self._final is not None:
            raise UnexpectedMessage(f"release {tables.release} of totals is not due")
        if not final and (self._gradients is None or self._releases >= self.spec.row_totals):
            raise UnexpectedMessage(f"release {tables.release} of totals is not due")
        self._check_tables(tables)
        if final:
            self._final = tables
            return []
        self._site.release(self.spec, f"MaskedTotals/{tables.release}", m.LeakClass.ROW_TOTALS)
        trees = [PointedTree(tree, f.points) for tree, f in zip(tables.trees, tables.features, strict=True)]
        folds = self.spec.folds_of(self._turn)
        total = honest_totals(trees, rows, self.spec.rows, self.spec.training_rows, folds)
        self._releases, self._turn, self._level = self._releases + 1, self._turn + 1, -1
        self._gradients, self._partition = None, None
        told = f"totals/{tables.release}/{tables.rows}/{self._cohort_name}"
        nodes = [node.party for node in self.spec.nodes]
        masked = mask_totals(self._channel, nodes, self._bank_key, told, total.tolist(), self._randomness)
        return [self._channel.wrap(self._bank, m.MaskedTotals(tables.release, masked), sealed=False)]

    def _check_tables(self, tables: b.TreeTables) -> None:
        """Raises: VerificationFailed for a tree that was not grown here; MalformedMessage for points out of range."""
        if any(tree not in self._grown for tree in tables.trees):
            raise VerificationFailed("points for a tree that this node has not grown", code="FOREIGN_TREE")
        if [len(leaves.points) for leaves in tables.features] != [tree.leaves for tree in tables.trees]:
            raise MalformedMessage("points do not match the leaves of their trees")
        folds, most = self.spec.folds_of(self._turn), [max(leaves.points) for leaves in tables.features]
        highest = max(folds * sum(most[fold::folds]) for fold in range(folds))
        if highest * len(self.spec.nodes) >= 1 << TOTAL_BITS:
            raise MalformedMessage(f"totals over {len(self.spec.nodes)} nodes would exceed {TOTAL_BITS} bits")
