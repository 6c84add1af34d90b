"""The console as an ASGI application."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from importlib import resources

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from federation.console import problems
from federation.console.accounts import Accounts
from federation.console.brake import Brake
from federation.console.context import Console
from federation.console.examination import Examiner
from federation.console.guard import Guard
from federation.console.index import Index
from federation.console.monthly_reports import MonthlyReports
from federation.console.objection_book import ObjectionBook
from federation.console.pages import (
    alarms,
    bodies,
    entering,
    entries,
    federation_health,
    objections,
    overview,
    reports,
    timeline,
    witnesses,
)
from federation.console.sources import Sources


def wall_clock() -> int:
    """Return the time in seconds since 1970."""
    return int(time.time())


def make_console(sources: Sources, accounts: Accounts, index: Index, clock: Callable[[], int] = wall_clock) -> Console:
    """Return the state of a console over these sources; nothing runs yet."""
    examiner = Examiner(sources, clock)
    reports = MonthlyReports(sources, lambda: examiner.latest)
    return Console(sources, index, accounts, Brake(time.monotonic), examiner, reports, ObjectionBook(index), clock)


def create_app(console: Console, hosts: Collection[str]) -> ASGIApp:
    """Return the application; while it runs, the log is examined beside the requests.

    `hosts` are the values of the Host header under which it answers.
    """

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        console.examiner.start()
        console.reports.start()
        yield
        console.examiner.stop()
        console.reports.stop()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=running)
    app.state.console = console
    for module in (
        entering,
        overview,
        timeline,
        entries,
        bodies,
        alarms,
        reports,
        objections,
        witnesses,
        federation_health,
    ):
        app.include_router(module.router)
    app.mount("/static", _Static(directory=str(resources.files("federation.console") / "static")))
    problems.install(app)
    return Guard(app, hosts)  # outermost, so that the page of an unforeseen error is dressed as well


class _Static(StaticFiles):
    """The style sheet and the scripts, which a browser may keep but asks about each time."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file's answer."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response
