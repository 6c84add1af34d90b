"""Passes over a vector's rows, here or spread over the cores in use, which share rows as bytes in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from protocols.paillier.buckets import Feature, bucket_sums
from protocols.paillier.cores import Cores, cores_in_use
from protocols.paillier.split_form import Rows, SplitRows, Splitting, pack_integers, unpack_integers

_SPREAD_FROM = 20_000  # rows, over all passes: about 50 ms of work at 2048 bits
_SPLIT_FROM = 4_000  # rows to split
_SPLIT_PASSES = 4  # splitting costs 1.5 multiplications per row and saves 0.4 of one per pass


@dataclass(frozen=True, slots=True)
class _Slice:
    """Rows [start, stop), counted in bytes, of a shared segment: ciphertexts, or split rows in their place."""

    segment: str
    start: int
    stop: int
    modulus: bytes


@dataclass(frozen=True, slots=True)
class _PassTask:
    rows: _Slice
    codes: list[NDArray[np.uint32]]
    sizes: list[int]


def worth_splitting(passes: int) -> bool:
    """Tell whether so many passes over the same rows pay for splitting them, as two do once cores share the work."""
    return passes >= (_SPLIT_PASSES if cores_in_use() is None else 2)


def worth_spreading(rows: int) -> bool:
    """Tell whether so many rows are validated and split faster on the cores in use."""
    return cores_in_use() is not None and rows >= _SPLIT_FROM


def split_by_cores(data: bytes, modulus: mpz) -> SplitRows | None:
    """Return the split form of concatenated ciphertexts, or None if one of them is no unit modulo n^2.

    Raises: RuntimeError when no cores are in use.
    """
    cores = cores_in_use()
    if cores is None:
        raise RuntimeError("no cores are in use")
    width = _width(modulus)
    step = -(-len(data) // (2 * width * cores.count)) * 2 * width
    with _shared(data) as segment:
        slices = [
            _Slice(segment.name, start, min(start + step, len(data)), modulus.to_bytes(width, "big"))
            for start in range(0, len(data), step)
        ]
        valid = all(cores.processes(_split_slice, slices))
        return SplitRows.from_bytes(bytes(_memory(segment)[: len(data)]), width) if valid else None


def run_passes(rows: Rows, passes: Sequence[Sequence[Feature]], modulus: mpz) -> list[list[list[mpz]]]:
    """Return, for each pass and each of its features, the ciphertexts of the sums in its buckets."""
    cores = cores_in_use()
    work = sum(len(features[0].codes) for features in passes)
    if cores is None or len(passes) < 2 or work < _SPREAD_FROM or not isinstance(rows, SplitRows):
        return [bucket_sums(rows, features, modulus) for features in passes]
    return _spread(cores, rows, passes, modulus)


def _spread(cores: Cores, rows: SplitRows, passes: Sequence[Sequence[Feature]], modulus: mpz) -> list[list[list[mpz]]]:
    data, width = rows.data, _width(modulus)
    with _shared(data) as segment:
        everything = _Slice(segment.name, 0, len(data), modulus.to_bytes(width, "big"))
        tasks = [
            _PassTask(everything, [f.codes.astype(np.uint32) for f in features], [f.size for f in features])
            for features in passes
        ]
        sums = cores.processes(_run_pass, tasks)
    return [[unpack_integers(histogram, 2 * width) for histogram in histograms] for histograms in sums]


def _split_slice(part: _Slice) -> bool:
    """Put split rows where the ciphertexts were; tell whether those were all units."""
    modulus, width = mpz.from_bytes(part.modulus, "big"), len(part.modulus)
    with _attached(part) as memory:
        splitting = Splitting(unpack_integers(memory, 2 * width), modulus)
        valid = splitting.are_units()
        if valid:
            memory[:] = SplitRows(width, splitting.finish()).data
    return valid


_latest: list[tuple[str, SplitRows]] = []  # in a worker: the rows of the passes at hand, parsed once


def _run_pass(task: _PassTask) -> list[bytes]:
    modulus, width = mpz.from_bytes(task.rows.modulus, "big"), len(task.rows.modulus)
    if not _latest or _latest[0][0] != task.rows.segment:
        with _attached(task.rows) as memory:
            _latest[:] = [(task.rows.segment, SplitRows.from_bytes(bytes(memory), width))]
    features = [Feature(codes.astype(np.int64), size) for codes, size in zip(task.codes, task.sizes, strict=True)]
    return [pack_integers(histogram, 2 * width) for histogram in bucket_sums(_latest[0][1], features, modulus)]


@contextmanager
def _shared(data: bytes | memoryview) -> Iterator[SharedMemory]:
    """Hold `data` in a shared segment, and remove it afterwards."""
    segment = SharedMemory(create=True, size=len(data))
    try:
        _memory(segment)[: len(data)] = data
        yield segment
    finally:
        segment.close()
        segment.unlink()


@contextmanager
def _attached(part: _Slice) -> Iterator[memoryview]:
    segment = SharedMemory(part.segment)
    memory = _memory(segment)[part.start : part.stop]
    try:
        yield memory
    finally:
        memory.release()
        segment.close()


def _memory(segment: SharedMemory) -> memoryview:
    if segment.buf is None:
        raise ValueError("the shared memory is closed")
    return segment.buf


def _width(modulus: mpz) -> int:
    return int(modulus.bit_length() + 7) // 8
