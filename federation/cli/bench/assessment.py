"""`credfed bench assessment`: how long a bank waits for an answer, and how many it can get a second."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from federation.cli.output import console, errors, print_json, quiet_libraries, reported_errors
from federation.local.assessment_bench import AssessmentBench, Load, copy_federation, make_federation, measure
from federation.local.layout import read_federation
from federation.local.stages import DEPTHS

GOAL_P95_MS = 250.0
GOAL_SATURATION = 60.0
GOAL_BATCH_SECONDS = 60.0


def assessment(
    rate: Annotated[float, typer.Option("--rate", help="Questions a second.", min=0.1, max=1000)] = 20.0,
    seconds: Annotated[float, typer.Option("--seconds", help="How long to ask at that rate.", min=1)] = 60.0,
    saturation: Annotated[
        float, typer.Option("--saturation", help="Seconds of as many questions as it can take; 0: none.", min=0)
    ] = 20.0,
    batch: Annotated[
        int, typer.Option("--batch", help="Also assess so many enterprises in batches; 0: none.", min=0)
    ] = 0,
    enterprises: Annotated[
        int, typer.Option("--enterprises", help="Size of the synthetic economy.", min=1000, max=200_000)
    ] = 2000,
    key_bits: Annotated[
        int, typer.Option("--key-bits", help="Length of every Paillier key.", min=2048, max=8192)
    ] = 3072,
    federation: Annotated[
        Path | None,
        typer.Option("--federation", help="A trained federation, of which a copy is measured."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Measure assessments over six processes: coordinator, four data nodes, and this one as the bank.

    A synthetic economy is made, a scorecard trained on 2,000 of it (a minute or two), certificates and directories are
    generated, the processes started, and questions asked over mutual TLS with consent, policy, log and ledger on, all
    of it durable. Latency counts from when a question was due, so a federation that falls behind cannot hide it.
    """
    quiet_libraries()
    logging.getLogger("nodes").setLevel(logging.ERROR)
    with (
        reported_errors(as_json),
        tempfile.TemporaryDirectory() as made,
        errors.status("making a federation") as status,
    ):
        folder = Path(made) / "federation"
        if federation is not None:
            read_federation(federation)
            copy_federation(federation, folder)
        else:
            folder.mkdir()
            make_federation(folder, max(enterprises, batch), key_bits)
        found = measure(folder, Load(rate, seconds, saturation, batch), status.update)
    if as_json:
        print_json(found)
    else:
        show(found)


def show(found: AssessmentBench) -> None:
    """Print the figures beside their goals, then where the time goes."""
    figures = Table("", "measured", "goal", title=f"{found.key_bits}-bit keys, {found.rate:g} questions/s")
    figures.add_row("95th percentile, ms", f"{found.p95_ms:,.0f}", f"≤ {GOAL_P95_MS:g}")
    figures.add_row("median, ms", f"{found.p50_ms:,.0f}", "")
    figures.add_row("99th percentile, ms", f"{found.p99_ms:,.0f}", "")
    figures.add_row("answers a second", f"{found.throughput:,.1f}", f"{found.rate:g}")
    figures.add_row("questions without an answer", f"{found.errors}", "0")
    if found.saturation is not None:
        figures.add_row("at saturation, a second", f"{found.saturation.throughput:,.1f}", f"≥ {GOAL_SATURATION:g}")
        figures.add_row("  95th percentile, ms", f"{found.saturation.p95_ms:,.0f}", "")
    if found.batch_seconds is not None:
        goal = f"≤ {GOAL_BATCH_SECONDS:g} for 10,000"
        figures.add_row(f"a batch of {found.batch:,}, s", f"{found.batch_seconds:,.1f}", goal)
        figures.add_row("  of which have a score", f"{found.batch_scores:,}", "")
        figures.add_row("  processor time of all, s", f"{sum(found.batch_cpu_seconds.values()):,.1f}", "")
    console.print(figures)
    stages = Table("stage", "mean", title="Where the time goes", title_justify="left")
    for name, value in found.stages.items():
        unit = "" if "parcels" in name else " ms"
        stages.add_row("  " * DEPTHS.get(name, 0) + name.replace("_", " "), f"{value:,.2f}{unit}")
    console.print(stages)
    used = " · ".join(f"{party} {milliseconds:.1f}" for party, milliseconds in found.cpu_ms.items())
    console.print(f"processor time, ms per answer: {used}; together {sum(found.cpu_ms.values()):.1f}")
    for code, count in found.codes.items():
        console.print(f"without an answer: {count} × {code}")
