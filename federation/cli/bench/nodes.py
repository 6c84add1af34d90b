"""`credfed bench nodes`: what twenty data nodes cost against four."""

from __future__ import annotations

import logging
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from federation.bench.districts import DOMAINS
from federation.cli.output import console, errors, print_json, quiet_libraries, reported_errors
from federation.local.nodes_bench import Effort, NodesFigures, measure_nodes
from protocols.errors import TransportError

FEWEST = len(DOMAINS) - 1
MOST = 100
Handler = Callable[[int, FrameType | None], None]


def nodes(
    counts: Annotated[
        list[int] | None, typer.Option("--nodes", help="Data nodes; several may follow: the first is the baseline.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", help="Enterprises of the cohort.", min=500, max=100_000)] = 500,
    key_bits: Annotated[int, typer.Option("--key-bits", help="Length of every Paillier key.", min=2048)] = 2048,
    assessments: Annotated[int, typer.Option("--assessments", help="Answers in one process.", min=1, max=1000)] = 40,
    process_seconds: Annotated[
        float, typer.Option("--process-seconds", help="Also ask processes for so long; 0: no.", min=0)
    ] = 0.0,
    rate: Annotated[float, typer.Option("--rate", help="Questions a second to the processes.", min=0.1)] = 2.0,
    deployed: Annotated[
        bool, typer.Option("--deployed", help="Also start all processes, train over Flower and ask the bank's API.")
    ] = False,
    minutes: Annotated[int, typer.Option("--limit-minutes", help="Give up after so long.", min=1, max=1440)] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Train and assess one cohort with few data nodes and with many: time, processor time and bytes.

    Four nodes are four domains, each one office. More are five domains, with the tax domain split over district
    offices, so that twenty are sixteen districts and four other offices. What each needs is made first.
    With --deployed twenty nodes are about 70 processes and 6 GB. Whatever ends the command, also Ctrl-C or SIGTERM,
    ends them, and removes the folder that it has made.
    """
    quiet_libraries()
    logging.getLogger("nodes").setLevel(logging.ERROR)
    chosen = counts or [FEWEST, 20]
    if any(not FEWEST <= count <= MOST for count in chosen):
        raise typer.BadParameter(f"{FEWEST} to {MOST} data nodes", param_hint="--nodes")
    effort = Effort(rows, key_bits, assessments, process_seconds, rate, deployed)
    found: list[NodesFigures] = []
    with reported_errors(as_json), ended_in_time(60 * minutes), _telling() as tell:
        for count in chosen:
            with tempfile.TemporaryDirectory(prefix="credfed-") as made:
                found.append(measure_nodes(Path(made) / "federation", count, effort, tell))
    if as_json:
        print_json({"rows": rows, "key_bits": key_bits, "figures": found})
    else:
        show(found, rows, key_bits)


@contextmanager
def ended_in_time(seconds: int) -> Iterator[None]:
    """Have the block end by an exception, so that it tidies up: after `seconds`, or when a signal asks for its end."""

    def too_late(*_: object) -> None:
        raise TransportError(f"not done after {seconds} s", code="TIMEOUT")

    def asked(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    wanted: dict[signal.Signals, Handler] = {signal.SIGALRM: too_late, signal.SIGTERM: asked, signal.SIGHUP: asked}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Show what is being done: in one line of a terminal, and else a line for each step."""
    if errors.is_terminal:
        with errors.status("starting") as status:
            yield lambda text: status.update(escape(text))
        return
    told: list[str] = []

    def tell(text: str) -> None:
        if told[-1:] != [text]:
            told.append(text)
            errors.print(escape(text), soft_wrap=True)

    yield tell


def show(found: list[NodesFigures], rows: int, key_bits: int) -> None:
    """Print each figure for every number of nodes, and how many times that of the first."""
    table = Table("", *(f"{figures.nodes} nodes, {figures.domains} domains" for figures in found))
    for label, name, scale in LINES:
        _add(table, label, [getattr(figures, name) for figures in found], scale)
    for label, name, scale in DEPLOYED_LINES:
        _add(table, label, [getattr(figures.deployed, name, None) for figures in found], scale)
    console.print(f"{rows:,} enterprises, {key_bits}-bit keys")
    console.print(table)


LINES = (
    ("training: rounds", "rounds", 1.0),
    ("training: seconds", "seconds", 1.0),
    ("training: processor seconds of this process", "cpu_seconds", 1.0),
    ("training: MB", "bytes", 1e-6),
    ("an answer, one process: ms", "assessment_ms", 1.0),
    ("an answer: kB", "assessment_bytes", 1e-3),
    ("an answer, processes: median ms", "process_p50_ms", 1.0),
    ("an answer, processes: 95th percentile ms", "process_p95_ms", 1.0),
    ("an answer, processes: processor ms", "process_cpu_ms", 1.0),
    ("questions without an answer", "process_errors", 1.0),
)


DEPLOYED_LINES = (
    ("as processes: how many", "processes", 1.0),
    ("as processes: memory, GB", "memory", 1e-9),
    ("starting: seconds", "start_seconds", 1.0),
    ("starting: processor seconds", "start_cpu_seconds", 1.0),
    ("training over Flower: rounds", "rounds", 1.0),
    ("training over Flower: seconds", "seconds", 1.0),
    ("of which Flower's own", "carrying_seconds", 1.0),
    ("training over Flower: processor seconds", "cpu_seconds", 1.0),
    ("training over Flower: MB", "bytes", 1e-6),
    ("an answer of the bank's API: median ms", "answer_ms", 1.0),
    ("an answer of the bank's API: processor ms", "answer_cpu_ms", 1.0),
    ("questions to it without a score", "unanswered", 1.0),
)


def _add(table: Table, label: str, values: list[float | None], scale: float) -> None:
    """Add a line, unless nothing of it was measured."""
    if any(value is not None for value in values):
        table.add_row(label, *(_cell(value, values[0], scale, n == 0) for n, value in enumerate(values)))


def _cell(value: float | None, baseline: float | None, scale: float, is_first: bool) -> str:
    if value is None:
        return "–"
    shown = f"{value * scale:,.1f}" if isinstance(value, float) or scale != 1 else f"{value:,}"
    return shown if is_first or not baseline else f"{shown} ({value / baseline:.1f}×)"
