"""The composed jobs, as the protocols compose them: what one side sends, the other receives as bytes and validates.

The bank's encryptions come from a pool that was filled beforehand, as they do between the epochs of a training.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.bench.workload import (
    ASSESSMENTS,
    DEPTH,
    FEATURES,
    FINE_BINS,
    NODES,
    SCALE,
    SCORE_BITS,
    WOE_BINS,
    Workload,
    node_rows,
)
from protocols.paillier import (
    CiphertextVector,
    Encryptor,
    OwnerEncryptor,
    Packing,
    PrivateKey,
    decrypt_signed,
    rerandomise,
)
from protocols.paillier.obfuscators import ObfuscatorSource


@dataclass(frozen=True, slots=True)
class Bank:
    """The key owner's side: its key, and the stock of obfuscators for the values it encrypts."""

    key: PrivateKey
    stock: ObfuscatorSource

    def send(self, values: list[int]) -> bytes:
        """Encrypt under the own key, and serialise."""
        return OwnerEncryptor(self.key, secrets.token_bytes, self.stock).encrypt(values).to_bytes()

    def open(self, data: bytes, packing: Packing, count: int) -> list[int]:
        """Validate, decrypt and unpack what a node returned."""
        vector = CiphertextVector.from_bytes(self.key.public_key, data)
        return packing.unpack(decrypt_signed(self.key, vector), count)


def lr_epoch_8bit(bank: Bank, work: Workload) -> list[int]:
    """Return the gradient of a logistic regression on 8-bit features, computed on encrypted residuals."""
    packing = Packing.for_sums(SCALE, 128 * work.rows, bank.key.public_key.bits)
    vector = CiphertextVector.from_bytes(bank.key.public_key, bank.send(work.residuals))
    return bank.open(_return(vector.weighted_sums(work.weights), packing), packing, FEATURES)


def lr_epoch_woe(bank: Bank, work: Workload) -> list[int]:
    """Return the residuals' sums per WOE bin, of which the bank's tables make the gradient."""
    packing = Packing.for_sums(SCALE, work.rows, bank.key.public_key.bits)
    vector = CiphertextVector.from_bytes(bank.key.public_key, bank.send(work.residuals))
    sums = CiphertextVector.concat(vector.histograms(work.woe, [WOE_BINS] * FEATURES))
    return bank.open(_return(sums, packing), packing, WOE_BINS * FEATURES)


def tree_depth5(bank: Bank, work: Workload) -> list[tuple[int, int]]:
    """Return the splits of a tree grown on packed encrypted gradients, histograms of the smaller child only."""
    widest = Packing.for_sums(SCALE, work.rows, bank.key.public_key.bits)
    packing = dataclasses.replace(widest, slots=widest.slots // 2 * 2)
    pair = dataclasses.replace(widest, slots=2)
    packed = [pair.pack(both)[0] for both in zip(work.gradients, work.hessians, strict=True)]
    vector = CiphertextVector.from_bytes(bank.key.public_key, bank.send(packed))
    rows = {1: np.arange(work.rows, dtype=np.intp)}
    sums = {1: _node_sums(bank, vector, work, rows[1], packing)}
    splits = []
    for level in range(DEPTH):
        for node in range(1 << level, 2 << level):
            split = best_split(sums[node])
            splits.append(split)
            left = node_rows(work.fine, split, rows[node])
            rows[2 * node], rows[2 * node + 1] = rows[node][left], rows[node][~left]
            if level + 1 < DEPTH:
                small = 2 * node if len(rows[2 * node]) <= len(rows[2 * node + 1]) else 2 * node + 1
                sums[small] = _node_sums(bank, vector, work, rows[small], packing)
                sums[small ^ 1] = sums[node] - sums[small]
    return splits


def best_split(sums: NDArray[np.int64]) -> tuple[int, int]:
    """Return the (feature, threshold bin) of the largest second-order gain. Shapes: (features, bins, 2)."""
    scaled = sums.cumsum(axis=1) / SCALE
    gradient, hessian = scaled[..., 0], scaled[..., 1]
    total = scaled[:, -1:, :]
    right_gradient, right_hessian = total[..., 0] - gradient, total[..., 1] - hessian
    gain = gradient**2 / (hessian + 1) + right_gradient**2 / (right_hessian + 1)
    feature, threshold = np.unravel_index(int(gain[:, :-1].argmax()), gain[:, :-1].shape)
    return int(feature), int(threshold)


def assessment(bank: Bank, nodes: list[Encryptor], scores: int) -> list[int]:
    """Return the total scores of `scores` enterprises: nodes encrypt, the coordinator multiplies, the bank opens."""
    packing = Packing.for_sums((1 << SCORE_BITS - 1) // NODES - 1, NODES, bank.key.public_key.bits)
    parts = [node.encrypt(packing.pack([600 + index] * scores)).to_bytes() for index, node in enumerate(nodes)]
    total, *others = [CiphertextVector.from_bytes(bank.key.public_key, part) for part in parts]
    for other in others:
        total += other
    return bank.open(total.to_bytes(), packing, scores)


def all_jobs(
    bank: Bank, stocked: list[Encryptor], unstocked: list[Encryptor], work: Workload
) -> dict[str, Callable[[], object]]:
    """Return the jobs by the name under which they are reported.

    One assessment is encrypted from the nodes' stock; ten thousand are encrypted as they come.
    """
    return {
        "lr_epoch_8bit": lambda: lr_epoch_8bit(bank, work),
        "lr_epoch_woe": lambda: lr_epoch_woe(bank, work),
        "tree_depth5": lambda: tree_depth5(bank, work),
        "assessment_one": lambda: assessment(bank, stocked, 1),
        "assessment_batch": lambda: assessment(bank, unstocked, ASSESSMENTS),
    }


def _node_sums(
    bank: Bank, vector: CiphertextVector, work: Workload, rows: NDArray[np.intp], packing: Packing
) -> NDArray[np.int64]:
    histograms = vector.take(rows).histograms(work.fine[rows], [FINE_BINS] * FEATURES)
    returned = _return(CiphertextVector.concat(histograms), packing, values=2)
    return np.array(bank.open(returned, packing, 2 * FINE_BINS * FEATURES)).reshape(FEATURES, FINE_BINS, 2)


def _return(sums: CiphertextVector, packing: Packing, values: int = 1) -> bytes:
    """Compress sums of `values` slots each, re-randomise, and serialise: what a node sends back."""
    slots = packing.slots // values
    return rerandomise(sums.compress(packing.slot_bits * values, slots), secrets.token_bytes).to_bytes()
