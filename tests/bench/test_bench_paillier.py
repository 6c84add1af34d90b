"""The benchmark computes the right thing and reports it in the agreed shape. Figures are reported, never gated."""

from __future__ import annotations

import json
import secrets

import numpy as np
import pytest
from typer.testing import CliRunner

from federation.bench.jobs import Bank, assessment, best_split, lr_epoch_8bit, lr_epoch_woe, tree_depth5
from federation.bench.stock import BenchStock
from federation.bench.workload import DEPTH, FINE_BINS, NODES, WOE_BINS, Workload, make_workload, node_rows
from federation.cli.main import app
from protocols.paillier import Encryptor, PrivateKey
from protocols.paillier.obfuscators import OwnerResidues

OPERATIONS = [
    *("encrypt_owner", "encrypt_other", "encrypt_pooled", "decrypt", "decrypt_packed40", "add"),
    *("histogram_32", "histogram_10", "multiexp_8"),
]
JOBS = ["lr_epoch_8bit", "lr_epoch_woe", "tree_depth5", "assessment_one", "assessment_batch"]


@pytest.fixture(scope="module")
def bank() -> Bank:
    key = PrivateKey.generate(512, secrets.token_bytes)
    return Bank(key, BenchStock(OwnerResidues(key, secrets.token_bytes), 300))


@pytest.fixture(scope="module")
def work() -> Workload:
    return make_workload(300)


def test_the_epochs_compute_the_gradient(bank: Bank, work: Workload) -> None:
    residuals = np.array(work.residuals)
    assert lr_epoch_8bit(bank, work) == (residuals @ work.weights).tolist()
    sums = [np.bincount(column, residuals, WOE_BINS).astype(int).tolist() for column in work.woe.T]
    assert lr_epoch_woe(bank, work) == [value for feature in sums for value in feature]


def test_the_tree_is_the_tree_of_plain_sums(bank: Bank, work: Workload) -> None:
    def plain(rows: np.ndarray) -> list[tuple[int, int]]:
        pairs = np.stack([work.gradients, work.hessians], axis=1)[rows]
        sums = np.zeros((work.fine.shape[1], FINE_BINS, 2), dtype=np.int64)
        for feature, bins in enumerate(work.fine[rows].T):
            np.add.at(sums[feature], bins, pairs)
        return best_split(sums)

    expected, level = [], [np.arange(work.rows)]
    for _ in range(DEPTH):
        below = []
        for rows in level:
            expected.append(plain(rows))
            left = node_rows(work.fine, expected[-1], rows)
            below += [rows[left], rows[~left]]
        level = below
    assert tree_depth5(bank, work) == expected


def test_assessments_add_up(bank: Bank) -> None:
    nodes = [Encryptor(bank.key.public_key, secrets.token_bytes) for _ in range(NODES)]
    assert assessment(bank, nodes, 30) == [sum(600 + node for node in range(NODES))] * 30


@pytest.mark.slow
def test_the_report_has_the_agreed_shape() -> None:
    result = CliRunner().invoke(app, ["bench", "paillier", "--key-bits", "1024", "1088", "--rows", "64", "--json"])
    assert result.exit_code == 0, result.stderr
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert [document["key_bits"] for document in documents] == [1024, 1088]
    for document in documents:
        assert list(document) == ["key_bits", "mm_us", "cores", "ops", "jobs", "peak_rss_mb"]
        assert list(document["ops"]) == OPERATIONS
        assert list(document["jobs"]) == JOBS
        assert all(set(entry) == {"us", "mm", "ratio_phe"} for entry in document["ops"].values())
        fields = {"seconds", "seconds_all_cores", "mm", "ratio_phe"}
        assert all(set(entry) == fields for entry in document["jobs"].values())


def test_a_key_length_or_peer_that_cannot_be_is_refused() -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["bench", "paillier", "--key-bits", "1000"]).exit_code == 2
    assert runner.invoke(app, ["bench", "paillier", "--against", "fate"]).exit_code == 2
