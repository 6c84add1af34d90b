"""Errors as pages: in the visitor's language, without a word of what was sent."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from federation.console.access import Forbidden, NotLoggedIn
from federation.console.context import LookNotRecorded
from federation.console.rendering import render, words_of
from protocols.errors import CreditFederationError

logger = logging.getLogger(__name__)


class NoSuchPage(Exception):
    """There is no such page, entry or query."""


def install(app: FastAPI) -> None:
    """Let the application answer every error with a page."""

    async def on_stranger(request: Request, _: Exception) -> Response:
        if request.headers.get("hx-request") == "true":
            return Response(status_code=401, headers={"HX-Redirect": "/login"})
        return RedirectResponse("/login", 303)

    async def on_forbidden(request: Request, error: Exception) -> Response:
        key = error.key if isinstance(error, Forbidden) else "error.403"
        return _page(request, 403, words_of(request)(key), hint=key == "error.403")

    async def on_missing(request: Request, _: Exception) -> Response:
        return _page(request, 404, words_of(request)("error.404"))

    async def on_invalid(request: Request, _: Exception) -> Response:
        return _page(request, 422, words_of(request)("error.422"))

    async def on_http(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return _page(request, status, words_of(request)("error.404" if status == 404 else "error.422"))

    async def on_look(request: Request, error: Exception) -> Response:
        code = error.code if isinstance(error, LookNotRecorded) else ""
        logger.error("a look could not be recorded", extra={"code": code})
        return _page(request, 503, words_of(request)("error.look", code=code))

    async def on_log(request: Request, error: Exception) -> Response:
        code = error.code if isinstance(error, CreditFederationError) else ""
        logger.error("the log cannot be read", extra={"code": code}, exc_info=error)
        return _page(request, 503, words_of(request)("error.503", code=code))

    async def on_anything(request: Request, _: Exception) -> Response:
        return _page(request, 500, words_of(request)("error.500"))

    app.add_exception_handler(NotLoggedIn, on_stranger)
    app.add_exception_handler(Forbidden, on_forbidden)
    app.add_exception_handler(NoSuchPage, on_missing)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(LookNotRecorded, on_look)
    app.add_exception_handler(CreditFederationError, on_log)
    app.add_exception_handler(Exception, on_anything)


def _page(request: Request, status: int, text: str, *, hint: bool = False) -> Response:
    return render(request, "problem.html", {"text": text, "hint": hint, "status": status}, status=status)
