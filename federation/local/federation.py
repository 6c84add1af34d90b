"""All parties of a folder, alive in one process and joined by Flower's embedded grid."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec
import numpy as np
from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from federation.enterprise import EnterpriseDesk
from federation.grid import EmbeddedGrid, Observer
from federation.local.consents import ConsentService
from federation.local.enterprises import LocalEnterprises
from federation.local.layout import (
    CONSENT_SERVICE,
    COORDINATOR,
    MODEL_FILE,
    party_of,
    read_federation,
    write_federation,
)
from federation.local.models import known_bank, read_bank_model
from federation.local.parties import PartyOpener, read_labelled
from federation.rounds import Deliveries, Mailroom, Rounds, server_app
from federation.traffic import RoundEvent, Traffic
from federation.witnessing import Witnessing
from nodes.bank.agent import BankAgent
from nodes.bank.asking.results import AssessmentResult
from nodes.bank.model.file import ModelFile, RunFacts, write_model_file
from nodes.bank.training.reported import ReportedCounts
from nodes.bank.training.runs import TrainingTerms
from nodes.bank.training.split import Split
from nodes.clock import system_clock
from nodes.data_node.agent import DataNodeAgent
from nodes.data_node.charges import YearAccount, year_account
from nodes.features import FeatureTable
from nodes.flower_relay import make_client_app
from nodes.keystore import read_cards, read_keys
from nodes.sources import is_identifier, read_description, read_node_source
from protocols.assessment.batch.messages import BATCH_LIMIT
from protocols.assessment.messages import Subject
from protocols.boosting.model import BoostingPlan, TrainedBoosting
from protocols.channel.identity import PartyId
from protocols.consent import Purpose, cohort_subject
from protocols.errors import ConfigurationError
from protocols.scorecard.messages import NodeEntry
from protocols.scorecard.model import BankRows, TrainedScorecard, TrainingPlan
from protocols.uscc import validate as validate_uscc

FIRST_NODE_ID: Final = 1001
BATCH_FROM: Final = 16
"""From so many enterprises on, their answers share ciphertexts."""


@dataclass(frozen=True, slots=True)
class Training:
    """A finished run as its bank sees it, with the traffic that it took.

    `accounts` holds, for each node, what the bank has spent there in the year: known here since all are one process;
    `reported` counts what reports have made of the labels.
    """

    scorecard: TrainedScorecard | TrainedBoosting
    data: BankRows = field(repr=False)
    model: ModelFile = field(repr=False)
    traffic: Traffic
    leaks: dict[str, int]
    accounts: dict[str, YearAccount]
    reported: ReportedCounts


class LocalFederation:
    """All parties of a folder, alive in this process. Use as a context manager; closing releases every file."""

    def __init__(
        self,
        folder: Path,
        observer: Observer | None = None,
        on_round: Callable[[RoundEvent], None] = lambda event: None,
        clock: Callable[[], int] = system_clock,
    ) -> None:
        """Load every party from its folder. Raises: ConfigurationError, VerificationFailed."""
        self.folder, self._on_round = folder, on_round
        self.file = read_federation(folder)
        self.description = read_description(folder / self.file.data)
        self.pins = read_cards(folder / "cards")
        self.traffic = Traffic()
        self.consents = ConsentService(folder / CONSENT_SERVICE, self.file.domains, self.pins, clock)
        self.domains = self.file.node_parties
        self.labelled = read_labelled(folder, self.description, self.file, clock())
        self.bank_tables = {bank: labelled.table for bank, labelled in self.labelled.items()}
        self.bank_outcomes = {bank: labelled.outcomes for bank, labelled in self.labelled.items()}
        self.lead = next(iter(self.labelled))
        with ExitStack() as files:
            self._opener = PartyOpener(folder, self.file, self.pins, clock, self.consents.revocations, files)
            self._grid = self._connect(observer)
            site, references = self._opener.coordinator_site, self._opener.references
            desk = files.enter_context(closing(EnterpriseDesk(site, folder / COORDINATOR, references)))
            self._enterprises = LocalEnterprises(desk, self._run)
            self._enterprises.bring()
            if self.log.witnessed_size < self.log.size:  # a new log, or a run that broke off
                self._collect_cosignatures()
            self._files = files.pop_all()

    def _connect(self, observer: Observer | None) -> EmbeddedGrid:
        """Bring every party to life and join them by a grid."""
        self.log, self.coordinator = self._opener.coordinator()
        self.banks = {bank: BankAgent(self._opener.bank(bank, labelled)) for bank, labelled in self.labelled.items()}
        self._sites = {
            party_of(node): self._opener.node(party_of(node), partial(read_node_source, self.description, node))
            for node in self.file.nodes
        }
        doors = {node: DataNodeAgent(site).handle for node, site in self._sites.items()}
        doors |= {bank: agent.handle for bank, agent in self.banks.items()}
        self.names = dict(enumerate(doors, start=FIRST_NODE_ID))
        apps: dict[int, ClientApp] = {number: make_client_app(doors[party]) for number, party in self.names.items()}
        return EmbeddedGrid(apps, self.names, observer)

    def __enter__(self) -> LocalFederation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    @property
    def tables(self) -> dict[PartyId, FeatureTable]:
        """Return every data node's features as they are now."""
        return {node: site.table for node, site in self._sites.items()}

    @property
    def bank(self) -> BankAgent:
        """Return the agent of the one bank, or of the first of several."""
        return self.banks[self.lead]

    @property
    def bank_table(self) -> FeatureTable:
        """Return the features of the one bank, or of the first of several."""
        return self.bank_tables[self.lead]

    @property
    def outcomes(self) -> NDArray[np.int64]:
        """Return the outcomes that the one bank, or the first of several, knows."""
        return self.bank_outcomes[self.lead]

    # ---- what a bank asks for

    def train(self, split: Split, plan: TrainingPlan | BoostingPlan, minimum_bin: int, dataset: str = "") -> Training:
        """Train a model of the plan's family over the grid and keep it at the bank, signed; `dataset` names its data.

        Raises: ConfigurationError, code COHORT_TOO_SMALL; PeerRefused with the node's code, PolicyDenied; as
        `Mailroom.run`. No model is then kept, an earlier one stays, and the next run starts afresh.
        """
        if len(split.training) < minimum_bin:
            raise ConfigurationError(
                f"{len(split.training)} training rows are fewer than the {minimum_bin} that a sum must cover",
                code="COHORT_TOO_SMALL",
            )
        terms = TrainingTerms(self.node_entries(), minimum_bin=minimum_bin, plan=plan)
        consent = self.training_consent(self.lead, split)
        self.count_anew()
        started = time.monotonic()
        transcript = self.bank.open_training(split, terms, consent)
        self.traffic.seconds["labels"] = time.monotonic() - started
        self._on_round(RoundEvent(0, "labels", (self.lead,), 0, self.traffic.seconds["labels"]))
        self.deliver(self.lead)
        facts = self.run_facts(dataset)
        scorecard, data, model = self.bank.trained(transcript, facts)
        self.keep_model(model)
        return Training(scorecard, data, model, self.traffic, facts.leaks, self.accounts(self.lead), self.bank.reported)

    def count_anew(self) -> None:
        """Forget the traffic and the leaks of earlier runs."""
        self.traffic = Traffic()
        self.coordinator.leaks.clear()

    def node_entries(self) -> tuple[NodeEntry, ...]:
        """Return every data node as a run names it."""
        return tuple(
            NodeEntry(node, domain, self.pins.cards[node].fingerprint())
            for node, domain in sorted(self.domains.items())
        )

    def training_consent(self, bank: PartyId, split: Split) -> str:
        """Return the consent service's consent that covers a bank's cohort."""
        return self.consents.issue(cohort_subject(self.banks[bank].cohort_ids(split)), (Purpose.TRAINING,), bank)

    def run_facts(self, dataset: str) -> RunFacts:
        """Return what is known of the run that has just ended."""
        leaks = {leak.value: count for leak, count in self.coordinator.leaks.items()}
        label = self.description.label_column
        return RunFacts(dataset, rounds=self.traffic.rounds, leaks=leaks, label=label)

    def keep_model(self, model: ModelFile) -> None:
        """Keep a signed model at its bank; the federation's file names the lead's."""
        write_model_file(self.folder / model.bank / MODEL_FILE, model)
        if model.bank == self.lead:
            self.file = msgspec.structs.replace(self.file, model=model.model)
            write_federation(self.folder, self.file)

    def accounts(self, bank: PartyId) -> dict[str, YearAccount]:
        """Return what a bank has spent of its year at each node."""
        return {node: year_account(site, bank) for node, site in self._sites.items()}

    def assess(
        self, enterprises: Sequence[str], bank: PartyId | None = None, objection: bytes = b""
    ) -> list[AssessmentResult]:
        """Let a bank, or the first, ask all nodes about enterprises; return the results in order, denials too.

        `objection` is the one after which they are asked about again.

        Raises: ConfigurationError without a trained model, or for a wrong code; PeerRefused, VerificationFailed,
        TransportError.
        """
        applicants = [(enterprise, self.consent_of(enterprise, bank)) for enterprise in enterprises]
        return self.assess_with(applicants, bank, objection)

    def assess_with(
        self,
        applicants: Sequence[tuple[str, str]],
        bank: PartyId | None = None,
        objection: bytes = b"",
        purpose: Purpose = Purpose.ASSESSMENT,
    ) -> list[AssessmentResult]:
        """Ask all nodes about enterprises with the consents given, in order, many in batches. Raises: as `assess`."""
        for enterprise, _ in applicants:
            self.check_identifier(enterprise)
        asking = bank or self.lead
        model = self.model(asking)
        agent = self.banks[asking]
        if not objection and BATCH_FROM <= len(applicants) == len({enterprise for enterprise, _ in applicants}):
            subjects = [Subject(enterprise, consent) for enterprise, consent in applicants]
            return self._assess_batches(subjects, asking, model, purpose)
        asked = [agent.ask(enterprise, consent, model, objection, purpose) for enterprise, consent in applicants]
        self.deliver(asking)
        return [agent.result(transcript) for transcript in asked]

    def _assess_batches(
        self, subjects: Sequence[Subject], bank: PartyId, model: ModelFile, purpose: Purpose
    ) -> list[AssessmentResult]:
        results: list[AssessmentResult] = []
        for start in range(0, len(subjects), BATCH_LIMIT):
            asked = self.banks[bank].ask_batch(subjects[start : start + BATCH_LIMIT], model, purpose)
            self.deliver(bank)
            results += self.banks[bank].batch_results(asked)
        return results

    def consent_of(self, enterprise: str, bank: PartyId | None = None) -> str:
        """Return the consent that the consent service issues for an enterprise, or "" if it has withheld it."""
        return self.consents.of_enterprise(enterprise, known_bank(self.folder, self.file, bank or self.lead))

    def check_identifier(self, enterprise: str) -> None:
        """Return if `enterprise` is an identifier of this federation's kind. Raises: ConfigurationError."""
        if self.file.uscc:
            validate_uscc(enterprise)
        elif not is_identifier(enterprise):
            raise ConfigurationError("an enterprise's id is empty, too long, or not printable", code="INVALID_ID")

    def model(self, bank: PartyId | None = None) -> ModelFile:
        """Return a bank's model, or the first's, as it signed it.

        Raises: ConfigurationError, codes UNKNOWN_BANK, NO_MODEL; VerificationFailed.
        """
        return read_bank_model(self.folder, self.file, self.pins, bank or self.lead)

    def deliver(self, first: PartyId) -> None:
        """Hand in what a bank asks for, carry on until all is said, then have the log, which has grown, cosigned."""
        opening = self.banks[first].collect()
        self._grid.hand_in(next(node for node, party in self.names.items() if party == first), opening)
        self._run(Mailroom(self.coordinator, first, opening, self.traffic, self._on_round))
        self._collect_cosignatures()

    def _collect_cosignatures(self) -> None:
        """Ask every witness once. Raises: VerificationFailed if one proves that the log was rolled back or forked."""
        keys = read_keys(self.folder / COORDINATOR)
        witnessing = Witnessing(keys, self.pins, self.log, self._opener.witnesses(self.log))
        self._run(Deliveries(witnessing.collect, "checkpoint"))

    def _run(self, rounds: Rounds) -> None:
        context = Context(run_id=1, node_id=0, node_config={}, state=RecordDict(), run_config={})
        server_app(rounds)(self._grid, context)

    # ---- what enterprises ask for

    def serve_enterprise(self, parcel: bytes) -> bytes:
        """Return the coordinator's answer to an enterprise's parcel; what it led to is then brought about."""
        answer = self._enterprises.serve(parcel)
        if self.log.witnessed_size < self.log.size:
            self._collect_cosignatures()
        return answer

    def withhold_consent(self, enterprise: str) -> None:
        """Let an enterprise refuse: the consent service issues no consent for it any more."""
        self.consents.withhold(enterprise)
