"""One run of the Paillier benchmark for one key length."""

from __future__ import annotations

import functools
import resource
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from federation.bench.jobs import Bank, all_jobs
from federation.bench.naive import NaiveCosts, measure_naive
from federation.bench.stock import BenchStock
from federation.bench.timing import Meter, Timing
from federation.bench.workload import FEATURES, FINE_BINS, NODES, WOE_BINS, Workload, make_workload
from protocols.paillier import (
    CiphertextVector,
    Encryptor,
    OwnerEncryptor,
    Packing,
    PrivateKey,
    PublicKey,
    decrypt,
)
from protocols.paillier.cores import Cores, available_cores
from protocols.paillier.obfuscators import OthersResidues, OwnerResidues

_SAMPLE = 1024
_REPEATS = {"lr_epoch_8bit": 3, "lr_epoch_woe": 3, "tree_depth5": 1, "assessment_one": 9, "assessment_batch": 3}


@dataclass(frozen=True, slots=True)
class Operation:
    """CPU cost of one operation, and how many times longer naive `phe` takes for it."""

    us: float
    mm: float
    ratio_phe: float


@dataclass(frozen=True, slots=True)
class Job:
    """Elapsed seconds of a composed job on one core and on all; its CPU cost in mm, and naive `phe`'s beside it."""

    seconds: float
    seconds_all_cores: float
    mm: float
    ratio_phe: float


@dataclass(frozen=True, slots=True)
class PaillierReport:
    """The benchmark's result for one key length; histogram and multiexp are per row and feature."""

    key_bits: int
    mm_us: float
    cores: int
    ops: dict[str, Operation]
    jobs: dict[str, Job]
    peak_rss_mb: float


def run_paillier(bits: int, rows: int, progress: Callable[[str], None]) -> PaillierReport:
    """Measure everything for one key length, telling `progress` what is next."""
    progress(f"{bits} bits: key and workload")
    key = PrivateKey.generate(bits, secrets.token_bytes)
    work, meter = make_workload(rows), Meter(key.public_key, secrets.token_bytes)
    progress(f"{bits} bits: naive phe, on a sample")
    naive = measure_naive(key, work, meter)
    progress(f"{bits} bits: operations")
    stock = BenchStock(OwnerResidues(key, secrets.token_bytes), rows)
    ops = _operations(key, stock, work, meter, naive)
    cores = available_cores()
    scaled = naive.jobs(rows)
    jobs = {
        name: Job(one.wall, every.wall, one.mm, scaled[name] / one.mm)
        for name, (one, every) in _jobs(key, stock, work, meter, cores, progress).items()
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return PaillierReport(bits, meter.mm_seconds * 1e6, cores, ops, jobs, peak)


def _operations(
    key: PrivateKey, stock: BenchStock, work: Workload, meter: Meter, naive: NaiveCosts
) -> dict[str, Operation]:
    owner, other = OwnerEncryptor(key, secrets.token_bytes), Encryptor(key.public_key, secrets.token_bytes)
    values = work.residuals[:_SAMPLE]
    vector = owner.encrypt(values)
    other.encrypt(values)  # both tables stand
    slots = Packing(40, (key.public_key.bits - 2) // 40).slots
    few = vector[:16]
    many = CiphertextVector.concat([vector] * (2048 // _SAMPLE))
    opened = meter.measure(lambda: decrypt(key, few), len(few))
    pooled = OwnerEncryptor(key, secrets.token_bytes, stock)
    ops = {
        "encrypt_owner": _operation(meter.measure(lambda: owner.encrypt(values), len(values)), naive.encrypt),
        "encrypt_other": _operation(meter.measure(lambda: other.encrypt(values), len(values)), naive.encrypt),
        "encrypt_pooled": _operation(meter.measure(lambda: pooled.encrypt(values), len(values)), naive.encrypt),
        "decrypt": _operation(opened, naive.decrypt),
        "decrypt_packed40": _operation(
            Timing(opened.wall / slots, opened.cpu / slots, opened.mm / slots), naive.decrypt
        ),
        "add": _operation(meter.measure(lambda: many + many, len(many)), naive.add),
    }
    return ops | _aggregates(key.public_key, pooled.encrypt(work.residuals).to_bytes(), work, meter, naive)


def _aggregates(
    key: PublicKey, received: bytes, work: Workload, meter: Meter, naive: NaiveCosts
) -> dict[str, Operation]:
    """Measure on a freshly received vector each time, so that splitting it is part of the cost."""
    operations: dict[str, tuple[Callable[[CiphertextVector], object], float]] = {
        "histogram_32": (lambda fresh: fresh.histograms(work.fine, [FINE_BINS] * FEATURES), naive.add),
        "histogram_10": (lambda fresh: fresh.histograms(work.woe, [WOE_BINS] * FEATURES), naive.add),
        "multiexp_8": (lambda fresh: fresh.weighted_sums(work.weights), naive.multiply_add),
    }
    measured = {}
    for name, (aggregate, baseline) in operations.items():
        timings = []
        for _ in range(3):
            fresh = CiphertextVector.from_bytes(key, received)
            timings.append(meter.measure(functools.partial(aggregate, fresh), work.rows * FEATURES, 1))
        measured[name] = _operation(sorted(timings, key=lambda timing: timing.mm)[1], baseline)
    return measured


def _jobs(
    key: PrivateKey,
    stock: BenchStock,
    work: Workload,
    meter: Meter,
    cores: int,
    progress: Callable[[str], None],
) -> dict[str, tuple[Timing, Timing]]:
    """Return each job's timing on one core and on all."""
    randomness, public = secrets.token_bytes, key.public_key
    unstocked = [Encryptor(public, randomness) for _ in range(NODES)]
    stocked = [Encryptor(public, randomness, BenchStock(OthersResidues(public, randomness), 64)) for _ in range(NODES)]
    jobs = all_jobs(Bank(key, stock), stocked, unstocked, work)
    for encryptor in unstocked:
        encryptor.encrypt([0] * 64)  # the tables stand

    def measure(on: str) -> dict[str, Timing]:
        timings = {}
        for name, job in jobs.items():
            progress(f"{public.bits} bits: {name} on {on}")
            timings[name] = meter.measure(job, 1, _REPEATS[name])
        return timings

    alone = measure("one core")
    with Cores(cores):
        jobs["lr_epoch_woe"]()  # starts the processes
        together = measure(f"{cores} cores")
    return {name: (alone[name], together[name]) for name in jobs}


def _operation(timing: Timing, naive_mm: float) -> Operation:
    return Operation(timing.cpu * 1e6, timing.mm, naive_mm / timing.mm)
