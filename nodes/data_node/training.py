"""The training runs that a data node takes part in: whom it admits, and what it records before anything leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce

import msgspec

from nodes.binning import FineBinning, bin_rows, cohort_columns, row_index
from nodes.data_node.admission import offered_features
from nodes.data_node.charges import release_charges, run_charges
from nodes.data_node.cohorts import check_difference, names_of, pack, unpack
from nodes.data_node.consents import ConsentDesk
from nodes.data_node.consortium import PoolSite, asked_by, check_members
from nodes.data_node.site import NodeSite
from nodes.data_node.survey import DistrictSurvey
from nodes.features import FeatureTable
from nodes.ledger import Release, StoredPart
from nodes.policy import NodePolicy, Request, Rule, decide
from protocols.assessment.manifest import SignedManifest
from protocols.boosting.messages import BoostingSpec
from protocols.boosting.node import NodeBoosting
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.wire import decode, encode
from protocols.consent import Consent, ConsentDemand, Purpose, cohort_subject
from protocols.consortium.messages import ConsortiumSpec
from protocols.consortium.node import NodeConsortium
from protocols.errors import PolicyDenied, UnexpectedMessage, VerificationFailed
from protocols.scorecard.district_node import DistrictTraining
from protocols.scorecard.districts import Districts
from protocols.scorecard.messages import Cohort, LeakClass, PointTables, RunSpec
from protocols.scorecard.node import NodeTraining
from protocols.scorecard.rows import BinnedRows

SPECS: dict[str, type[RunSpec]] = {
    "RunSpec": RunSpec,
    "BoostingSpec": BoostingSpec,
    "ConsortiumSpec": ConsortiumSpec,
}
Role = NodeTraining | NodeBoosting | NodeConsortium


@dataclass(frozen=True, slots=True)
class Admission:
    """On which terms a run was admitted: the policy that did it, and its rule for each bank.

    The run keeps to both, and all that it releases names that policy: it ends with the first word of another one that
    does not let every bank train on the very same terms.
    """

    site: NodeSite
    policy: NodePolicy
    rules: Mapping[PartyId, Rule]

    def check(self) -> None:
        """Return if the run may go on now. Raises: PolicyDenied, NODE_STOPPED, POLICY_CHANGED or as a policy says."""
        self.site.switch.check()
        now = self.site.policy
        if now is self.policy:
            return
        for bank, rule in self.rules.items():
            if decide(now, Request(bank, Purpose.TRAINING)).granted() != rule:
                raise PolicyDenied("the terms on which this run was admitted have changed", code="POLICY_CHANGED")


class TrainingSite:
    """The site as one training run sees it: binds the run's rows and bins to the ledger."""

    def __init__(self, admission: Admission, bank: PartyId, consents: ConsentDesk) -> None:
        self._site, self._admission, self._consents = admission.site, admission, consents
        self._rule = admission.rules[bank]
        self._consent: Consent | None = None
        self._binnings: tuple[FineBinning, ...] = ()
        self._survey: DistrictSurvey | None = None
        self._as_of = ""

    def survey(self, spec: RunSpec, cohort: Cohort) -> DistrictSurvey:
        """Admit the cohort, and count its rows with the other districts of the domain. Raises: PolicyDenied."""
        self.admit(spec, cohort)
        table = self._offered()
        columns = cohort_columns(table, row_index(table), cohort.ids)
        self._survey = DistrictSurvey(columns, spec.training_rows, spec.fine_bins, spec.minimum_bin, table.special)
        return self._survey

    def bin_cohort(self, spec: RunSpec, cohort: Cohort) -> BinnedRows:
        """Admit the cohort and bin its rows. Raises: PolicyDenied."""
        self.admit(spec, cohort)
        table = self._offered()
        rows, self._binnings = bin_rows(table, cohort.ids, spec.training_rows, spec.fine_bins, spec.minimum_bin)
        return rows

    def _offered(self) -> FeatureTable:
        """Return what the bank's rule lets it use of the records as they are now, and keep as of when they speak."""
        table = offered_features(self._site.table, self._rule)
        self._as_of = table.said_as_of
        return table

    def admit(self, spec: RunSpec, cohort: Cohort) -> None:
        """Verify the cohort's consent, refuse training rows that nearly equal an earlier run's, and remember them.

        Raises: PolicyDenied.
        """
        site = self._site
        subject = cohort_subject(cohort.ids)
        demand = ConsentDemand(
            subject,
            spec.bank,
            spec.bank_card,
            Purpose.TRAINING,
            site.domain,
            site.pins.fingerprints(PartyId(spec.bank)),
        )
        self._consent = consent = self._consents.admit(cohort.consent, demand, self._rule, spec.transcript())
        runs = site.ledger.runs
        names, known = names_of(cohort.ids[: spec.training_rows]), names_of(site.table.ids)
        check_difference(names, known, map(unpack, runs.cohorts(spec.bank)), spec.minimum_bin)
        with site.ledger.group():
            self._consents.use(consent, spec.transcript())
            runs.record_cohort(spec.transcript(), spec.bank, pack(names))

    def release(self, spec: RunSpec, step: str, leak: LeakClass) -> None:
        """Record a release, and charge it to the bank's year, before it is made.

        Raises: BudgetExceeded; PolicyDenied, as `Admission.check`, or if the cohort's consent holds no longer.
        """
        site = self._site
        self._admission.check()
        self._consents.check_still([] if self._consent is None else [self._consent])
        charges = release_charges(self._rule.training, spec, step, leak)
        release = Release(step, leak, site.clock(), self._rule.name, self._admission.policy.digest())
        site.ledger.runs.record_release(spec.transcript(), release, charges)

    def data_as_of(self) -> str:
        """Return as of which day the binned records speak, or ""."""
        return self._as_of

    def keep_part(self, manifest: SignedManifest, tables: PointTables) -> None:
        """Store the part with the bins it refers to."""
        binnings = self._binnings if self._survey is None else self._survey.binnings
        part = StoredPart(encode(manifest), encode(tables), msgspec.msgpack.encode(binnings))
        self._site.ledger.parts.keep(manifest.manifest.model_hash(), part)


class TrainingRuns:
    """The runs that are open at one node: one for each bank."""

    def __init__(self, site: NodeSite, consents: ConsentDesk) -> None:
        self._site, self._consents = site, consents
        self._runs: dict[bytes, tuple[Role, Admission]] = {}

    @property
    def transcripts(self) -> tuple[bytes, ...]:
        """Return the transcripts of the open runs, the latest last."""
        return tuple(self._runs)

    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Take a run's announcement or a message of an open run; a stopped node takes neither.

        Raises: as role, policy and pins say; PolicyDenied, codes NODE_STOPPED, POLICY_CHANGED.
        """
        self._site.switch.check()
        if envelope.message in SPECS:
            return self._open_run(envelope, SPECS[envelope.message])
        if envelope.transcript not in self._runs:
            raise UnexpectedMessage(f"{envelope.message} for a run that is not open")
        run, admission = self._runs[envelope.transcript]
        admission.check()
        replies = run.receive(envelope)
        if run.finished:
            del self._runs[envelope.transcript]
        return replies

    def _open_run(self, envelope: Envelope, kind: type[RunSpec]) -> list[Envelope]:
        """Admit a run, in place of an unfinished one of the same bank. Raises: as the policy and the pins say."""
        site = self._site
        spec = decode(envelope.body, kind)
        policy = site.policy
        channel = replace(site.run_channel(spec.transcript()), policy=policy.digest())
        channel.unwrap(envelope, kind)
        self._check_parties(envelope, spec)
        rules = {PartyId(asked.bank): self._admit(asked, policy) for asked in asked_by(spec)}
        admission = Admission(site, policy, rules)
        run = self._role(spec, channel, admission)
        with site.ledger.group():
            for asked in asked_by(spec):
                site.ledger.runs.open(asked.transcript(), asked.bank, asked.row_totals)
        others = {t: opened for t, opened in self._runs.items() if opened[0].spec.bank != spec.bank}
        self._runs = others | {channel.transcript: (run, admission)}
        return []

    def _admit(self, spec: RunSpec, policy: NodePolicy) -> Rule:
        """Return the rule on whose terms a bank's run may take place. Raises: PolicyDenied, BudgetExceeded."""
        site = self._site
        site.switch.check()
        rule = decide(policy, Request(spec.bank, Purpose.TRAINING)).granted()
        rule.training.check(spec)
        site.ledger.spending.require(spec.bank, site.clock(), run_charges(rule.training, spec))
        return rule

    def _role(self, spec: RunSpec, channel: Channel, admission: Admission) -> Role:
        site = self._site
        keys = {PartyId(p): site.pins.paillier_key(PartyId(p), spec.key_bits) for p in _parties(spec)}
        members = {bank: TrainingSite(admission, bank, self._consents) for bank in admission.rules}
        bank = PartyId(spec.bank)
        if isinstance(spec, ConsortiumSpec):
            table = reduce(offered_features, admission.rules.values(), site.table)
            pool = PoolSite(site, table, members)
            return NodeConsortium(spec, channel, site.paillier, keys, pool, site.randomness)
        if isinstance(spec, BoostingSpec):
            return NodeBoosting(spec, channel, keys[bank], members[bank], site.randomness)
        if Districts.of(spec).siblings(site.keys.party):
            return DistrictTraining(spec, channel, site.paillier, keys, members[bank], site.randomness)
        return NodeTraining(spec, channel, site.paillier, keys, members[bank], site.randomness)

    def _check_parties(self, envelope: Envelope, spec: RunSpec) -> None:
        """Hold the run's parties against the pinned cards. Raises: VerificationFailed."""
        pins = self._site.pins
        bank = pins.card(PartyId(spec.bank), PartyRole.BANK)
        if envelope.sender != spec.bank or bank.fingerprint() != spec.bank_card:
            raise VerificationFailed("the run is not announced by its bank, under its pinned card")
        names = [node.party for node in spec.nodes]
        if names != sorted(set(names)) or spec.bank in names or self._site.keys.party not in names:
            raise VerificationFailed("the run's nodes are sorted, distinct, and include this one")
        for node in spec.nodes:
            if pins.card(PartyId(node.party), PartyRole.DATA_NODE).fingerprint() != node.card:
                raise VerificationFailed(f"the run names a card of {node.party} that is not pinned")
        if isinstance(spec, ConsortiumSpec):
            check_members(self._site, spec)


def _parties(spec: RunSpec) -> tuple[str, ...]:
    banks = [asked.bank for asked in asked_by(spec)]
    return (*banks, *(node.party for node in spec.nodes))
