"""Passes over a vector's rows, here or spread over the cores in use, with the fullest bucket left out where that pays.

Once one pass has yielded the product of all rows, another need not read the rows of its fullest joint bucket: that
bucket's sum is the total less all others, for one inversion.

Whole passes go to the cores; those that would leave some cores idle at the end are cut into ranges of rows, whose sums
are multiplied.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from protocols.paillier.buckets import ROW_COST, Feature, bucket_sums, weighted_product
from protocols.paillier.cores import Cores, cores_in_use
from protocols.paillier.residence import ResidentRows, Segment, at_hand
from protocols.paillier.split_form import Rows, pack_integers, unpack_integers

SPREAD_FROM = 6_000  # rows, over all passes: about 15 ms of work at 2048 bits
_INVERSION = 12  # multiplications

Sums = list[list[mpz]]  # by feature: its histogram, or the product of all its rows and their weighted product


@dataclass(frozen=True, slots=True)
class _Pass:
    """Features that share a pass: joint codes, of all rows or of those at `positions`, and a bucket not to read."""

    codes: NDArray[np.unsignedinteger]
    sizes: tuple[int, ...]
    weights: tuple[Sequence[int] | None, ...]
    positions: NDArray[np.uint32] | None = None
    left_out: int | None = None

    @classmethod
    def of(cls, features: Sequence[Feature]) -> _Pass:
        joint = np.zeros(len(features[0].codes), dtype=np.int64)
        for feature in reversed(features):
            joint = joint * feature.size + feature.codes
        sizes = tuple(feature.size for feature in features)
        codes = joint.astype(np.min_scalar_type(math.prod(sizes) - 1))
        return cls(codes, sizes, tuple(feature.weights for feature in features))

    def part(self, start: int, stop: int) -> _Pass:
        """Return the pass over a range of the rows."""
        everything = np.arange(len(self.codes), dtype=np.uint32)
        rows = everything if self.positions is None else self.positions
        return dataclasses.replace(self, codes=self.codes[start:stop], positions=rows[start:stop])

    def run(self, rows: Rows, modulus: mpz) -> Sums:
        """Return the sums; what is left out counts as zero."""
        codes, positions = self.codes, self.positions
        if self.left_out is not None:
            read = np.flatnonzero(codes != self.left_out)
            codes, positions = codes[read], (read.astype(np.uint32) if positions is None else positions[read])
        chosen = None if positions is None else positions.tolist()
        histograms = bucket_sums(rows, codes.astype(np.int64), chosen, self.sizes, modulus)
        return [
            histogram if weights is None else weighted_product(histogram, weights, modulus * modulus)
            for histogram, weights in zip(histograms, self.weights, strict=True)
        ]

    def total(self, sums: Sums, square: mpz) -> mpz:
        """Return the product of all rows that the sums were made of."""
        return sums[0][0] if self.weights[0] is not None else histogram_product(sums[0], square)

    def complete(self, sums: Sums, total: mpz, square: mpz) -> None:
        """Put what was left out, total less the rest, into every feature's sums."""
        if self.left_out is None:
            return
        missing, code = total * gmpy2.invert(self.total(sums, square), square) % square, self.left_out
        for found, size, weights in zip(sums, self.sizes, self.weights, strict=True):
            code, own = divmod(code, size)
            if weights is None:
                found[own] = found[own] * missing % square
            else:
                powers = missing, gmpy2.powmod(missing, weights[own], square)
                found[:] = [value * power % square for value, power in zip(found, powers, strict=True)]


def run_passes(
    rows: Rows | ResidentRows, passes: Sequence[Sequence[Feature]], modulus: mpz
) -> tuple[list[Sums], mpz | None]:
    """Return the sums of each pass, and the product of all rows if there was a pass.

    A feature with weights gets the product of all rows and their weighted product, another its histogram.
    """
    planned, square = _leave_out([_Pass.of(features) for features in passes]), modulus * modulus
    cores = cores_in_use()
    if isinstance(rows, ResidentRows) and cores and sum(len(one.codes) for one in planned) >= SPREAD_FROM:
        sums = _spread(cores, rows, planned, modulus)
    else:
        here = rows.local() if isinstance(rows, ResidentRows) else rows
        sums = [one.run(here, modulus) for one in planned]
    total = next((p.total(found, square) for p, found in zip(planned, sums, strict=True) if p.left_out is None), None)
    if total is not None:
        for one, found in zip(planned, sums, strict=True):
            one.complete(found, total, square)
    return sums, total


def histogram_product(histogram: Sequence[mpz], square: mpz) -> mpz:
    """Return the product of a histogram, which is that of all rows."""
    product = mpz(1)
    for value in histogram:
        product = product * value % square
    return product


def _leave_out(passes: list[_Pass]) -> list[_Pass]:
    """Leave the fullest bucket out of each pass that gains by it, but of the one that gains least."""
    chosen, gains = [], []
    for one in passes:
        counts = np.bincount(one.codes, minlength=1)
        fullest = int(counts.argmax())
        gain = float(counts[fullest] * ROW_COST - _INVERSION - one.sizes[0] - len(one.sizes))
        chosen.append(dataclasses.replace(one, left_out=fullest) if gain > 0 else one)
        gains.append(gain)
    if chosen:
        whole = gains.index(min(gains))
        chosen[whole] = passes[whole]
    return chosen


def _spread(cores: Cores, rows: ResidentRows, passes: list[_Pass], modulus: mpz) -> list[Sums]:
    """Run the passes on the cores' processes: whole ones first, then the odd ones in parts."""
    segment, square = rows.segment, modulus * modulus
    odd = len(passes) % cores.count
    tasks: list[tuple[int, _Task]] = []
    for index, one in enumerate(dataclasses.replace(one, positions=rows.positions) for one in passes):
        parts = cores.count // odd if index >= len(passes) - odd else 1
        step = max(1, -(-len(one.codes) // parts))
        cuts = [one] if parts == 1 else [one.part(at, at + step) for at in range(0, len(one.codes), step)]
        tasks += [(index, _Task(segment, cut)) for cut in cuts]
    merged: list[Sums] = [[] for _ in passes]
    for (index, _), found in zip(tasks, cores.processes(_run, [task for _, task in tasks]), strict=True):
        sums = [unpack_integers(values, 2 * len(segment.modulus)) for values in found]
        merged[index] = _multiplied(merged[index], sums, square) if merged[index] else sums
    return merged


def _multiplied(left: Sums, right: Sums, square: mpz) -> Sums:
    return [[a * b % square for a, b in zip(one, other, strict=True)] for one, other in zip(left, right, strict=True)]


@dataclass(frozen=True, slots=True)
class _Task:
    segment: Segment
    part: _Pass


def _run(task: _Task) -> list[bytes]:
    modulus = mpz.from_bytes(task.segment.modulus, "big")
    sums = task.part.run(at_hand(task.segment).rows(), modulus)
    return [pack_integers(found, 2 * len(task.segment.modulus)) for found in sums]
