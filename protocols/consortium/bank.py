"""A bank's role in a consortium's run: it decrypts shares, pools them with the other banks', and fits the one model.

Every bank does the same on the same pooled sums, so that all end with the same model; none is trusted to say it alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from protocols.assessment.manifest import SignedManifest, verify_manifest_signature
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId, Randomness
from protocols.consortium import messages as c
from protocols.consortium.agreement import Closure, sign_agreement
from protocols.consortium.bank_columns import BankColumns
from protocols.consortium.bank_role import Handlers
from protocols.consortium.closing import verify_agreement
from protocols.consortium.fit import PooledSpan
from protocols.consortium.gradient import open_gradients, own_sums, pack_pooled
from protocols.consortium.inbox import require
from protocols.consortium.model import BankMember, TrainedConsortium
from protocols.consortium.own_columns import BANKS
from protocols.consortium.shares import Residues, open_share, sum_bits
from protocols.consortium.validation import ScoreBands
from protocols.credit.logistic import Moments, first_step, refine
from protocols.errors import UnexpectedMessage, VerificationFailed
from protocols.paillier import OwnerEncryptor, PrivateKey, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.arithmetic import gradient_packing
from protocols.scorecard.candidate import Candidate
from protocols.scorecard.curvature import residuals, to_curvature
from protocols.scorecard.releases import TotalsCollection
from protocols.scorecard.rows import totals
from protocols.scorecard.themes import assign_themes

Sent = list[Envelope]


class BankConsortium(BankColumns):
    """One bank in one run of several; `result` is set when it is done.

    `as_of` tells as of when each node's records speak.
    """

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
        self._candidate: Candidate | None = None
        self._span: PooledSpan | None = None
        self._evaluations = 0
        self._collection: TotalsCollection | None = None
        self._residuals: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
        self._gradients: dict[PartyId, Residues] = {}
        self._closure: Closure | None = None
        self._agreements: dict[PartyId, c.ModelAgreement] = {}
        self.as_of: dict[PartyId, str] = {}
        self.result: TrainedConsortium | None = None

    def _handlers(self) -> Handlers:
        return {
            **super()._handlers(),
            "MaskedTotals": self._on_totals,
            "CombinedTotals": self._on_combined,
            "GradientPoolShare": self._on_gradient,
            "ModelAgreement": self._on_agreement,
            "ManifestSignature": self._on_signature,
        }

    def _solved(self, moments: Moments) -> Sent:
        self._span = PooledSpan(require(self._data).training_bad, self.spec.training_rows, self._everyone.good)
        return self._release(Candidate.build(first_step(moments), self._features))

    # ---- totals and refinement

    def _release(self, candidate: Candidate) -> Sent:
        """Hand each node its part of a candidate, and ask for the totals of this bank's own customers."""
        release = 0 if self._collection is None else self._collection.release + 1
        self._candidate = candidate
        self._collection = TotalsCollection(release, self._nodes)
        tables = self._closure_of(candidate).tables(release, m.Rows.ALL)
        return [self._channel.wrap(node, tables[node]) for node in self._nodes]

    def _closure_of(self, candidate: Candidate) -> Closure:
        themes, theme_of = assign_themes(self._features, candidate, self._plan.themes, BANKS)
        return Closure(self.spec, candidate, themes, theme_of, require(self._cut).seed)

    def _on_totals(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.MaskedTotals)
        require(self._collection).put_share(node, message.release, message.vector)
        return self._open_totals_when_ready()

    def _on_combined(self, envelope: Envelope) -> Sent:
        message = self._channel.unwrap(envelope, m.CombinedTotals)
        if envelope.sender in self._nodes or envelope.sender in self._banks:
            raise UnexpectedMessage(f"{envelope.sender} is not the coordinator")
        require(self._collection).put_product(message.release, message.vector)
        return self._open_totals_when_ready()

    def _open_totals_when_ready(self) -> Sent:
        collection, data, span = require(self._collection), require(self._data), require(self._span)
        if not collection.complete:
            return []
        candidate = require(self._candidate)
        count = len(data.bad)
        own = totals(data.rows, count, candidate.points[BANKS])
        span.add(candidate, collection.open(count, self._paillier) + own)
        return self._ask(f"moments/{collection.release}", span.moments(), self._begin_fit)

    def _begin_fit(self, pooled: Residues) -> Sent:
        self._evaluations = 0
        return self._fitted() if require(self._span).begin(pooled.signed()) else self._evaluate()

    def _evaluate(self) -> Sent:
        step = f"fit/{require(self._collection).release}/{self._evaluations}"
        self._evaluations += 1
        return self._ask(step, require(self._span).sums(), self._advance)

    def _advance(self, pooled: Residues) -> Sent:
        return self._fitted() if require(self._span).advance(pooled.signed()) else self._evaluate()

    def _fitted(self) -> Sent:
        span, data = require(self._span), require(self._data)
        if require(self._collection).release == self._plan.refinements:
            return self._serve(Candidate.build(span.coefficients, self._features))
        self._residuals = residuals(span.log_odds[: data.training_rows], data.training_bad)
        rows, bits = self.spec.training_rows, self.spec.key_bits
        plaintexts = pack_pooled(*self._residuals, rows, bits, self._gradient_bound())
        vector = OwnerEncryptor(self._paillier, self._randomness).encrypt(plaintexts)
        self._gradients = {}
        sent = [self._channel.wrap(EVERYONE, m.EncryptedResiduals(vector.to_bytes()))]
        return sent + self._pool_gradients_when_ready()

    def _gradient_bound(self) -> int:
        """Return what a node may add to a sum of the gradient."""
        return self._noise.gradient_bound(max(self._woe_columns.values()))

    def _with_columns(self) -> list[PartyId]:
        return [node for node in self._nodes if self._woe_columns[node]]

    def _on_gradient(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, c.GradientPoolShare)
        if node in self._gradients or self._residuals is None or node not in self._with_columns():
            raise UnexpectedMessage(f"no gradient of {node} is due")
        packing = gradient_packing(self.spec.training_rows, self.spec.key_bits, self._gradient_bound())
        self._gradients[node] = open_share(
            message.vector, sum_bits(4 * self._woe_columns[node], packing), self._paillier
        )
        return self._pool_gradients_when_ready()

    def _pool_gradients_when_ready(self) -> Sent:
        if len(self._gradients) < len(self._with_columns()):
            return []
        numbers = own_sums(require(self._own_columns), *require(self._residuals))
        for node in self._with_columns():
            numbers += self._gradients[node]
        return self._ask(f"gradient/{require(self._collection).release}", numbers, self._refine)

    def _refine(self, pooled: Residues) -> Sent:
        counts = [self._woe_columns[BANKS], *(self._woe_columns[node] for node in self._with_columns())]
        rows, bits = self.spec.training_rows, self.spec.key_bits
        residual, weight, sums = open_gradients(pooled, counts, rows, bits, self._gradient_bound())
        spread = [self._noise.gradient(self._levels(node))[1].deviation for node in self._with_columns()]
        floor = 2 * max(spread, default=0.0)
        curvature = to_curvature(sums, np.array([residual]), np.array([weight]), floor).restrict(self._kept)
        self._residuals = None
        better = refine(require(self._span).coefficients, require(self._moments), curvature)
        return self._release(Candidate.build(better, self._features))

    # ---- the manifests

    def _serve(self, final: Candidate) -> Sent:
        """Hand each node its part of the final model, this bank's manifest and its word that all agree."""
        release = require(self._collection).release + 1
        self._candidate = final
        self._closure = closure = self._closure_of(final)
        tables = closure.tables(release, m.Rows.NONE)
        closure.state(tables)
        agreement = sign_agreement(self.spec, self._channel.keys, closure.model())
        self._agreements[self._me] = agreement
        self._check_agreements()
        sent = [self._channel.wrap(node, tables[node]) for node in self._nodes]
        sent += [
            self._channel.wrap(EVERYONE, closure.manifest(self._me)),
            self._channel.wrap(EVERYONE, agreement),
        ]
        span, data, tested = require(self._span), require(self._data), self.spec.rows - self.spec.training_rows
        bands = ScoreBands.cut(span.centre, span.spread, tested)
        counts = bands.counts(span.log_odds[data.training_rows :], data.bad[data.training_rows :])

        def measure(pooled: Residues) -> Sent:
            closure.pooled = bands.validation(pooled.signed(), tested)
            return self._finish_when_ready()

        return sent + self._ask("bands", Residues.of(counts, 64), measure)

    def _on_agreement(self, envelope: Envelope) -> Sent:
        bank = PartyId(envelope.sender)
        if bank not in self._banks or bank in self._agreements:
            raise UnexpectedMessage(f"no agreement of {bank} is due")
        agreement = self._channel.unwrap(envelope, c.ModelAgreement)
        verify_agreement(self.spec, self._channel, bank, agreement)
        self._agreements[bank] = agreement
        self._check_agreements()
        return self._finish_when_ready()

    def _check_agreements(self) -> None:
        """Refuse another bank's model, as soon as this bank knows its own."""
        if self._closure is not None:
            model = self._closure.model()
            for bank, agreement in self._agreements.items():
                if agreement.model != model:
                    raise VerificationFailed(f"{bank} has computed another model", code="CONSORTIUM_DISAGREES")

    def _on_signature(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, m.ManifestSignature)
        closure = require(self._closure)
        manifest = closure.manifest(self._me)
        if message.manifest != manifest.model_hash() or node in closure.signatures:
            raise VerificationFailed(f"{node} has signed another manifest, or twice")
        verify_manifest_signature(manifest, self._channel.cards[node], message.signature)
        closure.signatures[node], self.as_of[node] = message.signature, message.as_of
        return self._finish_when_ready()

    def _finish_when_ready(self) -> Sent:
        closure = self._closure
        if closure is None or closure.pooled is None or len(self._agreements) < len(self._banks):
            return []
        if len(closure.signatures) < len(self._nodes):
            return []
        span, data = require(self._span), require(self._data)
        manifest = closure.manifest(self._me)
        signed = SignedManifest(manifest, tuple(closure.signatures[PartyId(node.party)] for node in manifest.nodes))
        scorecard = closure.scorecard(signed, self._features, span.log_odds)
        self.result = TrainedConsortium(self.spec, scorecard, data, closure.pooled, dict(self._agreements))
        return [
            self._channel.wrap(EVERYONE, signed),
            self._channel.wrap(EVERYONE, m.RunFinished(manifest.model_hash())),
        ]
