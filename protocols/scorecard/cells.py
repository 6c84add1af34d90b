"""How a domain's districts add up what they count on a public grid: each sends its cells once, masked, to one of them.

Cells are counted modulo a power of 256 that no honest sum reaches, so a masked cell takes as few bytes as it can. The
sum is mostly zeros, and goes back deflated; its length is rounded up, lest it say how many cells hold anybody.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.errors import MalformedMessage

Words = NDArray[np.uint32]

_WORD: Final = 4
_ROUND_UP: Final = 1 << 14


def width(districts: int, training_rows: int) -> int:
    """Return how many bytes a cell takes: the fewest that hold the rows of all districts together."""
    return min(_WORD, max(1, ((districts * training_rows).bit_length() + 7) // 8))


def narrow(words: Words, size: int) -> bytes:
    """Return the low `size` bytes of each word, little end first."""
    return words.astype("<u4").view(np.uint8).reshape(-1, _WORD)[:, :size].tobytes()


def add_up(parts: Sequence[bytes], size: int) -> Words:
    """Return the sums of masked cells of `size` bytes, modulo 256^size. Raises: MalformedMessage."""
    if len({len(part) for part in parts}) != 1 or len(parts[0]) % size:
        raise MalformedMessage("the districts of a domain count different cells")
    total = np.zeros(len(parts[0]) // size, dtype="<u4")
    for part in parts:
        cells = np.zeros((len(total), _WORD), dtype=np.uint8)
        cells[:, :size] = np.frombuffer(part, dtype=np.uint8).reshape(-1, size)
        total += cells.view("<u4")[:, 0]
    return (total % np.uint64(1 << 8 * size)).astype(np.uint32)


def fold(words: Words) -> bytes:
    """Return all cells, deflated and filled up with zeros."""
    data = zlib.compress(words.astype("<u4").tobytes(), 6)
    return data.ljust(-len(data) // _ROUND_UP * -_ROUND_UP, b"\0")


def unfold(data: bytes, cells: int) -> Words:
    """Return what was folded, which must be so many cells. Raises: MalformedMessage, without inflating any more."""
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, cells * _WORD + 1)
    except zlib.error as error:
        raise MalformedMessage(f"{len(data)} bytes are no counts of a domain") from error
    if len(found) != cells * _WORD or not stream.eof or stream.unused_data.strip(b"\0"):
        raise MalformedMessage(f"the counts of a domain are not those of {cells} cells")
    return np.frombuffer(found, dtype="<u4").astype(np.uint32)
