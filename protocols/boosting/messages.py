"""Every message of a boosting run beyond those of a scorecard run, and what each reveals.

One run, as the parties see it (→ sealed to one receiver, ⇒ open to all, under the bank's key):

    bank   ⇒ BoostingSpec, EncryptedLabels   → Cohort (to each node)
    node   → FeatureHistograms           bank computes WOE and IV, for its report alone
    for each turn, all nodes side by side:
      bank ⇒ Gradients (not in the first turn, which uses the labels)
      for each step, a group of trees on the same gradients:
        bank → StepOpening                   node → LeafHistograms of the roots
        bank → Growth, once per level        node → LeafHistograms of the smaller children
        bank → StepClosing                   node → ValidationGain
      bank → TreeTables                      node: MaskedTotals, which open only as the sum over all nodes
    bank   → TreeTables of the final model   ⇒ Manifest: no totals
    node   → ManifestSignature               bank ⇒ SignedManifest, RunFinished
"""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from protocols.boosting.trees import Level, Tree
from protocols.channel.wire import Message, encode
from protocols.scorecard.messages import MOST_SPECIAL, FeatureShape, LeakClass, PointTables, RunSpec

Turn = Annotated[int, Meta(ge=0, lt=16)]
Step = Annotated[int, Meta(ge=0, lt=1024)]
Group = tuple[Annotated[int, Meta(ge=0, lt=512)], ...]
Features = tuple[Annotated[int, Meta(ge=0, lt=1 << 16)], ...]
LeafPoints = Annotated[int, Meta(gt=-(1 << 13), lt=1 << 13)]
Decrement = Annotated[int, Meta(gt=-(1 << 40), lt=1 << 40)]


class BoostingSpec(RunSpec, frozen=True, kw_only=True):
    """What a boosting run is; its hash is the transcript that every message of the run is signed under.

    Reveals: to the coordinator, what a `RunSpec` does, and the size of the model. `steps` states for each turn how
    many groups of `group` trees a node grows at most; there is one release of row totals per turn. In the first
    turn, tree i of a group is not fitted to the training rows of fold i mod `folds`, if there are several.
    """

    depth: Annotated[int, Meta(ge=1, le=6)]
    group: Annotated[int, Meta(ge=1, le=16)]
    steps: Annotated[tuple[Annotated[int, Meta(ge=1, le=1000)], ...], Meta(min_length=1, max_length=16)]
    folds: Annotated[int, Meta(ge=1, le=16)]

    def transcript(self) -> bytes:
        """Return T, 32 bytes."""
        return hashlib.sha256(b"credit-federation/boosting-run/v2\0" + encode(self)).digest()

    def folds_of(self, turn: int) -> int:
        """Return in how many folds the training rows are in a turn: several in the first alone."""
        return 1 if turn else self.folds


class FeatureHistograms(Message, frozen=True):
    """How many training enterprises of each group of fine bins defaulted.

    `features` counts the groups, missing values last; `groups` tells the group of each fine bin, and `special` how many
    bins before that of missing values hold a code each: a turn without folds may sum apart what is one group here.
    Roots are summed by the same groups. Reveals: names, and sums over at least `minimum_bin` enterprises each.
    """

    features: Annotated[tuple[FeatureShape, ...], Meta(max_length=1 << 12)]
    groups: Annotated[tuple[Group, ...], Meta(max_length=1 << 12)]
    special: Annotated[tuple[Annotated[int, Meta(ge=0, le=MOST_SPECIAL)], ...], Meta(max_length=1 << 12)]
    vector: bytes


class Gradients(Message, frozen=True):
    """Residual and curvature of each training row, packed, under the bank's key. Reveals nothing."""

    OPEN: ClassVar[bool] = True
    turn: Turn
    vector: bytes


class StepOpening(Message, frozen=True):
    """A group of trees begins; each may use these features. Reveals, to one node, the prior odds (`base`, in points).

    `base` counts in the first turn alone, where a node's own points on top of it are the whole model.
    """

    turn: Turn
    step: Step
    base: Annotated[int, Meta(ge=-(1 << 16), le=1 << 16)]
    features: Annotated[tuple[Features, ...], Meta(min_length=1, max_length=16)]


class Growth(Message, frozen=True):
    """How each tree's leaves split; a call for histograms at `level`. Reveals, to one node, how its bins relate to
    default in groups of at least k enterprises."""

    turn: Turn
    step: Step
    level: Annotated[int, Meta(ge=1, lt=6)]
    splits: Annotated[tuple[Level, ...], Meta(min_length=1, max_length=16)]


class StepClosing(Message, frozen=True):
    """The last splits, each leaf's points, and by how much in all its rows' residuals shrink. Reveals: as `Growth`."""

    turn: Turn
    step: Step
    splits: Annotated[tuple[Level, ...], Meta(min_length=1, max_length=16)]
    points: tuple[tuple[LeafPoints, ...], ...]
    decrements: tuple[tuple[Decrement, ...], ...]


class LeafShape(Message, frozen=True):
    """Which fine bins of each feature are summed together at a root, or at two siblings alike.

    Each group holds no enterprise, or at least `minimum_bin`, in the root or in either sibling. `left` tells which of
    the two is summed; the other is the difference.
    """

    left: bool
    groups: tuple[Group, ...]


class LeafHistograms(Message, frozen=True):
    """Residuals and curvatures summed by leaf and group of bins.

    Reveals: sums over at least `minimum_bin` enterprises each.
    """

    turn: Turn
    step: Step
    level: Annotated[int, Meta(ge=0, lt=6)]
    leaves: tuple[LeafShape, ...]
    vector: bytes


class ValidationGain(Message, frozen=True):
    """How much a step improves rows that its trees were not fitted to. Reveals: four sums over all training rows."""

    turn: Turn
    step: Step
    vector: bytes


class TreeTables(PointTables, frozen=True):
    """One node's trees of a turn, in the order grown, and a call for its totals; or those of the final model.

    Reveals, to it, its part.
    `features` holds the points of one tree's leaves each, where a scorecard's holds those of one feature's bins.
    """

    trees: tuple[Tree, ...]


LEAKS: Final[dict[str, LeakClass]] = {
    "FeatureHistograms": LeakClass.AGGREGATE,
    "LeafHistograms": LeakClass.AGGREGATE,
    "ValidationGain": LeakClass.AGGREGATE,
    "CombinedTotals": LeakClass.ROW_TOTALS,
}
"""The leak class of each message that reveals something to the bank; all others reveal nothing to it."""
