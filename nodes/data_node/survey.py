"""Common bins of a domain that several nodes share by region, from nothing but the domain's counts on a public grid.

Level 0 counts numbers by sign and power of two, and texts. Level 1 cuts each power of two that holds at least k
enterprises of the domain into equal steps, 2^16 for the whole feature; texts are counted by a hash of 16 bits. The bins
are then fitted on the cells as a node alone fits them on its values, and their edges are the cells' own lower ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from nodes.binning import Column, FineBinning, category_cell, fit_binning
from protocols.errors import MalformedMessage, PolicyDenied
from protocols.scorecard.messages import FeatureShape
from protocols.scorecard.rows import BinnedRows

Words = NDArray[np.uint32]
Keys = NDArray[np.uint64]

OCTAVES: Final = 1 << 12
CELLS: Final = 1 << 16
_SIGN: Final = np.uint64(1 << 63)
_MANTISSA: Final = np.uint64((1 << 52) - 1)


@dataclass(frozen=True, slots=True)
class _Grid:
    """How level 1 counts a column: `octaves` of numbers, each in `per` steps; no octave for texts."""

    texts: bool
    octaves: Keys
    per: int

    def cells(self, column: Column) -> NDArray[np.int64]:
        """Return the cell of each value that is there."""
        if self.texts:
            return np.array([int(category_cell(str(v)), 16) for v in column.tolist() if _is_text(v)], dtype=np.int64)
        keys = _keys(column)
        octave = keys >> np.uint64(52)
        place = np.searchsorted(self.octaves, octave, side="right").astype(np.int64) - 1
        inside = place >= 0
        inside[inside] = self.octaves[place[inside]] == octave[inside]
        steps = ((keys & _MANTISSA) >> np.uint64(16)) * np.uint64(self.per) >> np.uint64(36)
        last = np.where(place < 0, 0, place * self.per + self.per - 1)
        return np.where(inside, place * self.per + steps.astype(np.int64), last)

    def lower_end(self, cell: int) -> float:
        """Return the smallest number of a cell."""
        place, step = divmod(cell, self.per)
        mantissa = -((-step << 36) // self.per) << 16
        key = (int(self.octaves[place]) << 52) + mantissa
        bits = key - (1 << 63) if key >> 63 else (1 << 64) - 1 - key
        return float(np.array([bits], dtype=np.uint64).view(np.float64)[0])


class DistrictSurvey:
    """One district's side of the survey. Shapes: `columns` (rows,) of the whole cohort, training rows first.

    Numbers that are codes (`special`) count as missing: no grid keeps them apart from those beside them.
    Raises: PolicyDenied, codes MIXED_COLUMN, OVERLAPPING_DISTRICTS; MalformedMessage for counts of another size.
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        training_rows: int,
        limit: int,
        minimum: int,
        special: Mapping[str, tuple[float, ...]] | None = None,
    ) -> None:
        self._special = special or {}
        self._columns = {name: _without(column, self._special.get(name, ())) for name, column in columns.items()}
        self._training_rows = training_rows
        self._limit, self._minimum = limit, minimum
        self._grids: list[_Grid] = []
        self.level = 0
        self.binnings: tuple[FineBinning, ...] = ()

    @property
    def cells(self) -> int:
        """How many cells the level has, of all columns together."""
        return len(self._columns) * (OCTAVES + 1 if self.level == 0 else CELLS)

    def counts(self) -> Words:
        """Return how many of the own training rows fall in each cell of the level."""
        own = [column[: self._training_rows] for column in self._columns.values()]
        if self.level == 0:
            return np.concatenate([_octave_counts(column) for column in own]).astype(np.uint32)
        cells = [np.bincount(g.cells(c), minlength=CELLS) for g, c in zip(self._grids, own, strict=True)]
        return np.concatenate(cells).astype(np.uint32)

    def take(self, pooled: Words) -> BinnedRows | None:
        """Take the domain's counts of the level; return the rows in common bins after the last."""
        if len(pooled) != self.cells:
            raise MalformedMessage("the districts of a domain do not count the same features")
        parts = pooled.reshape(len(self._columns), -1).astype(np.int64)
        self.level += 1
        if self.level == 1:
            named = zip(self._columns.items(), parts, strict=True)
            self._grids = [self._grid(name, column, part) for (name, column), part in named]
            return None
        return self._bin(parts)

    def _grid(self, name: str, column: Column, counts: NDArray[np.int64]) -> _Grid:
        texts = int(counts[-1])
        if texts and counts[:-1].any():
            raise PolicyDenied(
                f"column {name!r} holds numbers in one district and texts in another", code="MIXED_COLUMN"
            )
        held = np.flatnonzero(counts[:-1] >= self._minimum).astype(np.uint64)
        octaves = held if len(held) else np.array([counts[:-1].argmax()], dtype=np.uint64)
        return _Grid(bool(texts), octaves, CELLS // len(octaves))

    def _bin(self, parts: NDArray[np.int64]) -> BinnedRows:
        shapes, codes, binnings = [], [], []
        for (name, column), grid, counts in zip(self._columns.items(), self._grids, parts, strict=True):
            missing = self._training_rows - int(counts.sum())
            if missing < 0:
                raise PolicyDenied("the districts of a domain share enterprises", code="OVERLAPPING_DISTRICTS")
            stand_in = _stand_in(grid, counts, missing)
            fitted = fit_binning(name, stand_in, self._limit, self._minimum)
            sizes = np.bincount(fitted.assign(stand_in), minlength=fitted.bins + 1)
            edges = tuple(grid.lower_end(int(edge)) for edge in fitted.edges)
            codes_of = self._special.get(name, ()) if fitted.ordered else ()
            binning = msgspec.structs.replace(
                fitted,
                edges=edges,
                hashed=grid.texts,
                special=codes_of,
                special_codes=(fitted.missing,) * len(codes_of),
            )
            binnings.append(binning)
            shapes.append(FeatureShape(name, binning.ordered, tuple(sizes.tolist())))
            codes.append(binning.assign(column if not grid.texts else _as_texts(column)))
        self.binnings = tuple(binnings)
        return BinnedRows(tuple(shapes), np.column_stack(codes), tuple(binning.missing for binning in binnings))


def _without(column: Column, special: tuple[float, ...]) -> Column:
    return np.where(np.isin(column, special), np.nan, column) if special and column.dtype == np.float64 else column


def _stand_in(grid: _Grid, counts: NDArray[np.int64], missing: int) -> Column:
    """Return a column in which each enterprise of the domain has its cell in place of its value."""
    cells = np.repeat(np.arange(len(counts)), counts)
    if not grid.texts:
        return np.concatenate([cells.astype(np.float64), np.full(missing, np.nan)])
    return np.array([f"{cell:04x}" for cell in cells.tolist()] + [None] * missing, dtype=object)


def _octave_counts(column: Column) -> NDArray[np.int64]:
    if column.dtype != np.float64:
        texts = sum(_is_text(value) for value in column.tolist())
        return np.concatenate([np.zeros(OCTAVES, dtype=np.int64), [texts]])
    octaves = (_keys(column) >> np.uint64(52)).astype(np.int64)
    return np.concatenate([np.bincount(octaves, minlength=OCTAVES), [0]])


def _keys(column: Column) -> Keys:
    """Return the numbers that are there as integers in the same order."""
    values = np.asarray(column, dtype=np.float64) + 0.0  # −0 is 0
    bits = values[np.isfinite(values)].view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _as_texts(column: Column) -> Column:
    """Return a column that holds no value as one of texts, which its domain's is."""
    return column if column.dtype != np.float64 else np.full(len(column), None, dtype=object)


def _is_text(value: object) -> bool:
    return isinstance(value, str)
