"""What may travel in the open, and under whose key its ciphertexts are; everything else must be sealed.

A kind that is not listed is a finding as soon as it travels open: whoever adds a message decides here, or seals it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from protocols.assessment import manifest as manifests
from protocols.assessment import messages as a
from protocols.assessment.batch import messages as batch
from protocols.boosting import messages as b
from protocols.channel.wire import Message
from protocols.consent.messages import RevocationNotice
from protocols.consortium import messages as c
from protocols.enrolment import upkeep as u
from protocols.enterprise import messages as e
from protocols.scorecard import messages as m
from protocols.scorecard.messages import LeakClass
from protocols.transparency import messages as t
from protocols.transparency.orders import ShredOrder
from protocols.transparency.statements import SealedStatements, Statement
from protocols.transparency.views import AuditView, OpenedBody


class KeyOf(StrEnum):
    """Whose Paillier key the ciphertexts of a message are under."""

    SENDER = "sender"
    RECEIVER = "receiver"


@dataclass(frozen=True, slots=True)
class OpenKind:
    """A message that anyone on the way may read: only public facts and, in one field, ciphertexts."""

    kind: type[Message]
    ciphertexts: str = ""
    key_of: KeyOf = KeyOf.RECEIVER


OPEN_KINDS: Final[Mapping[str, OpenKind]] = {
    rule.kind.__name__: rule
    for rule in (
        OpenKind(m.RunSpec),
        OpenKind(m.EncryptedLabels, "vector", KeyOf.SENDER),
        OpenKind(m.EncryptedColumns, "vector", KeyOf.SENDER),
        OpenKind(m.EncryptedResiduals, "vector", KeyOf.SENDER),
        OpenKind(b.BoostingSpec),
        OpenKind(c.Invitation),
        OpenKind(c.Acceptance),
        OpenKind(c.ConsortiumSpec),
        OpenKind(c.ModelAgreement),
        OpenKind(b.Gradients, "vector", KeyOf.SENDER),
        OpenKind(m.MaskedTotals, "vector"),
        OpenKind(m.CombinedTotals, "vector"),
        OpenKind(m.DistrictSums, "vector"),
        OpenKind(m.PooledSums, "vector"),
        OpenKind(m.ManifestSignature),
        OpenKind(m.RunFinished),
        OpenKind(manifests.Manifest),
        OpenKind(manifests.SignedManifest),
        OpenKind(RevocationNotice),
        OpenKind(a.Query),
        OpenKind(a.ScoreShare, "ciphertext"),
        OpenKind(a.Denial),
        OpenKind(batch.BatchQuery),
        OpenKind(batch.BatchSlips),
        OpenKind(batch.BatchDecisions),
        OpenKind(batch.BatchOpening),
        OpenKind(batch.BatchShares, "vector"),
        OpenKind(batch.CombinedBatch, "vector"),
        OpenKind(a.CombinedScore, "ciphertext"),
        OpenKind(a.LogReceipt),
        OpenKind(a.Acknowledgement),
        OpenKind(SealedStatements),
        OpenKind(e.RecordRequest),
        OpenKind(e.RecordReferences),
        OpenKind(e.RecordRefusal),
        OpenKind(e.Objection),
        OpenKind(e.ObjectionFiled),
        OpenKind(e.ObjectionPoll),
        OpenKind(e.ObjectionReceipt),
        OpenKind(e.ObjectionDecision),
        OpenKind(u.CertificateRequest),
        OpenKind(u.CertificateGrant),
        OpenKind(u.CardNotice),
        OpenKind(u.KeysNotice),
        OpenKind(u.PolicyNotice),
        OpenKind(u.RosterNotice),
        OpenKind(AuditView),
        OpenKind(ShredOrder),
        OpenKind(t.CheckpointOffer),
        OpenKind(t.CheckpointCosignature),
        OpenKind(t.CheckpointRefusal),
    )
}
"""All that may be read by a relay."""

SEALED_KINDS: Final[frozenset[str]] = frozenset(
    kind.__name__
    for kind in (
        m.Cohort,
        m.BinHistograms,
        m.DistrictCounts,
        m.DomainCounts,
        m.WoeTables,
        m.LocalGram,
        m.MaskedProducts,
        m.MaskShare,
        m.ProductShare,
        m.PointTables,
        m.GradientShare,
        c.BankCut,
        c.HistogramShare,
        c.OwnProductShare,
        c.GradientPoolShare,
        c.PoolShare,
        b.FeatureHistograms,
        b.StepOpening,
        b.Growth,
        b.StepClosing,
        b.LeafHistograms,
        b.ValidationGain,
        b.TreeTables,
        a.Subject,
        Statement,
        OpenedBody,
        batch.BatchSubjects,
        e.RecordSubject,
        e.RecordEntries,
        e.LoggedEntries,
        e.ObjectionSubject,
    )
)
"""All that must be sealed. The auditor enforces the complement of `OPEN_KINDS`; a test holds the two against the
message modules, so that no message goes undeclared."""

COMBINED_KINDS: Final = frozenset(
    kind.__name__ for kind in (m.CombinedTotals, m.PooledSums, a.CombinedScore, batch.CombinedBatch)
)
"""Products that the coordinator makes of shares that all have seen; over one node they equal its share."""

RELEASES: Final[Mapping[str, LeakClass]] = {
    **m.LEAKS,
    **b.LEAKS,
    **c.LEAKS,
    "CombinedScore": LeakClass.ROW_TOTALS,
    "CombinedBatch": LeakClass.ROW_TOTALS,
}
"""The leak class of every message that reveals something to the bank; counting needs no key, kinds are visible."""
