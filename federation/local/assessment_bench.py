"""How fast a federation of six processes answers: the coordinator, its data nodes, and the bank in this process."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from federation.local.consents import ConsentService
from federation.local.federation import LocalFederation
from federation.local.founding import create_federation
from federation.local.layout import BANK, CONSENT_SERVICE, read_federation
from federation.local.load import Ask, LoadFigures, in_turn, paced, saturated
from federation.local.processes import PartyProcess, coordinator_process, free_ports, node_process, running
from federation.local.services import Ports, equip
from federation.local.stages import Snapshot, own_metrics, snapshot
from federation.process.running import run_on_loop
from federation.process.settings import read_settings
from nodes.bank.model.file import read_model_file
from nodes.bank.opening import open_bank_site
from nodes.bank.service import MAX_BATCH, Applicant
from nodes.bank.settings import BANK_FILE, BankSettings
from nodes.bank.site import BankSite
from nodes.bank.stream_service import StreamBankService
from nodes.bank.training.split import split_rows
from nodes.economy import generate, write
from nodes.keystore import read_cards
from nodes.policy.rules import Quota, usual_policy
from nodes.sources import read_description
from protocols.channel.identity import PartyRole
from protocols.consent import Purpose
from protocols.scorecard.model import TrainingPlan

UNDER_WAY: Final = 16
"""Questions that are always under way at saturation."""

WARM_UP_SECONDS: Final = 5.0
MOST_TRAINED: Final = 2000
"""Enterprises that train the model at most: what is measured is the asking."""

_QUOTA: Final = Quota(per_day=10_000_000, per_subject=1_000_000)
_MINIMUM_BIN: Final = 50


@dataclass(frozen=True, slots=True)
class Load:
    """What to ask for. Units: questions a second; seconds; enterprises (0: no batch)."""

    rate: float
    seconds: float
    saturation_seconds: float
    batch: int


@dataclass(frozen=True, slots=True)
class AssessmentBench:
    """What came of it. `stages` are means in milliseconds under the paced load.

    `cpu_ms` is each process's processor time per answer under the heaviest load measured, `batch_cpu_seconds` that of
    the batch: on a machine that has other work to do as well, what depends on that least.
    """

    key_bits: int
    rate: float
    seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    throughput: float
    errors: int
    codes: dict[str, int]
    stages: dict[str, float]
    cpu_ms: dict[str, float]
    saturation: LoadFigures | None
    batch: int
    batch_seconds: float | None
    batch_scores: int
    batch_cpu_seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class _BatchFigures:
    seconds: float | None
    scores: int
    cpu_seconds: dict[str, float]


def make_federation(folder: Path, enterprises: int, key_bits: int) -> None:
    """Make a synthetic economy and train a scorecard on some of it, under policies whose quotas no load exhausts."""
    write(generate(enterprises, 0), folder / "data")
    create_federation(folder, read_description(folder / "data"), key_bits, usual_policy((BANK,), quota=_QUOTA))
    with LocalFederation(folder) as federation:
        split = split_rows(federation.outcomes[:MOST_TRAINED], 0.3, 0)  # files are in the order of random codes
        federation.train(split, TrainingPlan(), _MINIMUM_BIN)


def copy_federation(trained: Path, folder: Path) -> None:
    """Copy a trained federation, so that the load is on no real ledger or log."""
    shutil.copytree(trained, folder, dirs_exist_ok=True)


def measure(folder: Path, load: Load, tell: Callable[[str], None]) -> AssessmentBench:
    """Run a trained federation's parties as processes and put them under load.

    Raises: ConfigurationError; TransportError, code NOT_READY, if one does not start.
    """
    file = read_federation(folder)
    relay, http = free_ports(2)
    equip(folder, Ports(relay, http, 0))
    parties = [coordinator_process(folder), *(node_process(folder, node) for node in file.node_parties)]
    home = folder / BANK
    settings = read_settings(home / BANK_FILE, BankSettings)
    tell("starting the processes")
    consents = ConsentService(
        folder / CONSENT_SERVICE, file.domains, read_cards(folder / "cards"), lambda: int(time.time())
    )
    with consents.publishing(), running(parties), open_bank_site(home, settings) as site:
        bench = _Bench(home, settings, site, consents, parties, tell)
        return run_on_loop(bench.run(load, file.key_bits))


class _Bench:
    """One measurement, from the bank's side."""

    def __init__(
        self,
        home: Path,
        settings: BankSettings,
        site: BankSite,
        consents: ConsentService,
        parties: list[PartyProcess],
        tell: Callable[[str], None],
    ) -> None:
        self._parties, self._tell = parties, tell
        model = read_model_file(home / settings.model, site.pins.card(BANK, PartyRole.BANK))
        self._service = StreamBankService(home, settings, site, model)
        self._applicants = [Applicant(id_, consents.of_enterprise(id_, BANK)) for id_ in site.table.ids]
        secrets.SystemRandom().shuffle(self._applicants)

    async def run(self, load: Load, key_bits: int) -> AssessmentBench:
        """Measure all that is asked for."""
        stream = asyncio.create_task(self._service.run())
        try:
            while not self._service.up:
                await asyncio.sleep(0.05)
            asks = in_turn([self._ask(applicant) for applicant in self._applicants])
            self._tell("warming up")
            await saturated(asks, 2, WARM_UP_SECONDS)
            before = await self._snapshot()
            self._tell(f"{load.rate:g} questions a second for {load.seconds:g} s")
            figures = await paced(asks, load.rate, load.seconds)
            after = await self._snapshot()
            stages, cpu = after.means_since(before), after.cpu_since(before, round(load.rate * load.seconds))
            saturation = None
            if load.saturation_seconds:
                self._tell(f"{UNDER_WAY} questions always under way for {load.saturation_seconds:g} s")
                saturation = await saturated(asks, UNDER_WAY, load.saturation_seconds)
                answers = round(saturation.throughput * load.saturation_seconds)
                cpu = (await self._snapshot()).cpu_since(after, answers)
            batch = self._applicants[: load.batch]
            found = await self._batch(batch)
        finally:
            stream.cancel()
            with suppress(asyncio.CancelledError):
                await stream
        return AssessmentBench(
            key_bits=key_bits,
            rate=load.rate,
            seconds=load.seconds,
            p50_ms=figures.p50_ms,
            p95_ms=figures.p95_ms,
            p99_ms=figures.p99_ms,
            throughput=figures.throughput,
            errors=figures.errors,
            codes=dict(figures.codes),
            stages=stages,
            cpu_ms=self._by_party(cpu),
            saturation=saturation,
            batch=len(batch),
            batch_seconds=found.seconds,
            batch_scores=found.scores,
            batch_cpu_seconds=found.cpu_seconds,
        )

    async def _batch(self, applicants: Sequence[Applicant]) -> _BatchFigures:
        """Assess enterprises in batches, one after the other."""
        if not applicants:
            return _BatchFigures(None, 0, {})
        self._tell(f"a batch of {len(applicants):,}")
        before, started, scores = await self._snapshot(), time.perf_counter(), 0
        for start in range(0, len(applicants), MAX_BATCH):
            part = applicants[start : start + MAX_BATCH]
            results = await self._service.assess_batch(part, Purpose.ASSESSMENT)
            scores += sum(result.status == "ok" for result in results)
        seconds, after = time.perf_counter() - started, await self._snapshot()
        used = [milliseconds / 1000 for milliseconds in after.cpu_since(before, 1)]
        return _BatchFigures(seconds, scores, self._by_party(used))

    def _by_party(self, figures: Sequence[float]) -> dict[str, float]:
        return dict(zip((BANK, *(party.home.name for party in self._parties)), figures, strict=True))

    def _ask(self, applicant: Applicant) -> Ask:
        return partial(self._service.assess, applicant.enterprise, applicant.consent)

    async def _snapshot(self) -> Snapshot:
        texts = await asyncio.gather(*(asyncio.to_thread(party.metrics) for party in self._parties))
        return snapshot([own_metrics(), *texts])
