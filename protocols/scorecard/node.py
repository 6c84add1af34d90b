"""The data node's role in a scorecard run: it computes on its own rows, and sends only what the messages allow.

Every step that reveals something asks the node's `Site` first; the site owns data, policy and ledger, and says no by
raising. The role accepts each message once, in the order of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np

from protocols.assessment.manifest import Manifest, SignedManifest, sign_manifest, verify_manifest
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId, Randomness
from protocols.channel.wire import Message, digest
from protocols.consent import cohort_subject
from protocols.errors import MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.masks import zero_sum_masks
from protocols.paillier import CiphertextVector, PrivateKey, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.admission import check_manifest, check_plan, check_spec
from protocols.scorecard.arithmetic import (
    TOTAL_BITS,
    encrypt_for_owner,
    gradient_packing,
    histogram_packing,
    masked_sums,
    total_packing,
)
from protocols.scorecard.histograms import noisy_shapes
from protocols.scorecard.noise import RunNoise
from protocols.scorecard.products import encrypt_columns, multiply_columns, open_products, weigh_bins
from protocols.scorecard.rows import BinnedRows, WoeColumns, owner_order, totals

M = TypeVar("M", bound=Message)
V = TypeVar("V")
Sent = list[Envelope]


class Site(Protocol):
    """What the owner's side provides: its rows, and the last word on every release."""

    def bin_cohort(self, spec: m.RunSpec, cohort: m.Cohort) -> BinnedRows:
        """Verify the consent, look the enterprises up and bin their features. Raises: PolicyDenied."""
        ...

    def release(self, spec: m.RunSpec, step: str, leak: m.LeakClass) -> None:
        """Record that a step is about to reveal something. Raises: PolicyDenied, BudgetExceeded."""
        ...

    def keep_part(self, manifest: SignedManifest, tables: m.PointTables) -> None:
        """Store this node's part of a model that all nodes have signed."""
        ...


class NodeTraining:
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
        self.spec, self._channel, self._site, self._randomness = spec, channel, site, randomness
        self._paillier, self._keys, self._noise = paillier, keys, RunNoise.of(spec)
        self._me = channel.keys.party
        self._bank = PartyId(spec.bank)
        self._order = owner_order(spec.bank, tuple(node.party for node in spec.nodes))
        if self._me not in self._order[1:]:
            raise VerificationFailed(f"{self._me} is no node of this run", code="WRONG_NODE_SET")
        self._labels: bytes | None = None
        self._cohort: m.Cohort | None = None
        self._cohort_name = ""
        self._rows: BinnedRows | None = None
        self._columns: WoeColumns | None = None
        self._plan: dict[PartyId, int] = {}
        self._tables: m.PointTables | None = None
        self._final = False
        self._manifest: Manifest | None = None
        self._seen: set[tuple[str, str]] = set()

    def receive(self, envelope: Envelope) -> Sent:
        """Take one envelope of the run, from a relay that may be hostile; return the envelopes it leads to."""
        handlers: dict[str, Callable[[Envelope], Sent]] = {
            "EncryptedLabels": self._on_labels,
            "Cohort": self._on_cohort,
            "WoeTables": self._on_woe,
            "EncryptedColumns": self._on_columns,
            "MaskedProducts": self._on_products,
            "PointTables": self._on_tables,
            "EncryptedResiduals": self._on_residuals,
            "Manifest": self._on_manifest,
            "SignedManifest": self._on_signed_manifest,
        }
        handler = handlers.get(envelope.message)
        if handler is None:
            raise UnexpectedMessage(f"a data node does not take {envelope.message}")
        return handler(envelope)

    # ---- 5.1, 5.2: cohort and histograms

    def _on_labels(self, envelope: Envelope) -> Sent:
        labels = self._once(envelope, m.EncryptedLabels)
        if digest(labels) != self.spec.labels:
            raise VerificationFailed("the label vector is not the one that the run commits to")
        self._labels = labels.vector
        return self._histograms_when_ready()

    def _on_cohort(self, envelope: Envelope) -> Sent:
        cohort = self._once(envelope, m.Cohort)
        if len(cohort.ids) != self.spec.rows or len(set(cohort.ids)) != len(cohort.ids):
            raise MalformedMessage(f"a cohort of {self.spec.rows} distinct enterprises is due")
        self._cohort = cohort
        return self._histograms_when_ready()

    def _histograms_when_ready(self) -> Sent:
        if self._labels is None or self._cohort is None:
            return []
        vector = CiphertextVector.from_bytes(self._keys[self._bank], self._labels)
        if len(vector) != self.spec.training_rows:
            raise MalformedMessage(f"{len(vector)} labels for {self.spec.training_rows} training rows")
        rows = self._site.bin_cohort(self.spec, self._cohort)
        self._require_large_bins(rows)
        self._site.release(self.spec, "BinHistograms", m.LeakClass.AGGREGATE)
        cells = CiphertextVector.concat(vector.histograms(rows.codes[: len(vector)], rows.fine_bins()))
        noise = self._noise.histograms(len(rows.features))
        shapes, added = noisy_shapes(rows.features, noise, self._randomness)
        packing = histogram_packing(len(vector), self._keys[self._bank].bits, noise.bound)
        sums = masked_sums(cells, packing, self._randomness, noise=added)
        self._rows, self._cohort_name, self._labels, self._cohort = rows, cohort_subject(self._cohort.ids), None, None
        return [self._channel.wrap(self._bank, m.BinHistograms(shapes, sums.to_bytes()))]

    def _require_large_bins(self, rows: BinnedRows) -> None:
        """Refuse, as a last line of defence, to count fewer enterprises than the run's minimum in any bin."""
        counts = [count for feature in rows.features for count in feature.counts]
        if any(0 < count < self.spec.minimum_bin for count in counts):
            raise ValueError(f"a bin holds fewer than {self.spec.minimum_bin} enterprises")

    # ---- 5.3: the Gram matrix

    def _on_woe(self, envelope: Envelope) -> Sent:
        message = self._once(envelope, m.WoeTables)
        rows = _require(self._rows)
        shapes = [len(table) for table in message.features if table is not None]
        due = [n for n, table in zip(rows.fine_bins(), message.features, strict=False) if table is not None]
        if len(message.features) != len(rows.features) or shapes != due:
            raise MalformedMessage("WOE tables do not match the features of this node")
        columns = WoeColumns.build(rows, self.spec.training_rows, message.features)
        plan = {PartyId(entry.party): entry.columns for entry in message.plan}
        if set(plan) != set(self._order) or plan[self._me] != columns.count:
            raise MalformedMessage("the plan of columns does not match the run")
        check_plan(self.spec, plan)
        if any(abs(woe) > self._noise.woe_limit for levels in columns.levels for woe in levels):
            raise MalformedMessage(f"a WOE exceeds {self._noise.woe_limit}, the limit of this run")
        if columns.count:
            self._site.release(self.spec, "LocalGram", m.LeakClass.AGGREGATE)
        self._columns, self._plan = columns, plan
        return self._local_gram(columns)

    def _local_gram(self, columns: WoeColumns) -> Sent:
        if not columns.count:
            return []
        entries = columns.gram()[np.triu_indices(columns.count)].tolist()
        added = self._noise.local_gram(columns.levels).draw(len(entries), self._randomness)
        upper = tuple(entry + noise for entry, noise in zip(entries, added, strict=True))
        sent = [self._channel.wrap(self._bank, m.LocalGram(upper))]
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
        columns = _require(self._columns)
        if owner not in self._order[: self._order.index(self._me)] or not self._plan[owner]:
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
        return [
            self._channel.wrap(owner, m.MaskedProducts(products)),
            self._channel.wrap(self._bank, m.MaskShare(owner, masks)),
        ]

    def _on_products(self, envelope: Envelope) -> Sent:
        evaluator = PartyId(envelope.sender)
        columns = _require(self._columns)
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
        return [self._channel.wrap(self._bank, m.ProductShare(evaluator, share))]

    # ---- totals and refinement

    def _on_tables(self, envelope: Envelope) -> Sent:
        tables = self._from_bank(envelope, m.PointTables)
        rows = _require(self._rows)
        due, final = 0 if self._tables is None else self._tables.release + 1, tables.rows is m.Rows.NONE
        if tables.release != due or self._final or (due >= self.spec.row_totals and not final):
            raise UnexpectedMessage(f"release {tables.release} of totals is not due")
        if [len(feature.points) for feature in tables.features] != rows.fine_bins():
            raise MalformedMessage("point tables do not match the features of this node")
        highest = sum(max(feature.points) for feature in tables.features)
        if highest * len(self.spec.nodes) >= 1 << TOTAL_BITS:
            raise MalformedMessage(f"totals over {len(self.spec.nodes)} nodes would exceed {TOTAL_BITS} bits")
        if not final:
            self._site.release(self.spec, f"MaskedTotals/{due}", m.LeakClass.ROW_TOTALS)
        self._tables, self._final = tables, final
        if final:
            return []
        values = totals(rows, self.spec.rows, [feature.points for feature in tables.features])
        return [self._channel.wrap(self._bank, self._masked(tables, values.tolist()), sealed=False)]

    def _masked(self, tables: m.PointTables, values: list[int]) -> m.MaskedTotals:
        """Mask totals so that they open only if every node was given the same cohort and the same rows to total."""
        key = self._keys[self._bank]
        plain = total_packing(key.bits).pack(values)
        peers = {n.party: self._channel.cards[PartyId(n.party)].mask_key for n in self.spec.nodes}
        del peers[self._me]
        told = f"totals/{tables.release}/{tables.rows}/{self._cohort_name}"
        salt = self._channel.transcript + told.encode()
        masks = zero_sum_masks(self._me, self._channel.keys.mask, peers, salt, len(plain), key.n)
        masked = [(value + mask) % key.n for value, mask in zip(plain, masks, strict=True)]
        return m.MaskedTotals(tables.release, encrypt_for_owner(key, masked, self._randomness).to_bytes())

    def _on_residuals(self, envelope: Envelope) -> Sent:
        message = self._from_bank(envelope, m.EncryptedResiduals)
        columns = _require(self._columns)
        releases = _require(None if self._final else self._tables).release
        self._mark("EncryptedResiduals", digest(message).hex())
        self._mark("EncryptedResiduals", str(releases))
        key = self._keys[self._bank]
        vector = CiphertextVector.from_bytes(key, message.vector)
        if len(vector) != self.spec.training_rows:
            raise MalformedMessage(f"{len(vector)} residuals for {self.spec.training_rows} training rows")
        if not columns.count:
            return []
        self._site.release(self.spec, f"GradientShare/{releases}", m.LeakClass.AGGREGATE)
        sums = [*weigh_bins(vector, columns, squared=False), *weigh_bins(vector, columns, squared=True)]
        packing = gradient_packing(len(vector), key.bits, self._noise.gradient_bound(max(self._plan.values())))
        added = [x for n in self._noise.gradient(columns.levels) for x in n.draw(2 * columns.count, self._randomness)]
        share = masked_sums(CiphertextVector.concat(sums), packing, self._randomness, filled=2, noise=added)
        return [self._channel.wrap(self._bank, m.GradientShare(share.to_bytes()))]

    # ---- the manifest

    def _on_manifest(self, envelope: Envelope) -> Sent:
        manifest = self._once(envelope, Manifest)
        tables = _require(self._tables if self._final else None)
        check_manifest(manifest, self.spec, self._me, self._channel.cards, tables, self._keys[self._bank])
        self._manifest = manifest
        signature = sign_manifest(manifest, self._channel.keys)
        return [self._channel.wrap(self._bank, m.ManifestSignature(manifest.model_hash(), signature))]

    def _on_signed_manifest(self, envelope: Envelope) -> Sent:
        signed = self._once(envelope, SignedManifest)
        if self._manifest is None or signed.manifest != self._manifest:
            raise VerificationFailed("the signed manifest is not the one that this node signed")
        verify_manifest(signed, self._channel.cards)
        self._site.keep_part(signed, _require(self._tables))
        return []

    # ---- order and origin

    def _from_bank(self, envelope: Envelope, kind: type[M], sender: PartyId | None = None) -> M:
        if envelope.sender != (sender or self._bank):
            raise UnexpectedMessage(f"{envelope.message} does not come from {envelope.sender}")
        return self._channel.unwrap(envelope, kind)

    def _once(self, envelope: Envelope, kind: type[M], sender: PartyId | None = None) -> M:
        message = self._from_bank(envelope, kind, sender)
        self._mark(envelope.message, envelope.sender)
        return message

    def _mark(self, kind: str, mark: str) -> None:
        if (kind, mark) in self._seen:
            raise UnexpectedMessage(f"{kind} was already received")
        self._seen.add((kind, mark))


def _require(value: V | None) -> V:
    """Return a state that an earlier message must have set. Raises: UnexpectedMessage if it has not."""
    if value is None:
        raise UnexpectedMessage("an earlier message of the run is missing")
    return value
