"""What requests and answers of the bank's API look like: the words of its OpenAPI document."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from nodes.bank.batch_file import MAX_CONSENT, MAX_ENTERPRISE
from nodes.bank.results import AssessmentResult
from nodes.bank.store.assessments import Assessment
from nodes.bank.store.batches import Batch, RowStatus
from nodes.bank.store.monitors import Event, Monitor
from nodes.bank.store.outcomes import Label, Outcome
from protocols.consent import Purpose

EXAMPLE_USCC = "91350100M000100Y43"
EXAMPLE_REQUEST = "9f2c41d07be34a5c8de1f0a2b3c4d5e6"
EXAMPLE_OUTCOME: dict[str, JsonValue] = {
    "enterprise": EXAMPLE_USCC,
    "loan": "LN-2022-0007",
    "drawn_on": "2022-03-01",
    "observed_on": "2023-03-05",
    "days_past_due": 12,
}

Enterprise = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_ENTERPRISE,
        description="Unified social credit code (GB 32100-2015), or the identifier that this federation uses.",
        examples=[EXAMPLE_USCC],
        json_schema_extra={"format": "enterprise"},
    ),
]
Consent = Annotated[
    str,
    Field(
        max_length=MAX_CONSENT, description="The enterprise's consent, a signed token. Without it every node denies."
    ),
]
Reference = Annotated[
    str,
    Field(
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._:/-]{0,63})?$",
        description="Your own mark, such as an application number; it comes back as it is.",
        examples=["LN-2026-0042"],
    ),
]


def _written(value: object) -> object:
    """Let a date be what JSON Schema calls one: a text, never a number of seconds."""
    if not isinstance(value, str) or len(value) != 10:
        raise ValueError("a date is written YYYY-MM-DD")
    return value


def _whole(value: object) -> object:
    """Let a whole number be what JSON Schema calls one: 3 and 3.0, never true."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a whole number")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Day = Annotated[datetime.date, BeforeValidator(_written)]
AskedPurpose = Annotated[Literal["assessment"], Field(description="What the result is for, as the consent says.")]


class Strict(BaseModel):
    """A part of a request: a field that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def shown_as(example: dict[str, JsonValue]) -> ConfigDict:
    """Return what lets a request's documentation hold a whole body, to be sent as it stands."""
    return ConfigDict(json_schema_extra={"examples": [example]})


class FieldError(BaseModel):
    """One field that is wrong: where it is, and in what way; not what it holds."""

    where: str = Field(examples=["body.enterprise"])
    what: str = Field(examples=["string_too_long"])


class ProblemOut(BaseModel):
    """An error (RFC 9457). Programs read `code`, which is stable; people read `detail`."""

    type: str = Field(examples=["urn:credit-federation:problem:invalid-uscc"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    code: str = Field(examples=["INVALID_USCC"])
    detail: str = Field(
        examples=["no enterprise can have this identifier: a USCC has 18 characters, this one is 17 characters"]
    )
    errors: list[FieldError] = []


# ---- assessments


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


# ---- batches


class ApplicantIn(Strict):
    """One enterprise of a batch."""

    enterprise: Enterprise
    consent: Consent = ""
    reference: Reference = ""


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
    invalid: int = Field(description="Rows that were never asked: a wrong or repeated identifier.")
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


# ---- outcomes


class OutcomeIn(Strict):
    """What the bank has seen of one loan until a day."""

    enterprise: Enterprise
    loan: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$", examples=["LN-2026-0042"])
    drawn_on: Day
    observed_on: Day
    days_past_due: Whole = Field(
        ge=0,
        le=100_000,
        examples=[12],
        description="The most days past due within twelve months of draw-down, so far.",
    )
    correction: bool = Field(
        default=False, strict=True, description="Put this in the place of all that was reported of this loan before."
    )


class OutcomesIn(Strict):
    """Outcomes to record: all of them or none."""

    model_config = shown_as({"outcomes": [EXAMPLE_OUTCOME]})

    outcomes: list[OutcomeIn] = Field(min_length=1, max_length=1000)


class OutcomeOut(BaseModel):
    """An outcome, and the label that it is."""

    enterprise: str
    loan: str
    drawn_on: datetime.date
    observed_on: datetime.date
    days_past_due: int
    label: Label

    @classmethod
    def of(cls, outcome: Outcome) -> OutcomeOut:
        """Return an outcome as it is answered."""
        return cls(
            enterprise=outcome.enterprise,
            loan=outcome.loan,
            drawn_on=outcome.drawn_on,
            observed_on=outcome.observed_on,
            days_past_due=outcome.days_past_due,
            label=outcome.label(),
        )


class OutcomesOut(BaseModel):
    """What became of reported outcomes; `known` were reported before."""

    recorded: int
    known: int
    labels: dict[Label, int]


class OutcomePage(BaseModel):
    """A page of outcomes, the latest first."""

    items: list[OutcomeOut]
    next: str | None


# ---- monitors


class MonitorIn(Strict):
    """An enterprise to score again and again."""

    model_config = shown_as(
        {"enterprise": EXAMPLE_USCC, "every_days": 30, "webhook": "https://loans.bank.example/hooks/credit"}
    )

    enterprise: Enterprise
    consent: Consent = ""
    reference: Reference = ""
    every_days: Whole = Field(default=30, ge=1, le=366)
    webhook: str = Field(
        max_length=2000,
        pattern=r"^https?://[!-~]+$",
        description="Where events go: an HTTPS address at a host that the bank's operator has allowed.",
        examples=["https://loans.bank.example/hooks/credit"],
        json_schema_extra={"format": "webhook"},
    )


class MonitorOut(BaseModel):
    """A monitor. `suspended`: the enterprise's consent does not hold any more; a new monitor needs a new one."""

    id: str = Field(examples=["mon_" + EXAMPLE_REQUEST])
    created: datetime.datetime
    enterprise: str
    reference: str
    every_days: int
    webhook: str
    status: Literal["active", "suspended"]
    next: datetime.datetime
    latest: str | None = Field(description="Id of the latest assessment.")

    @classmethod
    def of(cls, monitor: Monitor) -> MonitorOut:
        """Return a monitor that was not deleted as it is answered."""
        return cls(
            id=monitor.id,
            created=moment(monitor.at),
            enterprise=monitor.enterprise,
            reference=monitor.reference,
            every_days=monitor.every_days,
            webhook=monitor.webhook,
            status="active" if monitor.status == "active" else "suspended",
            next=moment(monitor.next_at),
            latest=monitor.latest,
        )


class MonitorPage(BaseModel):
    """A page of monitors, the latest first."""

    items: list[MonitorOut]
    next: str | None


class EventOut(BaseModel):
    """An event, and whether it was delivered. `next_attempt` is null when none is due: delivered, or given up."""

    id: str
    created: datetime.datetime
    type: str = Field(examples=["monitor.grade_fell"])
    attempts: int
    delivered: datetime.datetime | None
    next_attempt: datetime.datetime | None

    @classmethod
    def of(cls, event: Event) -> EventOut:
        """Return an event as it is answered."""
        return cls(
            id=event.id,
            created=moment(event.at),
            type=event.kind,
            attempts=event.attempts,
            delivered=None if event.delivered is None else moment(event.delivered),
            next_attempt=None if event.next_at is None else moment(event.next_at),
        )


class EventPage(BaseModel):
    """A page of events, the latest first."""

    items: list[EventOut]
    next: str | None


class WebhookKeyOut(BaseModel):
    """The key that webhooks are signed with (Standard Webhooks, `v1a`)."""

    algorithm: Literal["ed25519"]
    public_key: str = Field(description="Base64 of the 32 bytes.", examples=["whpk_" + "A" * 43 + "="])


class HealthOut(BaseModel):
    """Whether an assessment could be answered now; `code` says why not."""

    status: Literal["ok", "unavailable"]
    code: str


def moment(at: int) -> datetime.datetime:
    """Return a time of the database as UTC."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC)


def purpose_of(asked: str) -> Purpose:
    """Return a purpose that a request may state."""
    return Purpose(asked)
