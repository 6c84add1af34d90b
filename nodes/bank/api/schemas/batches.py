"""Batches, as the API takes and shows them."""

from __future__ import annotations

import datetime
from typing import Literal

from pydantic import BaseModel, Field

from nodes.bank.api.schemas.assessments import AssessmentOut
from nodes.bank.api.schemas.fields import (
    EXAMPLE_REQUEST,
    EXAMPLE_USCC,
    Consent,
    Enterprise,
    Strict,
    moment,
    shown_as,
)
from nodes.bank.store.batches import Batch, RowStatus


class ApplicantIn(Strict):
    """One enterprise of a batch."""

    enterprise: Enterprise
    consent: Consent = ""
    reference: str = Field(
        default="",
        description="Your own mark, as for a single question; a wrong one makes this row `invalid`, and is not kept.",
        examples=["LN-2026-0042"],
    )


class BatchIn(Strict):
    """A batch as one JSON object; documentation alone, for `batch_file` reads it in all its forms."""

    model_config = shown_as({"applicants": [{"enterprise": EXAMPLE_USCC, "reference": "LN-2026-0042"}]})

    applicants: list[ApplicantIn] = Field(min_length=1, max_length=100_000)


class BatchOut(BaseModel):
    """A batch and how far it is. Denials and failures concern single enterprises; the others go on."""

    id: str = Field(examples=["bat_" + EXAMPLE_REQUEST])
    created: datetime.datetime
    purpose: str
    status: Literal["running", "done"]
    waiting_for: str = Field(description="Code of what keeps the batch waiting; empty if nothing does.")
    rows: int
    answered: int
    ok: int
    denied: int
    failed: int
    invalid: int = Field(
        description="Rows that were never asked: a wrong or repeated identifier, or a wrong reference."
    )
    ended: datetime.datetime | None

    @classmethod
    def of(cls, batch: Batch) -> BatchOut:
        """Return a batch as it is answered."""
        return cls(
            id=batch.id,
            created=moment(batch.at),
            purpose=batch.purpose,
            status="running" if batch.ended is None else "done",
            waiting_for=batch.waiting_for,
            rows=batch.rows,
            answered=batch.rows - batch.counts.get(RowStatus.OPEN, 0),
            ok=batch.counts.get(RowStatus.OK, 0),
            denied=batch.counts.get(RowStatus.DENIED, 0),
            failed=batch.counts.get(RowStatus.FAILED, 0),
            invalid=batch.counts.get(RowStatus.INVALID, 0),
            ended=None if batch.ended is None else moment(batch.ended),
        )


class BatchPage(BaseModel):
    """A page of batches, the latest first."""

    items: list[BatchOut]
    next: str | None


class RowOut(BaseModel):
    """One row of a batch: `result` once it has one."""

    row: int
    enterprise: str
    reference: str
    status: RowStatus
    code: str
    result: AssessmentOut | None


class RowPage(BaseModel):
    """A page of rows, in the file's order."""

    items: list[RowOut]
    next: str | None
