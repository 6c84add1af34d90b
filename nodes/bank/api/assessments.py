"""Assessments: ask about one enterprise, read the result, and its credit report."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from nodes.bank.api.auth import needs
from nodes.bank.api.context import Bank, BankContext, Finish, IdempotencyKey
from nodes.bank.api.paging import Cursor, Limit, cursor_of, number_of
from nodes.bank.api.problems import documented, not_found
from nodes.bank.api.schemas.assessments import AssessmentIn, AssessmentOut, AssessmentPage
from nodes.bank.api.schemas.fields import purpose_of
from nodes.bank.asking.results import AssessmentResult
from nodes.bank.report.facts import CreditReport
from nodes.bank.report.page import render_page
from nodes.bank.report.pdf import render_pdf
from nodes.bank.report.wording import Language
from nodes.bank.store import assessments
from nodes.bank.store.api_keys import ApiKey, Scope
from nodes.bank.store.assessments import Assessment, Source
from nodes.bank.store.replays import Answer

router: Final = APIRouter(prefix="/v1/assessments", tags=["assessments"])
Reader = Annotated[ApiKey, Depends(needs(Scope.READ_ASSESSMENTS))]
Writer = Annotated[ApiKey, Depends(needs(Scope.ASSESS))]
Identifier = Annotated[str, Path(pattern=r"^asm_[0-9a-f]{32}$", examples=["asm_9f2c41d07be34a5c8de1f0a2b3c4d5e6"])]
ReportLanguage = Annotated[Language, Query(description="Chinese (zh) or English (en).")]


@router.post(
    "",
    status_code=201,
    response_model=AssessmentOut,
    summary="Assess one enterprise",
    responses=documented(400, 404, 409, 413, 415, 503),
)
async def assess(
    asked: AssessmentIn, request: Request, bank: Bank, caller: Writer, idempotency_key: IdempotencyKey = None
) -> Response:
    """Ask every data node how risky a loan to an enterprise is.

    A denial is an answer too: `status` is then `denied`, and `code` and `denied_by` say why. 503 means that there was
    no answer; nothing was recorded, and the same request can be sent again.
    """

    async def make() -> Finish:
        result = await _ask(bank, asked)
        made = kept(bank, result, asked.purpose, asked.reference, Source.SINGLE)

        def finish(connection: sqlite3.Connection) -> Answer:
            assessments.add(connection, made)
            body = AssessmentOut.of(made).model_dump_json().encode()
            return Answer(201, f"/v1/assessments/{made.id}", body)

        return finish

    return await bank.once(caller, idempotency_key, request, make)


@router.get("", summary="List assessments", responses=documented())
async def list_assessments(bank: Bank, caller: Reader, cursor: Cursor = "", limit: Limit = 50) -> AssessmentPage:
    """Return the latest assessments, of single questions, batches and monitors alike."""
    before = number_of(cursor)
    found = await bank.database.call(lambda c: assessments.page(c, before, limit + 1))
    shown = found[:limit]
    following = cursor_of(shown[-1].number) if len(found) > limit else None
    return AssessmentPage(items=[AssessmentOut.of(one) for one in shown], next=following)


@router.get(
    "/{assessment_id}.html",
    summary="Credit report as a page",
    response_class=Response,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}, **documented(404)},
)
async def page(
    assessment_id: Identifier, bank: Bank, caller: Reader, language: ReportLanguage = Language.CHINESE
) -> Response:
    """Return the credit report of an assessment as one self-contained HTML page, for screen and print."""
    report = await _report(bank, assessment_id)
    made = await asyncio.to_thread(render_page, report, language)
    return Response(made, media_type="text/html", headers=_file(report, language, "html", "inline"))


@router.get(
    "/{assessment_id}.pdf",
    summary="Credit report as a PDF",
    response_class=Response,
    responses={
        200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}},
        **documented(404),
    },
)
async def pdf(
    assessment_id: Identifier, bank: Bank, caller: Reader, language: ReportLanguage = Language.CHINESE
) -> Response:
    """Return the credit report of an assessment as a PDF with its fonts embedded."""
    report = await _report(bank, assessment_id)
    made = await asyncio.to_thread(render_pdf, report, language)
    return Response(made, media_type="application/pdf", headers=_file(report, language, "pdf", "attachment"))


@router.get("/{assessment_id}", summary="Read one assessment", responses=documented(404))
async def read(assessment_id: Identifier, bank: Bank, caller: Reader) -> AssessmentOut:
    """Return an assessment as it was answered."""
    return AssessmentOut.of(await _find(bank, assessment_id))


def kept(bank: BankContext, result: AssessmentResult, purpose: str, reference: str, source: Source) -> Assessment:
    """Return a result as it is kept, with what its model says of itself."""
    return Assessment(assessments.new_id(), bank.now(), source, purpose, reference, result, bank.facts(result.model))


async def _ask(bank: BankContext, asked: AssessmentIn) -> AssessmentResult:
    bank.service.check_enterprise(asked.enterprise)
    purpose, objection = purpose_of(asked.purpose), bytes.fromhex(asked.objection)
    return await bank.service.assess(asked.enterprise, asked.consent, purpose, objection)


async def _find(bank: BankContext, identifier: str) -> Assessment:
    found = await bank.database.call(lambda c: assessments.find(c, identifier))
    if found is None:
        raise not_found("assessment")
    return found


async def _report(bank: BankContext, identifier: str) -> CreditReport:
    found, settings = await _find(bank, identifier), bank.settings
    return CreditReport(
        identifier.removeprefix("asm_")[:16].upper(),
        settings.bank,
        found.at,
        found.result,
        found.model,
        settings.objections,
    )


def _file(report: CreditReport, language: Language, suffix: str, disposition: str) -> dict[str, str]:
    return {
        "Content-Disposition": f'{disposition}; filename="credit-report-{report.number}-{language}.{suffix}"',
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    }
