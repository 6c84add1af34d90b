"""Who is behind a request, and whether the role includes what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from federation.console.accounts import Role, Session
from federation.console.context import Console, console_of
from federation.console.guard import MAX_BODY

COOKIE: Final = "credfed_console"
_FIELDS: Final = 16


class NotLoggedIn(Exception):
    """Nobody is logged in; the visitor is sent to where that can be done."""


class Forbidden(Exception):
    """The role does not include this. `key` is the text that says so."""

    def __init__(self, key: str = "error.403") -> None:
        super().__init__(key)
        self.key = key


def needs(*roles: Role) -> Callable[[Request], Session]:
    """Return the dependency that lets only these roles pass. Raises: NotLoggedIn, Forbidden."""

    def check(request: Request) -> Session:
        console = console_of(request)
        token = request.cookies.get(COOKIE, "")
        session = console.accounts.session(token, console.clock()) if token else None
        request.state.session = session
        if session is None:
            raise NotLoggedIn
        if session.role not in roles:
            raise Forbidden
        return session

    return check


Here = Annotated[Console, Depends(console_of)]
Auditor = Annotated[Session, Depends(needs(Role.AUDITOR))]
Anybody = Annotated[Session, Depends(needs(*Role))]


async def read_fields(request: Request) -> dict[str, str]:
    """Return the fields of a form; of one that is sent twice, the last. A body that is no form has none."""
    body = (await request.body())[:MAX_BODY]
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS))
    except (ValueError, UnicodeDecodeError):
        return {}


Fields = Annotated[dict[str, str], Depends(read_fields)]
