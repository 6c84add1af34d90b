"""Results to make reports of: one with a score, one that was denied."""

from __future__ import annotations

import msgspec

from nodes.bank.asking.results import AssessmentResult, ThemeResult
from nodes.bank.report.facts import CreditReport, ModelFacts

MODEL = ModelFacts("5b" * 32, "scorecard", "2026-11-01", "2025-12-31", 0.8239, 4)
SCORED = AssessmentResult(
    request="9f2c41d07be34a5c8de1f0a2b3c4d5e6",
    enterprise="91350100M000100Y43",
    status="ok",
    pd=0.0213,
    score=648,
    grade="BBB",
    themes=tuple(
        ThemeResult(theme, band)
        for theme, band in (
            ("payment_discipline", 3),
            ("tax_compliance", 2),
            ("employment", 1),
            ("business_scale", 1),
            ("operations", 0),
            ("growth", 0),
        )
    ),
    coverage={"tax": "ok", "social": "ok", "housing_fund": "absent", "electricity": "stale"},
    model=MODEL.hash,
    as_of="2026-11-22",
    valid_until="2026-12-22",
    receipt=106,
)
DENIED = AssessmentResult(
    request="9f2c41d07be34a5c8de1f0a2b3c4d5e6",
    enterprise="91350100M000100Y43",
    status="denied",
    code="CONSENT_EXPIRED",
    denied_by={"tax": "CONSENT_EXPIRED"},
    coverage={"tax": "refused"},
    model=MODEL.hash,
)


def report(
    result: AssessmentResult = SCORED, bank: str = "bank", objections: str = "", **changes: object
) -> CreditReport:
    """A report of a result, some of whose fields are changed."""
    changed = msgspec.structs.replace(result, **changes)
    return CreditReport("CR-20261122-9f2c41d0", bank, 1_795_000_000, changed, MODEL, objections)
