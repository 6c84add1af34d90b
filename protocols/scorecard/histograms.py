"""The bank's side of the encrypted histograms: decrypt, check, and bin every feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from protocols.channel.identity import PartyId, Randomness
from protocols.credit.binning import BinnedFeature, BinningRules, FineHistogram, bin_feature
from protocols.credit.woe import Outcomes
from protocols.errors import MalformedMessage, VerificationFailed
from protocols.paillier import CiphertextVector, PrivateKey, decrypt
from protocols.privacy import NO_NOISE, Noise
from protocols.scorecard.admission import column_limit
from protocols.scorecard.arithmetic import histogram_packing, unmask_sums
from protocols.scorecard.messages import BinHistograms, FeatureShape
from protocols.scorecard.rows import BinnedRows


def open_histograms(
    message: BinHistograms, domain: str, rows: int, key: PrivateKey, noise: Noise = NO_NOISE, smallest: int = 0
) -> list[FineHistogram]:
    """Return a node's features with good and bad outcomes per fine bin.

    `noise` is what the node has added to each good and each bad count; below `smallest` a bin is taken for empty.

    Reveals: to the bank, the number of defaults in each bin of at least k enterprises; of a crafted label vector, the
    low bits that an honest count fills and no more.
    Raises: MalformedMessage if counts do not add up; VerificationFailed for an invalid ciphertext.
    """
    names, slack = [shape.name for shape in message.features], noise.bound
    if any(shape.special >= len(shape.counts) for shape in message.features):
        raise MalformedMessage(f"a histogram of {domain} has more special values than bins")
    off = [abs(sum(shape.counts) - rows) - 2 * slack * len(shape.counts) for shape in message.features]
    if len(set(names)) != len(names) or max(off, default=0) > 0:
        raise MalformedMessage(f"histograms of {domain} do not cover {rows} rows once for each feature")
    cells = [count for shape in message.features for count in shape.counts]
    vector = CiphertextVector.from_bytes(key.public_key, message.vector)
    packing = histogram_packing(rows, key.public_key.bits, slack)
    bads = unmask_sums(decrypt(key, vector), packing, key.public_key, len(cells))
    if any(not -slack <= bad <= count + slack for bad, count in zip(bads, cells, strict=True)):
        raise MalformedMessage(f"histograms of {domain} hold more defaults than enterprises")
    return _split(message.features, domain, bads, smallest)


def noisy_shapes(
    features: tuple[FeatureShape, ...], noise: Noise, randomness: Randomness
) -> tuple[tuple[FeatureShape, ...], list[int]]:
    """Return the shapes that leave a node, and what to add to the bad count of each bin, in order.

    Each good and each bad count gets a draw of its own; a plain count carries the sum of both, and is never negative.
    """
    cells = [len(shape.counts) for shape in features]
    good, bad = noise.draw(sum(cells), randomness), noise.draw(sum(cells), randomness)
    both = iter([g + b for g, b in zip(good, bad, strict=True)])
    counts = [tuple(max(0, count + next(both)) for count in shape.counts) for shape in features]
    return tuple(structs.replace(s, counts=c) for s, c in zip(features, counts, strict=True)), bad


def require_outcomes(histograms: list[FineHistogram], everyone: Outcomes, slack: int = 0) -> None:
    """Return if each feature counts every default of the training rows once; noise may hide `slack` in each bin.

    Raises: VerificationFailed, code WRONG_HISTOGRAM.
    """
    for histogram in histograms:
        if abs(sum(o.bad for o in histogram.outcomes) - everyone.bad) > slack * len(histogram.outcomes):
            raise VerificationFailed(f"a histogram of {histogram.domain} has not all outcomes", code="WRONG_HISTOGRAM")


def _split(shapes: tuple[FeatureShape, ...], domain: str, bads: list[int], smallest: int = 0) -> list[FineHistogram]:
    histograms, start = [], 0
    for shape in shapes:
        part = bads[start : start + len(shape.counts)]
        outcomes = tuple(plausible(count, bad, smallest) for count, bad in zip(shape.counts, part, strict=True))
        histograms.append(FineHistogram(domain, shape.name, shape.ordered, outcomes, shape.special))
        start += len(shape.counts)
    return histograms


def plausible(count: int, bad: int, smallest: int) -> Outcomes:
    """Return a bin's outcomes as noise leaves them plausible: neither negative, nor of a handful of enterprises."""
    return Outcomes(max(0, count - bad), max(0, bad)) if count >= smallest else Outcomes(0, 0)


def plain_histograms(rows: BinnedRows, domain: str, bad: NDArray[np.int64]) -> list[FineHistogram]:
    """Return the same of a party's own rows, whose outcomes it knows: `bad` (training rows,)."""
    bads = [
        int(count)
        for index, shape in enumerate(rows.features)
        for count in np.bincount(rows.codes[: len(bad), index], weights=bad, minlength=len(shape.counts))
    ]
    return _split(rows.features, domain, bads)


def bin_all(
    histograms: Mapping[PartyId, list[FineHistogram]], everyone: Outcomes, rules: BinningRules
) -> dict[PartyId, list[BinnedFeature]]:
    """Bin every feature of every party, keeping the parties' order; select at most `column_limit` of each party."""
    limit = column_limit(everyone.total, rules.minimum_count)
    return {
        party: _select_best([bin_feature(histogram, everyone, rules) for histogram in features], limit)
        for party, features in histograms.items()
    }


def _select_best(features: list[BinnedFeature], limit: int) -> list[BinnedFeature]:
    selected = sorted((i for i, f in enumerate(features) if f.selected), key=lambda i: (-features[i].iv, i))
    reason = f"{limit} features of this party have more information value"
    return [replace(f, selected=False, reason=reason) if i in selected[limit:] else f for i, f in enumerate(features)]
