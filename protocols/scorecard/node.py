"""The data node's role in a scorecard run: it computes on its own rows, and sends only what the messages allow.

Every step that reveals something asks the node's `Site` first; the site owns data, policy and ledger, and says no by
raising. The role accepts each message once, in the order of the protocol.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId, Randomness
from protocols.channel.wire import digest
from protocols.errors import MalformedMessage, UnexpectedMessage
from protocols.paillier import CiphertextVector, Packing, PrivateKey, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.admission import check_plan, check_spec
from protocols.scorecard.arithmetic import (
    TOTAL_BITS,
    Masking,
    gradient_packing,
    histogram_packing,
    masked_sums,
)
from protocols.scorecard.curvature import pair_count
from protocols.scorecard.districts import Districts
from protocols.scorecard.gathering import Gathering
from protocols.scorecard.histograms import noisy_shapes
from protocols.scorecard.node_role import Handlers, NodeRole, Sent, Site, require
from protocols.scorecard.noise import RunNoise
from protocols.scorecard.products import (
    add_low_bits,
    encrypt_columns,
    maskings_of,
    multiply_columns,
    open_products,
    weigh_bins,
    weigh_pairs,
)
from protocols.scorecard.releases import mask_totals
from protocols.scorecard.rows import BinnedRows, WoeColumns, totals
from protocols.scorecard.start import start_points, start_weights


class NodeTraining(NodeRole):
    """One data node in one run. `receive` takes a verified-on-entry envelope and returns what to send.

    Raises: MalformedMessage, UnexpectedMessage, VerificationFailed, PolicyDenied, BudgetExceeded.
    """

    def __init__(
        self,
        spec: m.RunSpec,
        channel: Channel,
        paillier: PrivateKey,
        keys: dict[PartyId, PublicKey],
        site: Site,
        randomness: Randomness,
    ) -> None:
        check_spec(spec, channel.cards)
        super().__init__(spec, channel, keys[PartyId(spec.bank)], site, randomness)
        self._paillier, self._keys, self._noise = paillier, keys, RunNoise.of(spec)
        self._districts = Districts.of(spec)
        self._order = self._districts.order(spec.bank)
        self._rows: BinnedRows | None = None
        self._columns: WoeColumns | None = None
        self._woe: m.WoeTables | None = None
        self._plan: dict[PartyId, int] = {}
        self._released = 0
        self._masks: Gathering[tuple[bytes, ...]] = Gathering(self._districts)
        self._products: Gathering[tuple[bytes, ...]] = Gathering(self._districts)

    def _handlers(self) -> Handlers:
        return {
            "WoeTables": self._on_woe,
            "EncryptedColumns": self._on_columns,
            "MaskedProducts": self._on_products,
            "PointTables": self._on_tables,
            "EncryptedResiduals": self._on_residuals,
        }

    # ---- 5.2: histograms

    def _begin(self, labels: CiphertextVector, rows: BinnedRows) -> Sent:
        self._require_large_bins(rows)
        self._site.release(self.spec, "BinHistograms", m.LeakClass.AGGREGATE)
        cells = CiphertextVector.concat(self._cells(labels, rows))
        self._rows = rows
        return self._send_histograms(rows, cells)

    def _send_histograms(self, rows: BinnedRows, cells: CiphertextVector) -> Sent:
        noise = self._noise.histograms(len(rows.features))
        shapes, added = noisy_shapes(rows.features, noise, self._randomness)
        packing = histogram_packing(self.spec.training_rows, self._bank_key.bits, noise.bound)
        sums = masked_sums(cells, packing, self._randomness, noise=added)
        return [self._channel.wrap(self._bank, m.BinHistograms(shapes, sums.to_bytes()))]

    def _cells(self, labels: CiphertextVector, rows: BinnedRows) -> list[CiphertextVector]:
        """Return the encrypted number of defaults in each fine bin, feature by feature."""
        return labels.histograms(rows.codes[: len(labels)], rows.fine_bins())

    def _require_large_bins(self, rows: BinnedRows) -> None:
        """Refuse, as a last line of defence, to count fewer enterprises than the run's minimum in any bin."""
        counts = [count for feature in rows.features for count in feature.counts]
        if any(0 < count < self.spec.minimum_bin for count in counts):
            raise ValueError(f"a bin holds fewer than {self.spec.minimum_bin} enterprises")

    # ---- 5.3: the Gram matrix

    def _on_woe(self, envelope: Envelope) -> Sent:
        message = self._once(envelope, m.WoeTables)
        rows = require(self._rows)
        shapes = [len(table) for table in message.features if table is not None]
        due = [n for n, table in zip(rows.fine_bins(), message.features, strict=False) if table is not None]
        told = len(message.sums) == len(message.gaps) == len(due)
        if len(message.features) != len(rows.features) or shapes != due or not told:
            raise MalformedMessage("WOE tables do not match the features of this node")
        columns = WoeColumns.build(rows, self.spec.training_rows, message.features)
        plan = {PartyId(entry.party): entry.columns for entry in message.plan}
        if set(plan) != set(self._order) or plan[self._me] != columns.count:
            raise MalformedMessage("the plan of columns does not match the run")
        check_plan(self.spec, plan)
        if any(abs(woe) > self._noise.woe_limit for levels in columns.levels for woe in levels):
            raise MalformedMessage(f"a WOE exceeds {self._noise.woe_limit}, the limit of this run")
        columns = self._as_added(columns, message.features)
        if columns.count:
            self._site.release(self.spec, "LocalGram", m.LeakClass.AGGREGATE)
        self._columns, self._plan, self._woe = columns, plan, message
        upper = self._noisy_gram(columns) if columns.count else ()
        return self._local_gram(columns, upper) + self._start(upper)

    def _as_added(self, columns: WoeColumns, tables: Sequence[tuple[int, ...] | None]) -> WoeColumns:
        """Return the columns as this node adds them to the sums of its domain."""
        return columns

    def _noisy_gram(self, columns: WoeColumns) -> tuple[int, ...]:
        """Return XᵀX of the own columns as the bank will know it, upper triangle by rows."""
        entries = columns.gram()[np.triu_indices(columns.count)].tolist()
        added = self._noise.local_gram(columns.levels).draw(len(entries), self._randomness)
        return tuple(entry + noise for entry, noise in zip(entries, added, strict=True))

    def _local_gram(self, columns: WoeColumns, upper: tuple[int, ...]) -> Sent:
        if not columns.count:
            return []
        sent = [self._channel.wrap(self._bank, m.LocalGram(upper))]
        if self._evaluators(self._me):
            vector = encrypt_columns(columns, self._paillier, self._randomness, self._product_bound())
            sent.append(self._channel.wrap(EVERYONE, m.EncryptedColumns(vector)))
        return sent

    def _product_bound(self) -> int:
        """Return what two parties together may add to a product in this run."""
        slack = self._districts.product_slack(self.spec.training_rows)
        return self._noise.product_bound(max(self._plan.values())) + slack

    def _evaluators(self, owner: PartyId) -> list[PartyId]:
        """Return who multiplies the owner's columns: all later parties of other domains that have columns."""
        own = () if owner == self._bank else self._districts.members(owner)
        return [p for p in self._order[self._order.index(owner) + 1 :] if self._plan[p] and p not in own]

    def _on_columns(self, envelope: Envelope) -> Sent:
        owner = PartyId(envelope.sender)
        columns = require(self._columns)
        earlier = self._order[: self._order.index(self._me)]
        if owner not in earlier or not self._plan[owner] or owner in self._districts.members(self._me):
            raise UnexpectedMessage(f"columns of {owner} are not for this node")
        message = self._once(envelope, m.EncryptedColumns, sender=owner)
        if not columns.count:
            return []
        self._site.release(self.spec, f"MaskedProducts/{owner}", m.LeakClass.AGGREGATE)
        products, masks = multiply_columns(
            message.vector,
            self._plan[owner],
            self._keys[owner],
            columns,
            self._randomness,
            self._product_bound(),
            self._noise.products(columns.levels, self._plan[owner]),
        )
        sent = [self._channel.wrap(owner, m.MaskedProducts(products))]
        shares = [masks] if owner == self._bank else self._masks.put("masks", owner, masks)
        if shares is not None:
            lead = owner if owner == self._bank else self._districts.leads[owner]
            hidden = self._hidden(f"masks/{lead}", shares, self._plan[owner], columns.count)
            sent.append(self._channel.wrap(self._bank, m.MaskShare(lead, hidden)))
        return sent

    def _hidden(
        self, step: str, shares: list[tuple[bytes, ...]], owner_columns: int, evaluator_columns: int
    ) -> tuple[bytes, ...]:
        """Return the sum of a domain's shares of products, as this node tells it to the bank."""
        return shares[0] if len(shares) == 1 else add_low_bits(shares, self._maskings(owner_columns, evaluator_columns))

    def _maskings(self, owner_columns: int, evaluator_columns: int) -> list[Masking]:
        rows, key = self.spec.training_rows, self._bank_key
        return maskings_of(owner_columns, evaluator_columns, rows, key, self._product_bound())

    def _on_products(self, envelope: Envelope) -> Sent:
        evaluator = PartyId(envelope.sender)
        columns = require(self._columns)
        if evaluator not in self._evaluators(self._me) or not columns.count:
            raise UnexpectedMessage(f"{evaluator} does not multiply this node's columns")
        message = self._once(envelope, m.MaskedProducts, sender=evaluator)
        self._site.release(self.spec, f"ProductShare/{evaluator}", m.LeakClass.AGGREGATE)
        share = open_products(
            message.vector,
            columns.count,
            self._plan[evaluator],
            self.spec.training_rows,
            self._paillier,
            self._randomness,
            self._product_bound(),
            self._noise.products(columns.levels, self._plan[evaluator]),
        )
        shares = self._products.put("products", evaluator, share)
        if shares is None:
            return []
        lead = self._districts.leads[evaluator]
        hidden = self._hidden(f"products/{lead}", shares, columns.count, self._plan[evaluator])
        return [self._channel.wrap(self._bank, m.ProductShare(lead, hidden))]

    # ---- totals and refinement

    def _start(self, upper: tuple[int, ...]) -> Sent:
        """Release the totals of this node's own weights, if the run has a release to spare for them.

        They follow from what the node has sent and the bank has said, noise and all: so the bank knows them too.
        """
        if self.spec.row_totals < 2:
            return []
        message, rows = require(self._woe), self.spec.training_rows
        tables = [table for table in message.features if table is not None]
        gram, parties = np.zeros((len(tables), len(tables)), dtype=np.int64), len(self._districts.units) + 1
        gram[np.triu_indices(len(tables))] = upper
        whole = np.triu(gram) + np.triu(gram, 1).T
        weights = iter(start_weights(whole, message.sums, message.gaps, rows, tables, parties))
        bins = require(self._rows).fine_bins()
        points = [
            (0,) * count if table is None else start_points(next(weights), table)
            for count, table in zip(bins, message.features, strict=True)
        ]
        return self._release(points)

    def _on_tables(self, envelope: Envelope) -> Sent:
        tables = self._from_bank(envelope, m.PointTables)
        rows = require(self._rows)
        require(self._columns)
        if tables.release != self._released or self._released >= self.spec.row_totals or tables.rows is m.Rows.NONE:
            raise UnexpectedMessage(f"release {tables.release} of totals is not due")
        if [len(feature.points) for feature in tables.features] != rows.fine_bins():
            raise MalformedMessage("point tables do not match the features of this node")
        highest = sum(max(feature.points) for feature in tables.features)
        if highest * len(self.spec.nodes) >= 1 << TOTAL_BITS:
            raise MalformedMessage(f"totals over {len(self.spec.nodes)} nodes would exceed {TOTAL_BITS} bits")
        if self._signatures is not None:
            raise UnexpectedMessage("the model is signed: no more totals are due")
        self._final = tables
        return self._release([feature.points for feature in tables.features])

    def _release(self, points: list[tuple[int, ...]]) -> Sent:
        """Release this node's totals, masked so that they open only if every node totals the same cohort."""
        release, key = self._released, self._bank_key
        self._site.release(self.spec, f"MaskedTotals/{release}", m.LeakClass.ROW_TOTALS)
        self._released += 1
        told = f"totals/{release}/{m.Rows.ALL}/{self._cohort_name}"
        nodes = [node.party for node in self.spec.nodes]
        values = self._totals(points).tolist()
        vector = mask_totals(self._channel, nodes, key, told, values, self._randomness)
        return [self._channel.wrap(self._bank, m.MaskedTotals(release, vector), sealed=False)]

    def _totals(self, points: list[tuple[int, ...]]) -> NDArray[np.int64]:
        """Return what this node adds to the total of each enterprise."""
        return totals(require(self._rows), self.spec.rows, points)

    def _on_residuals(self, envelope: Envelope) -> Sent:
        message = self._from_bank(envelope, m.EncryptedResiduals)
        columns, release = require(self._columns), self._released - 1
        if not 0 <= release < self.spec.row_totals - 1:
            raise UnexpectedMessage("no residuals are due")
        if self._signatures is not None:
            raise UnexpectedMessage("the model is signed: no residuals are due")
        self._mark("EncryptedResiduals", digest(message).hex())
        self._mark("EncryptedResiduals", str(release))
        vector = self._rows_vector(message.vector, "residuals").prepared()
        if not columns.count:
            return []
        self._site.release(self.spec, f"GradientShare/{release}", m.LeakClass.AGGREGATE)
        sums = [*weigh_bins(vector, columns, squared=False), *weigh_bins(vector, columns, squared=True)]
        if pair_count(columns.count, self.spec.rho > 0):
            sums += weigh_pairs(vector, columns)
        packing = gradient_packing(
            len(vector), self._bank_key.bits, self._noise.gradient_bound(max(self._plan.values()))
        )
        draws = [n.draw(2 * columns.count, self._randomness) for n in self._noise.gradient(columns.levels)]
        added = [x for draw in draws for x in draw] if self.spec.rho else []
        return self._send_gradient(release, CiphertextVector.concat(sums), packing, added)

    def _send_gradient(self, release: int, sums: CiphertextVector, packing: Packing, noise: list[int]) -> Sent:
        share = masked_sums(sums, packing, self._randomness, filled=2, noise=noise)
        return [self._channel.wrap(self._bank, m.GradientShare(share.to_bytes()))]
