"""A request says nothing that its resource does not know: an unknown query parameter is an error, not ignored."""

from __future__ import annotations

from fastapi import Request
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.routing import APIRoute

from nodes.bank.api.problems import Problem
from nodes.bank.api.schemas.fields import FieldError


async def no_unknown_parameters(request: Request) -> None:
    """Return if the resource takes every query parameter of the request. Raises: Problem, 422 INVALID_REQUEST."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = {field.alias for field in get_flat_dependant(route.dependant).query_params}
    unknown = len(set(request.query_params) - known)
    if unknown:
        errors = [FieldError(where="query", what="extra_forbidden")]
        raise Problem(422, "INVALID_REQUEST", f"{unknown} query parameters are not known here", errors=errors)
