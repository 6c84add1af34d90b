"""Who may call: an API key in `Authorization: Bearer …`, with the scope that a resource needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from nodes.bank.api.context import Bank
from nodes.bank.api.problems import Problem
from nodes.bank.store import api_keys
from nodes.bank.store.api_keys import ApiKey, Scope

_bearer = HTTPBearer(auto_error=False, description="An API key that `credfed bank api-key create` made.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def needs(scope: Scope) -> Callable[[Bank, Credentials], Awaitable[ApiKey]]:
    """Return the dependency that lets a request pass only with a key of this scope.

    Raises: Problem, 401 UNAUTHENTICATED for no active key, 403 SCOPE for one without the scope.
    """

    async def check(bank: Bank, credentials: Credentials) -> ApiKey:
        token, now = credentials.credentials if credentials else "", bank.now()
        key = await bank.database.call(lambda c: api_keys.find(c, token, now)) if token else None
        if key is None:
            text = "no active API key came with the request"
            raise Problem(401, "UNAUTHENTICATED", text, headers={"WWW-Authenticate": "Bearer"})
        if scope not in key.scopes:
            raise Problem(403, "SCOPE", f"the API key does not have the scope {scope}")
        return key

    return check
