"""Assessments, as the API takes and shows them."""

from __future__ import annotations

import datetime
from typing import Literal

from pydantic import BaseModel, Field

from nodes.bank.api.schemas.fields import (
    EXAMPLE_REQUEST,
    EXAMPLE_USCC,
    AskedPurpose,
    Consent,
    Enterprise,
    Reference,
    Strict,
    moment,
    shown_as,
)
from nodes.bank.asking.results import AssessmentResult
from nodes.bank.store.assessments import Assessment


class AssessmentIn(Strict):
    """A question about one enterprise."""

    model_config = shown_as({"enterprise": EXAMPLE_USCC, "reference": "LN-2026-0042"})

    enterprise: Enterprise
    consent: Consent = ""
    purpose: AskedPurpose = "assessment"
    reference: Reference = ""
    objection: str = Field(
        default="",
        pattern=r"^([0-9a-f]{32})?$",
        description="Id of the enterprise's objection after which it is asked about again; the log says so.",
    )


class ThemeOut(BaseModel):
    """One reason: how many points were lost on it, from 0 (none) to 3 (most)."""

    theme: str = Field(examples=["payment_discipline"])
    severity: int = Field(ge=0, le=3, examples=[2])


class ModelOut(BaseModel):
    """The model that answered."""

    hash: str = Field(examples=["5b" * 32])
    family: str = Field(examples=["scorecard"])
    trained: str = Field(examples=["2026-11-01"], description="ISO date.")
    data_as_of: str = Field(examples=["2025-12-31"], description="ISO date, or empty if it is not stated.")


class AssessmentOut(BaseModel):
    """The result of one assessment. `status` says whether there is a score; if not, `code` says why."""

    id: str = Field(examples=["asm_" + EXAMPLE_REQUEST])
    created: datetime.datetime
    reference: str
    purpose: str
    request: str = Field(examples=[EXAMPLE_REQUEST], description="The query's id in the audit log and at every node.")
    enterprise: str = Field(examples=[EXAMPLE_USCC])
    status: Literal["ok", "denied", "failed"]
    code: str = Field(
        examples=[""], description="`CONSENT_EXPIRED`, `NODE_DENIED`, `QUOTA`, `INSUFFICIENT_COVERAGE`, …"
    )
    denied_by: dict[str, str] = Field(description="Code of each domain that refused.")
    pd: float | None = Field(ge=0, le=1, examples=[0.0213], description="Probability of default within 12 months.")
    score: int | None = Field(examples=[648], description="600 at odds of 20 to 1; 40 points double them.")
    grade: str | None = Field(examples=["BBB"])
    themes: list[ThemeOut]
    coverage: dict[str, str] = Field(examples=[{"tax": "ok", "social": "absent"}])
    model: ModelOut
    as_of: str = Field(examples=["2026-11-22"], description="ISO date of the answer, or empty without a score.")
    data_as_of: dict[str, str] = Field(
        examples=[{"tax": "2026-10-31"}], description="As of which day each domain's records speak, where it says so."
    )
    valid_until: str = Field(examples=["2026-12-22"], description="ISO date, or empty without a score.")
    receipt: int | None = Field(examples=[106], description="Leaf of the audit log that records the result.")
    objection_pending: bool = Field(
        examples=[False],
        description="The enterprise objects to records behind this result, or to their use; not decided yet.",
    )
    advice: str = Field(examples=["advisory only: a person decides on the loan"])

    @classmethod
    def of(cls, kept: Assessment) -> AssessmentOut:
        """Return a kept assessment as it is answered."""
        r: AssessmentResult = kept.result
        return cls(
            id=kept.id,
            created=moment(kept.at),
            reference=kept.reference,
            purpose=kept.purpose,
            request=r.request,
            enterprise=r.enterprise,
            status=r.status,
            code=r.code,
            denied_by=r.denied_by,
            pd=r.pd,
            score=r.score,
            grade=r.grade,
            themes=[ThemeOut(theme=theme.theme, severity=theme.severity) for theme in r.themes],
            coverage=r.coverage,
            model=ModelOut(
                hash=kept.model.hash,
                family=kept.model.family,
                trained=kept.model.trained,
                data_as_of=kept.model.data_as_of,
            ),
            as_of=r.as_of,
            data_as_of=r.data_as_of,
            valid_until=r.valid_until,
            receipt=r.receipt,
            objection_pending=r.objection_pending,
            advice=r.advice,
        )


class AssessmentPage(BaseModel):
    """A page of assessments, the latest first; `next` is null on the last page."""

    items: list[AssessmentOut]
    next: str | None
