"""The plaintext of an assessment: total, themes and coverage in fixed slots of one integer.

    bits   0 … total_bits−1        the total, in points
    then   12 bits a theme         the sum of the nodes' bands (0–3 each)
    then   2 bits a domain         its coverage: only the domain's own nodes write there
    then   11 bits                 how many nodes know of an objection that is not decided; all know of all

Every sum is non-negative and bounded so that it does not carry; what lies above must be zero. In a domain that is split
by region, the first node answers as if it were alone; each other one adds what an enterprise that it knows changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from protocols.assessment.manifest import BANDS, THEME_BITS, Manifest, Theme
from protocols.errors import VerificationFailed

COVERAGE_BITS: Final = 2
MARK_BITS: Final = 11
"""A model has at most 1,024 nodes, and each adds at most 1."""


class Coverage(IntEnum):
    """What a node knows of the enterprise."""

    OK = 0
    ABSENT = 1
    STALE = 2


@dataclass(frozen=True, slots=True)
class Opened:
    """What the bank reads out of the sum. Units: points over all nodes; sum of bands per theme; coverage by domain.

    `objected` tells whether the enterprise has objected, to whichever node, and that is not decided.
    """

    total: int
    themes: tuple[int, ...]
    coverage: tuple[Coverage, ...]
    objected: bool = False


def lay_out(manifest: Manifest, node: int, total: int, themes: Sequence[int], coverage: Coverage) -> int:
    """Return the integer that the `node`-th node of the manifest adds to the sum.

    Raises: ValueError if a number does not fit its slot.
    """
    if not 0 <= total <= manifest.maximum_total or len(themes) != len(manifest.themes):
        raise ValueError("the total or the number of themes does not fit the manifest")
    if any(not 0 <= band <= BANDS for band in themes):
        raise ValueError("a band is 0 to 3")
    value, shift = total, manifest.total_bits
    for band in themes:
        value |= band << shift
        shift += THEME_BITS
    domain = manifest.domains.index(manifest.nodes[node].domain)
    return value | int(coverage) << (shift + domain * COVERAGE_BITS)


def mark(manifest: Manifest) -> int:
    """Return what a node adds to its answer about an enterprise whose objection is not decided."""
    return 1 << (layout_bits(manifest) - MARK_BITS)


def read(manifest: Manifest, value: int) -> Opened:
    """Return the parts of a decrypted sum.

    Raises: VerificationFailed, code RESULT_OUT_OF_RANGE, for anything that honest nodes cannot have added up to: a
    missing or foreign share, a mask that does not cancel, a ciphertext that somebody added.
    """
    nodes = len(manifest.nodes)
    total, value = value & ((1 << manifest.total_bits) - 1), value >> manifest.total_bits
    themes = []
    for _ in manifest.themes:
        themes.append(value & ((1 << THEME_BITS) - 1))
        value >>= THEME_BITS
    coverage = []
    for _ in manifest.domains:
        coverage.append(value & ((1 << COVERAGE_BITS) - 1))
        value >>= COVERAGE_BITS
    in_range = (
        value <= nodes
        and total <= manifest.maximum_total
        and all(bands <= BANDS * nodes for bands in themes)
        and all(state <= Coverage.STALE for state in coverage)
    )
    if not in_range:
        raise VerificationFailed("the answer is out of range: not a sum of honest shares", code="RESULT_OUT_OF_RANGE")
    return Opened(total, tuple(themes), tuple(Coverage(state) for state in coverage), value > 0)


def layout_bits(manifest: Manifest) -> int:
    """Return how many bits the sum occupies; a key must have more."""
    slots = THEME_BITS * len(manifest.themes) + COVERAGE_BITS * len(manifest.domains)
    return manifest.total_bits + slots + MARK_BITS


def band(theme: Theme, points_lost: int) -> int:
    """Return the band 0–3 of points lost at one node."""
    return sum(points_lost >= limit for limit in theme.band_points)
