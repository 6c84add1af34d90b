"""Outcomes: how loans went, which closes the loop: they become the labels of the next training run."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response

from nodes.bank.api.auth import needs
from nodes.bank.api.context import Bank, BankContext, Finish, IdempotencyKey
from nodes.bank.api.paging import Cursor, Limit, cursor_of, number_of
from nodes.bank.api.problems import Problem, documented
from nodes.bank.api.schemas.outcomes import OutcomeIn, OutcomeOut, OutcomePage, OutcomesIn, OutcomesOut
from nodes.bank.store import outcomes
from nodes.bank.store.api_keys import ApiKey, Scope
from nodes.bank.store.outcomes import Label, Outcome, OutcomeConflict
from nodes.bank.store.replays import Answer
from nodes.bank.watching.alarms import report_default

router: Final = APIRouter(prefix="/v1/outcomes", tags=["outcomes"])
Reader = Annotated[ApiKey, Depends(needs(Scope.READ_OUTCOMES))]
Writer = Annotated[ApiKey, Depends(needs(Scope.REPORT_OUTCOMES))]


@router.post(
    "",
    status_code=201,
    response_model=OutcomesOut,
    summary="Report repayment outcomes",
    responses=documented(400, 404, 409, 413, 415),
)
async def report(
    reported: OutcomesIn, request: Request, bank: Bank, caller: Writer, idempotency_key: IdempotencyKey = None
) -> Response:
    """Record how loans went: all of the list, or, if one contradicts what was reported before, none (409).

    Of each loan the latest observation counts; one marked as a correction takes the place of all earlier ones. The
    next training run takes the labels.

    More than 90 days past due within twelve months of draw-down is a default; 30 to 90 days are indeterminate; less is
    good once the twelve months have passed. A default of a monitored enterprise is a hard event.
    """
    said = [(_outcome(bank, one), one.correction) for one in reported.outcomes]

    async def make() -> Finish:
        return lambda c: Answer(201, "", _record(c, said, bank.now()).model_dump_json().encode())

    response = await bank.once(caller, idempotency_key, request, make)
    bank.wake()
    return response


@router.get("", summary="List outcomes", responses=documented())
async def list_outcomes(bank: Bank, caller: Reader, cursor: Cursor = "", limit: Limit = 50) -> OutcomePage:
    """Return the latest outcomes with the labels that they are."""
    before = number_of(cursor)
    found = await bank.database.call(lambda c: outcomes.page(c, before, limit + 1))
    following = cursor_of(found[limit - 1][0]) if len(found) > limit else None
    return OutcomePage(items=[OutcomeOut.of(outcome) for _, outcome in found[:limit]], next=following)


def _outcome(bank: BankContext, said: OutcomeIn) -> Outcome:
    bank.service.check_enterprise(said.enterprise)
    if said.observed_on < said.drawn_on:
        raise Problem(409, "OUTCOME_CONFLICT", "an outcome of the list was observed before its loan was drawn")
    if said.observed_on > outcomes.latest_day(bank.now()):
        raise Problem(409, "OUTCOME_CONFLICT", "an outcome of the list is observed on a day that is yet to come")
    return Outcome(said.enterprise, said.loan, said.drawn_on, said.observed_on, said.days_past_due)


def _record(connection: sqlite3.Connection, said: Sequence[tuple[Outcome, bool]], now: int) -> OutcomesOut:
    """Record outcomes in one transaction, with the events that follow from them. Raises: Problem, 409."""
    labels: Counter[Label] = Counter()
    recorded = 0
    for outcome, correction in said:
        try:
            new = outcomes.record(connection, outcome, now, correction=correction)
        except OutcomeConflict as error:
            raise Problem(409, "OUTCOME_CONFLICT", "a loan of the list was reported otherwise before") from error
        labels[outcome.label()] += 1
        recorded += new
        if new and outcome.label() is Label.DEFAULT:
            report_default(connection, outcome.enterprise, now)
    return OutcomesOut(recorded=recorded, known=len(said) - recorded, labels=dict(labels))
