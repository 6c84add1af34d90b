"""How the federation stands: for whoever operates it, and for auditors. It shows no entry."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from federation.console.access import Anybody, Here
from federation.console.rendering import render
from protocols.transparency.leaves import LeafKind

router: Final = APIRouter()


@router.get("/health")
def health(request: Request, session: Anybody, console: Here) -> Response:
    """Show parties, certificates, revocations, and how far the log is."""
    with console.reading() as log:
        size, witnessed = log.size, log.witnessed_size
    state = console.sources.health()
    trained = console.index.newest((LeafKind.TRAIN_STEP, LeafKind.MANIFEST))
    newest = console.index.newest(tuple(LeafKind))
    values = {
        "health": state,
        "live": console.sources.live,
        "up": sum(party.connected is True for party in state.parties),
        "now": console.clock(),
        "size": size,
        "witnessed": witnessed,
        "trained": trained,
        "newest": newest,
    }
    return render(request, "health.html", values, page="health")
