"""A data node's part of a consortium's run up to the Gram matrix: pooled bins, histograms in shares, products.

As in a run of one bank, every step that reveals something asks the node's site first. What is encrypted under the
banks' keys goes back in shares; what the banks ask for is done when all of them have asked for the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from protocols.assessment.manifest import SignedManifest
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId, Randomness
from protocols.channel.wire import M, digest
from protocols.consent import cohort_subject
from protocols.consortium import messages as c
from protocols.consortium.admission import check_consortium
from protocols.consortium.inbox import PerBank, once, require
from protocols.consortium.layout import Layout
from protocols.consortium.noise import pool_noise
from protocols.consortium.own_columns import BANKS, multiply_own
from protocols.consortium.shares import share_sums
from protocols.consortium.unison import Unison
from protocols.errors import MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.paillier import CiphertextVector, PrivateKey, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.admission import check_plan
from protocols.scorecard.arithmetic import (
    histogram_packing,
)
from protocols.scorecard.histograms import noisy_shapes
from protocols.scorecard.products import encrypt_columns, multiply_columns, open_products
from protocols.scorecard.rows import BinnedRows, WoeColumns, owner_order

Sent = list[Envelope]


Handlers = Mapping[str, Callable[[Envelope], Sent]]


class ConsortiumSite(Protocol):
    """What the owner's side provides: its rows, and the last word on every release."""

    def bin_cohorts(self, spec: c.ConsortiumSpec, cohorts: Mapping[PartyId, m.Cohort]) -> BinnedRows:
        """Verify each bank's consent and bin the pool's rows, in its order. Raises: PolicyDenied."""
        ...

    def release(self, spec: m.RunSpec, step: str, leak: m.LeakClass) -> None:
        """Record that a step is about to reveal something. Raises: PolicyDenied, BudgetExceeded."""
        ...

    def data_as_of(self) -> str:
        """Return as of which day the binned records speak, as an ISO date; "" if their source does not say."""
        ...

    def keep_part(self, manifest: SignedManifest, tables: m.PointTables) -> None:
        """Store this node's part of a model that all nodes and all banks have signed."""
        ...


class NodeColumns:
    """One data node in one run of several banks, as far as the Gram matrix."""

    def __init__(
        self,
        spec: c.ConsortiumSpec,
        channel: Channel,
        paillier: PrivateKey,
        keys: Mapping[PartyId, PublicKey],
        site: ConsortiumSite,
        randomness: Randomness,
    ) -> None:
        check_consortium(spec, channel.cards)
        self.spec, self._channel, self._site, self._randomness = spec, channel, site, randomness
        self._paillier, self._keys, self._layout, self._noise = paillier, keys, Layout.of(spec), pool_noise(spec)
        self._me = channel.keys.party
        self._banks = [PartyId(member.party) for member in spec.members]
        self._order = owner_order(BANKS, tuple(node.party for node in spec.nodes))
        if self._me not in self._order[1:]:
            raise VerificationFailed(f"{self._me} is no node of this run", code="WRONG_NODE_SET")
        self._seen: set[tuple[str, str]] = set()
        self._labels: PerBank[CiphertextVector] = PerBank(self._banks)
        self._cohorts: PerBank[m.Cohort] = PerBank(self._banks)
        self._woe: Unison[m.WoeTables] = Unison(self._banks)
        self._own_columns: PerBank[bytes] = PerBank(self._banks)
        self._rows: BinnedRows | None = None
        self._cohort_name = ""
        self._columns: WoeColumns | None = None
        self._plan: dict[PartyId, int] = {}

    def receive(self, envelope: Envelope) -> Sent:
        """Take one envelope of the run, from a relay that may be hostile; return the envelopes it leads to."""
        handler = self._handlers().get(envelope.message)
        if handler is None:
            raise UnexpectedMessage(f"a data node does not take {envelope.message}")
        return handler(envelope)

    def _handlers(self) -> Handlers:
        return {
            "EncryptedLabels": self._on_labels,
            "Cohort": self._on_cohort,
            "WoeTables": self._on_woe,
            "EncryptedColumns": self._on_columns,
            "MaskedProducts": self._on_products,
        }

    # ---- cohorts and histograms

    def _on_labels(self, envelope: Envelope) -> Sent:
        bank, labels = self._from_bank(envelope, m.EncryptedLabels)
        if digest(labels) != next(member.labels for member in self.spec.members if member.party == bank):
            raise VerificationFailed(f"the label vector of {bank} is not the one that the run commits to")
        self._labels.put(bank, self._vector(bank, labels.vector))
        return self._histograms_when_ready()

    def _on_cohort(self, envelope: Envelope) -> Sent:
        bank, cohort = self._from_bank(envelope, m.Cohort)
        if len(cohort.ids) != len(self._layout.rows(bank)) or len(set(cohort.ids)) != len(cohort.ids):
            raise MalformedMessage(f"a cohort of {len(self._layout.rows(bank))} distinct enterprises is due of {bank}")
        self._cohorts.put(bank, cohort)
        return self._histograms_when_ready()

    def _histograms_when_ready(self) -> Sent:
        if not (self._labels.complete and self._cohorts.complete):
            return []
        cohorts, labels = self._cohorts.take(), self._labels.take()
        rows = self._site.bin_cohorts(self.spec, cohorts)
        self._require_large_bins(rows, self._layout.order({bank: cohort.ids for bank, cohort in cohorts.items()}))
        self._site.release(self.spec, "HistogramShare", m.LeakClass.AGGREGATE)
        cells = [
            CiphertextVector.concat(labels[bank].histograms(rows.codes[self._layout.training[bank]], rows.fine_bins()))
            for bank in self._banks
        ]
        noise = self._noise.histograms(len(rows.features))
        shapes, added = noisy_shapes(rows.features, noise, self._randomness)
        packing = histogram_packing(self.spec.training_rows, self.spec.key_bits, noise.bound)
        shares = share_sums(cells, packing, self._randomness, noise=added)
        self._rows = rows
        self._cohort_name = "/".join(cohort_subject(cohorts[bank].ids) for bank in self._banks)
        return [
            self._channel.wrap(bank, c.HistogramShare(shapes, share))
            for bank, share in zip(self._banks, shares, strict=True)
        ]

    def _require_large_bins(self, rows: BinnedRows, ids: tuple[str, ...]) -> None:
        """Refuse, as a last line of defence, a bin of fewer than k enterprises; one of two banks counts once."""
        first = np.unique(np.array(ids[: self.spec.training_rows]), return_index=True)[1]
        for index, feature in enumerate(rows.features):
            distinct = np.bincount(rows.codes[first, index], minlength=len(feature.counts))
            if any(0 < int(count) < self.spec.minimum_bin for count in distinct):
                raise ValueError(f"a bin holds fewer than {self.spec.minimum_bin} enterprises")

    # ---- the Gram matrix

    def _on_woe(self, envelope: Envelope) -> Sent:
        message = self._woe.say(*self._from_bank(envelope, m.WoeTables))
        if message is None:
            return []
        rows = require(self._rows)
        shapes = [None if table is None else len(table) for table in message.features]
        due = [None if table is None else size for table, size in zip(message.features, rows.fine_bins(), strict=False)]
        if len(message.features) != len(rows.features) or shapes != due:
            raise MalformedMessage("WOE tables do not match the features of this node")
        columns = WoeColumns.build(rows, self.spec.training_rows, message.features)
        if any(abs(woe) > self._noise.woe_limit for levels in columns.levels for woe in levels):
            raise MalformedMessage(f"a WOE exceeds {self._noise.woe_limit}, the limit of this run")
        plan = {PartyId(entry.party): entry.columns for entry in message.plan}
        if set(plan) != set(self._order) or plan[self._me] != columns.count:
            raise MalformedMessage("the plan of columns does not match the run")
        check_plan(self.spec, plan)
        if columns.count:
            self._site.release(self.spec, "LocalGram", m.LeakClass.AGGREGATE)
        self._columns, self._plan = columns, plan
        return [*self._local_gram(columns), *self._multiply_own_when_ready()]

    def _local_gram(self, columns: WoeColumns) -> Sent:
        if not columns.count:
            return []
        gram = columns.gram()
        upper = gram[np.triu_indices(len(gram))].tolist()
        added = self._noise.local_gram(columns.levels).draw(len(upper), self._randomness)
        sent = self._to_banks(m.LocalGram(tuple(entry + noise for entry, noise in zip(upper, added, strict=True))))
        if self._evaluators(self._me):
            vector = encrypt_columns(columns, self._paillier, self._randomness, self._product_bound())
            sent.append(self._channel.wrap(EVERYONE, m.EncryptedColumns(vector)))
        return sent

    def _product_bound(self) -> int:
        """Return what two parties together may add to a product in this run."""
        return self._noise.product_bound(max(self._plan.values()))

    def _evaluators(self, owner: PartyId) -> list[PartyId]:
        """Return who multiplies the owner's columns: all later parties that have columns."""
        return [party for party in self._order[self._order.index(owner) + 1 :] if self._plan[party]]

    def _on_columns(self, envelope: Envelope) -> Sent:
        owner = PartyId(envelope.sender)
        if owner in self._banks:
            self._own_columns.put(owner, self._from_bank(envelope, m.EncryptedColumns)[1].vector)
            return self._multiply_own_when_ready()
        columns = require(self._columns)
        if owner not in self._order[: self._order.index(self._me)] or not self._plan[owner]:
            raise UnexpectedMessage(f"columns of {owner} are not for this node")
        message = self._from(owner, envelope, m.EncryptedColumns)
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
        return [
            self._channel.wrap(owner, m.MaskedProducts(products)),
            *self._to_banks(m.MaskShare(owner, masks)),
        ]

    def _multiply_own_when_ready(self) -> Sent:
        columns = self._columns
        if columns is None or not columns.count or not self._own_columns.complete:
            return []
        if not self._plan[BANKS]:
            raise UnexpectedMessage("the banks have no columns of their own in this run")
        self._site.release(self.spec, "OwnProductShare", m.LeakClass.AGGREGATE)
        vectors = self._own_columns.take()
        shares = multiply_own(
            [vectors[bank] for bank in self._banks],
            self._plan[BANKS],
            [self._keys[bank] for bank in self._banks],
            [self._of_bank(columns, bank) for bank in self._banks],
            self.spec.training_rows,
            self._randomness,
            self._product_bound(),
            self._noise.products(columns.levels, self._plan[BANKS]),
        )
        return [
            self._channel.wrap(bank, c.OwnProductShare(share)) for bank, share in zip(self._banks, shares, strict=True)
        ]

    def _of_bank(self, columns: WoeColumns, bank: PartyId) -> WoeColumns:
        return WoeColumns(columns.codes[self._layout.training[bank]], columns.levels)

    def _on_products(self, envelope: Envelope) -> Sent:
        evaluator = PartyId(envelope.sender)
        columns = require(self._columns)
        if evaluator not in self._evaluators(self._me) or not columns.count:
            raise UnexpectedMessage(f"{evaluator} does not multiply this node's columns")
        message = self._from(evaluator, envelope, m.MaskedProducts)
        self._site.release(self.spec, f"ProductShare/{evaluator}", m.LeakClass.AGGREGATE)
        rows = self.spec.training_rows
        share = open_products(
            message.vector,
            columns.count,
            self._plan[evaluator],
            rows,
            self._paillier,
            self._randomness,
            self._product_bound(),
            self._noise.products(columns.levels, self._plan[evaluator]),
        )
        return self._to_banks(m.ProductShare(evaluator, share))

    # ---- order and origin

    def _to_banks(self, message: m.LocalGram | m.MaskShare | m.ProductShare) -> Sent:
        return [self._channel.wrap(bank, message) for bank in self._banks]

    def _vector(self, bank: PartyId, data: bytes) -> CiphertextVector:
        vector = CiphertextVector.from_bytes(self._keys[bank], data)
        if len(vector) != len(self._layout.training[bank]):
            raise MalformedMessage(f"{len(vector)} ciphertexts for {len(self._layout.training[bank])} training rows")
        return vector

    def _from_bank(self, envelope: Envelope, kind: type[M], mark: str = "") -> tuple[PartyId, M]:
        sender = PartyId(envelope.sender)
        if sender not in self._banks:
            raise UnexpectedMessage(f"{envelope.message} does not come from {envelope.sender}")
        return sender, self._from(sender, envelope, kind, mark)

    def _from(self, sender: PartyId, envelope: Envelope, kind: type[M], mark: str = "") -> M:
        message = self._channel.unwrap(envelope, kind)
        once(self._seen, envelope.message, sender + mark)
        return message
