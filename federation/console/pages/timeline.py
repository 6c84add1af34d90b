"""The timeline: entries from the newest to the oldest, filtered, a page at a time."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from federation.audit.reading.records import describe
from federation.audit.reading.search import decision_of
from federation.console.access import Auditor, Here
from federation.console.index import COUNTED
from federation.console.rendering import render
from federation.console.search_form import SearchForm, read_form
from federation.console.shapes import FACETS
from federation.console.stories import told_as
from federation.console.wanted import Page, Place

router: Final = APIRouter()
PAGE_SIZE: Final = 50


@router.get("/timeline")
def timeline(request: Request, session: Auditor, console: Here) -> Response:
    """Show a page of the entries that match; each page is a look that is recorded."""
    form = read_form(request.query_params)
    with console.reading() as log:
        page, matching = Page((), newer=False, older=False), 0
        if not form.wrong:
            page = console.index.page(form.wanted, PAGE_SIZE, form.before, form.after)
            matching = console.index.count(form.wanted)
        rows = [(one, one.commitment()) for one in (log.leaf(place.leaf) for place in page.places)]
        console.look(session, "timeline", [one.index for one, _ in rows], **form.fields)
    values = {
        "form": form,
        "rows": [
            {
                "record": describe(one),
                "leaf": leaf,
                "decision": decision_of(leaf),
                "story": told_as(leaf.kind),
            }
            for one, leaf in rows
        ],
        "matching": min(matching, COUNTED),
        "many": matching > COUNTED,
        "newer": _link(form, "after", page.places[0]) if page.newer and page.places else "",
        "older": _link(form, "before", page.places[-1]) if page.older and page.places else "",
        "choices": {name: console.index.facet(name) for name in FACETS},
        "empty_log": log.size == 0,
    }
    return render(request, "timeline.html", values, page="timeline", status=422 if form.wrong else 200)


def _link(form: SearchForm, name: str, place: Place) -> str:
    return form.link(**{name: f"{place.at}.{place.leaf}"})
