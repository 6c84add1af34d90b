"""Training over the deployed engine by the banks of a folder whose processes are up.

Each party takes part through its own agent's socket; the banks' are served here, for as long as the run lasts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from federation.local.consents import ConsentService
from federation.local.consortium import ConsortiumTraining, conclude_consortium, open_consortium
from federation.local.deployed.carrying import BankEnd, carry, traffic_of
from federation.local.deployed.flower import LOOPBACK
from federation.local.deployed.namespaces import Placement
from federation.local.federation import Training
from federation.local.layout import CONSENT_SERVICE, MODEL_FILE, read_federation, write_federation
from federation.process.settings import read_settings
from federation.traffic import RoundEvent, Traffic
from nodes.bank.agent import BankAgent
from nodes.bank.model.file import ModelFile, RunFacts, write_model_file
from nodes.bank.settings import BANK_FILE, BankSettings
from nodes.bank.site import BankSite
from nodes.bank.training.runs import TrainingTerms
from nodes.bank.training.split import split_rows
from nodes.clock import system_clock
from nodes.features import FeatureTable
from nodes.sources import read_description
from protocols.boosting.model import BoostingPlan
from protocols.channel.identity import PartyId
from protocols.consent import Purpose, cohort_subject
from protocols.scorecard.messages import NodeEntry
from protocols.scorecard.model import TrainingPlan

Watch = Callable[[RoundEvent], None]


class DeployedBanks:
    """The banks of a folder, the first leading; `splits` say which rows of each train."""

    def __init__(
        self,
        folder: Path,
        sites: Mapping[PartyId, BankSite],
        test_size: float,
        seed: int,
        placement: Placement = LOOPBACK,
    ) -> None:
        self._folder, self._sites, self._placement = folder, sites, placement
        self.file = read_federation(folder)
        self.lead = next(iter(sites))
        self.banks = {bank: BankAgent(site) for bank, site in sites.items()}
        self.splits = {bank: split_rows(site.outcomes, test_size, seed) for bank, site in sites.items()}
        pins = sites[self.lead].pins
        self._cards = pins.cards
        self._consents = ConsentService(folder / CONSENT_SERVICE, self.file.domains, pins, system_clock)

    @property
    def bank_tables(self) -> dict[PartyId, FeatureTable]:
        """Each bank's own features."""
        return {bank: site.table for bank, site in self._sites.items()}

    def train(
        self, plan: TrainingPlan | BoostingPlan, minimum_bin: int, dataset: str, on_round: Watch = lambda event: None
    ) -> Training:
        """Let the first bank train alone, over Flower, and keep the model, signed.

        Raises: PeerRefused with the code of whoever refused; TransportError if a party or the engine does not answer;
        no model is then kept.
        """
        agent, split = self.banks[self.lead], self.splits[self.lead]
        terms = TrainingTerms(self._entries(), minimum_bin=minimum_bin, plan=plan)
        started = time.monotonic()
        transcript = agent.open_training(split, terms, self._consent(self.lead))
        traffic, leaks = self._carry([self.lead], time.monotonic() - started, on_round)
        trained, data, model = agent.trained(transcript, self._facts(traffic, leaks, dataset))
        self._keep(model)
        return Training(trained, data, model, traffic, leaks, {}, agent.reported)

    def train_together(
        self, plan: TrainingPlan, minimum_bin: int, dataset: str, on_round: Watch = lambda event: None
    ) -> ConsortiumTraining:
        """Let all banks train one scorecard, over Flower, and keep it at each. Raises: as `train`."""
        started = time.monotonic()
        open_consortium(self.banks, self._cards, self._entries(), self.splits, self._consent, plan, minimum_bin)
        traffic, leaks = self._carry(list(self.banks), time.monotonic() - started, on_round)
        facts = self._facts(traffic, leaks, dataset)
        found = conclude_consortium(self.banks, facts, traffic, lambda bank: {})
        for training in found.banks.values():
            self._keep(training.model)
        return found

    def _entries(self) -> tuple[NodeEntry, ...]:
        nodes = sorted(self.file.node_parties.items())
        return tuple(NodeEntry(node, domain, self._cards[node].fingerprint()) for node, domain in nodes)

    def _consent(self, bank: PartyId) -> str:
        subject = cohort_subject(self.banks[bank].cohort_ids(self.splits[bank]))
        return self._consents.issue(subject, (Purpose.TRAINING,), bank)

    def _carry(self, banks: list[PartyId], labels: float, on_round: Watch) -> tuple[Traffic, dict[str, int]]:
        ends = [self._end(bank) for bank in banks]
        opened = time.monotonic()
        with self._placement.inside(self.lead):  # before any thread is that dials: it inherits the network
            end = asyncio.run(carry(ends, on_round))
        return traffic_of(end, labels, time.monotonic() - opened), end.leaks

    def _end(self, bank: PartyId) -> BankEnd:
        home = self._folder / bank
        return BankEnd(home, read_settings(home / BANK_FILE, BankSettings), self.banks[bank])

    def _facts(self, traffic: Traffic, leaks: dict[str, int], dataset: str) -> RunFacts:
        description = read_description(self._folder / self.file.data)
        return RunFacts(dataset, rounds=traffic.rounds, leaks=leaks, label=description.label_column)

    def _keep(self, model: ModelFile) -> None:
        write_model_file(self._folder / model.bank / MODEL_FILE, model)
        if model.bank == self.lead:
            self.file = msgspec.structs.replace(self.file, model=model.model)
            write_federation(self._folder, self.file)
