"""The bank's API as an ASGI application, with the work that runs beside it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Final

from fastapi import Depends, FastAPI, Request, Response

from nodes.bank.api import assessments, batches, health, monitors, outcomes, problems
from nodes.bank.api.context import BankContext
from nodes.bank.api.limits import BodyLimit
from nodes.bank.api.schemas.batches import BatchIn
from nodes.bank.api.schemas.fields import ProblemOut
from nodes.bank.api.settings import ApiSettings
from nodes.bank.api.strictness import no_unknown_parameters
from nodes.bank.service import BankService
from nodes.bank.store.database import Database
from nodes.bank.watching.batches import BatchRunner
from nodes.bank.watching.schedule import MonitorRunner
from nodes.bank.watching.webhooks import Deliverer, WebhookSigner, check_webhook

OPENAPI_VERSION: Final = "1.0"
DESCRIPTION: Final = """Ask how risky a loan to a small firm is, and get an answer computed from the records of offices
that never hand them over. Every result is advisory only: a person decides on the loan.

Every error is `application/problem+json` with a stable `code`. Every `POST` takes an `Idempotency-Key`. No identifier
of an enterprise belongs into an address, so none is ever in a log."""
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
_log = logging.getLogger(__name__)


def create_app(service: BankService, database: Database, signer: WebhookSigner, settings: ApiSettings) -> FastAPI:
    """Return the application over a service and an open database; while it runs, batches and monitors go on.

    One process serves one database.
    """
    bank = BankContext(service, database, signer, settings)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(_repeat(turn, bank.sleeper(), settings.idle_seconds)) for turn in _turns(bank)]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    app = _described(running)
    app.state.bank = bank
    problems.install(app)
    app.add_middleware(BodyLimit, settings=settings)
    app.middleware("http")(_kept_private)
    return app


def openapi_document() -> dict[str, object]:
    """Return the OpenAPI document of the API, which depends on nothing that it serves."""
    return _described(None).openapi()


def _described(lifespan: Lifespan | None) -> FastAPI:
    """Return an application with all resources and their documentation."""
    app = FastAPI(
        title="Credit Federation: bank API",
        version=OPENAPI_VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    for module in (assessments, batches, outcomes, monitors, health):
        app.include_router(module.router, dependencies=[Depends(no_unknown_parameters)])
    _document_problems(app)
    return app


async def _kept_private(request: Request, pass_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """Let nothing between bank and caller keep an answer, or guess what it is."""
    response = await pass_on(request)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _turns(bank: BankContext) -> list[Callable[[], Awaitable[int]]]:
    """Return the work that runs beside the requests; each does a little and says how much it found to do."""
    settings = bank.settings

    def allowed(webhook: str) -> None:
        check_webhook(webhook, settings.webhook_hosts, loopback=settings.loopback_webhooks)

    return [
        BatchRunner(bank.service, bank.database, settings.clock, bank.facts).answer_chunk,
        MonitorRunner(bank.service, bank.database, settings.clock, bank.facts).score_due,
        Deliverer(bank.database, bank.signer, settings.clock, allowed).deliver_due,
    ]


async def _repeat(turn: Callable[[], Awaitable[int]], wake: asyncio.Event, idle_seconds: float) -> None:
    """Take turns until cancelled, without a pause while there is something to do; an error ends one turn alone."""
    while True:
        wake.clear()
        found = 0
        try:
            found = await turn()
        except Exception as error:
            _log.error("background work failed: %s", type(error).__name__)
        if not found:
            with suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), idle_seconds)


def _document_problems(app: FastAPI) -> None:
    """Let the OpenAPI document hold the schemas that no function of a resource names, in place of FastAPI's own."""
    made = app.openapi

    def openapi() -> dict[str, object]:
        if app.openapi_schema is None:
            document = made()
            schemas = document["components"]["schemas"]
            for model in (ProblemOut, BatchIn):
                shown = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schemas.update(shown.pop("$defs", {}))
                schemas[model.__name__] = shown
            schemas.pop("HTTPValidationError", None)
            schemas.pop("ValidationError", None)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]
