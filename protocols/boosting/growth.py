"""The bank's side of growing: from sums by leaf to splits, points and the decision to go on. Pure plaintext.

One `Grower` per party and turn. The oracle drives it with exact sums, the bank with the sums that it decrypts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocols.boosting.arithmetic import gain_unit
from protocols.boosting.groups import is_grouping
from protocols.boosting.leaves import Leaf, after, bounded
from protocols.boosting.messages import LeafShape
from protocols.boosting.noise import EXACT, TreeNoise
from protocols.boosting.splits import GroupSums, Shape, Shrinkage, best_split
from protocols.boosting.trees import Level, PointedTree, Split, Tree
from protocols.credit.scale import POINTS_PER_LOG_ODDS
from protocols.errors import MalformedMessage
from protocols.scorecard.arithmetic import RESIDUAL_SCALE

Integers = NDArray[np.int64]
PATIENCE = 2
"""Steps without a better validation gain after which a party grows no more in a turn."""


@dataclass(frozen=True, slots=True)
class GrowthRules:
    """How a turn's trees are grown, each fitted to all `folds` but one, if there are several.

    `share` of the features are open to each tree, drawn from `seed`; the sums carry `noise`.
    """

    depth: int
    group: int
    folds: int
    share: float
    seed: int
    shrinkage: Shrinkage
    noise: TreeNoise = EXACT

    def chosen(self, features: int) -> int:
        """Return how many of so many features are open to each tree."""
        return max(1, int(np.ceil(self.share * features)))


@dataclass(frozen=True, slots=True)
class Opening:
    """Start a step with these features."""

    step: int
    features: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Deepening:
    """Split so, and sum the children at this level."""

    step: int
    level: int
    splits: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Closing:
    """Split so for the last time, and give the leaves these points."""

    step: int
    splits: tuple[Level, ...]
    points: tuple[tuple[int, ...], ...] = field(repr=False)
    decrements: tuple[tuple[int, ...], ...] = field(repr=False)


Order = Opening | Deepening | Closing


@dataclass(slots=True)
class _Growing:
    features: tuple[int, ...]
    leaves: list[Leaf]
    levels: list[Level]


class Grower:
    """One party's trees of one turn: `start`, then `take` each answer; `trees` are those to keep when `finished`."""

    def __init__(self, name: str, turn: int, steps: int, shapes: Sequence[Shape], rules: GrowthRules) -> None:
        self._name, self._turn, self._steps = f"{name}/{turn}", turn, steps if shapes else 0
        self._shapes, self._rules, self._validated = list(shapes), rules, rules.folds > 1
        self._shrinkage = rules.shrinkage.under(rules.noise.variance([rules.chosen(len(shapes))] * rules.group))
        self._step, self._level = 0, 0
        self._growing: list[_Growing] = []
        self._grown: list[list[PointedTree]] = []
        self._gains: list[float] = []
        self._closing: Closing | None = None
        self._stopped = not self._steps

    @property
    def finished(self) -> bool:
        """Whether nothing more is to come in this turn."""
        return self._stopped

    @property
    def trees(self) -> list[PointedTree]:
        """Return the trees up to the step after which rows were best served by trees not fitted to them, or all."""
        kept = len(self._grown)
        if self._validated:
            reached = np.concatenate([[0.0], np.cumsum(self._gains)])
            kept = int(reached.argmax())
        return [tree for step in self._grown[:kept] for tree in step]

    def start(self) -> list[Order]:
        """Return the order that opens the first step, or nothing to do."""
        return [] if self._stopped else [self._open()]

    def due(self) -> tuple[int, int]:
        """Return step and level of the sums that are due."""
        return self._step, self._level

    def _open(self) -> Opening:
        features = tuple(self._draw(tree) for tree in range(self._rules.group))
        self._growing = [_Growing(chosen, [], []) for chosen in features]
        self._level = 0
        return Opening(self._step, features)

    def _draw(self, tree: int) -> tuple[int, ...]:
        """Return the features open to one tree: a fixed function of seed, party, turn and step."""
        count = len(self._shapes)
        chosen = self._rules.chosen(count)
        told = f"{self._rules.seed}/{self._name}/{self._step}/{tree}/"
        rank = sorted(range(count), key=lambda j: hashlib.sha256(f"{told}{j}".encode()).digest())
        return tuple(sorted(rank[:chosen]))

    # ---- sums

    def expected(self, shapes: Sequence[LeafShape]) -> int:
        """Return how many cells these shapes promise. Raises: MalformedMessage if they are not those that are due."""
        wanted = self._wanted()
        if len(shapes) != len(wanted):
            raise MalformedMessage(f"{len(shapes)} leaves where {len(wanted)} are due")
        for shape, (_, _, features) in zip(shapes, wanted, strict=True):
            bins = [self._shapes[feature].bins for feature in features]
            if len(shape.groups) != len(bins) or not all(map(is_grouping, shape.groups, bins)):
                raise MalformedMessage("a leaf's groups do not match its features")
        return sum(max(groups) + 1 for shape in shapes for groups in shape.groups)

    def _wanted(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """Return (tree, leaf that was split, features) for each leaf shape that is due."""
        if self._level == 0:
            return [(index, 0, tree.features) for index, tree in enumerate(self._growing)]
        return [
            (index, leaf, tree.features)
            for index, tree in enumerate(self._growing)
            for leaf, split in enumerate(tree.levels[-1])
            if split is not None
        ]

    def take(self, shapes: Sequence[LeafShape], sums: Integers) -> list[Order]:
        """Take the sums that are due and return the next orders. Shapes: `sums` (cells, 2), `shapes` as `expected`.

        Raises: MalformedMessage if curvatures are negative.
        """
        parts = self._parts(shapes, self._plausible(sums))
        if self._level == 0:
            for tree, root in zip(self._growing, parts, strict=True):
                tree.leaves = [Leaf.of(root)]
        else:
            self._take_children(shapes, parts)
        splits = tuple(self._choose(tree) for tree in self._growing)
        self._level += 1
        if self._level < self._rules.depth and any(split is not None for level in splits for split in level):
            for tree, level in zip(self._growing, splits, strict=True):
                tree.levels.append(level)
            return [Deepening(self._step, self._level, splits)]
        return self._close(splits)

    def _plausible(self, sums: Integers) -> Integers:
        """Return the sums, with no curvature below zero where noise may have put it there."""
        return np.column_stack([sums[:, 0], np.maximum(sums[:, 1], 0)]) if self._rules.noise.rho else sums

    def _parts(self, shapes: Sequence[LeafShape], sums: Integers) -> list[dict[int, GroupSums]]:
        if (sums[:, 1] < 0).any():
            raise MalformedMessage("a sum of curvatures is negative")
        parts, start = [], 0
        for shape, (_, _, features) in zip(shapes, self._wanted(), strict=True):
            found = {}
            for feature, groups in zip(features, shape.groups, strict=True):
                cells = sums[start : start + max(groups) + 1]
                found[feature] = GroupSums(groups, cells[:, 0], cells[:, 1])
                start += len(cells)
            parts.append(found)
        return parts

    def _take_children(self, shapes: Sequence[LeafShape], parts: Sequence[dict[int, GroupSums]]) -> None:
        children: dict[tuple[int, int], tuple[Leaf, Leaf]] = {}
        for shape, part, (tree, leaf, _) in zip(shapes, parts, self._wanted(), strict=True):
            above = self._growing[tree]
            split, pair = (
                above.levels[-1][leaf],
                above.leaves[leaf].children(part, shape.left, noisy=self._rules.noise.rho > 0),
            )
            sign = self._shapes[split.feature].sign if split else 0
            children[tree, leaf] = bounded(pair, sign, self._shrinkage)
        for index, growing in enumerate(self._growing):
            below: list[Leaf] = []
            for leaf, split in enumerate(growing.levels[-1]):
                if split is None:
                    below.append(growing.leaves[leaf].closed())
                else:
                    below += children[index, leaf]
            growing.leaves = below

    def _choose(self, tree: _Growing) -> Level:
        splits: list[Split | None] = []
        for leaf in tree.leaves:
            sums = None if leaf.sums is None else [*leaf.sums.items()]
            best = None if sums is None else best_split(sums, self._shapes, self._shrinkage, leaf.bounds)
            splits.append(None if best is None else best.split)
        return tuple(splits)

    # ---- the end of a step

    def _close(self, splits: tuple[Level, ...]) -> list[Order]:
        points, decrements, grown = [], [], []
        for tree, level in zip(self._growing, splits, strict=True):
            shrinkage, leaves = self._shrinkage, after(tree.leaves, level, self._shapes, self._shrinkage)
            steps = shrinkage.learning_rate * np.array([leaf.step(shrinkage) for leaf in leaves])
            values = np.rint(steps * POINTS_PER_LOG_ODDS).astype(np.int64)
            points.append(tuple(values.tolist()))
            shrink = self._rules.folds * values / POINTS_PER_LOG_ODDS * np.array([leaf.curvature for leaf in leaves])
            decrements.append(tuple(np.rint(shrink).astype(np.int64).tolist()))
            grown.append(PointedTree(Tree((*tree.levels, level)), points[-1]))
        self._grown.append(grown)
        self._closing = Closing(self._step, splits, tuple(points), tuple(decrements))
        useless = not any(any(values) for values in points)
        self._step += 1
        if useless or self._step == self._steps:
            self._stopped = not self._validated
            self._steps = self._step
            return [self._closing]
        return [self._closing, self._open()]

    def take_gain(self, sums: Integers) -> None:
        """Take the sums for the earliest gain that is due, and stop if there is no more to gain.

        Shapes: `sums` (2, 2): by points and by squared points; residual, curvature. Units: levels of `gain_unit`.
        """
        step = [tree.points for tree in self._grown[len(self._gains)]]
        unit = gain_unit(step, self._rules.folds) / POINTS_PER_LOG_ODDS
        linear, square = int(sums[0, 0]) * unit, int(sums[1, 1]) * unit**2
        self._gains.append((linear - square / 2) / RESIDUAL_SCALE)
        best = int(np.concatenate([[0.0], np.cumsum(self._gains)]).argmax())
        if len(self._gains) - best >= PATIENCE or len(self._gains) == self._steps:
            self._stopped = True
            del self._grown[len(self._gains) :]

    def gains_due(self) -> int | None:
        """Return the step whose gain is due, or None."""
        step = len(self._gains)
        return step if self._validated and step < len(self._grown) and not self._stopped else None
