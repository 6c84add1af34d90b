"""Logging in and out, setting an account up, changing the language."""

from __future__ import annotations

import hmac
import math
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from federation.console.access import COOKIE, Anybody, Fields, Forbidden, Here
from federation.console.accounts import LONGEST_PASSWORD, SESSION_SECONDS, SHORTEST_PASSWORD
from federation.console.rendering import LANGUAGE_COOKIE, START, render, words_of
from federation.console.wording import Language

router: Final = APIRouter()
_YEAR_SECONDS: Final = 365 * 24 * 3600


@router.get("/")
def start(session: Anybody) -> Response:
    """Send everybody to where their role begins."""
    return RedirectResponse(START[session.role], 303)


@router.get("/login")
def login_form(request: Request, ready: str = "") -> Response:
    """Show the form."""
    return render(request, "login.html", {"name": "", "wrong": "", "ready": ready == "1"})


@router.post("/login")
def log_in(request: Request, console: Here, fields: Fields) -> Response:
    """Begin a session, or say that name and password do not fit, alike for all names."""
    name, password = fields.get("name", "").strip()[:64], fields.get("password", "")
    wait = console.brake.wait_seconds(name)
    if wait > 0:
        text = words_of(request)("login.wait", minutes=math.ceil(wait / 60))
        return render(request, "login.html", {"name": name, "wrong": text, "ready": False}, status=429)
    console.brake.failed(name)  # counted before the work, so that many at once do not pass together
    token = console.accounts.log_in(name, password[: LONGEST_PASSWORD + 1], console.clock())
    if token is None:
        text = words_of(request)("login.wrong")
        return render(request, "login.html", {"name": name, "wrong": text, "ready": False}, status=401)
    console.brake.passed(name)
    console.accounts.log_out(request.cookies.get(COOKIE, ""))  # whatever session this browser came with
    response = RedirectResponse("/", 303)
    response.set_cookie(COOKIE, token, SESSION_SECONDS, secure=True, httponly=True, samesite="strict")
    return response


@router.post("/logout")
def log_out(request: Request, session: Anybody, console: Here, fields: Fields) -> Response:
    """End the session."""
    check_form(session.csrf, fields)
    console.accounts.log_out(request.cookies.get(COOKIE, ""))
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="strict")
    return response


@router.get("/setup")
def setup_form(request: Request) -> Response:
    """Show the form."""
    return render(request, "setup.html", {"name": "", "wrong": ""})


@router.post("/setup")
def set_up(request: Request, console: Here, fields: Fields) -> Response:
    """Give an account its first password."""
    words, name = words_of(request), fields.get("name", "").strip()[:64]
    password, again = fields.get("password", ""), fields.get("again", "")
    wait, wrong, status = console.brake.wait_seconds(name), "", 422
    if wait > 0:
        wrong, status = words("login.wait", minutes=math.ceil(wait / 60)), 429
    elif not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        wrong = words("setup.short")
    elif password != again:
        wrong = words("setup.differ")
    else:
        console.brake.failed(name)
        if not console.accounts.set_up(name, fields.get("token", "").strip(), password, console.clock()):
            wrong, status = words("setup.wrong"), 401
    if wrong:
        return render(request, "setup.html", {"name": name, "wrong": wrong}, status=status)
    console.brake.passed(name)
    return RedirectResponse("/login?ready=1", 303)


@router.get("/language")
def change_language(to: str = "", back: str = "/") -> Response:
    """Remember the language and go back; only to a page of this console."""
    local = back.startswith("/") and not back.startswith(("//", "/\\")) and back.isprintable()
    response = RedirectResponse(back if local else "/", 303)
    if to in Language.__members__.values():
        response.set_cookie(LANGUAGE_COOKIE, to, _YEAR_SECONDS, secure=True, httponly=True, samesite="lax")
    return response


def check_form(csrf: str, fields: dict[str, str]) -> None:
    """Return if a form was shown to this session. Raises: Forbidden."""
    if not hmac.compare_digest(csrf.encode(), fields.get("csrf", "").encode()):
        raise Forbidden("error.csrf")
