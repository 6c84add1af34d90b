"""A run of all banks of a federation: each agrees to the same terms, the first one leads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from federation.local.federation import LocalFederation, Training
from federation.traffic import Traffic
from nodes.bank.agent import BankAgent
from nodes.bank.model.file import RunFacts
from nodes.bank.training.consortium import ConsortiumTerms
from nodes.bank.training.runs import TrainingTerms
from nodes.bank.training.split import Split
from nodes.data_node.charges import YearAccount
from protocols.channel.identity import PartyCard, PartyId
from protocols.consortium.messages import BankEntry
from protocols.consortium.model import TrainedConsortium
from protocols.errors import ConfigurationError
from protocols.scorecard.messages import NodeEntry
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
    federation.count_anew()
    started = time.monotonic()
    open_consortium(
        federation.banks,
        federation.pins.cards,
        federation.node_entries(),
        splits,
        lambda bank: federation.training_consent(bank, splits[bank]),
        plan,
        minimum_bin,
    )
    federation.traffic.seconds["labels"] = time.monotonic() - started
    federation.deliver(federation.lead)
    found = conclude_consortium(
        federation.banks, federation.run_facts(dataset), federation.traffic, federation.accounts
    )
    for training_of_bank in found.banks.values():
        federation.keep_model(training_of_bank.model)
    return found


def open_consortium(
    agents: Mapping[PartyId, BankAgent],
    cards: Mapping[PartyId, PartyCard],
    entries: tuple[NodeEntry, ...],
    splits: Mapping[PartyId, Split],
    consent_of: Callable[[PartyId], str],
    plan: TrainingPlan,
    minimum_bin: int,
) -> None:
    """Let every bank agree to the same terms, and the first invite the others: its outbox then opens the run.

    Raises: ConfigurationError, code COHORT_TOO_SMALL.
    """
    for bank, split in splits.items():
        if len(split.training) < minimum_bin:
            raise ConfigurationError(
                f"{len(split.training)} training rows of {bank} are fewer than the {minimum_bin} that a sum must cover",
                code="COHORT_TOO_SMALL",
            )
    lead = next(iter(agents))
    banks = tuple(BankEntry(bank, cards[bank].fingerprint()) for bank in sorted(agents))
    training = TrainingTerms(entries, minimum_bin=minimum_bin, plan=plan)
    for bank, agent in agents.items():
        terms = ConsortiumTerms(lead, banks, training, splits[bank], consent_of(bank))
        if bank == lead:
            agent.open_consortium(terms)
        else:
            agent.agree_to_consortium(terms)


def conclude_consortium(
    agents: Mapping[PartyId, BankAgent],
    facts: RunFacts,
    traffic: Traffic,
    accounts: Callable[[PartyId], dict[str, YearAccount]],
) -> ConsortiumTraining:
    """Return what each bank has of the run that has ended, its model signed. Raises: UnexpectedMessage."""
    found, held = {}, {}
    for bank, agent in agents.items():
        trained, model = agent.trained_together(facts)
        held[bank] = trained
        told = facts.leaks, accounts(bank), agent.reported
        found[bank] = Training(trained.scorecard, trained.data, model, traffic, *told)
    return ConsortiumTraining(found, held)
