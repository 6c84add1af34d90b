"""The data node's role in a consortium's run: it computes on all banks' rows together, and opens only their sum.

Totals go to each bank for its own customers; gradients in shares; the one model is signed when all banks have agreed.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocols.assessment.manifest import SignedManifest, sign_manifest, verify_manifest
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId, Randomness
from protocols.channel.wire import digest
from protocols.consortium import messages as c
from protocols.consortium.closing import Closing
from protocols.consortium.inbox import PerBank, once, require
from protocols.consortium.node_columns import ConsortiumSite, Handlers, NodeColumns
from protocols.consortium.shares import share_sums
from protocols.consortium.unison import Unison
from protocols.errors import MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.paillier import CiphertextVector, PrivateKey, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.arithmetic import (
    TOTAL_BITS,
    gradient_packing,
)
from protocols.scorecard.products import weigh_bins
from protocols.scorecard.releases import mask_totals
from protocols.scorecard.rows import totals

Sent = list[Envelope]


class NodeConsortium(NodeColumns):
    """One data node in one run of several banks. `receive` takes one envelope and returns what to send.

    Raises: MalformedMessage, UnexpectedMessage, VerificationFailed, PolicyDenied, BudgetExceeded.
    """

    def __init__(
        self,
        spec: c.ConsortiumSpec,
        channel: Channel,
        paillier: PrivateKey,
        keys: Mapping[PartyId, PublicKey],
        site: ConsortiumSite,
        randomness: Randomness,
    ) -> None:
        super().__init__(spec, channel, paillier, keys, site, randomness)
        self._points: Unison[m.PointTables] = Unison(self._banks)
        self._residuals: PerBank[CiphertextVector] = PerBank(self._banks)
        self._tables: m.PointTables | None = None
        self._final = False
        self._closing = Closing(spec, channel, keys)
        self._kept: set[PartyId] = set()

    @property
    def finished(self) -> bool:
        """Whether the model of every bank is stored here."""
        return len(self._kept) == len(self._banks)

    def _handlers(self) -> Handlers:
        return {
            **super()._handlers(),
            "PointTables": self._on_tables,
            "EncryptedResiduals": self._on_residuals,
            "Manifest": self._on_closing,
            "ModelAgreement": self._on_closing,
            "SignedManifest": self._on_signed_manifest,
        }

    # ---- totals and refinement

    def _on_tables(self, envelope: Envelope) -> Sent:
        due = 0 if self._tables is None else self._tables.release + 1
        bank, said = self._from_bank(envelope, m.PointTables, mark=f"/{due}")
        tables = self._points.say(bank, said)
        if tables is None:
            return []
        rows, final = require(self._rows), tables.rows is m.Rows.NONE
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
            return self._sign_when_ready()
        values = totals(rows, self.spec.rows, [feature.points for feature in tables.features])
        return [
            self._channel.wrap(bank, self._masked(bank, tables, values[self._layout.rows(bank)].tolist()), sealed=False)
            for bank in self._banks
        ]

    def _masked(self, bank: PartyId, tables: m.PointTables, values: list[int]) -> m.MaskedTotals:
        """Mask one bank's totals so that they open only to it, and only if all nodes were told the same cohorts."""
        told = f"totals/{bank}/{tables.release}/{tables.rows}/{self._cohort_name}"
        nodes = [node.party for node in self.spec.nodes]
        vector = mask_totals(self._channel, nodes, self._keys[bank], told, values, self._randomness)
        return m.MaskedTotals(tables.release, vector)

    def _on_residuals(self, envelope: Envelope) -> Sent:
        releases = require(None if self._final else self._tables).release
        bank, message = self._from_bank(envelope, m.EncryptedResiduals, mark=f"/{releases}")
        once(self._seen, "EncryptedResiduals", digest(message).hex())
        columns = require(self._columns)
        self._residuals.put(bank, self._vector(bank, message.vector))
        if not self._residuals.complete:
            return []
        vectors = self._residuals.take()
        if not columns.count:
            return []
        self._site.release(self.spec, f"GradientPoolShare/{releases}", m.LeakClass.AGGREGATE)
        bound = self._noise.gradient_bound(max(self._plan.values()))
        packing = gradient_packing(self.spec.training_rows, self.spec.key_bits, bound)
        parts = []
        for member in self._banks:
            own, vector = self._of_bank(columns, member), vectors[member]
            sums = [*weigh_bins(vector, own, squared=False), *weigh_bins(vector, own, squared=True)]
            parts.append(CiphertextVector.concat(sums))
        added = [x for n in self._noise.gradient(columns.levels) for x in n.draw(2 * columns.count, self._randomness)]
        shares = share_sums(parts, packing, self._randomness, filled=2, noise=added)
        return [
            self._channel.wrap(member, c.GradientPoolShare(share))
            for member, share in zip(self._banks, shares, strict=True)
        ]

    # ---- the manifests

    def _on_closing(self, envelope: Envelope) -> Sent:
        self._closing.take(envelope)
        return self._sign_when_ready()

    def _sign_when_ready(self) -> Sent:
        """Sign every bank's manifest, once all have agreed to the one model and this node holds its final part."""
        if not self._final or not self._closing.complete:
            return []
        manifests, as_of = self._closing.verified(require(self._tables)), self._site.data_as_of()
        return [
            self._channel.wrap(
                bank, m.ManifestSignature(manifest.model_hash(), sign_manifest(manifest, self._channel.keys), as_of)
            )
            for bank, manifest in manifests.items()
        ]

    def _on_signed_manifest(self, envelope: Envelope) -> Sent:
        bank, signed = self._from_bank(envelope, SignedManifest)
        if signed.manifest != self._closing.manifest(bank):
            raise VerificationFailed("the signed manifest is not the one that this node signed")
        verify_manifest(signed, self._channel.cards)
        self._site.keep_part(signed, require(self._tables))
        self._kept.add(bank)
        return []
