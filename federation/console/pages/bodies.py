"""A body, handed out to the auditor's own browser: still sealed to the auditor, once the log says that it is opened.

The console holds no key that opens one. The page does, for as long as it stands, from a file that the auditor chooses
and that it sends nowhere; without that, `credfed audit open` does the same.
"""

from __future__ import annotations

import base64
from typing import Final

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from federation.console.access import Auditor, Fields, Forbidden, Here
from federation.console.context import LookNotRecorded
from federation.console.pages.entering import check_form
from federation.console.pages.entries import read_number
from federation.console.problems import NoSuchPage
from federation.console.rendering import words_of
from protocols.errors import CreditFederationError

router: Final = APIRouter()


class BodyAnswer(msgspec.Struct, frozen=True):
    """What the page opens, in Base64: the envelope, the stored body to which the leaf commits, who may have signed it.

    `view` is the leaf that says that it was opened.
    """

    view: int
    envelope: str
    body: str
    keys: tuple[str, ...]


class BodyRefusal(msgspec.Struct, frozen=True):
    """Why not, in the visitor's language."""

    error: str


@router.post("/entries/{number}/body")
def body(request: Request, number: str, session: Auditor, console: Here, fields: Fields) -> Response:
    """Record that a body is opened, and hand it out."""
    words = words_of(request)
    try:
        check_form(session.csrf, fields)
        with console.reading() as log:
            logged = log.leaf(read_number(number, log.size))
        if not logged.body:
            raise NoSuchPage
        signers = console.sources.signers(logged.commitment().actor)
        opened = console.open_body(session, logged.index)
    except Forbidden as error:
        return _answer(BodyRefusal(words(error.key)), 403)
    except NoSuchPage:
        return _answer(BodyRefusal(words("error.404")), 404)
    except LookNotRecorded as error:
        return _answer(BodyRefusal(words("error.look", code=error.code)), 503)
    except CreditFederationError as error:
        return _answer(BodyRefusal(words("error.503", code=error.code)), 503)
    keys = tuple(_base64(card.verify_key) for card in signers)
    return _answer(BodyAnswer(opened.view, _base64(opened.envelope), _base64(logged.body), keys), 200)


def _answer(content: BodyAnswer | BodyRefusal, status: int) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
