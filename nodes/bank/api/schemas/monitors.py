"""Monitors and what they tell, as the API takes and shows them."""

from __future__ import annotations

import datetime
from typing import Literal

from pydantic import BaseModel, Field

from nodes.bank.api.schemas.fields import (
    EXAMPLE_REQUEST,
    EXAMPLE_USCC,
    Consent,
    Enterprise,
    Reference,
    Strict,
    Whole,
    moment,
    shown_as,
)
from nodes.bank.store.monitors import Event, Monitor


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
