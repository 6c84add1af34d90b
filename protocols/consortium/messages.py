"""Every message of a consortium's run beyond those of a scorecard run, and what each reveals.

One run, as the parties see it (→ sealed to one receiver, ⇒ open to all it names, under a bank's or owner's key):

    lead   ⇒ Invitation (to the banks)   bank ⇒ Acceptance (to the lead)
    lead   ⇒ ConsortiumSpec              → BankCut (to each other bank)
    bank   ⇒ EncryptedLabels             → Cohort (to each node)
    node   → HistogramShare (to each bank, under its key): the shares of all banks add up to the pooled counts
    bank   → PoolShare (to each other bank): all add them and bin the pooled features alike
    bank   → WoeTables                   ⇒ EncryptedColumns of its own features; a node acts when all banks say the same
    node   → LocalGram, MaskShare, ProductShare (to each bank)   ⇒ EncryptedColumns, → MaskedProducts (among nodes)
             OwnProductShare (to each bank, under its key)       bank → PoolShare
    bank   → PointTables, all the same   node: MaskedTotals (for each bank, of its own customers alone)
    bank   → PoolShare, a few times: the fit of all released candidates
    bank   ⇒ EncryptedResiduals          node → GradientPoolShare (to each bank)      bank → PoolShare
    bank   → PointTables ⇒ Manifest, ModelAgreement      → PoolShare of the score bands of the test rows
    node   → ManifestSignature (to each bank)            bank ⇒ SignedManifest, RunFinished
"""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from protocols.channel.identity import Key32, PartyName, Signature
from protocols.channel.wire import Message, encode
from protocols.scorecard.messages import Count, FeatureShape, LeakClass, Name, NodeEntry, Rho, RunSpec

MAX_BANKS: Final = 16
Columns = Annotated[tuple[Name, ...], Meta(max_length=4096)]
Fingerprint = Annotated[str, Meta(min_length=64, max_length=64)]
StepName = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[a-z]+(/[0-9]+)*\Z")]


class BankEntry(Message, frozen=True):
    """One bank of a consortium, under its pinned card."""

    party: PartyName
    card: Fingerprint


class Invitation(Message, frozen=True):
    """What one bank, the lead, asks others to train with it; `columns` are its own features, `plan` its plan's hash.

    Reveals: to the coordinator and the invited banks, who is invited, and the names of the lead's own columns.
    """

    OPEN: ClassVar[bool] = True

    run: Annotated[bytes, Meta(min_length=16, max_length=16)]
    lead: PartyName
    banks: Annotated[tuple[BankEntry, ...], Meta(min_length=2, max_length=MAX_BANKS)]
    nodes: Annotated[tuple[NodeEntry, ...], Meta(min_length=1, max_length=4096)]
    created: Count
    key_bits: Annotated[int, Meta(ge=256, le=16384)]
    minimum_bin: Annotated[int, Meta(ge=1, le=1 << 20)]
    fine_bins: Annotated[int, Meta(ge=2, le=256)]
    row_totals: Annotated[int, Meta(ge=0, le=16)]
    columns: Columns
    plan: Key32
    rho: Rho = 0

    def transcript(self) -> bytes:
        """Return the transcript that invitation and acceptances are signed under, 32 bytes."""
        return hashlib.sha256(b"credit-federation/consortium-invitation/v1\0" + encode(self)).digest()


class Acceptance(Message, frozen=True):
    """A bank joins, and commits to its one label vector; `columns` are those of the lead's that it has, too.

    Reveals: how many rows it brings.
    """

    OPEN: ClassVar[bool] = True

    rows: Count
    training_rows: Count
    labels: Key32
    columns: Columns


class Member(Message, frozen=True):
    """One bank of a run: its card, how many rows it brings, and the label vector that it is bound to."""

    party: PartyName
    card: Fingerprint
    rows: Count
    training_rows: Count
    labels: Key32


class ConsortiumSpec(RunSpec, frozen=True, kw_only=True):
    """What a consortium's run is; its hash is the transcript that every message of the run is signed under.

    `bank` is the lead, `rows` and `training_rows` those of all members together, `labels` the hash of their label
    commitments; `columns` are the own features that every member has. Reveals: what a `RunSpec` does, of each bank.
    """

    members: Annotated[tuple[Member, ...], Meta(min_length=2, max_length=MAX_BANKS)]
    columns: Columns
    plan: Key32

    def transcript(self) -> bytes:
        """Return T, 32 bytes."""
        return hashlib.sha256(b"credit-federation/consortium-run/v1\0" + encode(self)).digest()


def all_labels(members: tuple[Member, ...]) -> bytes:
    """Return the one commitment to every member's labels, 32 bytes."""
    return hashlib.sha256(b"".join(member.labels for member in members)).digest()


class BankCut(Message, frozen=True):
    """How the lead cuts the banks' own columns, and a secret of the banks from which salts are derived.

    Reveals: to the other banks, edges of bins that hold at least `minimum_bin` of the lead's own customers each.
    """

    cut: bytes
    seed: Key32


class HistogramShare(Message, frozen=True):
    """One bank's share of how many enterprises of each pooled fine bin defaulted; counts are those of all banks.

    Reveals: alone, the plain counts of the pool; the defaults only as the sum of all banks' shares.
    """

    features: tuple[FeatureShape, ...]
    vector: bytes


class OwnProductShare(Message, frozen=True):
    """One bank's share of the inner products of the banks' own columns with the sender's. Reveals nothing alone."""

    vector: bytes


class GradientPoolShare(Message, frozen=True):
    """One bank's share of Σ w·r, Σ w·h, Σ w²·r and Σ w²·h of each selected column. Reveals nothing alone."""

    vector: bytes


class PoolShare(Message, frozen=True):
    """One bank's addends of a pooled step, hidden by masks that cancel over all banks.

    Reveals: to the other banks, the sum over all of them; to any but all others together, nothing of one bank's own.
    """

    step: StepName
    values: tuple[bytes, ...]


class ModelAgreement(Message, frozen=True):
    """A bank's signature on the model of the whole consortium: every bank computed it alike. Reveals nothing."""

    OPEN: ClassVar[bool] = True

    model: Key32
    signature: Signature


LEAKS: Final[dict[str, LeakClass]] = {
    "HistogramShare": LeakClass.AGGREGATE,
    "OwnProductShare": LeakClass.AGGREGATE,
    "GradientPoolShare": LeakClass.AGGREGATE,
    "PoolShare": LeakClass.AGGREGATE,
}
"""The leak class of each message that, with the other banks' of its step, reveals something to the banks."""
