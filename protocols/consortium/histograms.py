"""The banks' side of the pooled histograms: what each contributes, and the features that the sums describe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.consortium.messages import HistogramShare
from protocols.consortium.shares import Residues, open_share, sum_bits, unpack_sums
from protocols.credit.binning import FineHistogram
from protocols.errors import MalformedMessage
from protocols.paillier import PrivateKey
from protocols.scorecard.arithmetic import histogram_packing
from protocols.scorecard.histograms import plausible
from protocols.scorecard.messages import FeatureShape
from protocols.scorecard.rows import BinnedRows

COUNT_BITS: Final = 64


def open_histogram_share(message: HistogramShare, rows: int, key: PrivateKey, noise: int = 0) -> Residues:
    """Return a bank's share of a node's pooled default counts, to each of which it may have added `noise` at most.

    Reveals: nothing without all other banks' shares. Raises: MalformedMessage, VerificationFailed.
    """
    names = [shape.name for shape in message.features]
    if len(set(names)) != len(names) or any(
        abs(sum(shape.counts) - rows) > 2 * noise * len(shape.counts) for shape in message.features
    ):
        raise MalformedMessage(f"a node's histograms do not cover {rows} rows once for each feature")
    bits = sum_bits(_cells(message.features), histogram_packing(rows, key.public_key.bits, noise))
    return open_share(message.vector, bits, key)


def node_histograms(
    features: Sequence[FeatureShape],
    domain: str,
    pooled: Residues,
    rows: int,
    modulus_bits: int,
    noise: int = 0,
    smallest: int = 0,
) -> list[FineHistogram]:
    """Return a node's features from the added shares of all banks.

    It may have added `noise` at most to each good and each bad count; below `smallest` a bin is taken for empty.
    Raises: MalformedMessage where a count is no count: a share was left out, or changed.
    """
    bads = unpack_sums(pooled, histogram_packing(rows, modulus_bits, noise), _cells(features))
    counts = [count for shape in features for count in shape.counts]
    return _histograms(features, domain, counts, bads, noise, smallest)


def _cells(features: Sequence[FeatureShape]) -> int:
    return sum(len(shape.counts) for shape in features)


def own_counts(rows: BinnedRows, bad: NDArray[np.int64]) -> Residues:
    """Return rows, then defaults, of all fine bins of a bank's own columns. Shapes: `bad` (training rows,)."""
    counts, bads = [], []
    for index, size in enumerate(rows.fine_bins()):
        codes = rows.codes[: len(bad), index]
        counts += [int(count) for count in np.bincount(codes, minlength=size)]
        bads += [int(count) for count in np.bincount(codes[bad == 1], minlength=size)]
    return Residues.of(counts + bads, COUNT_BITS)


def own_histograms(features: Sequence[FeatureShape], pooled: list[int], rows: int) -> list[FineHistogram]:
    """Return the banks' own columns from pooled counts. Raises: MalformedMessage if they are no counts of `rows`."""
    counts, bads = pooled[: len(pooled) // 2], pooled[len(pooled) // 2 :]
    histograms = _histograms(features, "bank", counts, bads)
    if any(sum(outcome.total for outcome in histogram.outcomes) != rows for histogram in histograms):
        raise MalformedMessage(f"the banks' own histograms do not cover {rows} rows")
    return histograms


def _histograms(
    features: Sequence[FeatureShape],
    domain: str,
    counts: Sequence[int],
    bads: Sequence[int],
    noise: int = 0,
    smallest: int = 0,
) -> list[FineHistogram]:
    if any(not -noise <= bad <= count + noise for bad, count in zip(bads, counts, strict=True)):
        raise MalformedMessage(f"pooled histograms of {domain} hold more defaults than enterprises")
    if any(shape.special >= len(shape.counts) for shape in features):
        raise MalformedMessage(f"a pooled histogram of {domain} has more special values than bins")
    found, start = [], 0
    for shape in features:
        end = start + len(shape.counts)
        pairs = zip(counts[start:end], bads[start:end], strict=True)
        outcomes = tuple(plausible(count, bad, smallest) for count, bad in pairs)
        found.append(FineHistogram(domain, shape.name, shape.ordered, outcomes, shape.special))
        start = end
    return found
