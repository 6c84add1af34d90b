"""A bank's role in a consortium's run: it decrypts shares, pools them with the other banks', and fits the one model.

Every bank does the same on the same pooled sums, so that all end with the same model; none is trusted to say it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from protocols.assessment.manifest import SignedManifest, verify_manifest_signature
from protocols.channel.envelope import EVERYONE, Channel, Envelope
from protocols.channel.identity import PartyId, Randomness
from protocols.channel.wire import M, digest
from protocols.consortium import messages as c
from protocols.consortium.admission import check_consortium, plan_digest
from protocols.consortium.agreement import Closure, sign_agreement
from protocols.consortium.closing import verify_agreement
from protocols.consortium.fit import PooledSpan
from protocols.consortium.gradient import GRADIENT_BITS, open_gradients, own_sums, pack_pooled
from protocols.consortium.histograms import node_histograms, open_histogram_share, own_counts, own_histograms
from protocols.consortium.inbox import require
from protocols.consortium.model import BankMember, TrainedConsortium
from protocols.consortium.own_columns import BANKS, encrypt_own, product_bits
from protocols.consortium.pool import BankPool
from protocols.consortium.shares import Residues, open_share, sum_bits
from protocols.consortium.validation import ScoreBands
from protocols.credit.binning import BinnedFeature
from protocols.credit.logistic import Moments, first_step, refine
from protocols.credit.woe import Outcomes
from protocols.errors import MalformedMessage, UnexpectedMessage, VerificationFailed
from protocols.paillier import OwnerEncryptor, PrivateKey, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.arithmetic import gradient_packing
from protocols.scorecard.candidate import Candidate, check_gram, moments, prune_correlated, restrict
from protocols.scorecard.curvature import residuals, to_curvature
from protocols.scorecard.gram import GramAssembly
from protocols.scorecard.histograms import bin_all, require_outcomes
from protocols.scorecard.model import BankRows
from protocols.scorecard.releases import TotalsCollection
from protocols.scorecard.rows import WoeColumns, totals
from protocols.scorecard.themes import assign_themes

Sent = list[Envelope]
Then = Callable[[Residues], Sent]


class BankConsortium:
    """One bank in one run of several: `start` opens it, `receive` drives it, `result` is set when it is done.

    Raises: MalformedMessage, UnexpectedMessage, VerificationFailed; CreditFederationError with code FIT_DIVERGED.
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
        check_consortium(spec, channel.cards)
        if spec.plan != plan_digest(member.plan) or spec.row_totals != member.plan.row_totals:
            raise VerificationFailed("the run follows another plan than this bank's", code="PLAN_DIFFERS")
        self.spec, self._channel, self._paillier, self._keys = spec, channel, paillier, keys
        self._member, self._plan, self._randomness = member, member.plan, randomness
        self._me = channel.keys.party
        self._banks = [PartyId(entry.party) for entry in spec.members]
        self._nodes = [PartyId(node.party) for node in spec.nodes]
        self._domains = {PartyId(node.party): node.domain for node in spec.nodes}
        self._pool = BankPool(channel, self._banks)
        self._awaited: tuple[str, Then] | None = None
        self._cut: c.BankCut | None = None
        self._data: BankRows | None = None
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
        self._candidate: Candidate | None = None
        self._span: PooledSpan | None = None
        self._evaluations = 0
        self._collection: TotalsCollection | None = None
        self._residuals: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
        self._gradients: dict[PartyId, Residues] = {}
        self._closure: Closure | None = None
        self._agreements: dict[PartyId, c.ModelAgreement] = {}
        self.result: TrainedConsortium | None = None

    def start(
        self, labels: m.EncryptedLabels, cohorts: Mapping[PartyId, m.Cohort], cut: c.BankCut | None = None
    ) -> Sent:
        """Open the run at this bank: its labels for all nodes, its cohort for each; the lead announces it with its cut.

        Reveals: to each node, who the bank's customers of the cohort are.
        """
        sent: Sent = []
        if (cut is not None) != (self._me == self.spec.bank):
            raise ValueError("the lead, and it alone, cuts the banks' columns")
        if cut is not None:
            sent.append(self._channel.wrap(EVERYONE, self.spec))
            sent += [self._channel.wrap(bank, cut) for bank in self._banks if bank != self._me]
            self._take_cut(cut)
        sent.append(self._channel.wrap(EVERYONE, labels))
        return sent + [self._channel.wrap(node, cohorts[node]) for node in self._nodes]

    def receive(self, envelope: Envelope) -> Sent:
        """Take one envelope of the run, from a relay that may be hostile; return the envelopes it leads to."""
        handlers: dict[str, Callable[[Envelope], Sent]] = {
            "BankCut": self._on_cut,
            "PoolShare": self._on_pool_share,
            "HistogramShare": self._on_histograms,
            "LocalGram": self._on_local_gram,
            "MaskShare": self._on_mask_share,
            "ProductShare": self._on_product_share,
            "OwnProductShare": self._on_own_products,
            "MaskedTotals": self._on_totals,
            "CombinedTotals": self._on_combined,
            "GradientPoolShare": self._on_gradient,
            "ModelAgreement": self._on_agreement,
            "ManifestSignature": self._on_signature,
        }
        handler = handlers.get(envelope.message)
        if handler is None:
            raise UnexpectedMessage(f"a bank of a consortium does not take {envelope.message}")
        return handler(envelope)

    # ---- pooled steps

    def _ask(self, step: str, numbers: Residues, then: Then, context: bytes = b"") -> Sent:
        """Offer this bank's addends of a step, and go on with `then` once every bank's are there."""
        sent = self._pool.offer(step, numbers, context)
        self._awaited = (step, then)
        return sent + self._go_on()

    def _go_on(self) -> Sent:
        if self._awaited is None or not self._pool.ready(self._awaited[0]):
            return []
        (step, then), self._awaited = self._awaited, None
        return then(self._pool.total(step))

    def _on_pool_share(self, envelope: Envelope) -> Sent:
        self._pool.put(envelope)
        return self._go_on()

    # ---- binning, WOE and IV

    def _on_cut(self, envelope: Envelope) -> Sent:
        if envelope.sender != self.spec.bank or self._cut is not None:
            raise UnexpectedMessage(f"no cut of {envelope.sender} is due")
        self._take_cut(self._channel.unwrap(envelope, c.BankCut))
        return self._pool_histograms_when_ready()

    def _take_cut(self, cut: c.BankCut) -> None:
        data = self._member.rows(cut.cut)
        if tuple(feature.name for feature in data.rows.features) != self.spec.columns:
            raise MalformedMessage(f"the lead's cut is not of the run's {len(self.spec.columns)} columns")
        self._cut, self._data = cut, data

    def _on_histograms(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, c.HistogramShare)
        if node in self._shares:
            raise UnexpectedMessage(f"histograms of {node} were already received")
        self._shares[node] = (message, open_histogram_share(message, self.spec.training_rows, self._paillier))
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
            found[node] = node_histograms(message.features, self._domains[node], part, rows, self.spec.key_bits)
            start += len(share.values)
        for histograms in found.values():
            require_outcomes(histograms, self._everyone)
        self._features = bin_all(found, self._everyone, self._plan.rules)
        return self._send_woe()

    def _send_woe(self) -> Sent:
        data, rows = require(self._data), self.spec.training_rows
        tables = {p: tuple(f.woe if f.selected else None for f in fs) for p, fs in self._features.items()}
        self._own_columns = own = WoeColumns.build(data.rows, data.training_rows, tables[BANKS])
        self._woe_columns = {party: sum(t is not None for t in table) for party, table in tables.items()}
        keys = {BANKS: self._paillier.public_key} | {node: self._keys[node] for node in self._nodes}
        self._gram = GramAssembly(self._woe_columns, rows, keys)
        plan = tuple(m.ColumnCount(party, columns) for party, columns in self._woe_columns.items())
        sent = [self._channel.wrap(node, m.WoeTables(tables[node], plan)) for node in self._nodes]
        if own.count:
            self._products_due = [node for node in self._nodes if self._woe_columns[node]]
            if self._products_due:
                vector = encrypt_own(own, rows, self._paillier, self._randomness)
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
        bits = product_bits(
            self._woe_columns[BANKS], self._woe_columns[node], self.spec.training_rows, self.spec.key_bits
        )
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
        if not gram.complete or self._candidate is not None:
            return []
        check_gram(self._features, gram.matrix())
        full = moments(self._features, self._everyone.total, self._everyone.good, gram.matrix())
        self._features, self._kept = prune_correlated(self._features, full)
        self._moments = restrict(full, self._kept)
        self._span = PooledSpan(require(self._data).training_bad, self.spec.training_rows, self._everyone.good)
        return self._release(Candidate.build(first_step(self._moments), self._features))

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
        plaintexts = pack_pooled(*self._residuals, self.spec.training_rows, self.spec.key_bits)
        vector = OwnerEncryptor(self._paillier, self._randomness).encrypt(plaintexts)
        self._gradients = {}
        sent = [self._channel.wrap(EVERYONE, m.EncryptedResiduals(vector.to_bytes()))]
        return sent + self._pool_gradients_when_ready()

    def _with_columns(self) -> list[PartyId]:
        return [node for node in self._nodes if self._woe_columns[node]]

    def _on_gradient(self, envelope: Envelope) -> Sent:
        node, message = self._from_node(envelope, c.GradientPoolShare)
        if node in self._gradients or self._residuals is None or node not in self._with_columns():
            raise UnexpectedMessage(f"no gradient of {node} is due")
        packing = gradient_packing(self.spec.training_rows, self.spec.key_bits)
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
        residual, weight, sums = open_gradients(pooled, counts, self.spec.training_rows, self.spec.key_bits)
        curvature = to_curvature(sums, np.array([residual]), np.array([weight])).restrict(self._kept)
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
        closure.signatures[node] = message.signature
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

    def _from_node(self, envelope: Envelope, kind: type[M]) -> tuple[PartyId, M]:
        sender = PartyId(envelope.sender)
        if sender not in self._domains:
            raise UnexpectedMessage(f"{envelope.message} of {sender}, which is no node of this run")
        return sender, self._channel.unwrap(envelope, kind)
