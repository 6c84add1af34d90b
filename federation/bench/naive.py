"""The same work as `phe` does it when used as its manual shows: one number per ciphertext, floats for real values.

Naive jobs take minutes to hours, so unit costs are measured on a sample and scaled by the number of operations.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from federation.bench.timing import Meter
from federation.bench.workload import ASSESSMENTS, DEPTH, FEATURES, FINE_BINS, NODES, SCALE, WOE_BINS, Workload
from protocols.paillier import PrivateKey
from protocols.paillier.phe_interop import private_key_to_phe

_SAMPLE = 12


@dataclass(frozen=True, slots=True)
class NaiveCosts:
    """What one operation takes, in mm."""

    encrypt: float
    decrypt: float
    add: float
    multiply_add: float

    def jobs(self, rows: int) -> dict[str, float]:
        """Return the scaled mm of each job, under the names of `jobs.all_jobs`."""
        epoch = rows * (self.encrypt + FEATURES * self.multiply_add) + FEATURES * self.decrypt
        nodes, values = (1 << DEPTH) - 1, 2  # all nodes of all levels; gradient and hessian apart
        tree = values * (
            rows * (self.encrypt + DEPTH * FEATURES * self.add) + nodes * FEATURES * FINE_BINS * self.decrypt
        )
        one = NODES * self.encrypt + (NODES - 1) * self.add + self.decrypt
        return {
            "lr_epoch_8bit": epoch,
            "lr_epoch_woe": epoch,
            "tree_depth5": tree,
            "assessment_one": one,
            "assessment_batch": ASSESSMENTS * one,
        }


def measure_naive(key: PrivateKey, work: Workload, meter: Meter) -> NaiveCosts:
    """Return `phe`'s costs on a sample of the workload."""
    private = private_key_to_phe(key)
    public = private.public_key
    residuals = [value / SCALE for value in work.residuals[:_SAMPLE]]
    encrypted = [public.encrypt(value) for value in residuals]
    integers = [public.encrypt(value) for value in work.residuals[:_SAMPLE]]
    features = (work.weights[:_SAMPLE] / 127).tolist()

    def multiply_add() -> None:
        for column in range(FEATURES):
            total: Any = 0
            for number, row in zip(encrypted, features, strict=True):
                total = total + number * row[column]

    def add() -> None:
        for _ in range(WOE_BINS):
            for left, right in itertools.pairwise(integers):
                left + right

    return NaiveCosts(
        encrypt=meter.measure(lambda: [public.encrypt(value) for value in residuals], _SAMPLE, 3).mm,
        decrypt=meter.measure(lambda: [private.decrypt(number) for number in encrypted], _SAMPLE, 3).mm,
        add=meter.measure(add, WOE_BINS * (_SAMPLE - 1), 5).mm,
        multiply_add=meter.measure(multiply_add, FEATURES * _SAMPLE, 3).mm,
    )
