"""A bank's part of a consortium's run up to the Gram matrix: pooled histograms, WOE, and products of columns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId, Randomness
from protocols.channel.wire import digest
from protocols.consortium import messages as c
from protocols.consortium.bank_role import BankMemberRole, Handlers
from protocols.consortium.gradient import GRADIENT_BITS
from protocols.consortium.histograms import node_histograms, open_histogram_share, own_counts, own_histograms
from protocols.consortium.inbox import require
from protocols.consortium.model import BankMember
from protocols.consortium.own_columns import BANKS, encrypt_own, product_bits
from protocols.consortium.shares import Residues, open_share
from protocols.credit.binning import BinnedFeature
from protocols.credit.logistic import Moments
from protocols.credit.woe import Outcomes
from protocols.errors import UnexpectedMessage
from protocols.paillier import PrivateKey, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.candidate import check_gram, moments, prune_correlated, restrict
from protocols.scorecard.gram import GramAssembly
from protocols.scorecard.histograms import bin_all, require_outcomes
from protocols.scorecard.rows import WoeColumns

Sent = list[Envelope]


class BankColumns(BankMemberRole):
    """Bins all features from pooled counts, and puts the pooled Gram matrix together; what follows is `_solved`'s."""

    def __init__(
        self,
        spec: c.ConsortiumSpec,
        channel: Channel,
        paillier: PrivateKey,
        keys: Mapping[PartyId, PublicKey],
        member: BankMember,
        randomness: Randomness,
    ) -> None:
        super().__init__(spec, channel, paillier, keys, member, randomness)
        self._shares: dict[PartyId, tuple[c.HistogramShare, Residues]] = {}
        self._everyone = Outcomes(0, 0)
        self._features: dict[PartyId, list[BinnedFeature]] = {}
        self._woe_columns: dict[PartyId, int] = {}
        self._own_columns: WoeColumns | None = None
        self._gram: GramAssembly | None = None
        self._products: dict[PartyId, Residues] = {}
        self._products_due: list[PartyId] = []
        self._moments: Moments | None = None
        self._kept: NDArray[np.intp] = np.empty(0, dtype=np.intp)

    def _handlers(self) -> Handlers:
        return {
            "HistogramShare": self._on_histograms,
            "LocalGram": self._on_local_gram,
            "MaskShare": self._on_mask_share,
            "ProductShare": self._on_product_share,
            "OwnProductShare": self._on_own_products,
        }

    @abstractmethod
    def _solved(self, moments: Moments) -> Sent:
        """Go on with the moments of the kept columns."""

    # ---- binning, WOE and IV

    def _on_histograms(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, c.HistogramShare)
        if node in self._shares:
            raise UnexpectedMessage(f"histograms of {node} were already received")
        noise = self._noise.histograms(len(message.features)).bound
        self._shares[node] = (message, open_histogram_share(message, self.spec.training_rows, self._paillier, noise))
        return self._pool_histograms_when_ready()

    def _pool_histograms_when_ready(self) -> Sent:
        if self._data is None or len(self._shares) < len(self._nodes) or self._own_columns is not None:
            return []
        bad = self._data.training_bad
        numbers = Residues.of([int(bad.sum())], 64) + own_counts(self._data.rows, bad)
        told = b""
        for node in self._nodes:
            message, share = self._shares[node]
            numbers += share
            told += digest(c.HistogramShare(message.features, b""))
        return self._ask("histograms", numbers, self._bin, told)

    def _bin(self, pooled: Residues) -> Sent:
        """Bin every feature of every party from the pooled counts; all banks do it alike."""
        rows, own = self.spec.training_rows, require(self._data).rows
        size = 2 * sum(own.fine_bins())
        (bad,), counts = pooled.take(0, 1).signed(), pooled.take(1, size).signed()
        self._everyone = Outcomes(rows - bad, bad)
        found = {BANKS: own_histograms(own.features, counts, rows)}
        start = 1 + size
        for node in self._nodes:
            message, share = self._shares[node]
            part = pooled.take(start, len(share.values))
            noise, smallest = self._noise.histograms(len(message.features)).bound, self._smallest
            found[node] = node_histograms(
                message.features, self._domains[node], part, rows, self.spec.key_bits, noise, smallest
            )
            require_outcomes(found[node], self._everyone, noise + smallest)
            start += len(share.values)
        require_outcomes(found[BANKS], self._everyone)
        rules = replace(self._plan.rules, woe_limit=self._noise.woe_limit)
        self._features = bin_all(found, self._everyone, rules)
        return self._send_woe()

    def _send_woe(self) -> Sent:
        data, rows = require(self._data), self.spec.training_rows
        tables = {p: tuple(f.woe if f.selected else None for f in fs) for p, fs in self._features.items()}
        self._own_columns = own = WoeColumns.build(data.rows, data.training_rows, tables[BANKS])
        self._woe_columns = {party: sum(t is not None for t in table) for party, table in tables.items()}
        keys = {BANKS: self._paillier.public_key} | {node: self._keys[node] for node in self._nodes}
        self._gram = GramAssembly(self._woe_columns, rows, keys, self._noise)
        plan = tuple(m.ColumnCount(party, columns) for party, columns in self._woe_columns.items())
        sent = [self._channel.wrap(node, m.WoeTables(tables[node], plan)) for node in self._nodes]
        if own.count:
            self._products_due = [node for node in self._nodes if self._woe_columns[node]]
            if self._products_due:
                vector = encrypt_own(own, rows, self._paillier, self._randomness, self._product_bound())
                sent.append(self._channel.wrap(EVERYONE, m.EncryptedColumns(vector)))
            return sent + self._pool_products_when_ready()
        return sent + self._solve_when_ready()

    # ---- the Gram matrix

    def _on_local_gram(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.LocalGram)
        require(self._gram).put_local(node, message.entries)
        return self._solve_when_ready()

    def _on_mask_share(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.MaskShare)
        self._require_owner(message.owner)
        require(self._gram).put_mask_share(PartyId(message.owner), node, message.low_bits)
        return self._solve_when_ready()

    def _on_product_share(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.ProductShare)
        require(self._gram).put_owner_share(node, PartyId(message.evaluator), message.low_bits)
        return self._solve_when_ready()

    def _require_owner(self, owner: str) -> None:
        if owner not in self._domains:
            raise UnexpectedMessage(f"{owner} owns no columns of this run")

    def _on_own_products(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, c.OwnProductShare)
        if node not in self._products_due or node in self._products:
            raise UnexpectedMessage(f"no products of {node} with the banks' columns are due")
        own, theirs = self._woe_columns[BANKS], self._woe_columns[node]
        bits = product_bits(own, theirs, self.spec.training_rows, self.spec.key_bits, self._product_bound())
        self._products[node] = open_share(message.vector, bits, self._paillier)
        return self._pool_products_when_ready()

    def _pool_products_when_ready(self) -> Sent:
        if len(self._products) < len(self._products_due):
            return []
        gram = require(self._own_columns).gram()
        numbers = Residues.of([int(value) for value in gram[np.triu_indices(len(gram))]], GRADIENT_BITS)
        for node in self._products_due:
            numbers += self._products[node]
        return self._ask("gram", numbers, self._place_products)

    def _place_products(self, pooled: Residues) -> Sent:
        """Put the banks' blocks into the Gram matrix: pooled shares are an owner's share with no mask left on it."""
        gram = require(self._gram)
        size = len(pooled.values) - sum(len(share.values) for share in self._products.values())
        gram.put_local(BANKS, tuple(pooled.take(0, size).signed()))
        start = size
        for node in self._products_due:
            part = pooled.take(start, len(self._products[node].values))
            lengths = [(bits + 7) // 8 for bits in part.bits]
            share = tuple(v.to_bytes(length) for v, length in zip(part.values, lengths, strict=True))
            gram.put_owner_share(BANKS, node, share)
            gram.put_mask_share(BANKS, node, tuple(map(bytes, lengths)))
            start += len(part.values)
        return self._solve_when_ready()

    def _solve_when_ready(self) -> Sent:
        gram = require(self._gram)
        if not gram.complete or self._moments is not None:
            return []
        check_gram(self._features, gram.matrix(), self._gram_slack())
        ridge = self._noise.ridge([self._levels(node) for node in self._nodes])
        ridged = gram.matrix() + ridge * np.eye(len(gram.matrix()), dtype=np.int64)
        full = moments(self._features, self._everyone.total, self._everyone.good, ridged)
        self._features, self._kept = prune_correlated(self._features, full)
        self._moments = restrict(full, self._kept)
        return self._solved(self._moments)

    # ---- noise

    @property
    def _smallest(self) -> int:
        """Return the count below which a bin is taken for empty."""
        return self._noise.smallest_count(self.spec.minimum_bin)

    def _product_bound(self) -> int:
        """Return what may be added to a product in this run."""
        return self._noise.product_bound(max(self._woe_columns.values()))

    def _gram_slack(self) -> int:
        """Return how far noise may set an entry of the Gram matrix apart from what the histograms say."""
        noise = self._noise
        counts = max((noise.histograms(len(message.features)).bound for message, _ in self._shares.values()), default=0)
        bins = max((len(f.woe) for found in self._features.values() for f in found), default=0)
        cells = (2 * counts + self._smallest) * bins * noise.woe_limit**2
        return noise.gram_bound(max(self._woe_columns.values())) + cells

    def _levels(self, node: PartyId) -> list[list[int]]:
        """Return the distinct WOE of each column of a node."""
        return [sorted(set(feature.woe)) for feature in self._features[node] if feature.selected]
