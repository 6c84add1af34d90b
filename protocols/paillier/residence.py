"""Split rows that stay with the processes that work on them: bytes in a shared segment, parsed once by each process.

Received ciphertexts are put into the segment; the processes validate and split them where they lie, each a slice, and
keep what they have parsed. A pass over the rows then takes nothing along but its codes. A selection of rows is a list
of positions in the same segment. The segment goes when the last of its `ResidentRows` does.
"""

from __future__ import annotations

import itertools
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from protocols.paillier.cores import Cores
from protocols.paillier.split_form import SplitRows, Splitting, pack_integers, unpack_integers

_MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux keeps shared segments; asked for its size only
_KEPT_BYTES = 1 << 28  # of parsed rows in each process: those of several nodes' vectors, where one machine has many


@dataclass(frozen=True, slots=True)
class Segment:
    """Where rows lie: `slices` of equally many bytes, the last perhaps shorter, under a modulus."""

    name: str
    size: int
    step: int
    modulus: bytes

    @property
    def slices(self) -> list[int]:
        """Where each slice starts."""
        return list(range(0, self.size, self.step))


class ResidentRows:
    """Rows of a segment, all of them or those at `positions`, in that order."""

    __slots__ = ("_owner", "positions")

    def __init__(self, owner: _Owner, positions: NDArray[np.uint32] | None = None) -> None:
        self._owner, self.positions = owner, positions

    @property
    def segment(self) -> Segment:
        """What a process needs to find them."""
        return self._owner.segment

    def take(self, rows: list[int]) -> ResidentRows:
        """Return the rows at these positions, in that order."""
        chosen = np.array(rows, dtype=np.uint32)
        return ResidentRows(self._owner, chosen if self.positions is None else self.positions[chosen])

    def local(self) -> SplitRows:
        """Return them for sweeps in this process."""
        rows = self._owner.parsed.rows()
        return rows if self.positions is None else rows.take(self.positions.tolist())


def fits_shared_memory(size: int) -> bool:
    """Tell whether a segment of so many bytes would find room; writing to one without room kills the process."""
    return not _MEMORY.exists() or shutil.disk_usage(_MEMORY).free > 2 * size


def make_resident(data: bytes, modulus: mpz, cores: Cores) -> ResidentRows | None:
    """Return the split form of concatenated ciphertexts, or None if one of them is no unit modulo n^2."""
    width = int(modulus.bit_length() + 7) // 8
    step = -(-len(data) // (2 * width * cores.count)) * 2 * width
    owner = _Owner(data, step, modulus.to_bytes(width, "big"))
    segment = owner.segment
    valid = all(cores.processes(_split_slice, [(segment, start) for start in segment.slices]))
    return ResidentRows(owner) if valid else None


class _Owner:
    """Holds the segment for as long as anything refers to this."""

    def __init__(self, data: bytes, step: int, modulus: bytes) -> None:
        memory = SharedMemory(create=True, size=len(data))
        weakref.finalize(self, _remove, memory)
        _view(memory)[: len(data)] = data
        self.segment = Segment(memory.name, len(data), step, modulus)
        self.parsed = _Parsed(self.segment)


def _remove(memory: SharedMemory) -> None:
    memory.close()
    memory.unlink()


class _Parsed:
    """What one process has parsed of a segment's rows."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self._slices: dict[int, tuple[list[mpz], list[mpz]]] = {}
        self._rows: SplitRows | None = None

    def keep(self, start: int, heads: list[mpz], tails: list[mpz]) -> None:
        self._slices[start] = heads, tails

    def rows(self) -> SplitRows:
        if self._rows is None:
            for start in set(self.segment.slices) - set(self._slices):
                with _slice(self.segment, start) as memory:
                    parts = unpack_integers(memory, len(self.segment.modulus))
                self.keep(start, parts[::2], parts[1::2])
            heads, tails = zip(*(self._slices[start] for start in self.segment.slices), strict=True)
            self._rows = SplitRows(list(itertools.chain(*heads)), list(itertools.chain(*tails)))
        return self._rows


_at_hand: dict[Segment, _Parsed] = {}  # in a core's process: the segments of its latest tasks


def at_hand(segment: Segment) -> _Parsed:
    """Return what this process has parsed of a segment; it keeps the latest few."""
    parsed = _at_hand.pop(segment, None) or _Parsed(segment)
    while _at_hand and segment.size + sum(kept.size for kept in _at_hand) > _KEPT_BYTES:
        del _at_hand[next(iter(_at_hand))]
    _at_hand[segment] = parsed
    return parsed


def _split_slice(task: tuple[Segment, int]) -> bool:
    """Put split rows where the ciphertexts were; tell whether those were all units."""
    segment, start = task
    modulus, width = mpz.from_bytes(segment.modulus, "big"), len(segment.modulus)
    with _slice(segment, start) as memory:
        splitting = Splitting(unpack_integers(memory, 2 * width), modulus)
        valid = splitting.are_units()
        if valid:
            heads, tails = splitting.finish()
            memory[:] = pack_integers([part for row in zip(heads, tails, strict=True) for part in row], width)
            at_hand(segment).keep(start, heads, tails)
    return valid


@contextmanager
def _slice(segment: Segment, start: int) -> Iterator[memoryview]:
    shared = SharedMemory(segment.name)
    memory = _view(shared)[start : min(start + segment.step, segment.size)]
    try:
        yield memory
    finally:
        memory.release()
        shared.close()


def _view(memory: SharedMemory) -> memoryview:
    """Return the memory. Raises: ValueError once it is closed."""
    if memory.buf is None:
        raise ValueError("the shared memory is closed")
    return memory.buf
