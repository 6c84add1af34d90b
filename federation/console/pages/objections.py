"""The enterprises' objections: who must decide, how many days are left, what was decided and asked again."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from federation.audit.reading.objections import LoggedObjection, ObjectionState
from federation.console.access import Auditor, Here
from federation.console.rendering import render

router: Final = APIRouter()
SHOWN: Final = 200
_ORDER: Final = {ObjectionState.OVERDUE: 0, ObjectionState.PENDING: 1}


@router.get("/objections")
def objections(request: Request, session: Auditor, console: Here, state: str = "") -> Response:
    """Show the objections, those that wait for a decision first; each entry they rest on counts as looked at."""
    with console.reading() as log:
        every = console.objections.standing(log, console.clock() * 1000)
    chosen = [one for one in every if not state or one.state.value == state]
    shown = sorted(chosen, key=_urgency)[:SHOWN]
    console.look(session, "objections", [leaf for one in shown for leaf in _leaves(one)], state=state)
    states: dict[str, int] = {}
    for one in every:
        states[one.state.value] = states.get(one.state.value, 0) + 1
    values = {
        "shown": shown,
        "all": len(chosen),
        "every": len(every),
        "states": [(one.value, states[one.value]) for one in ObjectionState if one.value in states],
        "state": state if state in states else "",
    }
    return render(request, "objections.html", values, page="objections")


def _urgency(one: LoggedObjection) -> tuple[int, int]:
    """Overdue first, then what is to be decided soonest, then the decided, the newest first."""
    waits = one.state in _ORDER
    return (_ORDER.get(one.state, 2), one.leaf if waits else -one.leaf)


def _leaves(one: LoggedObjection) -> tuple[int, ...]:
    decided = () if one.decision_leaf is None else (one.decision_leaf,)
    return (one.leaf, *decided, *one.reassessed)
