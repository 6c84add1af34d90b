"""The alarms of the newest examination."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from federation.console.access import Auditor, Here
from federation.console.rendering import render

router: Final = APIRouter()
SHOWN: Final = 200


@router.get("/alarms")
def alarms(request: Request, session: Auditor, console: Here, rule: str = "") -> Response:
    """Show the newest alarms, of one rule or of all, and the entries between which they lie."""
    found = console.examiner.latest
    every = () if found is None or found.alarms is None else found.alarms
    chosen = [alarm for alarm in every if not rule or alarm.rule == rule]
    shown = list(reversed(chosen))[:SHOWN]
    places = [leaf for alarm in shown for leaf in (alarm.first_leaf, alarm.last_leaf) if leaf is not None]
    console.look(session, "alarms", places, rule=rule)
    rules: dict[str, int] = {}
    for alarm in every:
        rules[alarm.rule] = rules.get(alarm.rule, 0) + 1
    values = {
        "found": found,
        "busy": console.examiner.busy,
        "shown": shown,
        "all": len(chosen),
        "rules": sorted(rules.items()),
        "rule": rule if rule in rules else "",
    }
    return render(request, "alarms.html", values, page="alarms")
