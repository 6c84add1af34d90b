"""Every message of a scorecard run, and what each reveals.

One run, exchange by exchange, as the parties see it (→ sealed to one receiver, ⇒ open to all under the bank's or the
owner's key). Nodes and bank are in one exchange wherever neither waits for the other:

    0  bank   ⇒ RunSpec, EncryptedLabels    → Cohort (to each node): handed to the coordinator with the bank's request
    1  node   → BinHistograms               bank merges bins, computes WOE and IV
    2  bank   → WoeTables                   ⇒ EncryptedColumns of its own features
    3  node   → LocalGram                   ⇒ EncryptedColumns under its own key, MaskedTotals of a first candidate
    4  node   → MaskedProducts (to their owner), MaskShare (to the bank);   bank ⇒ EncryptedResiduals
    5  node   → ProductShare (owner to the bank, which adds the two shares), GradientShare
    6  bank   → PointTables                 ⇒ Manifest, with the last of them
    7  node   ⇒ MaskedTotals, ManifestSignature
    8  bank     opens the totals of what will be served, ⇒ SignedManifest to the log;   node: keeps its part

Where several nodes share a domain by region, they count together first (DistrictCounts to the first of them,
DomainCounts back, twice; four exchanges), send DistrictSums for what they would send to the bank in encrypted sums, of
which the coordinator makes PooledSums, and tell each other masked LocalGrams before their start (one exchange).
MaskShare and ProductShare are sums over a domain.

Another refinement repeats EncryptedResiduals, GradientShare, PointTables, MaskedTotals before the last of them.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from protocols.assessment.messages import IsoDate
from protocols.channel.identity import Key32, PartyName, Signature
from protocols.channel.wire import Message, encode

Count = Annotated[int, Meta(ge=0, le=1 << 40)]
Identifier = Annotated[str, Meta(min_length=1, max_length=128)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Points = Annotated[int, Meta(ge=0, lt=1 << 24)]
Rho = Annotated[int, Meta(ge=0, le=10**12)]
MOST_SPECIAL: Final = 16
Woe = Annotated[int, Meta(ge=-2047, le=2047)]
Step = Annotated[str, Meta(min_length=1, max_length=32)]
Sum = Annotated[int, Meta(ge=-(1 << 52), le=1 << 52)]
GAP_LIMIT: Final = 1 << 21
Gap = Annotated[int, Meta(ge=-GAP_LIMIT, le=GAP_LIMIT)]


class LeakClass(StrEnum):
    """What a step reveals to the bank; each data owner's policy grants each class, with a budget."""

    NONE = "none"
    AGGREGATE = "aggregate"
    ROW_TOTALS = "row_totals"


class Rows(StrEnum):
    """Which rows of the cohort a release of totals covers; none for tables that are signed and served unreleased."""

    ALL = "all"
    NONE = "none"


class NodeEntry(Message, frozen=True):
    """One data node of the run: who, for which domain, and under which pinned card."""

    party: PartyName
    domain: Name
    card: Annotated[str, Meta(min_length=64, max_length=64)]


class RunSpec(Message, frozen=True):
    """What a run is; its hash is the transcript that every message of the run is signed under.

    Reveals: to the coordinator, that this bank trains with these nodes on so many rows. `row_totals` states how many
    totals per enterprise the run will open; `labels` commits to the one label vector that it may use; `rho` is the
    privacy, in billionths, that each node spends on noise, 0 for exact sums.
    """

    OPEN: ClassVar[bool] = True

    run: Annotated[bytes, Meta(min_length=16, max_length=16)]
    bank: PartyName
    bank_card: Annotated[str, Meta(min_length=64, max_length=64)]
    nodes: Annotated[tuple[NodeEntry, ...], Meta(min_length=1, max_length=4096)]
    created: Count
    key_bits: Annotated[int, Meta(ge=256, le=16384)]
    rows: Count
    training_rows: Count
    minimum_bin: Annotated[int, Meta(ge=1, le=1 << 20)]
    fine_bins: Annotated[int, Meta(ge=2, le=256)]
    row_totals: Annotated[int, Meta(ge=0, le=16)]
    labels: Key32
    rho: Rho = 0

    def transcript(self) -> bytes:
        """Return T, 32 bytes."""
        return hashlib.sha256(b"credit-federation/scorecard-run/v1\0" + encode(self)).digest()


class Cohort(Message, frozen=True):
    """The ordered enterprises of the run and the consent that covers them. Reveals, to one node, who they are."""

    ids: tuple[Identifier, ...]
    consent: str


class EncryptedLabels(Message, frozen=True):
    """1 per enterprise that defaulted, under the bank's key, training rows in cohort order. Reveals nothing."""

    OPEN: ClassVar[bool] = True

    vector: bytes


class FeatureShape(Message, frozen=True):
    """How a node cut one feature: plain counts per fine bin, missing last. Each is 0 or at least `minimum_bin`.

    `special` bins before that of missing values stand apart from the order: each holds one value that is a code.
    """

    name: Name
    ordered: bool
    counts: Annotated[tuple[Count, ...], Meta(min_length=1, max_length=512)]
    special: Annotated[int, Meta(ge=0, le=MOST_SPECIAL)] = 0


class BinHistograms(Message, frozen=True):
    """How many enterprises of each fine bin defaulted. Reveals: sums over at least `minimum_bin` enterprises each.

    The nodes of a split domain all state the domain's own counts; its `vector` is empty, and comes as `PooledSums`.
    """

    features: tuple[FeatureShape, ...]
    vector: bytes


class DistrictCounts(Message, frozen=True):
    """How many training rows of one district fall in each cell of a public grid, masked; 1 to 4 bytes a cell.

    Reveals: nothing but the sum over the whole domain, to the first of its nodes, which adds it up.
    """

    level: Annotated[int, Meta(ge=0, lt=2)]
    counts: bytes


class DomainCounts(Message, frozen=True):
    """How many training rows of a whole domain fall in each cell, deflated. Its nodes cut their common bins from it.

    Reveals: the domain's counts, to its own nodes alone.
    """

    level: Annotated[int, Meta(ge=0, lt=2)]
    counts: bytes


class DistrictSums(Message, frozen=True):
    """One district's part of its domain's sums, packed, masked, under the bank's key.

    Reveals: nothing short of the product over all nodes of the domain.
    """

    OPEN: ClassVar[bool] = True

    step: Step
    vector: bytes


class PooledSums(Message, frozen=True):
    """The coordinator's product of a domain's `DistrictSums`; `lead` is the first of its nodes.

    Reveals: sums over the whole domain, as the step's own message would.
    """

    OPEN: ClassVar[bool] = True

    lead: PartyName
    step: Step
    vector: bytes


class ColumnCount(Message, frozen=True):
    """How many selected features a party brings to the Gram matrix."""

    party: PartyName
    columns: Annotated[int, Meta(ge=0, le=1 << 16)]


class WoeTables(Message, frozen=True):
    """The integer WOE of each fine bin of each of a node's features; None for a feature that is dropped.

    `sums` and `gaps` hold for each column its sum as the bank counts it, and its mean among good less that among bad
    enterprises, in 1/WOE_SCALE² of WOE. Reveals, to one node, how its own bins relate to default.
    """

    features: tuple[Annotated[tuple[Woe, ...], Meta(min_length=1, max_length=512)] | None, ...]
    plan: tuple[ColumnCount, ...]
    sums: tuple[Sum, ...] = ()
    gaps: tuple[Gap, ...] = ()


class EncryptedColumns(Message, frozen=True):
    """A party's packed WOE columns under the key of its own card: all rows of the first group, then of the next.

    Reveals: nothing, to anyone but the owner itself.
    """

    OPEN: ClassVar[bool] = True

    vector: bytes


class LocalGram(Message, frozen=True):
    """XᵀX of one node's own selected columns, upper triangle by rows. Reveals: sums over all training rows.

    A district's is masked modulo 2^63 and also goes to the other nodes of its domain: it shows the domain's sum alone.
    """

    entries: tuple[int, ...]


class MaskedProducts(Message, frozen=True):
    """Inner products of the owner's columns with the sender's, under the owner's key, masked over the whole plaintext.

    Reveals: nothing, to the owner who decrypts it.
    """

    vector: bytes


class MaskShare(Message, frozen=True):
    """The low bits of the masks in the `MaskedProducts` for one owner. Reveals nothing without the owner's share."""

    owner: PartyName
    low_bits: tuple[bytes, ...]


class ProductShare(Message, frozen=True):
    """The low bits of what the owner decrypted. With the evaluator's `MaskShare` it reveals the inner products."""

    evaluator: PartyName
    low_bits: tuple[bytes, ...]


class FeaturePoints(Message, frozen=True):
    """Points of each fine bin of one feature, and the theme that reports it (−1: none)."""

    points: Annotated[tuple[Points, ...], Meta(min_length=1, max_length=512)]
    theme: Annotated[int, Meta(ge=-1, lt=64)] = -1


class PointTables(Message, frozen=True):
    """One node's part of a candidate, and a call for its totals; the last is the model. Reveals, to one node, its part.

    `release` counts the releases of totals before this one.
    """

    release: Annotated[int, Meta(ge=0, le=16)]
    rows: Rows
    features: tuple[FeaturePoints, ...]
    salt: Key32


class MaskedTotals(Message, frozen=True):
    """A node's total per enterprise, packed, masked, under the bank's key. Reveals nothing short of the whole sum."""

    OPEN: ClassVar[bool] = True

    release: Annotated[int, Meta(ge=0, le=16)]
    vector: bytes


class CombinedTotals(Message, frozen=True):
    """The coordinator's product of all nodes' `MaskedTotals`. Reveals one integer per enterprise, to the bank."""

    OPEN: ClassVar[bool] = True

    release: Annotated[int, Meta(ge=0, le=16)]
    vector: bytes


class EncryptedResiduals(Message, frozen=True):
    """Residual and curvature weight of each training row, packed, under the bank's key. Reveals nothing."""

    OPEN: ClassVar[bool] = True

    vector: bytes


class GradientShare(Message, frozen=True):
    """Σ w·r, Σ w·h, Σ w²·r and Σ w²·h of each selected column; of every two, if they are few, Σ w·w'·r and Σ w·w'·h.

    Reveals: sums over all training rows.
    """

    vector: bytes


class ManifestSignature(Message, frozen=True):
    """A node's consent to serve this model, having compared its own part with the manifest's hash.

    It goes to all: each party gathers the signatures for itself, and keeps its part only under all of them. Reveals:
    `as_of`, as of which day the records speak that the node trained on, as its answers will; no more.
    """

    OPEN: ClassVar[bool] = True

    manifest: Key32
    signature: Signature
    as_of: IsoDate = ""


class RunFinished(Message, frozen=True):
    """The bank closes the run. Reveals nothing about any enterprise or the model's quality."""

    OPEN: ClassVar[bool] = True

    model: Key32


LEAKS: Final[dict[str, LeakClass]] = {
    "BinHistograms": LeakClass.AGGREGATE,
    "PooledSums": LeakClass.AGGREGATE,
    "LocalGram": LeakClass.AGGREGATE,
    "MaskedProducts": LeakClass.AGGREGATE,
    "ProductShare": LeakClass.AGGREGATE,
    "GradientShare": LeakClass.AGGREGATE,
    "CombinedTotals": LeakClass.ROW_TOTALS,
}
"""The leak class of each message that reveals something to the bank; all others reveal nothing to it.

`MaskedProducts` travel with a `MaskShare`: of the bank's own columns the two reveal the inner products at once, of a
node's they do with that node's `ProductShare`. Classes describe what an honest bank learns. A bank that encrypts
crafted labels, residuals or columns, or sends crafted points, chooses the weights of the sums: see docs/scorecard.md.
"""
