"""The bank's agent: it opens training runs and queries, and alone can read their results.

Like a data node's agent it has one door for parcels. What the bank itself asks for waits in the outbox until the
coordinator's next visit; an empty parcel collects it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nodes.agent import system_clock
from nodes.binning import FineBinning, bin_rows, cohort_columns, row_index
from nodes.boundary import handle_parcel
from nodes.features import FeatureTable
from nodes.ledger import Ledger
from nodes.log_witness import LogWitness
from nodes.model_file import BOOSTING, ModelFile, RunFacts, model_file, sign_model_file
from nodes.results import AssessmentResult, describe_answer, describe_refusal
from protocols.assessment.bank import BankQuery
from protocols.assessment.manifest import verify_manifest
from protocols.assessment.messages import Acknowledgement, Query, Subject
from protocols.boosting.bank import BankBoosting
from protocols.boosting.messages import BoostingSpec
from protocols.boosting.model import BoostingPlan, TrainedBoosting, announce
from protocols.boosting.serving import leaves_of
from protocols.channel.envelope import Channel, Envelope
from protocols.channel.identity import PartyId, PartyKeys, PartyRole, Randomness
from protocols.channel.pins import Pins
from protocols.channel.wire import digest
from protocols.consent import Purpose
from protocols.errors import UnexpectedMessage, VerificationFailed
from protocols.paillier import OwnerEncryptor, PrivateKey, PublicKey
from protocols.scorecard import messages as m
from protocols.scorecard.bank import BankTraining
from protocols.scorecard.model import BankRows, TrainedScorecard, TrainingPlan
from protocols.scorecard.rows import BinnedRows
from protocols.transparency.checkpoints import verify_log_signature
from protocols.transparency.leaves import subject_tag
from protocols.transparency.messages import OFFER
from protocols.transparency.notes import VerifierKey, parse_note

FINE_BINS = 32
QUERY_SECONDS = 300
VALID_DAYS = 30


@dataclass(frozen=True, slots=True)
class BankSite:
    """What the bank brings: identity, its key, its own features and the repayment outcomes it knows.

    `log_key` is the one that it has pinned; `witness` is set if it cosigns that log, `ledger` if it keeps a record of
    its queries to hold against it.
    """

    keys: PartyKeys = field(repr=False)
    paillier: PrivateKey = field(repr=False)
    pins: Pins = field(repr=False)
    table: FeatureTable = field(repr=False)
    outcomes: NDArray[np.int64] = field(repr=False)
    log_key: VerifierKey
    tag_key: bytes = field(repr=False)
    clock: Callable[[], int] = system_clock
    randomness: Randomness = secrets.token_bytes
    witness: LogWitness | None = field(default=None, repr=False)
    ledger: Ledger | None = field(default=None, repr=False)

    def channel(self, transcript: bytes) -> Channel:
        """Return the bank's end of a run or query."""
        return Channel(self.keys, self.pins.cards, transcript)


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of the bank's file that train the model, and those that test it; `seed` if one drew them."""

    training: NDArray[np.intp]
    test: NDArray[np.intp]
    seed: int | None = None

    def order(self) -> NDArray[np.intp]:
        """Return all rows of the cohort, training rows first."""
        return np.concatenate([self.training, self.test])


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
    data: BankRows
    binnings: tuple[FineBinning, ...]
    seed: int | None


class BankAgent:
    """Serves the bank's own requests, and the parcels that answer them."""

    def __init__(self, site: BankSite) -> None:
        self._site = site
        self._me = site.keys.party
        self._outbox: list[Envelope] = []
        self._runs: dict[bytes, _Run] = {}
        self._queries: dict[bytes, tuple[BankQuery, ModelFile, str]] = {}
        self._row_of = row_index(site.table)

    def handle(self, data: bytes) -> bytes:
        """Return the reply to a parcel; never raises."""
        return handle_parcel(self._me, data, self._receive_all)

    def _receive_all(self, envelopes: tuple[Envelope, ...]) -> list[Envelope]:
        waiting, self._outbox = self._outbox, []
        return waiting + [reply for envelope in envelopes for reply in self._receive(envelope)]

    def _receive(self, envelope: Envelope) -> list[Envelope]:
        if envelope.transcript in self._runs:
            return self._runs[envelope.transcript].training.receive(envelope)
        if envelope.transcript in self._queries:
            return self._receive_answer(envelope, self._queries[envelope.transcript][0])
        if envelope.message == OFFER and self._site.witness is not None:
            coordinator, now = self._site.pins.only(PartyRole.COORDINATOR), self._site.clock()
            return [self._site.witness.answer(envelope, coordinator, self._site.channel, now)]
        raise UnexpectedMessage(f"{envelope.message} for nothing that this bank has asked")

    # ---- training

    def cohort_ids(self, split: Split) -> tuple[str, ...]:
        """Return the enterprises of a split in cohort order: what a consent for training must cover."""
        return tuple(self._site.table.ids[row] for row in split.order())

    def open_training(self, split: Split, terms: TrainingTerms, consent: str) -> bytes:
        """Put a new run into the outbox and return its transcript. Raises: PolicyDenied for too small a cohort."""
        site = self._site
        ids, order, count = self.cohort_ids(split), split.order(), len(split.training)
        rows, binnings = self._bin_own(ids, count, terms)
        data = BankRows(rows, site.outcomes[order], count)
        vector = OwnerEncryptor(site.paillier, site.randomness).encrypt(data.training_bad.tolist())
        labels = m.EncryptedLabels(vector.to_bytes())
        spec = self._spec(terms, len(ids), count, digest(labels))
        channel = site.channel(spec.transcript())
        training = self._role(spec, channel, data, terms.plan)
        cohorts = {PartyId(node.party): m.Cohort(ids, consent) for node in terms.nodes}
        self._outbox += training.start(labels, cohorts)
        self._runs[channel.transcript] = _Run(training, data, binnings, split.seed)
        return channel.transcript

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
        """Return what a finished run gave, the model signed. Raises: UnexpectedMessage while it is not finished."""
        run = self._runs[transcript]
        trained = run.training.result
        if trained is None:
            raise UnexpectedMessage("the run is not finished")
        model = model_file(trained, run.data, run.training.spec, run.binnings, run.seed, facts)
        return trained, run.data, sign_model_file(model, self._site.keys)

    # ---- assessments

    def ask(self, enterprise: str, consent: str, model: ModelFile) -> bytes:
        """Put a query about one enterprise into the outbox and return its transcript.

        Raises: VerificationFailed if not every node of the model's manifest has signed it.
        """
        site = self._site
        signed = model.signed_manifest()
        verify_manifest(signed, site.pins.cards)
        manifest, now = signed.manifest, site.clock()
        query = Query(
            query=site.randomness(16),
            bank=self._me,
            bank_card=site.pins.cards[self._me].fingerprint(),
            model=manifest.model_hash(),
            purpose=Purpose.ASSESSMENT,
            nodes=tuple(entry.party for entry in manifest.nodes),
            issued=now,
            expires=now + QUERY_SECONDS,
            subject_tag=subject_tag(site.tag_key, enterprise),
        )
        channel = site.channel(query.transcript())
        coordinator = PartyId(site.pins.only(PartyRole.COORDINATOR).party)
        role = BankQuery(query, Subject(enterprise, consent), manifest, channel, site.paillier, coordinator)
        asked = role.start()
        if self._site.ledger is not None:
            self._site.ledger.open_question(query.query, now, digest(asked[0]))
        self._outbox += asked
        self._queries[channel.transcript] = (role, model, enterprise)
        return channel.transcript

    def _receive_answer(self, envelope: Envelope, role: BankQuery) -> list[Envelope]:
        """Pass an envelope to its query; what the query ends with is on record before it leaves."""
        replies = role.receive(envelope)
        for reply in replies:
            if self._site.ledger is not None and reply.message == Acknowledgement.__name__:
                receipt = None if role.receipt is None else role.receipt.note
                self._site.ledger.close_question(role.query.query, digest(reply), receipt)
        return replies

    def result(self, transcript: bytes) -> AssessmentResult:
        """Return the answer to a query, whatever it was, and forget the query."""
        role, model, enterprise = self._queries.pop(transcript)
        manifest, now = model.signed_manifest().manifest, self._site.clock()
        if role.opened is None:
            return describe_refusal(role, enterprise, manifest)
        receipt = self._verified_receipt(role)
        own = self._own_points(enterprise, model)
        return describe_answer(role.query, role.opened, enterprise, manifest, model.calibration, own, receipt, now)

    def _own_points(self, enterprise: str, model: ModelFile) -> int:
        columns = cohort_columns(self._site.table, self._row_of, (enterprise,))
        codes = [int(b.assign(columns[b.name])[0]) for b in model.own_binnings]
        if model.family == BOOSTING:
            codes = leaves_of(model.own_trees(), codes)
        return sum(points[code] for points, code in zip(model.own_points, codes, strict=True))

    def _verified_receipt(self, role: BankQuery) -> m.Count:
        """Return the leaf of the log that records the result. Raises: VerificationFailed, code NO_RECEIPT."""
        if role.receipt is None:
            raise VerificationFailed("the answer came without a receipt of the log", code="NO_RECEIPT")
        checkpoint = verify_log_signature(parse_note(role.receipt.note), self._site.log_key)
        if role.receipt.leaf >= checkpoint.size:
            raise VerificationFailed("the receipt's leaf is outside its tree", code="NO_RECEIPT")
        return role.receipt.leaf
