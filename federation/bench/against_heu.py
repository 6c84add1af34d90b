"""SecretFlow's HEU (ZPaillier) on the same work, where the `sf-heu` wheel is installed beside the project.

HEU is used as its manual shows, through its vectorised `heu.numpy`: `matmul` for real-valued features, bucket sums for
bins, its batch encoder not at all (it packs two). Times are CPU seconds of the process, on a sample, scaled.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from federation.bench.workload import ASSESSMENTS, DEPTH, FEATURES, FINE_BINS, NODES, WOE_BINS, Workload
from protocols.errors import ConfigurationError

_SAMPLE = 400


@dataclass(frozen=True, slots=True)
class HeuReport:
    """HEU's CPU seconds for each job, and its microseconds per operation."""

    us: dict[str, float]
    jobs: dict[str, float]


def measure_heu(bits: int, work: Workload) -> HeuReport:
    """Measure HEU's ZPaillier. Raises: ConfigurationError if `sf-heu` cannot be imported."""
    if importlib.util.find_spec("heu") is None:
        raise ConfigurationError("sf-heu is not installed; `pip install --pre sf-heu` adds it", code="HEU_MISSING")
    arrays: Any = importlib.import_module("heu.numpy")
    schema: Any = importlib.import_module("heu.phe").SchemaType.ZPaillier
    kit = arrays.setup(schema, bits)
    costs = _costs(kit, work)
    epoch_outputs = FEATURES * costs["decrypt"]
    nodes, values = (1 << DEPTH) - 1, 2
    cells = work.rows * FEATURES
    jobs = {
        "lr_epoch_8bit": work.rows * costs["encrypt"] + cells * costs["multiply_add_8"] + epoch_outputs,
        "lr_epoch_woe": work.rows * costs["encrypt"] + cells * costs["bucket_10"] + WOE_BINS * epoch_outputs,
        "tree_depth5": values
        * (
            work.rows * costs["encrypt"]
            + DEPTH * cells * costs["bucket_32"]
            + nodes * FEATURES * FINE_BINS * costs["decrypt"]
        ),
        "assessment_one": NODES * costs["encrypt"] + (NODES - 1) * costs["add"] + costs["decrypt"],
    }
    jobs["assessment_batch"] = ASSESSMENTS * jobs["assessment_one"]
    return HeuReport({name: seconds * 1e6 for name, seconds in costs.items()}, jobs)


def _costs(kit: Any, work: Workload) -> dict[str, float]:
    """Return CPU seconds per operation; buckets and multiply-add per row and feature."""
    count = min(_SAMPLE, work.rows)
    encoder, evaluator = kit.bigint_encoder(), kit.evaluator()
    values = kit.array(np.array(work.residuals[:count]).reshape(-1, 1), encoder)
    encrypted = kit.encryptor().encrypt(values)
    few = kit.encryptor().encrypt(kit.array(np.array(work.residuals[:32]).reshape(-1, 1), encoder))
    weights = kit.array(np.ascontiguousarray(work.weights[:count].T), encoder)
    everyone = np.ones((1, count), dtype=np.int8)

    def buckets(bins: np.ndarray[Any, Any], size: int) -> float:
        order = np.ascontiguousarray(bins[:count].astype(np.int8))
        return _cpu(
            lambda: evaluator.feature_wise_bucket_sum(encrypted, everyone, order, size, False), count * FEATURES
        )

    return {
        "encrypt": _cpu(lambda: kit.encryptor().encrypt(values), count),
        "decrypt": _cpu(lambda: kit.decryptor().decrypt(few), 32),
        "add": _cpu(lambda: evaluator.add(encrypted, encrypted), count),
        "multiply_add_8": _cpu(lambda: evaluator.matmul(weights, encrypted), count * FEATURES),
        "bucket_10": buckets(work.woe, WOE_BINS),
        "bucket_32": buckets(work.fine, FINE_BINS),
    }


def _cpu(function: Callable[[], object], units: int) -> float:
    function()
    best = float("inf")
    for _ in range(2):
        start = time.process_time()
        function()
        best = min(best, time.process_time() - start)
    return best / units
