"""Themes: the reasons of a score, in a form that no single node can be read from.

A theme is reported only if at least two data nodes contribute to it; each node adds a band of points lost (0 to 3), and
the bank sees the sum of bands alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocols.assessment.manifest import Theme
from protocols.channel.identity import PartyId
from protocols.scorecard.candidate import Candidate, Features

BAND_POINTS: Final = (150, 400, 800)
"""Points lost against a node's best bins from which a theme's band is 1, 2 and 3: 15, 40 and 80 score points."""

NO_THEME: Final = -1

ThemeNames = Mapping[tuple[str, str], str]
"""(domain, feature) → theme code, from the owners' catalogue; features without one carry no theme."""


def assign_themes(
    features: Features, candidate: Candidate, names: ThemeNames, bank: PartyId
) -> tuple[tuple[Theme, ...], dict[PartyId, tuple[int, ...]]]:
    """Return the reportable themes, and for each party the theme index of each of its features (−1: none)."""
    contributors: dict[str, set[PartyId]] = {}
    for party, binned in features.items():
        for feature, points in zip(binned, candidate.points[party], strict=True):
            name = names.get((feature.domain, feature.name))
            if name and max(points) > 0 and party != bank:
                contributors.setdefault(name, set()).add(party)
    codes = sorted(name for name, parties in contributors.items() if len(parties) >= 2)
    index_of = {
        party: tuple(
            codes.index(name) if (name := names.get((f.domain, f.name), "")) in codes else NO_THEME for f in binned
        )
        for party, binned in features.items()
    }
    return tuple(Theme(code, len(contributors[code]), BAND_POINTS) for code in codes), index_of
