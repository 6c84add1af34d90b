"""What more data nodes cost: training and assessments of one cohort, by few offices and by many."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from federation.bench.districts import offices, write_districts
from federation.local.assessment_bench import Load, measure
from federation.local.deployed.measuring import DeployedFigures, measure_deployed
from federation.local.federation import LocalFederation
from federation.local.founding import create_federation
from federation.local.layout import BANK
from nodes.bank.training.split import split_rows
from nodes.policy.rules import Quota, TrainingRules, usual_policy
from nodes.sources import read_description
from protocols.scorecard.model import TrainingPlan

_QUOTA: Final = Quota(per_day=10_000_000, per_subject=1_000_000)
_MINIMUM_BIN: Final = 50


@dataclass(frozen=True, slots=True)
class NodesFigures:
    """What so many data nodes took. Units: seconds of wall and of processor time, bytes, milliseconds.

    Assessments: one at a time in one process, and, if measured, over a process for each party; bytes are those of all
    parties' messages for one answer.
    """

    nodes: int
    domains: int
    rounds: int
    seconds: float
    cpu_seconds: float
    bytes: int
    assessment_ms: float
    assessment_bytes: float
    process_p50_ms: float | None
    process_p95_ms: float | None
    process_errors: int | None
    process_cpu_ms: float | None
    deployed: DeployedFigures | None = None


@dataclass(frozen=True, slots=True)
class Effort:
    """What to measure. Units: enterprises; bits; answers in one process; seconds of load over processes (0: none).

    `deployed` also starts all processes of the federation, SuperLink and SuperNodes among them, and trains over those.
    """

    rows: int
    key_bits: int
    assessments: int
    process_seconds: float
    rate: float
    deployed: bool = False


def measure_nodes(folder: Path, nodes: int, effort: Effort, tell: Callable[[str], None]) -> NodesFigures:
    """Found a federation of so many data nodes, train it, and ask it. Raises: ConfigurationError, TransportError."""
    tell(f"{nodes} data nodes: making data and keys")
    write_districts(folder / "data", effort.rows, nodes)
    policy = usual_policy((BANK,), quota=_QUOTA, training=_rules(effort.key_bits))
    create_federation(folder, read_description(folder / "data"), effort.key_bits, policy)
    seen: list[int] = []
    with LocalFederation(folder, lambda node, inbound, data: seen.append(len(data))) as federation:
        tell(f"{nodes} data nodes: training")
        started, cpu = time.perf_counter(), time.process_time()
        training = federation.train(split_rows(federation.outcomes, 0.3, 0), TrainingPlan(), _MINIMUM_BIN)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        rounds, size = training.traffic.rounds, training.traffic.total_bytes  # assessments go on counting
        tell(f"{nodes} data nodes: {effort.assessments} assessments")
        asked = federation.bank_table.ids[: effort.assessments]
        before, started = sum(seen), time.perf_counter()
        results = [result for enterprise in asked for result in federation.assess([enterprise])]
        took, sent = time.perf_counter() - started, sum(seen) - before
        answered = sum(result.status == "ok" for result in results)
    deployed = None
    if effort.deployed:
        tell(f"{nodes} data nodes: starting all processes")
        deployed = measure_deployed(
            folder, _MINIMUM_BIN, effort.assessments, lambda text: tell(f"{nodes} data nodes: {text}")
        )
    by_processes = None
    if effort.process_seconds:
        tell(f"{nodes} data nodes: {nodes + 2} processes")
        by_processes = measure(folder, Load(effort.rate, effort.process_seconds, 0, 0), tell)
    return NodesFigures(
        nodes=nodes,
        domains=len(offices(nodes)),
        rounds=rounds,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        bytes=size,
        assessment_ms=1000 * took / max(answered, 1),
        assessment_bytes=sent / max(answered, 1),
        process_p50_ms=by_processes.p50_ms if by_processes else None,
        process_p95_ms=by_processes.p95_ms if by_processes else None,
        process_errors=by_processes.errors if by_processes else None,
        process_cpu_ms=sum(by_processes.cpu_ms.values()) if by_processes else None,
        deployed=deployed,
    )


def _rules(key_bits: int) -> TrainingRules:
    return TrainingRules(minimum_bin=_MINIMUM_BIN, minimum_key_bits=key_bits)
