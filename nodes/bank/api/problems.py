"""Errors as `application/problem+json` (RFC 9457): a stable code and a sentence, without a value of the request."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from nodes.bank.api.schemas.fields import FieldError, ProblemOut
from protocols.errors import ConfigurationError, CreditFederationError, MalformedMessage, PolicyDenied

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 5
_NOT_CONFIGURED: Final = frozenset({"NO_MODEL", "BAD_DATABASE", "NOT_A_FEDERATION", "MISSING_KEY"})
_HTTP_CODES: Final = {400: "MALFORMED_REQUEST", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}


class Problem(HTTPException):
    """An error to be answered with. Its text carries no value of the request."""

    def __init__(
        self,
        status: int,
        code: str,
        text: str,
        *,
        headers: dict[str, str] | None = None,
        errors: Sequence[FieldError] = (),
    ) -> None:
        super().__init__(status, text, headers)
        self.code, self.errors = code, tuple(errors)


def not_found(what: str) -> Problem:
    """Return the problem of a resource that is not there."""
    return Problem(404, "NOT_FOUND", f"there is no such {what}")


def problem_of(error: CreditFederationError) -> Problem:
    """Return how an error of the federation is answered: as the request's fault, or with 503 for what may pass."""
    if isinstance(error, MalformedMessage | PolicyDenied):
        return Problem(422, error.code, str(error))
    if error.code in ("INVALID_USCC", "INVALID_ID"):
        return Problem(404, error.code, f"no enterprise can have this identifier: {error}")
    if isinstance(error, ConfigurationError) and error.code not in _NOT_CONFIGURED:
        return Problem(422, error.code, str(error))
    text = "the federation gave no answer; nothing was recorded, and the same request can be sent again"
    return Problem(503, error.code, text, headers={"Retry-After": str(RETRY_SECONDS)})


def answer(problem: Problem) -> Response:
    """Return a problem as the bytes to send."""
    shown = ProblemOut(
        type=f"urn:credit-federation:problem:{problem.code.lower().replace('_', '-')}",
        title=HTTPStatus(problem.status_code).phrase,
        status=problem.status_code,
        code=problem.code,
        detail=problem.detail,
        errors=list(problem.errors),
    )
    return Response(shown.model_dump_json(), problem.status_code, problem.headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Let the application answer every error as a problem."""

    async def on_problem(request: Request, error: Exception) -> Response:
        if isinstance(error, Problem):
            return answer(error)
        if not isinstance(error, HTTPException):
            raise error
        code = _HTTP_CODES.get(error.status_code, "HTTP_ERROR")
        headers = {"Allow": _methods(request)} if error.status_code == 405 else None
        return answer(Problem(error.status_code, code, HTTPStatus(error.status_code).phrase, headers=headers))

    async def on_invalid(request: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):
            raise error
        return answer(_not_json() if _unread(request, error) else _invalid(error))

    async def on_federation(_: Request, error: Exception) -> Response:
        if not isinstance(error, CreditFederationError):
            raise error
        return answer(problem_of(error))

    async def on_anything(_: Request, error: Exception) -> Response:
        return answer(Problem(500, "INTERNAL", "the bank's node failed; its own log says more"))

    app.add_exception_handler(HTTPException, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(CreditFederationError, on_federation)
    app.add_exception_handler(Exception, on_anything)


def _unread(request: Request, error: RequestValidationError) -> bool:
    """Return whether a body was not read, because its header calls it something else than JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind.startswith("application/") and kind.endswith(("/json", "+json"))
    return not is_json and any(item["loc"] == ("body",) and item["type"] != "missing" for item in error.errors())


def _not_json() -> Problem:
    return Problem(415, "MEDIA_TYPE", "this resource takes application/json")


def _methods(request: Request) -> str:
    """Return the methods that a request's path takes, over all resources that share it."""
    app: FastAPI = request.app
    matching = (r for r in app.routes if isinstance(r, Route) and r.matches(request.scope)[0] is not Match.NONE)
    return ", ".join(sorted({method for route in matching for method in route.methods or ()}))


def _invalid(error: RequestValidationError) -> Problem:
    """Return which fields are wrong, and how; never what they hold."""
    found = [
        FieldError(where=".".join(map(str, item["loc"]))[:200], what=str(item["type"])) for item in error.errors()[:20]
    ]
    return Problem(422, "INVALID_REQUEST", "the request is not what this resource takes", errors=found)


def documented(*statuses: int) -> dict[int | str, dict[str, object]]:
    """Return what a resource's documentation says of the errors it answers with, beside those of every resource."""
    schema = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemOut"}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": schema}
        for status in sorted({401, 403, 422, 500, *statuses})
    }
