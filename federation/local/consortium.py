"""A run of all banks of a federation in one process: each agrees to the same terms, the first one leads."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from federation.local.federation import LocalFederation, Training
from nodes.bank.consortium import ConsortiumTerms
from nodes.bank.training import Split, TrainingTerms
from protocols.channel.identity import PartyId
from protocols.consortium.messages import BankEntry
from protocols.consortium.model import TrainedConsortium
from protocols.errors import ConfigurationError
from protocols.scorecard.model import TrainingPlan


@dataclass(frozen=True, slots=True)
class ConsortiumTraining:
    """A finished run as each of its banks sees it, the lead first."""

    banks: dict[PartyId, Training]
    trained: dict[PartyId, TrainedConsortium]

    @property
    def lead(self) -> PartyId:
        """Return the bank that led the run."""
        return next(iter(self.banks))

    @property
    def pooled(self) -> TrainedConsortium:
        """Return what the lead holds of the whole: every bank holds the same."""
        return self.trained[self.lead]


def train_consortium(
    federation: LocalFederation, splits: Mapping[PartyId, Split], plan: TrainingPlan, minimum_bin: int, dataset: str
) -> ConsortiumTraining:
    """Train one scorecard with all banks over the grid, and keep it at each of them, signed in its own name.

    Raises: ConfigurationError, code COHORT_TOO_SMALL; PeerRefused with a party's code; as `Mailroom.run`. No bank then
    keeps a model, earlier ones stay, and the next run starts afresh.
    """
    for bank, split in splits.items():
        if len(split.training) < minimum_bin:
            raise ConfigurationError(
                f"{len(split.training)} training rows of {bank} are fewer than the {minimum_bin} that a sum must cover",
                code="COHORT_TOO_SMALL",
            )
    lead, entries = federation.lead, federation.node_entries()
    banks = tuple(BankEntry(bank, federation.pins.cards[bank].fingerprint()) for bank in sorted(federation.banks))
    training = TrainingTerms(entries, minimum_bin=minimum_bin, plan=plan)
    federation.count_anew()
    started = time.monotonic()
    for bank, agent in federation.banks.items():
        consent = federation.training_consent(bank, splits[bank])
        terms = ConsortiumTerms(lead, banks, training, splits[bank], consent)
        if bank == lead:
            agent.open_consortium(terms)
        else:
            agent.agree_to_consortium(terms)
    federation.traffic.seconds["labels"] = time.monotonic() - started
    federation.deliver(lead)
    facts = federation.run_facts(dataset)
    found, held = {}, {}
    for bank, agent in federation.banks.items():
        trained, model = agent.trained_together(facts)
        held[bank] = trained
        accounts = federation.accounts(bank)
        found[bank] = Training(trained.scorecard, trained.data, model, federation.traffic, facts.leaks, accounts)
    for training_of_bank in found.values():
        federation.keep_model(training_of_bank.model)
    return ConsortiumTraining(found, held)
