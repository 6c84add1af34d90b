"""The templates: every foreign text is shown as text, whatever a leaf, a name or an address holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from federation.audit.reading.records import utc
from federation.console.accounts import Role, Session
from federation.console.context import console_of
from federation.console.proofs import moment
from federation.console.wording import Language, Words, preferred
from federation.report.notation import count, shortened, visible

LANGUAGE_COOKIE: Final = "credfed_language"
PAGES: Final[Mapping[str, frozenset[Role]]] = {
    "overview": frozenset({Role.AUDITOR}),
    "timeline": frozenset({Role.AUDITOR}),
    "alarms": frozenset({Role.AUDITOR}),
    "reports": frozenset({Role.AUDITOR}),
    "objections": frozenset({Role.AUDITOR}),
    "witnesses": frozenset(Role),
    "health": frozenset(Role),
}
"""The pages in the order of the navigation, and who may open them."""
START: Final[Mapping[Role, str]] = {Role.AUDITOR: "/overview", Role.OPERATOR: "/health"}


def render(
    request: Request, template: str, values: Mapping[str, object], *, page: str = "", status: int = 200
) -> HTMLResponse:
    """Return a page in the visitor's language; `page` is its place in the navigation.

    Answers to htmx are the same page: it takes out of it what it asked for.
    """
    session: Session | None = getattr(request.state, "session", None)
    words = words_of(request)
    console = console_of(request)
    shared: dict[str, object] = {
        "t": words,
        "session": session,
        "pages": [name for name, roles in PAGES.items() if session is not None and session.role in roles],
        "page": page,
        "here": _here(request),
        "other": next(language for language in Language if language is not words.language),
        "looks_logged": console.sources.looks.logged,
        "origin": console.sources.name,
    }
    text = environment().get_template(template).render(shared | dict(values))
    return HTMLResponse(text, status, headers={"Content-Language": words.language.tag, "Vary": "Cookie"})


def words_of(request: Request) -> Words:
    """Return the texts in the visitor's language."""
    cookie, accepted = request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("accept-language", "")
    return Words(preferred(cookie, accepted))


def _here(request: Request) -> str:
    """Return the address of this page, to come back to after the language was changed."""
    if request.method != "GET":
        return request.url.path
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


@cache
def environment() -> Environment:
    """Return the console's templates."""
    templates = Environment(
        loader=PackageLoader("federation.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    filters: dict[str, Callable[..., str]] = {
        "count": count,
        "shortened": shortened,
        "moment": moment,
        "clock": clock,
    }
    templates.filters.update(filters)
    return templates


def clock(milliseconds: int) -> str:
    """Return an entry's time as the pages write it."""
    return utc(milliseconds).replace("T", " ").removesuffix("Z")


def _shown(value: object) -> object:
    """Make what stands in a text visible; drawings were already escaped where they were made."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
