"""The training benchmark trains with the real parties, and reports in the agreed shape. Figures are never gated."""

from __future__ import annotations

import os

import numpy as np
import pytest

from federation.bench.cohort import SHARED
from federation.bench.memory import PeakMemory
from federation.bench.naive import NaiveCosts
from federation.bench.naive_training import naive_scorecard, naive_trees
from federation.local.training_bench import JOBS, TrainingFigures, measure_training
from tests.small_federation import KEY_BITS, quick_keys

COSTS = NaiveCosts(encrypt=2000, decrypt=500, add=3, multiply_add=75)


@pytest.mark.slow
def test_every_job_is_trained_by_all_parties() -> None:
    said, told = list[str](), list[TrainingFigures]()
    with quick_keys():
        report = measure_training([600], KEY_BITS, list(JOBS), 1, said.append, told.append)
    assert told == report.trainings
    assert (report.key_bits, [one.job for one in report.trainings]) == (KEY_BITS, list(JOBS))
    for one in report.trainings:
        assert one.cpu_seconds >= sum(one.cpu_by_phase.values()) > 0
        assert one.ratio_phe == pytest.approx(one.naive_cpu_seconds / one.cpu_seconds)
        assert one.rounds > 5
        assert one.growth == 1
        assert 0 <= one.peak_memory < 2**30
        assert one.bytes_sent.keys() == one.bytes_received.keys() >= {"bank", "social", "tax"}
        assert min(one.bytes_sent.values()) > 100
        assert any(text.startswith(f"{one.job} on 600 rows: round") for text in said)
    scorecard, tree, boosting = report.trainings
    assert "trees" not in scorecard.cpu_by_phase
    assert 0 < tree.cpu_by_phase["trees"] < tree.cpu_seconds
    assert (scorecard.trees, boosting.trees > tree.trees) == (0, True)


def test_the_naive_estimate_grows_linearly_in_rows_but_for_decryptions() -> None:
    small, large = (naive_scorecard(COSTS, rows, rows, SHARED, 2) for rows in (10_000, 100_000))
    assert 9.9 < large / small < 10
    small, large = (naive_trees(COSTS, rows, 23, 3, 1, 1) for rows in (10_000, 100_000))
    assert 5 < large / small < 10


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="peaks are forgotten on Linux alone")
def test_memory_is_that_of_the_block_alone() -> None:
    with PeakMemory() as large:
        np.ones(8_000_000).sum()
    with PeakMemory() as small:
        np.ones(1_000).sum()
    assert large.size > 50e6 > small.size >= 0
