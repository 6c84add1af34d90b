"""Run passes over a vector's rows: here, or spread over the cores in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory

from gmpy2 import mpz

from protocols.paillier.buckets import Feature, bucket_sums
from protocols.paillier.cores import Cores, cores_in_use
from protocols.paillier.split_form import Rows, SplitForm, split

_SPREAD_FROM = 20_000  # rows, over all passes; about 50 ms of work at 2048 bits
_SPLIT_FROM = 4_000  # rows to split
_SPLIT_PASSES = 4  # splitting costs 1.45 multiplications per row and saves 0.42 of one per pass


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


def split_rows(values: Sequence[mpz], modulus: mpz) -> SplitForm:
    """Return the split form of the ciphertexts."""
    cores = cores_in_use()
    width = _width(modulus)
    if cores is None or len(values) < _SPLIT_FROM:
        return SplitForm(width, split(list(values), modulus))
    size = -(-len(values) // cores.count)
    tasks = [
        _SplitTask(modulus.to_bytes(width, "big"), _join_bytes(values[start : start + size], 2 * width))
        for start in range(0, len(values), size)
    ]
    return SplitForm.from_bytes(b"".join(cores.processes(_split_task, tasks)), width)


def run_passes(rows: Rows, passes: Sequence[Sequence[Feature]], modulus: mpz) -> list[list[list[mpz]]]:
    """Return, for each pass and each of its features, the ciphertexts of the sums in its buckets."""
    cores = cores_in_use()
    work = sum(len(features[0].codes) for features in passes)
    if cores is None or len(passes) < 2 or work < _SPREAD_FROM or not isinstance(rows, SplitForm):
        return [bucket_sums(rows, features, modulus) for features in passes]
    return _spread(cores, rows, passes, modulus)


def _spread(
    cores: Cores, split_form: SplitForm, passes: Sequence[Sequence[Feature]], modulus: mpz
) -> list[list[list[mpz]]]:
    data, width = split_form.to_bytes(), _width(modulus)
    segment = SharedMemory(create=True, size=len(data))
    try:
        _memory(segment)[: len(data)] = data
        tasks = [_PassTask(modulus.to_bytes(width, "big"), segment.name, len(data), features) for features in passes]
        sums = cores.processes(_pass_task, tasks)
    finally:
        segment.close()
        segment.unlink()
    return [[_parse(histogram, 2 * width) for histogram in histograms] for histograms in sums]


def _split_task(task: _SplitTask) -> bytes:
    modulus, width = mpz.from_bytes(task.modulus, "big"), len(task.modulus)
    return SplitForm(width, split(_parse(task.ciphertexts, 2 * width), modulus)).to_bytes()


_latest: list[tuple[str, SplitForm]] = []  # in a worker: the rows of the passes at hand, parsed once


def _pass_task(task: _PassTask) -> list[bytes]:
    if not _latest or _latest[0][0] != task.segment:
        _latest[:] = [(task.segment, _attach(task))]
    modulus, width = mpz.from_bytes(task.modulus, "big"), len(task.modulus)
    histograms = bucket_sums(_latest[0][1], task.features, modulus)
    return [_join_bytes(histogram, 2 * width) for histogram in histograms]


def _attach(task: _PassTask) -> SplitForm:
    segment = SharedMemory(task.segment)
    try:
        form = SplitForm.from_bytes(bytes(_memory(segment)[: task.size]), len(task.modulus))
    finally:
        segment.close()
    return form


def _memory(segment: SharedMemory) -> memoryview:
    if segment.buf is None:
        raise ValueError("the shared memory is closed")
    return segment.buf


def _width(modulus: mpz) -> int:
    return int(modulus.bit_length() + 7) // 8


def _join_bytes(values: Sequence[mpz], width: int) -> bytes:
    return b"".join([value.to_bytes(width, "big") for value in values])


def _parse(data: bytes, width: int) -> list[mpz]:
    return [mpz.from_bytes(data[start : start + width], "big") for start in range(0, len(data), width)]
