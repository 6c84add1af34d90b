"""A bank in a consortium: whom it has agreed to train with, and the runs that came of it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from nodes.bank.model.file import ConsortiumFacts, ModelFile, RunFacts, model_file, sign_model_file
from nodes.bank.site import BankSite
from nodes.bank.training.own_cut import bin_as_cut, decode_cut, make_cut
from nodes.bank.training.runs import TrainingTerms
from nodes.bank.training.split import Split
from protocols.channel.envelope import EVERYONE, Envelope
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import decode, digest
from protocols.consent import split_consent
from protocols.consortium import messages as c
from protocols.consortium.admission import check_invitation, form, plan_digest
from protocols.consortium.bank import BankConsortium
from protocols.consortium.model import BankMember, TrainedConsortium
from protocols.credit.logistic import Signs
from protocols.errors import PolicyDenied, UnexpectedMessage, VerificationFailed
from protocols.paillier import OwnerEncryptor, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.model import TrainingPlan
from protocols.scorecard.policies import RunPolicies
from protocols.scorecard.rows import BinnedRows


@dataclass(frozen=True, slots=True)
class ConsortiumTerms:
    """What a bank's operator has agreed to: with which banks, led by whom, on which terms, for which of its rows."""

    lead: PartyId
    banks: tuple[c.BankEntry, ...]
    training: TrainingTerms
    split: Split
    consent: str = field(repr=False)

    @property
    def plan(self) -> TrainingPlan:
        """Return the plan. Raises: TypeError for one of another family, ValueError for constrained signs."""
        plan = self.training.plan
        if not isinstance(plan, TrainingPlan):
            raise TypeError("a consortium trains a scorecard")
        if plan.signs is not Signs.FREE:
            raise ValueError("the signs of a consortium's coefficients are free")
        return plan


@dataclass(slots=True)
class _Prepared:
    """A run that this bank has offered or accepted: its rows and the labels it is bound to."""

    terms: ConsortiumTerms
    invitation: c.Invitation
    ids: tuple[str, ...]
    bad: NDArray[np.int64]
    labels: m.EncryptedLabels
    acceptances: dict[PartyId, c.Acceptance]


@dataclass(slots=True)
class _Run:
    role: BankConsortium
    policies: RunPolicies
    seed: int | None
    cut: bytes = b""


class Consortia:
    """The consortia that one bank leads or joins."""

    def __init__(self, site: BankSite) -> None:
        self._site, self._me = site, site.keys.party
        self._agreed: ConsortiumTerms | None = None
        self._prepared: dict[bytes, _Prepared] = {}
        self._runs: dict[bytes, _Run] = {}
        self._latest: _Run | None = None

    def __contains__(self, transcript: bytes) -> bool:
        return transcript in self._runs or transcript in self._prepared

    def agree(self, terms: ConsortiumTerms) -> None:
        """Let this bank accept one invitation on exactly these terms; without it, it accepts none.

        An unfinished run is given up.
        """
        self._give_up()
        self._agreed = terms

    def invite(self, terms: ConsortiumTerms) -> list[Envelope]:
        """Return the invitation to a run that this bank leads; an unfinished one is given up."""
        self._give_up()
        plan, training = terms.plan, terms.training
        invitation = c.Invitation(
            run=self._site.randomness(16),
            lead=self._me,
            banks=terms.banks,
            nodes=training.nodes,
            created=self._site.clock(),
            key_bits=self._site.paillier.public_key.bits,
            minimum_bin=training.minimum_bin,
            fine_bins=training.fine_bins,
            row_totals=plan.row_totals,
            columns=tuple(self._site.table.columns),
            plan=plan_digest(plan),
            rho=plan.rho,
        )
        self._prepare(terms, invitation)
        return [self._site.channel(invitation.transcript()).wrap(EVERYONE, invitation)]

    def _give_up(self) -> None:
        """Forget what broke off: only a finished run is kept, and none counts as the one that is asked for now."""
        self._runs = {transcript: run for transcript, run in self._runs.items() if run.role.result is not None}
        self._prepared, self._agreed, self._latest = {}, None, None

    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Take an invitation, an acceptance, a run's announcement or a message of a run. Raises: as its role does."""
        if envelope.message == c.Invitation.__name__:
            return self._accept(envelope)
        if envelope.message == c.ConsortiumSpec.__name__:
            return self._join(envelope)
        if envelope.transcript in self._prepared:
            return self._collect(envelope, self._prepared[envelope.transcript])
        run = self._runs[envelope.transcript]
        replies = run.role.receive(envelope)
        run.policies.check(envelope)
        return replies

    # ---- before the run

    def _prepare(self, terms: ConsortiumTerms, invitation: c.Invitation) -> c.Acceptance:
        """Encrypt this bank's labels, and state what it brings."""
        site, order, count = self._site, terms.split.order(), len(terms.split.training)
        bad = site.outcomes[order]
        vector = OwnerEncryptor(site.paillier, site.randomness).encrypt(bad[:count].tolist())
        labels = m.EncryptedLabels(vector.to_bytes())
        columns = tuple(name for name in invitation.columns if name in site.table.columns)
        acceptance = c.Acceptance(len(order), count, digest(labels), columns)
        ids = tuple(site.table.ids[row] for row in order)
        self._prepared[invitation.transcript()] = _Prepared(terms, invitation, ids, bad, labels, {self._me: acceptance})
        return acceptance

    def _accept(self, envelope: Envelope) -> list[Envelope]:
        """Accept an invitation if this bank's operator has agreed to it, once. Raises: PolicyDenied."""
        invitation = decode(envelope.body, c.Invitation)
        channel = self._site.channel(invitation.transcript())
        channel.unwrap(envelope, c.Invitation)
        check_invitation(invitation, channel.cards)
        terms, self._agreed = self._agreed, None
        if terms is None or envelope.sender != invitation.lead or not self._as_agreed(invitation, terms):
            raise PolicyDenied("this bank has not agreed to such a consortium", code="CONSORTIUM_NOT_AGREED")
        acceptance = self._prepare(terms, invitation)
        return [channel.wrap(PartyId(invitation.lead), acceptance, sealed=False)]

    def _as_agreed(self, invitation: c.Invitation, terms: ConsortiumTerms) -> bool:
        training = terms.training
        offered = (invitation.lead, invitation.banks, invitation.nodes, invitation.minimum_bin, invitation.fine_bins)
        agreed = (terms.lead, terms.banks, training.nodes, training.minimum_bin, training.fine_bins)
        bits = self._site.paillier.public_key.bits
        steps = (invitation.key_bits, invitation.row_totals, invitation.plan, invitation.rho)
        plan = terms.plan
        return offered == agreed and steps == (bits, plan.row_totals, plan_digest(plan), plan.rho)

    def _collect(self, envelope: Envelope, prepared: _Prepared) -> list[Envelope]:
        """Take an acceptance; with the last one, announce the run. Raises: UnexpectedMessage, VerificationFailed."""
        bank = PartyId(envelope.sender)
        invited = [PartyId(entry.party) for entry in prepared.invitation.banks]
        if prepared.invitation.lead != self._me or bank not in invited or bank in prepared.acceptances:
            raise UnexpectedMessage(f"no acceptance of {bank} is due")
        channel = self._site.channel(prepared.invitation.transcript())
        prepared.acceptances[bank] = channel.unwrap(envelope, c.Acceptance)
        if len(prepared.acceptances) < len(invited):
            return []
        spec = form(prepared.invitation, prepared.acceptances)
        cut = make_cut(self._site.table, spec.columns, prepared.ids, prepared.terms.split, prepared.terms.training)
        return self._start(spec, prepared, c.BankCut(cut, self._site.randomness(32)))

    # ---- the run

    def _join(self, envelope: Envelope) -> list[Envelope]:
        """Start this bank's part of a run that is what it has accepted. Raises: VerificationFailed."""
        spec = decode(envelope.body, c.ConsortiumSpec)
        channel = self._site.channel(spec.transcript())
        channel.unwrap(envelope, c.ConsortiumSpec)
        known = next((p for p in self._prepared.values() if p.invitation.run == spec.run), None)
        if known is None or envelope.sender != spec.bank:
            raise UnexpectedMessage("a run to which this bank was not invited")
        others = {
            PartyId(member.party): c.Acceptance(member.rows, member.training_rows, member.labels, spec.columns)
            for member in spec.members
        }
        if form(known.invitation, others) != spec or not self._is_mine(spec, known.acceptances[self._me]):
            raise VerificationFailed("the run is not the one that this bank has accepted", code="WRONG_RUN")
        return self._start(spec, known, None)

    def _is_mine(self, spec: c.ConsortiumSpec, accepted: c.Acceptance) -> bool:
        mine = next(member for member in spec.members if member.party == self._me)
        stated = (mine.rows, mine.training_rows, mine.labels)
        return stated == (accepted.rows, accepted.training_rows, accepted.labels) and set(spec.columns) <= set(
            accepted.columns
        )

    def _start(self, spec: c.ConsortiumSpec, prepared: _Prepared, cut: c.BankCut | None) -> list[Envelope]:
        site, count = self._site, len(prepared.terms.split.training)
        del self._prepared[prepared.invitation.transcript()]
        channel = site.run_channel(spec.transcript())
        for member in spec.members:
            site.pins.card(PartyId(member.party), PartyRole.BANK)

        def bin_own(data: bytes) -> BinnedRows:
            run.cut = data
            return bin_as_cut(site.table, spec.columns, prepared.ids, count, data)

        brought = BankMember(prepared.bad, count, prepared.terms.plan, bin_own)
        policies = RunPolicies(PartyId(node.party) for node in spec.nodes)
        role = BankConsortium(spec, channel, site.paillier, self._public_keys(spec), brought, site.randomness)
        run = self._runs[channel.transcript] = self._latest = _Run(role, policies, prepared.terms.split.seed)
        token = split_consent(prepared.terms.consent)[0]
        cohorts = {PartyId(node.party): m.Cohort(prepared.ids, token) for node in spec.nodes}
        return role.start(prepared.labels, cohorts, cut)

    def _public_keys(self, spec: c.ConsortiumSpec) -> Mapping[PartyId, PublicKey]:
        parties = [PartyId(node.party) for node in spec.nodes]
        return {party: self._site.pins.paillier_key(party, spec.key_bits) for party in parties}

    def trained(self, facts: RunFacts) -> tuple[TrainedConsortium, ModelFile]:
        """Return what the run that was last led or agreed to gave, the model signed.

        Raises: UnexpectedMessage, code RUN_UNFINISHED, while it is not finished.
        """
        run = self._latest
        if run is None or run.role.result is None:
            raise UnexpectedMessage("the run has no model: some party has said nothing", code="RUN_UNFINISHED")
        trained = run.role.result
        spec = trained.spec
        mine = next(member for member in spec.members if member.party == self._me)
        own = msgspec.structs.replace(spec, bank=self._me, rows=mine.rows, training_rows=mine.training_rows)
        dated, said = self._site.table.said_as_of, dict(sorted(run.role.as_of.items()))
        facts = msgspec.structs.replace(facts, as_of=dated, policies=run.policies.named, dates=said)
        model = model_file(trained.scorecard, trained.data, own, decode_cut(run.cut), run.seed, facts)
        signatures = {
            bank: base64.b64encode(agreement.signature).decode() for bank, agreement in trained.agreements.items()
        }
        pool = ConsortiumFacts(
            model=trained.agreements[self._me].model.hex(),
            run=spec.transcript().hex(),
            rows_train=spec.training_rows,
            rows_test=spec.rows - spec.training_rows,
            signatures=dict(sorted(signatures.items())),
        )
        return trained, sign_model_file(msgspec.structs.replace(model, consortium=pool), self._site.keys)
