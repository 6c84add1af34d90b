"""How the banks of a consortium cut the columns that all of them have: as the lead says, on every bank's own rows."""

from __future__ import annotations

import itertools
import math
from typing import Final

import msgspec
import numpy as np

from nodes.bank.training.runs import TrainingTerms
from nodes.bank.training.split import Split
from nodes.binning import FineBinning, bin_rows, cohort_columns, row_index
from nodes.features import FeatureTable
from protocols.errors import MalformedMessage
from protocols.scorecard.messages import MOST_SPECIAL, FeatureShape
from protocols.scorecard.rows import BinnedRows

MOST_BINS: Final = 512
_decoder = msgspec.msgpack.Decoder(tuple[FineBinning, ...])


def make_cut(
    table: FeatureTable, columns: tuple[str, ...], ids: tuple[str, ...], split: Split, terms: TrainingTerms
) -> bytes:
    """Return the lead's cut of the common columns: bins that hold `minimum_bin` of its own training rows each."""
    if not columns:
        return msgspec.msgpack.encode(())
    own = FeatureTable(table.ids, {name: table.columns[name] for name in columns}, table.special)
    return msgspec.msgpack.encode(bin_rows(own, ids, len(split.training), terms.fine_bins, terms.minimum_bin)[1])


def decode_cut(data: bytes) -> tuple[FineBinning, ...]:
    """Return the binnings of a cut. Raises: MalformedMessage for what would not bin every value."""
    try:
        binnings = _decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MalformedMessage(f"a cut of {len(data)} bytes does not decode") from error
    if not all(map(_is_sound, binnings)):
        raise MalformedMessage("a cut has bins that do not exist")
    return binnings


def _is_sound(binning: FineBinning) -> bool:
    if len(binning.special) != len(binning.special_codes) or len(set(binning.special)) != len(binning.special):
        return False
    codes = (binning.missing, binning.unknown, *binning.categories.values(), *binning.special_codes)
    if not 0 <= binning.bins < MOST_BINS or any(not 0 <= code <= binning.bins for code in codes):
        return False
    if not all(map(math.isfinite, binning.edges)) or any(a >= b for a, b in itertools.pairwise(binning.edges)):
        return False
    return not binning.ordered or len(binning.edges) <= binning.bins


def bin_as_cut(
    table: FeatureTable, columns: tuple[str, ...], ids: tuple[str, ...], training_rows: int, cut: bytes
) -> BinnedRows:
    """Return a bank's own rows in the lead's bins. Raises: MalformedMessage if the cut is not of these columns.

    Shapes: one row per id, in order, the first `training_rows` counted.
    """
    binnings = decode_cut(cut)
    if tuple(binning.name for binning in binnings) != columns:
        raise MalformedMessage(f"a cut of {len(binnings)} columns where {len(columns)} others are due")
    if not columns:
        return BinnedRows((), np.empty((len(ids), 0), dtype=np.uint16))
    values = cohort_columns(table, row_index(table), ids)
    codes = np.column_stack([binning.assign(values[binning.name]) for binning in binnings])
    shapes = tuple(
        FeatureShape(
            b.name,
            b.ordered,
            tuple(map(int, np.bincount(codes[:training_rows, i], minlength=b.bins + 1))),
            min(b.own_bins, MOST_SPECIAL),
        )
        for i, b in enumerate(binnings)
    )
    return BinnedRows(shapes, codes)
