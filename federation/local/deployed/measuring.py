"""What more data nodes cost as processes: starting them, training over Flower, answers by the bank's API, memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from federation.local.deployed.asking import ask_deployed
from federation.local.deployed.starting import bring_up
from federation.local.deployed.supervisor import Status, read_status, stop_supervisor
from federation.local.deployed.training import DeployedBanks
from federation.local.deployed.weighing import weigh
from federation.local.federation import Training
from federation.local.layout import BANK
from federation.local.processes import START_SECONDS, free_ports
from federation.process.settings import read_settings
from nodes.bank.opening import open_bank_site
from nodes.bank.settings import BANK_FILE, BankSettings
from protocols.errors import TransportError
from protocols.scorecard.model import TrainingPlan

_HIGHEST_PORT: Final = 60_000


@dataclass(frozen=True, slots=True)
class DeployedFigures:
    """What a federation of processes took. Units: seconds of wall and of processor time, bytes, milliseconds.

    `memory` is that of all processes after the answers, `carrying_seconds` what Flower took of the training.
    """

    processes: int
    start_seconds: float
    start_cpu_seconds: float
    rounds: int
    bytes: int
    seconds: float
    carrying_seconds: float
    cpu_seconds: float
    answer_ms: float
    answer_cpu_ms: float
    memory: int


def measure_deployed(folder: Path, minimum_bin: int, answers: int, tell: Callable[[str], None]) -> DeployedFigures:
    """Start the parties of a founded federation as processes, train, ask, and stop them.

    Raises: ConfigurationError, code NOT_READY among them; TransportError.
    """
    started = time.monotonic()
    try:
        bring_up(folder, min(free_ports(1)[0], _HIGHEST_PORT), False, lambda status: tell(_ready(status)))
        start, begun = time.monotonic() - started, weigh(folder)
        tell("training over Flower")
        training, seconds = _train(folder, minimum_bin)
        trained = weigh(folder)
        tell("the bank's own process starts")
        _await_bank(folder)
        before, asked = weigh(folder), time.monotonic()
        times = _ask(folder, training, answers)
        took, after = time.monotonic() - asked, weigh(folder)
    finally:
        stop_supervisor(folder)
    tell(f"{answers} answers in {took:.1f} s")
    return DeployedFigures(
        processes=after.processes,
        start_seconds=start,
        start_cpu_seconds=begun.cpu_seconds,
        rounds=training.traffic.rounds,
        bytes=training.traffic.total_bytes,
        seconds=seconds,
        carrying_seconds=training.traffic.engine_seconds["carrying"],
        cpu_seconds=trained.cpu_seconds - begun.cpu_seconds,
        answer_ms=1000 * statistics.median(times),
        answer_cpu_ms=1000 * (after.cpu_seconds - before.cpu_seconds) / answers,
        memory=after.memory,
    )


def _train(folder: Path, minimum_bin: int) -> tuple[Training, float]:
    started = time.monotonic()
    with open_bank_site(folder / BANK, read_settings(folder / BANK / BANK_FILE, BankSettings)) as site:
        training = DeployedBanks(folder, {BANK: site}, 0.3, 0).train(TrainingPlan(), minimum_bin, folder.name)
    return training, time.monotonic() - started


def _ask(folder: Path, training: Training, answers: int) -> list[float]:
    """Return how long each answer took. Raises: TransportError, code NO_ANSWER, for a question without a score."""
    enterprises = _enterprises(folder)[:answers]
    times = []
    for enterprise in enterprises:
        started = time.monotonic()
        (result,) = ask_deployed(folder, [enterprise])
        times.append(time.monotonic() - started)
        if result.status != "ok" or result.model != training.model.model:
            raise TransportError(f"no answer: {result.status} {result.code}", code="NO_ANSWER")
    return times


def _enterprises(folder: Path) -> tuple[str, ...]:
    with open_bank_site(folder / BANK, read_settings(folder / BANK / BANK_FILE, BankSettings)) as site:
        return tuple(site.table.ids)


def _await_bank(folder: Path) -> None:
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit:
        status = read_status(folder)
        if status is not None and all(process.state == "ready" for process in status.processes):
            return
        time.sleep(0.2)
    raise TransportError("the bank's process is not ready", code="NOT_READY")


def _ready(status: Status) -> str:
    ready = sum(process.state in ("ready", "waiting") for process in status.processes)
    return f"{ready} of {len(status.processes)} processes ready"
