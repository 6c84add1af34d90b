"""A bank's training run over the deployed engine: opened at the bank, submitted by the coordinator, ended at both.

Each party takes part through its own agent's socket; the bank's is served here, for as long as the run lasts.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import secrets
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from federation.flower import desk_messages as d
from federation.flower.desk import RECORDS
from federation.local.consents import ConsentService
from federation.local.deployed.flower import LOOPBACK, agent_socket, run_tool
from federation.local.deployed.namespaces import Placement
from federation.local.federation import Training, split_rows
from federation.local.layout import (
    BANK,
    CONSENT_SERVICE,
    COORDINATOR,
    MODEL_FILE,
    read_federation,
    write_federation,
)
from federation.local.services import DESK_SOCKET
from federation.rounds import RoundEvent, Traffic
from nodes.bank.agent import BankAgent
from nodes.bank.model_file import RunFacts, write_model_file
from nodes.bank.site import BankSite
from nodes.bank.training import TrainingTerms
from nodes.data_node.site import system_clock
from nodes.door import door
from nodes.features.compute import DEFAULT_AS_OF
from nodes.sources import read_description
from protocols.boosting.model import BoostingPlan
from protocols.consent import Purpose, cohort_subject
from protocols.errors import PeerRefused, TransportError
from protocols.scorecard.messages import NodeEntry
from protocols.scorecard.model import TrainingPlan

BUNDLE: Final = Path(__file__).parents[2] / "flower" / "bundle"
SILENCE_SECONDS: Final = 60.0
"""How long a run may go without a word of its ServerApp before it is given up."""
_POLL_SECONDS: Final = 0.2


class _Line(msgspec.Struct, frozen=True):
    """One line of a run's record."""

    round: RoundEvent | None = None
    end: d.End | None = None


class DeployedTraining:
    """One run of the bank of a folder whose processes are up; `split` says which rows train."""

    def __init__(
        self, folder: Path, site: BankSite, test_size: float, seed: int, placement: Placement = LOOPBACK
    ) -> None:
        self._folder, self._site, self._placement = folder, site, placement
        self._file = read_federation(folder)
        self._agent = BankAgent(site)
        self.split = split_rows(site.outcomes, test_size, seed)

    def run(
        self,
        plan: TrainingPlan | BoostingPlan,
        minimum_bin: int,
        dataset: str,
        on_round: Callable[[RoundEvent], None] = lambda event: None,
    ) -> Training:
        """Train over Flower and keep the model at the bank, signed.

        Raises: PeerRefused with the code of whoever refused; TransportError if a party or the engine does not answer;
        no model is then kept.
        """
        domains = self._file.node_parties
        cards = self._site.pins.cards
        entries = tuple(NodeEntry(n, domain, cards[n].fingerprint()) for n, domain in sorted(domains.items()))
        terms = TrainingTerms(entries, minimum_bin=minimum_bin, plan=plan)
        consents = ConsentService(self._folder / CONSENT_SERVICE, self._file.domains, self._site.pins, system_clock)
        consent = consents.issue(cohort_subject(self._agent.cohort_ids(self.split)), (Purpose.TRAINING,), BANK)
        started = time.monotonic()
        transcript = self._agent.open_training(self.split, terms, consent)
        opened = time.monotonic()
        end = asyncio.run(self._carry(on_round))
        took = time.monotonic() - opened
        traffic = Traffic(end.rounds, end.bytes_sent, end.bytes_received)
        traffic.seconds |= {"labels": opened - started} | end.seconds
        traffic.engine_seconds |= {"start": took - sum(end.seconds.values()), "carrying": end.carrying_seconds}
        return self._keep(transcript, traffic, end.leaks, dataset)

    async def _carry(self, on_round: Callable[[RoundEvent], None]) -> d.End:
        """Let the engine carry the run, with the bank's own door open meanwhile."""
        run = f"{datetime.datetime.now(datetime.UTC):%Y%m%dt%H%M%Sz}-{secrets.token_hex(3)}"
        desk = self._folder / COORDINATOR / DESK_SOCKET

        records = self._folder / COORDINATOR / RECORDS
        records.mkdir(exist_ok=True)
        opening = records / f"{run}.parcel"
        opening.write_bytes(self._agent.collect())

        async def serve(parcel: bytes) -> bytes:
            return await asyncio.to_thread(self._agent.handle, parcel)

        async with door(agent_socket(self._folder, BANK), serve):
            try:
                await asyncio.to_thread(self._submit, f'desk="{desk}" run="{run}"')
            except subprocess.CalledProcessError as error:
                opening.unlink(missing_ok=True)
                raise TransportError("the SuperLink has not taken the run", code="ENGINE_UNAVAILABLE") from error
            return await self._follow(records / f"{run}.jsonl", on_round)

    def _submit(self, configuration: str) -> None:
        run_tool(self._folder, "run", str(BUNDLE), "--run-config", configuration, placement=self._placement)

    async def _follow(self, record: Path, on_round: Callable[[RoundEvent], None]) -> d.End:
        """Read a run's record as it grows. Raises: PeerRefused with the code of its end; TransportError on silence."""
        read, heard = 0, time.monotonic()
        while time.monotonic() - heard < SILENCE_SECONDS:
            await asyncio.sleep(_POLL_SECONDS)
            with contextlib.suppress(FileNotFoundError), record.open("rb") as file:
                file.seek(read)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    read, heard = read + len(line), time.monotonic()
                    parsed = msgspec.json.decode(line, type=_Line)
                    if parsed.round is not None:
                        on_round(parsed.round)
                    if parsed.end is not None:
                        return _good(parsed.end)
        text = f"Flower's engine has been silent for {SILENCE_SECONDS:g} s: the run is given up"
        raise TransportError(text, code="ENGINE_SILENT")

    def _keep(self, transcript: bytes, traffic: Traffic, leaks: dict[str, int], dataset: str) -> Training:
        description = read_description(self._folder / self._file.data)
        as_of = DEFAULT_AS_OF.isoformat() if description.source(BANK).is_dir() else ""
        facts = RunFacts(dataset, as_of, traffic.rounds, leaks, description.label_column)
        trained, data, model = self._agent.trained(transcript, facts)
        write_model_file(self._folder / BANK / MODEL_FILE, model)
        write_federation(self._folder, msgspec.structs.replace(self._file, model=model.model))
        return Training(trained, data, model, traffic, leaks, {})


def _good(end: d.End) -> d.End:
    if end.code:
        raise PeerRefused(end.text, code=end.code)
    return end
