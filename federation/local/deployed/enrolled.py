"""Training by a bank that came in by enrolment: from its own directory, with what it has pinned and a consent it holds.

The nodes are those of the roster, which the coordinator has signed and every party has pinned.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from federation.local.deployed.carrying import BankEnd, carry, traffic_of
from federation.local.federation import Training
from federation.traffic import RoundEvent
from nodes.bank.agent import BankAgent
from nodes.bank.model.file import RunFacts, write_model_file
from nodes.bank.settings import BankSettings
from nodes.bank.site import BankSite
from nodes.bank.training.run_line import run_line
from nodes.bank.training.runs import TrainingTerms
from nodes.bank.training.split import Split
from nodes.keystore import read_roster
from nodes.sources import read_description
from protocols.boosting.model import BoostingPlan
from protocols.channel.envelope import open_parcel
from protocols.channel.identity import PartyRole
from protocols.consent import cohort_subject
from protocols.errors import ConfigurationError
from protocols.scorecard.messages import NodeEntry
from protocols.scorecard.model import TrainingPlan


class EnrolledBank:
    """One bank in its own directory, ready to train on the rows of a split."""

    def __init__(self, home: Path, settings: BankSettings, site: BankSite, split: Split) -> None:
        self._home, self._settings, self._site, self._split = home, settings, site, split
        self._agent = BankAgent(site)

    @property
    def subject(self) -> str:
        """What a consent for this training must name: a hash of the cohort."""
        return cohort_subject(self._agent.cohort_ids(self._split))

    def refresh(self) -> None:
        """Pin the newest roster: a bank that was away has missed who came since. Raises: as `RunLine`, `Keyring`."""
        parcel = asyncio.run(self._newest_roster())
        for envelope in open_parcel(parcel) if parcel else ():
            self._site.ring.receive(envelope)

    async def _newest_roster(self) -> bytes:
        async with run_line(self._home, self._settings.coordinator) as line:
            return await line.newest_roster(self._site.pins.sequence)

    def nodes(self) -> tuple[NodeEntry, ...]:
        """Return all data nodes of the roster that are not suspended.

        Raises: ConfigurationError, code NO_ROSTER or NO_NODES.
        """
        signed = read_roster(self._home / self._settings.cards)
        if signed is None:
            raise ConfigurationError(f"{self._home}: no roster is pinned; enrol first", code="NO_ROSTER")
        nodes = [
            entry
            for entry in signed.roster.entries
            if entry.lineage.card.role is PartyRole.DATA_NODE and not entry.suspended
        ]
        if not nodes:
            raise ConfigurationError("the roster has no data node", code="NO_NODES")
        return tuple(
            NodeEntry(entry.party, entry.domain or entry.party, entry.lineage.card.fingerprint())
            for entry in sorted(nodes, key=lambda entry: entry.party)
        )

    def train(
        self,
        plan: TrainingPlan | BoostingPlan,
        minimum_bin: int,
        consent: str,
        on_round: Callable[[RoundEvent], None],
    ) -> Training:
        """Hand a run in to the coordinator, take part in it, and keep the model, signed, in the bank's directory.

        Raises: PeerRefused with the code of whoever refused; TransportError if nobody answers; no model is then kept.
        """
        self.refresh()
        terms = TrainingTerms(self.nodes(), minimum_bin=minimum_bin, plan=plan)
        started = time.monotonic()
        transcript = self._agent.open_training(self._split, terms, consent)
        opened = time.monotonic()
        end = asyncio.run(carry([BankEnd(self._home, self._settings, self._agent)], on_round))
        traffic = traffic_of(end, opened - started, time.monotonic() - opened)
        description = read_description(self._home / self._settings.data)
        label = description.label_column
        facts = RunFacts(self._home.name, rounds=traffic.rounds, leaks=end.leaks, label=label)
        trained, data, model = self._agent.trained(transcript, facts)
        write_model_file(self._home / self._settings.model, model)
        return Training(trained, data, model, traffic, end.leaks, {}, self._agent.reported)
