"""What training costs here: the real parties train over a local federation, beside what naive `phe` would take."""

from __future__ import annotations

import resource
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from federation.bench.cohort import SHARED, WIDE, write_cohort
from federation.bench.memory import PeakMemory
from federation.bench.naive import NaiveCosts, measure_naive
from federation.bench.naive_training import naive_scorecard, naive_trees
from federation.bench.timing import Meter
from federation.bench.workload import make_workload
from federation.local.federation import LocalFederation, Training
from federation.local.founding import create_federation
from federation.local.layout import BANK
from federation.traffic import RoundEvent
from nodes.bank.training.split import Split
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
    `growth` is what a row costs, over what one costs on the fewest rows that the job was run on: 1 is linear.
    `peak_memory` is in bytes, of all parties together beyond what the process held before; on one core.
    """

    job: str
    rows: int
    trees: int
    cpu_seconds: float
    growth: float
    cpu_by_phase: dict[str, float]
    seconds: float
    naive_cpu_seconds: float
    ratio_phe: float
    rounds: int
    bytes_sent: dict[str, int]
    bytes_received: dict[str, int]
    peak_memory: int


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """Everything that was measured with keys of one length."""

    key_bits: int
    cores: int
    mm_us: float
    trainings: list[TrainingFigures]


def measure_training(
    sizes: list[int],
    key_bits: int,
    jobs: list[str],
    cores: int,
    progress: Callable[[str], None],
    tell: Callable[[TrainingFigures], None] = lambda figures: None,
) -> TrainingReport:
    """Run the jobs on cohorts of all sizes, which rise; `tell` is given each one's figures as they come."""
    progress("naive phe, on a sample")
    key = PrivateKey.generate(key_bits, secrets.token_bytes)
    meter = Meter(key.public_key, secrets.token_bytes)
    naive = measure_naive(key, make_workload(64), meter)
    trainings: list[TrainingFigures] = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in sizes:
            for job in jobs:
                progress(f"{job} on {rows:,} rows: keys and cohort")
                setting = _Setting(Path(folder), rows, WIDE if job == "tree" else SHARED, key_bits)
                figures = _measure(job, setting, naive, meter, min(cores, available_cores()), progress)
                first = next((one for one in trainings if one.job == job), figures)
                growth = figures.cpu_seconds / figures.rows / (first.cpu_seconds / first.rows)
                trainings.append(replace(figures, growth=growth))
                tell(trainings[-1])
    return TrainingReport(key_bits, cores, meter.mm_seconds * 1e6, trainings)


@dataclass(frozen=True, slots=True)
class _Setting:
    """A cohort of so many rows at the parties of these domains, which are founded once below `folder`, then copied."""

    folder: Path
    rows: int
    domains: Mapping[str, int]
    key_bits: int

    @contextmanager
    def federation(self, on_round: Callable[[RoundEvent], None]) -> Iterator[LocalFederation]:
        founded = self.folder / "-".join(self.domains)
        if not founded.exists():
            self._found(founded)
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            here = Path(name) / "federation"
            shutil.copytree(founded, here, ignore=shutil.ignore_patterns("data"))
            write_cohort(here / "data", self.rows, self.domains)
            with LocalFederation(here, on_round=on_round) as federation:
                yield federation

    def _found(self, folder: Path) -> None:
        write_cohort(folder / "data", MINIMUM_BIN, self.domains)
        rules = TrainingRules(MINIMUM_BIN, minimum_nodes=len(self.domains) - 1, minimum_key_bits=self.key_bits)
        policy = usual_policy((BANK,), training=rules)
        create_federation(folder, read_description(folder / "data"), self.key_bits, policy)


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
        with Cores(cores), PeakMemory() as memory:
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
        1.0,
        spent,
        wall,
        estimate,
        estimate / total,
        traffic.rounds,
        {str(party): size for party, size in traffic.bytes_sent.items()},
        {str(party): size for party, size in traffic.bytes_received.items()},
        memory.size,
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
