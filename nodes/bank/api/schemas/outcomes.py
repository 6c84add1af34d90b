"""Outcomes of loans, as the API takes and shows them."""

from __future__ import annotations

import datetime

from pydantic import BaseModel, Field

from nodes.bank.api.reference import PATTERN
from nodes.bank.api.schemas.fields import EXAMPLE_OUTCOME, Day, Enterprise, Strict, Whole, shown_as
from nodes.bank.store.outcomes import Label, Outcome


class OutcomeIn(Strict):
    """What the bank has seen of one loan until a day."""

    enterprise: Enterprise
    loan: str = Field(pattern=PATTERN, examples=["LN-2026-0042"])
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
