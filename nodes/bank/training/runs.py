"""The training runs that a bank opens, from its labels to its signed model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from nodes.bank.model.file import ModelFile, RunFacts, model_file, sign_model_file
from nodes.bank.site import BankSite
from nodes.bank.training.split import Split
from nodes.binning import FineBinning, bin_rows
from protocols.boosting.bank import BankBoosting
from protocols.boosting.messages import BoostingSpec
from protocols.boosting.model import BoostingPlan, TrainedBoosting, announce
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId
from protocols.channel.wire import digest
from protocols.consent import split_consent
from protocols.errors import UnexpectedMessage
from protocols.paillier import OwnerEncryptor, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.bank import BankTraining
from protocols.scorecard.model import BankRows, TrainedScorecard, TrainingPlan
from protocols.scorecard.policies import RunPolicies
from protocols.scorecard.rows import BinnedRows

FINE_BINS = 32


@dataclass(frozen=True, slots=True)
class TrainingTerms:
    """What the bank asks its nodes to agree to."""

    nodes: tuple[m.NodeEntry, ...]
    minimum_bin: int = 50
    fine_bins: int = FINE_BINS
    plan: TrainingPlan | BoostingPlan = field(default_factory=TrainingPlan)


@dataclass(slots=True)
class _Run:
    training: BankTraining | BankBoosting
    policies: RunPolicies
    data: BankRows
    binnings: tuple[FineBinning, ...]
    seed: int | None


class BankRuns:
    """The runs that one bank has opened."""

    def __init__(self, site: BankSite) -> None:
        self._site = site
        self._me = site.keys.party
        self._runs: dict[bytes, _Run] = {}

    def __contains__(self, transcript: bytes) -> bool:
        return transcript in self._runs

    def receive(self, envelope: Envelope) -> list[Envelope]:
        """Take a message of an open run. Raises: as the run's role, and `RunPolicies`, do."""
        run = self._runs[envelope.transcript]
        replies = run.training.receive(envelope)
        run.policies.check(envelope)
        return replies

    def cohort_ids(self, split: Split) -> tuple[str, ...]:
        """Return the enterprises of a split in cohort order: what a consent for training must cover."""
        return tuple(self._site.table.ids[row] for row in split.order())

    def open(self, split: Split, terms: TrainingTerms, consent: str) -> tuple[bytes, list[Envelope]]:
        """Return a new run's transcript and its first messages; an unfinished run is given up.

        Raises: PolicyDenied for too small a cohort.
        """
        site = self._site
        self._runs = {t: run for t, run in self._runs.items() if run.training.result is not None}
        ids, order, count = self.cohort_ids(split), split.order(), len(split.training)
        rows, binnings = self._bin_own(ids, count, terms)
        data = BankRows(rows, site.outcomes[order], count)
        vector = OwnerEncryptor(site.paillier, site.randomness).encrypt(data.training_bad.tolist())
        labels = m.EncryptedLabels(vector.to_bytes())
        spec = self._spec(terms, len(ids), count, digest(labels))
        channel = site.run_channel(spec.transcript())
        training = self._role(spec, channel, data, terms.plan)
        cohorts = {PartyId(node.party): m.Cohort(ids, split_consent(consent)[0]) for node in terms.nodes}
        policies = RunPolicies(PartyId(node.party) for node in terms.nodes)
        self._runs[channel.transcript] = _Run(training, policies, data, binnings, split.seed)
        return channel.transcript, training.start(labels, cohorts)

    def _spec(self, terms: TrainingTerms, rows: int, training_rows: int, labels: bytes) -> m.RunSpec:
        site, plan = self._site, terms.plan
        spec = m.RunSpec(
            run=site.randomness(16),
            bank=self._me,
            bank_card=site.pins.cards[self._me].fingerprint(),
            nodes=terms.nodes,
            created=site.clock(),
            key_bits=site.paillier.public_key.bits,
            rows=rows,
            training_rows=training_rows,
            minimum_bin=terms.minimum_bin,
            fine_bins=terms.fine_bins,
            row_totals=plan.row_totals,
            labels=labels,
            rho=plan.rho,
        )
        if isinstance(plan, TrainingPlan):
            return spec
        return announce(spec, plan)

    def _role(
        self, spec: m.RunSpec, channel: Channel, data: BankRows, plan: TrainingPlan | BoostingPlan
    ) -> BankTraining | BankBoosting:
        site = self._site
        if isinstance(spec, BoostingSpec) and isinstance(plan, BoostingPlan):
            return BankBoosting(spec, channel, site.paillier, data, plan, site.randomness)
        if isinstance(plan, TrainingPlan):
            return BankTraining(spec, channel, site.paillier, self._public_keys(spec), data, plan, site.randomness)
        raise TypeError("a boosting plan goes with a boosting run")

    def _bin_own(
        self, ids: tuple[str, ...], training_rows: int, terms: TrainingTerms
    ) -> tuple[BinnedRows, tuple[FineBinning, ...]]:
        if not self._site.table.columns:
            return BinnedRows((), np.empty((len(ids), 0), dtype=np.uint16)), ()
        return bin_rows(self._site.table, ids, training_rows, terms.fine_bins, terms.minimum_bin)

    def _public_keys(self, spec: m.RunSpec) -> Mapping[PartyId, PublicKey]:
        parties = [PartyId(spec.bank), *(PartyId(node.party) for node in spec.nodes)]
        return {party: self._site.pins.paillier_key(party, spec.key_bits) for party in parties}

    def trained(
        self, transcript: bytes, facts: RunFacts
    ) -> tuple[TrainedScorecard | TrainedBoosting, BankRows, ModelFile]:
        """Return what a finished run gave, the model signed.

        Raises: UnexpectedMessage, code RUN_UNFINISHED, while it is not finished.
        """
        run = self._runs[transcript]
        trained = run.training.result
        if trained is None:
            raise UnexpectedMessage("the run has no model: some party has said nothing", code="RUN_UNFINISHED")
        own, said = self._site.table.said_as_of, dict(sorted(run.training.as_of.items()))
        facts = msgspec.structs.replace(facts, as_of=own, policies=run.policies.named, dates=said)
        model = model_file(trained, run.data, run.training.spec, run.binnings, run.seed, facts)
        return trained, run.data, sign_model_file(model, self._site.keys)
