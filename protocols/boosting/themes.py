"""Themes of trees: a tree is reported under the theme of its root's feature, if two nodes contribute to that theme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from protocols.assessment.manifest import Theme
from protocols.boosting.model import ServedTree
from protocols.channel.identity import PartyId
from protocols.scorecard.themes import BAND_POINTS, NO_THEME, ThemeNames


@dataclass(frozen=True, slots=True)
class TreeThemes:
    """What a bank knows of the features' themes: `features` maps each party to (domain, name) of its features."""

    bank: PartyId
    features: Mapping[PartyId, Sequence[tuple[str, str]]]
    names: ThemeNames

    def assign(
        self, trees: Mapping[PartyId, Sequence[ServedTree]]
    ) -> tuple[tuple[Theme, ...], dict[PartyId, tuple[ServedTree, ...]]]:
        """Return the reportable themes, and the trees with the index of each one's theme."""
        contributors: dict[str, set[PartyId]] = {}
        for party in trees:
            for tree in trees[party]:
                name = self._name(party, tree)
                if name and party != self.bank:
                    contributors.setdefault(name, set()).add(party)
        codes = sorted(name for name, parties in contributors.items() if len(parties) >= 2)
        index = {code: number for number, code in enumerate(codes)}
        with_theme = {
            party: tuple(replace(tree, theme=index.get(self._name(party, tree), NO_THEME)) for tree in grown)
            for party, grown in trees.items()
        }
        return tuple(Theme(code, len(contributors[code]), BAND_POINTS) for code in codes), with_theme

    def _name(self, party: PartyId, tree: ServedTree) -> str:
        root = tree.tree.levels[0][0]
        return "" if root is None else self.names.get(self.features[party][root.feature], "")
