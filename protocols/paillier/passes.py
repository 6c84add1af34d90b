"""Passes over a vector's rows, here or spread over the cores in use, which give and take nothing but bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory

from gmpy2 import mpz

from protocols.paillier.buckets import Feature, bucket_sums
from protocols.paillier.cores import Cores, cores_in_use
from protocols.paillier.split_form import Rows, SplitRows, Splitting, pack_integers, unpack_integers

_SPREAD_FROM = 20_000  # rows, over all passes: about 50 ms of work at 2048 bits
_SPLIT_FROM = 4_000  # rows to split
_SPLIT_PASSES = 4  # splitting costs 1.5 multiplications per row and saves 0.4 of one per pass


@dataclass(frozen=True, slots=True)
class _SplitTask:
    modulus: bytes
    ciphertexts: bytes


@dataclass(frozen=True, slots=True)
class _PassTask:
    modulus: bytes
    segment: str
    size: int
    features: Sequence[Feature]


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
    cores, width = cores_in_use(), _width(modulus)
    if cores is None:
        raise RuntimeError("no cores are in use")
    size = -(-len(data) // (2 * width * cores.count)) * 2 * width
    name = modulus.to_bytes(width, "big")
    tasks = [_SplitTask(name, data[start : start + size]) for start in range(0, len(data), size)]
    parts = cores.processes(_split_task, tasks)
    whole = [part for part in parts if part is not None]
    return SplitRows.from_bytes(b"".join(whole), width) if len(whole) == len(parts) else None


def run_passes(rows: Rows, passes: Sequence[Sequence[Feature]], modulus: mpz) -> list[list[list[mpz]]]:
    """Return, for each pass and each of its features, the ciphertexts of the sums in its buckets."""
    cores = cores_in_use()
    work = sum(len(features[0].codes) for features in passes)
    if cores is None or len(passes) < 2 or work < _SPREAD_FROM or not isinstance(rows, SplitRows):
        return [bucket_sums(rows, features, modulus) for features in passes]
    return _spread(cores, rows, passes, modulus)


def _spread(cores: Cores, rows: SplitRows, passes: Sequence[Sequence[Feature]], modulus: mpz) -> list[list[list[mpz]]]:
    data, width = rows.data, _width(modulus)
    segment = SharedMemory(create=True, size=len(data))
    try:
        _memory(segment)[: len(data)] = data
        tasks = [_PassTask(modulus.to_bytes(width, "big"), segment.name, len(data), features) for features in passes]
        sums = cores.processes(_pass_task, tasks)
    finally:
        segment.close()
        segment.unlink()
    return [[unpack_integers(histogram, 2 * width) for histogram in histograms] for histograms in sums]


def _split_task(task: _SplitTask) -> bytes | None:
    modulus, width = mpz.from_bytes(task.modulus, "big"), len(task.modulus)
    splitting = Splitting(unpack_integers(task.ciphertexts, 2 * width), modulus)
    return bytes(SplitRows(width, splitting.finish()).data) if splitting.are_units() else None


_latest: list[tuple[str, SplitRows]] = []  # in a worker: the rows of the passes at hand, parsed once


def _pass_task(task: _PassTask) -> list[bytes]:
    if not _latest or _latest[0][0] != task.segment:
        _latest[:] = [(task.segment, _attach(task))]
    modulus, width = mpz.from_bytes(task.modulus, "big"), len(task.modulus)
    histograms = bucket_sums(_latest[0][1], task.features, modulus)
    return [pack_integers(histogram, 2 * width) for histogram in histograms]


def _attach(task: _PassTask) -> SplitRows:
    segment = SharedMemory(task.segment)
    try:
        return SplitRows.from_bytes(bytes(_memory(segment)[: task.size]), len(task.modulus))
    finally:
        segment.close()


def _memory(segment: SharedMemory) -> memoryview:
    if segment.buf is None:
        raise ValueError("the shared memory is closed")
    return segment.buf


def _width(modulus: mpz) -> int:
    return int(modulus.bit_length() + 7) // 8
