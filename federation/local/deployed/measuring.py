"""What more data nodes cost as processes: starting them, training over Flower, answers by the bank's API, memory.

Whatever ends the measurement, also an exception that a signal has raised, stops all processes.
"""

from __future__ import annotations

import random
import socket
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from federation.local.deployed.asking import ask_deployed
from federation.local.deployed.starting import PORTS, bring_up
from federation.local.deployed.status import Status, read_status
from federation.local.deployed.steering import stop_supervisor
from federation.local.deployed.training import DeployedBanks
from federation.local.deployed.weighing import weigh
from federation.local.federation import Training
from federation.local.layout import BANK
from federation.local.processes import START_SECONDS
from federation.process.settings import read_settings
from federation.traffic import RoundEvent
from nodes.bank.opening import open_bank_site
from nodes.bank.settings import BANK_FILE, BankSettings
from protocols.errors import ConfigurationError, TransportError
from protocols.scorecard.model import TrainingPlan

_PORTS: Final = range(12_000, 30_000, PORTS)
"""Below those that a system gives to whoever dials, so that none is taken meanwhile."""


@dataclass(frozen=True, slots=True)
class DeployedFigures:
    """What a federation of processes took. Units: seconds of wall and of processor time, bytes, milliseconds.

    `memory` is that of all processes after the answers, `carrying_seconds` what Flower took of the training,
    `unanswered` how many questions got no score: on a machine that is too slow for the parties' patience.
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
    unanswered: int
    memory: int


def measure_deployed(folder: Path, minimum_bin: int, answers: int, tell: Callable[[str], None]) -> DeployedFigures:
    """Start the parties of a founded federation as processes, train, ask, and stop them.

    Raises: ConfigurationError, code NOT_READY among them; TransportError.
    """
    started = time.monotonic()
    try:
        bring_up(folder, _free_port(), False, lambda status: tell(_ready(status)))
        start, begun = time.monotonic() - started, weigh(folder)
        tell("training over Flower")
        training, seconds = _train(folder, minimum_bin, lambda event: tell(_passed(event)))
        trained = weigh(folder)
        _await_bank(folder)
        before = weigh(folder)
        tell(f"{answers} questions to the bank's API")
        times = _ask(folder, training, answers)
        after = weigh(folder)
    finally:
        tell("stopping all processes")
        stop_supervisor(folder)
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
        answer_cpu_ms=1000 * (after.cpu_seconds - before.cpu_seconds) / len(times),
        unanswered=answers - len(times),
        memory=after.memory,
    )


def _free_port() -> int:
    """Return the first of a federation's ports, all of which are free. Raises: ConfigurationError, code NO_PORTS."""
    for first in random.sample(_PORTS, len(_PORTS)):  # another federation may start at the same time
        if all(map(_is_free, range(first, first + PORTS))):
            return first
    raise ConfigurationError(f"no {PORTS} ports in a row are free", code="NO_PORTS")


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def _train(folder: Path, minimum_bin: int, on_round: Callable[[RoundEvent], None]) -> tuple[Training, float]:
    started = time.monotonic()
    with open_bank_site(folder / BANK, read_settings(folder / BANK / BANK_FILE, BankSettings)) as site:
        banks = DeployedBanks(folder, {BANK: site}, 0.3, 0)
        training = banks.train(TrainingPlan(), minimum_bin, folder.name, on_round)
    return training, time.monotonic() - started


def _ask(folder: Path, training: Training, answers: int) -> list[float]:
    """Return how long each score took. Raises: TransportError, code NO_ANSWER, if no question got one."""
    times, codes = [], set()
    for enterprise in _enterprises(folder)[:answers]:
        started = time.monotonic()
        (result,) = ask_deployed(folder, [enterprise])
        if result.status == "ok" and result.model == training.model.model:
            times.append(time.monotonic() - started)
        codes.add(result.code)
    if not times:
        raise TransportError(f"no question got a score: {', '.join(sorted(codes))}", code="NO_ANSWER")
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


def _passed(event: RoundEvent) -> str:
    return f"round {event.number} over Flower, {event.phase}: {event.seconds:.0f} s"


def _ready(status: Status) -> str:
    ready = sum(process.state in ("ready", "waiting") for process in status.processes)
    return f"{ready} of {len(status.processes)} processes ready"
