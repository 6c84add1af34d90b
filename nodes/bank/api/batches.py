"""Batches: send a file of applicants, watch its progress, take the results."""

from __future__ import annotations

import asyncio
import csv
import io
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from nodes.bank.api.auth import needs
from nodes.bank.api.batch_file import FileFormat, FileRow, read_batch_file
from nodes.bank.api.context import Bank, BankContext, Finish, IdempotencyKey
from nodes.bank.api.paging import Cursor, Limit, cursor_of, number_of
from nodes.bank.api.problems import Problem, documented, not_found
from nodes.bank.api.reference import is_reference
from nodes.bank.api.schemas.assessments import AssessmentOut
from nodes.bank.api.schemas.batches import BatchIn, BatchOut, BatchPage, RowOut, RowPage
from nodes.bank.api.schemas.fields import AskedPurpose
from nodes.bank.store import assessments, batches
from nodes.bank.store.api_keys import ApiKey, Scope
from nodes.bank.store.batches import Batch, BatchRow, RowStatus
from nodes.bank.store.replays import Answer
from protocols.errors import ConfigurationError

router: Final = APIRouter(prefix="/v1/batches", tags=["batches"])
Reader = Annotated[ApiKey, Depends(needs(Scope.READ_BATCHES))]
Writer = Annotated[ApiKey, Depends(needs(Scope.SEND_BATCHES))]
Identifier = Annotated[str, Path(pattern=r"^bat_[0-9a-f]{32}$", examples=["bat_9f2c41d07be34a5c8de1f0a2b3c4d5e6"])]
CHUNK: Final = 500
REPEATED: Final = "REPEATED"
INVALID_REFERENCE: Final = "INVALID_REFERENCE"
COLUMNS: Final = (
    "row",
    "enterprise",
    "reference",
    "status",
    "code",
    "pd",
    "score",
    "grade",
    "valid_until",
    "objection",
    "assessment",
)
_FILE: Final = {
    "requestBody": {
        "required": True,
        "description": """One JSON object; or a file, which JSON Schema cannot describe: `text/csv` with a header,

    enterprise,consent,reference
    91350100M000100Y43,eyJhbGciOi…,LN-2026-0042

or `application/x-ndjson` with one applicant a line,

    {"enterprise":"91350100M000100Y43","consent":"eyJhbGciOi…","reference":"LN-2026-0042"}

where consent and reference may be left out.""",
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{BatchIn.__name__}"}}},
    }
}


@router.post(
    "",
    status_code=202,
    response_model=BatchOut,
    summary="Send a file of applicants",
    responses=documented(409, 413, 415),
    openapi_extra=_FILE,
)
async def send(
    request: Request,
    bank: Bank,
    caller: Writer,
    purpose: Annotated[AskedPurpose, Query()] = "assessment",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Accept up to 100,000 applicants, as JSON, CSV or JSON lines, and begin to ask about them.

    A row that cannot be asked, for a wrong or repeated identifier or a wrong reference, is `invalid`; one whose owner
    denies is `denied`; neither stops the others. A batch goes on after a restart where it was.
    """
    form = _format(request)

    async def make() -> Finish:
        body = await request.body()
        rows = await asyncio.to_thread(lambda: _checked(bank, read_batch_file(body, form)))

        def finish(connection: sqlite3.Connection) -> Answer:
            batch = batches.add(connection, purpose, rows, bank.now())
            return Answer(202, f"/v1/batches/{batch.id}", BatchOut.of(batch).model_dump_json().encode())

        return finish

    response = await bank.once(caller, idempotency_key, request, make)
    bank.wake()
    return response


@router.get("", summary="List batches", responses=documented())
async def list_batches(bank: Bank, caller: Reader, cursor: Cursor = "", limit: Limit = 50) -> BatchPage:
    """Return the latest batches."""
    before = number_of(cursor)
    found = await bank.database.call(lambda c: batches.page(c, before, limit + 1))
    following = cursor_of(found[limit - 1].number) if len(found) > limit else None
    return BatchPage(items=[BatchOut.of(batch) for batch in found[:limit]], next=following)


@router.get("/{batch_id}", summary="Read a batch's progress", responses=documented(404))
async def read(batch_id: Identifier, bank: Bank, caller: Reader) -> BatchOut:
    """Return how many rows of a batch stand where."""
    return BatchOut.of(await _find(bank, batch_id))


@router.get("/{batch_id}/results", summary="Read a batch's results", responses=documented(404))
async def results(batch_id: Identifier, bank: Bank, caller: Reader, cursor: Cursor = "", limit: Limit = 100) -> RowPage:
    """Return a page of rows in the file's order, each with its result if it has one by now."""
    batch, after = await _find(bank, batch_id), number_of(cursor, 0)
    found = await bank.database.call(lambda c: _rows(c, batch, after, limit + 1))
    following = cursor_of(found[limit - 1].row) if len(found) > limit else None
    return RowPage(items=found[:limit], next=following)


@router.get(
    "/{batch_id}/results.csv",
    summary="Take a batch's results as CSV",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **documented(404)},
)
async def results_csv(batch_id: Identifier, bank: Bank, caller: Reader) -> Response:
    """Return all rows as CSV, in the file's order; what a spreadsheet would run as a formula has a ' before it."""
    return _stream(bank, await _find(bank, batch_id), _csv_of, "text/csv", _csv_line(COLUMNS))


@router.get(
    "/{batch_id}/results.jsonl",
    summary="Take a batch's results as JSON lines",
    response_class=Response,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}, **documented(404)},
)
async def results_lines(batch_id: Identifier, bank: Bank, caller: Reader) -> Response:
    """Return all rows as JSON lines, in the file's order, each as in a page of results."""
    return _stream(bank, await _find(bank, batch_id), lambda row: row.model_dump_json() + "\n", "application/x-ndjson")


def _format(request: Request) -> FileFormat:
    """Return what a request's body says it is. Raises: Problem, 415 MEDIA_TYPE."""
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        return FileFormat(said)
    except ValueError as error:
        raise Problem(415, "MEDIA_TYPE", "a batch is application/json, text/csv or application/x-ndjson") from error


def _checked(bank: BankContext, rows: Sequence[FileRow]) -> list[BatchRow]:
    """Return a file's rows, those marked that cannot be asked; a wrong reference is not kept, and repeats nothing."""
    seen: set[str] = set()
    found = []
    for number, row in enumerate(rows, 1):
        if is_reference(row.reference):
            reference, code = row.reference, REPEATED if row.enterprise in seen else _code(bank, row.enterprise)
            seen.add(row.enterprise)
        else:
            reference, code = "", INVALID_REFERENCE
        status = RowStatus.INVALID if code else RowStatus.OPEN
        found.append(BatchRow(number, row.enterprise, row.consent, reference, status, code))
    return found


def _code(bank: BankContext, enterprise: str) -> str:
    try:
        bank.service.check_enterprise(enterprise)
    except ConfigurationError as error:
        return error.code
    return ""


async def _find(bank: BankContext, identifier: str) -> Batch:
    found = await bank.database.call(lambda c: batches.find(c, identifier))
    if found is None:
        raise not_found("batch")
    return found


def _rows(connection: sqlite3.Connection, batch: Batch, after: int, limit: int) -> list[RowOut]:
    found = []
    for row in batches.rows_after(connection, batch.number, after, limit):
        kept = assessments.find(connection, row.assessment) if row.assessment else None
        result = None if kept is None else AssessmentOut.of(kept)
        found.append(
            RowOut(
                row=row.row,
                enterprise=row.enterprise,
                reference=row.reference,
                status=row.status,
                code=row.code,
                result=result,
            )
        )
    return found


def _stream(
    bank: BankContext, batch: Batch, written: Callable[[RowOut], str], media_type: str, head: str = ""
) -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        yield head
        after = 0
        while rows := await bank.database.call(partial(_rows, batch=batch, after=after, limit=CHUNK)):
            yield "".join(map(written, rows))
            after = rows[-1].row

    headers = {"Content-Disposition": f'attachment; filename="{batch.id}{".csv" if head else ".jsonl"}"'}
    return StreamingResponse(pieces(), media_type=media_type, headers=headers)


def _csv_of(row: RowOut) -> str:
    result = row.result
    told: tuple[str | float | None, ...] = (None,) * 6
    if result:
        objection = "pending" if result.objection_pending else ""
        told = (result.pd, result.score, result.grade, result.valid_until, objection, result.id)
    return _csv_line((row.row, row.enterprise, row.reference, row.status.value, row.code, *told))


def _csv_line(cells: Sequence[str | float | None]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerow([_harmless(cell) if isinstance(cell, str) else cell for cell in cells])
    return text.getvalue()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
