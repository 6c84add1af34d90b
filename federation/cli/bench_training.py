"""`credfed bench training`: what training costs here, by the real parties over a local federation."""

from __future__ import annotations

import resource
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from rich.table import Table

from federation.bench.cohort import SHARED, WIDE, write_cohort
from federation.bench.naive import NaiveCosts, measure_naive
from federation.bench.naive_training import naive_scorecard, naive_trees
from federation.bench.timing import Meter
from federation.bench.workload import make_workload
from federation.cli.output import console, errors, print_json, quiet_libraries, reported_errors
from federation.local import BANK, LocalFederation, Training, create_federation
from federation.rounds import RoundEvent
from nodes.bank.training import Split
from nodes.policy import TrainingRules, usual_policy
from nodes.sources import read_description
from protocols.boosting.model import BoostingPlan
from protocols.paillier import PrivateKey
from protocols.paillier.cores import Cores, available_cores
from protocols.scorecard.model import TrainedScorecard, TrainingPlan

MINIMUM_BIN: Final = 50
TREES: Final = 40
DEPTH: Final = 3
JOBS: Final = ("scorecard", "tree", "boosting")


@dataclass(frozen=True, slots=True)
class TrainingFigures:
    """One training. Units: CPU seconds of all parties together, seconds on the clock; naive `phe`'s are estimated.

    `trees` counts the data nodes' trees in the model. `cpu_by_phase` is split by the rounds' phases, on one core.
    """

    job: str
    rows: int
    trees: int
    cpu_seconds: float
    cpu_by_phase: dict[str, float]
    seconds: float
    naive_cpu_seconds: float
    ratio_phe: float
    rounds: int
    bytes_sent: dict[str, int]
    bytes_received: dict[str, int]


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """Everything that was measured with keys of one length."""

    key_bits: int
    cores: int
    mm_us: float
    trainings: list[TrainingFigures]


def training(
    rows: Annotated[list[int] | None, typer.Option("--rows", help="Rows to train on; several may follow.")] = None,
    more_rows: Annotated[list[int] | None, typer.Argument(metavar="[ROWS]...", show_default=False)] = None,
    key_bits: Annotated[int, typer.Option("--key-bits", help="Length of every key.", min=1024)] = 2048,
    jobs: Annotated[
        list[str] | None, typer.Option("--job", help="scorecard, tree or boosting; all by default.")
    ] = None,
    cores: Annotated[int, typer.Option("--cores", help="Cores to compute on.", min=1)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Time a scorecard, one tree and a boosting run on a made-up cohort of 23 features.

    The real parties train over a local federation: three data nodes, a bank, the coordinator, their ledgers and log.
    CPU seconds are of all of them together, from the labels to the signed model; keys are made beforehand. The tree has
    32 bins, depth 3 and all 23 features at one node; its run pays for labels, features and totals, too. Boosting grows
    up to 40 trees a party. Naive phe is measured on a sample in the same run and scaled by its number of operations.

    For 10,000, 30,000 and 100,000 rows (the default) this takes half an hour on one core.
    """
    quiet_libraries()
    with reported_errors(as_json):
        chosen = [job for job in JOBS if job in (jobs or JOBS)]
        if len(chosen) != len(set(jobs or JOBS)):
            raise typer.BadParameter(f"known are {', '.join(JOBS)}", param_hint="--job")
        sizes = [*(rows or []), *(more_rows or [])] or [10_000, 30_000, 100_000]
        with errors.status("starting") as status:
            report = measure_training(sizes, key_bits, chosen, cores, status.update)
    if as_json:
        print_json(report)
    else:
        _show(report)


def measure_training(
    sizes: list[int], key_bits: int, jobs: list[str], cores: int, progress: Callable[[str], None]
) -> TrainingReport:
    """Run the jobs on cohorts of all sizes."""
    progress("naive phe, on a sample")
    key = PrivateKey.generate(key_bits, secrets.token_bytes)
    meter = Meter(key.public_key, secrets.token_bytes)
    naive = measure_naive(key, make_workload(64), meter)
    trainings: list[TrainingFigures] = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in sizes:
            for job in jobs:
                progress(f"{job} on {rows:,} rows: keys and cohort")
                setting = _Setting(Path(folder) / f"{job}{rows}", rows, WIDE if job == "tree" else SHARED, key_bits)
                trainings.append(_measure(job, setting, naive, meter, min(cores, available_cores()), progress))
    return TrainingReport(key_bits, cores, meter.mm_seconds * 1e6, trainings)


@dataclass(frozen=True, slots=True)
class _Setting:
    folder: Path
    rows: int
    domains: Mapping[str, int]
    key_bits: int

    @contextmanager
    def federation(self, on_round: Callable[[RoundEvent], None]) -> Iterator[LocalFederation]:
        write_cohort(self.folder / "data", self.rows, self.domains)
        rules = TrainingRules(MINIMUM_BIN, minimum_nodes=len(self.domains) - 1, minimum_key_bits=self.key_bits)
        policy = usual_policy((BANK,), training=rules)
        create_federation(self.folder, read_description(self.folder / "data"), self.key_bits, policy)
        with LocalFederation(self.folder, on_round=on_round) as federation:
            yield federation


PLANS: Final[Mapping[str, TrainingPlan | BoostingPlan]] = {
    "scorecard": TrainingPlan(),
    "tree": BoostingPlan(trees=1, depth=DEPTH, row_totals=1, group=1, share=1),
    "boosting": BoostingPlan(trees=TREES, depth=DEPTH),
}


def _measure(
    job: str, setting: _Setting, naive: NaiveCosts, meter: Meter, cores: int, progress: Callable[[str], None]
) -> TrainingFigures:
    spent: dict[str, float] = {}

    def tell(event: RoundEvent) -> None:
        spent[event.phase] = spent.get(event.phase, 0.0) + _cpu_seconds() - cpu - sum(spent.values())
        progress(f"{job} on {setting.rows:,} rows: round {event.number}, {event.phase}")

    with setting.federation(tell) as federation:
        order = np.arange(len(federation.outcomes), dtype=np.intp)
        split = Split(order[: setting.rows], order[setting.rows :])
        wall, cpu = time.perf_counter(), _cpu_seconds()
        with Cores(cores):
            trained = federation.train(split, PLANS[job], MINIMUM_BIN)
        wall, total = time.perf_counter() - wall, _cpu_seconds() - cpu
    trees, estimate = _naive_mm(job, setting, naive, trained, len(order))
    estimate *= meter.mm_seconds
    traffic = trained.traffic
    return TrainingFigures(
        job,
        setting.rows,
        trees,
        total,
        spent,
        wall,
        estimate,
        estimate / total,
        traffic.rounds,
        {str(party): size for party, size in traffic.bytes_sent.items()},
        {str(party): size for party, size in traffic.bytes_received.items()},
    )


def _naive_mm(job: str, setting: _Setting, naive: NaiveCosts, trained: Training, all_rows: int) -> tuple[int, float]:
    """Return how many trees the data nodes' part of the model has, and the mm that naive `phe` takes for the same."""
    domains, model = setting.domains, trained.scorecard
    if isinstance(model, TrainedScorecard):
        return 0, naive_scorecard(naive, setting.rows, all_rows, domains, PLANS[job].row_totals)
    grown = {party: len(trees) for party, trees in model.model.trees.items() if party != BANK}
    mm = [
        naive_trees(naive, setting.rows, domains[party], DEPTH, count, PLANS[job].row_totals)
        for party, count in grown.items()
    ]
    return sum(grown.values()), sum(mm)


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those it has started and ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def _show(report: TrainingReport) -> None:
    title = f"Training with {report.key_bits}-bit keys on {report.cores} cores · 1 mm = {report.mm_us:.2f} µs"
    table = Table("job", title=title, title_justify="left")
    for heading in (
        "rows",
        "CPU s",
        "ms a row",
        "of it trees",
        "clock s",
        "phe, CPU s",
        "× phe",
        "rounds",
        "bank, MB",
        "node, MB",
    ):
        table.add_column(heading, justify="right")
    for one in report.trainings:
        name = f"{one.trees} trees" if one.job == "boosting" else one.job
        sent = {party: size / 1e6 for party, size in one.bytes_sent.items()}
        bank = sent.pop(BANK)
        growing = f"{one.cpu_by_phase['trees']:,.1f}" if one.trees else "–"
        table.add_row(
            *(
                name,
                f"{one.rows:,}",
                f"{one.cpu_seconds:,.1f}",
                f"{1e3 * one.cpu_seconds / one.rows:.2f}",
                growing,
                f"{one.seconds:,.1f}",
            ),
            *(
                f"{one.naive_cpu_seconds:,.0f}",
                f"{one.ratio_phe:,.0f}",
                str(one.rounds),
                f"{bank:,.1f}",
                f"{max(sent.values()):,.1f}",
            ),
        )
    console.print(table)
    console.print(
        "CPU seconds are of all parties together. Naive phe is measured on a sample and scaled by its operations. "
        "MB are what the bank sent, and the node that sent most."
    )
