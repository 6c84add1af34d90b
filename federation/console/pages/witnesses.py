"""Who stands behind the log: its checkpoints, their cosignatures, and that each extends the one before."""

from __future__ import annotations

import re
from itertools import islice, pairwise
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from federation.audit.reading.log_view import LogView
from federation.console.access import Anybody, Here
from federation.console.problems import NoSuchPage
from federation.console.proofs import CheckpointRow, ProofSheet, checkpoint_row, short_names, shown_key
from federation.console.rendering import render

router: Final = APIRouter()
SHOWN: Final = 20
_SIZE: Final = re.compile(r"[1-9][0-9]{0,15}")


@router.get("/witnesses")
def witnesses(request: Request, session: Anybody, console: Here, below: str = "") -> Response:
    """Show the newest checkpoints, or those smaller than `below`; no entry is shown."""
    limit = int(below) if _SIZE.fullmatch(below) else None
    with console.sources.open_log() as log:
        sheet = ProofSheet(log)
        rows = _checkpoints(log, limit)
        more = len(rows) > SHOWN
        extends = [sheet.consistency(older.note, newer.note) for newer, older in pairwise(rows)]
        names = short_names(log.keys.witnesses)
        values = {
            "size": log.size,
            "rows": list(zip(rows[:SHOWN], [*extends, None], strict=False)),
            "witnesses": [
                {"key": shown_key(key), "short": names[key.name], "newest": _newest(key.name, rows)}
                for key in log.keys.witnesses
            ],
            "names": names,
            "log_key": shown_key(log.keys.log),
            "quorum": log.keys.threshold,
            "sheet": sheet,
            "below": rows[SHOWN - 1].size if more else 0,
            "newest_size": rows[0].size if rows and limit is None else 0,
            "newest_note": sheet.place(rows[0].note) if rows else 0,
        }
    return render(request, "witnesses.html", values, page="witnesses")


def _checkpoints(log: LogView, below: int | None) -> list[CheckpointRow]:
    rows = (checkpoint_row(note, log.keys) for note in log.checkpoints())
    smaller = (row for row in rows if row.size and (below is None or row.size < below))
    return list(islice(smaller, SHOWN + 1))


def _newest(name: str, rows: list[CheckpointRow]) -> tuple[int, int] | None:
    """Return size and time of the newest of these checkpoints that a witness has cosigned."""
    for row in rows:
        for witness, when in row.cosigned:
            if witness == name:
                return row.size, when
    return None


@router.get("/witnesses/growth")
def growth(session: Anybody, console: Here, old: str = "", new: str = "") -> Response:
    """Return the proof by which a browser convinces itself that the log extends what it saw before."""
    if not (_SIZE.fullmatch(old) and _SIZE.fullmatch(new)) or int(old) > int(new):
        raise NoSuchPage
    with console.sources.open_log() as log:
        if int(new) > log.size:
            raise NoSuchPage
        path = log.consistency(int(old), int(new))
    shown = None if path is None else [digest.hex() for digest in path]
    return JSONResponse({"path": shown})
