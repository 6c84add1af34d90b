"""One entry with its proof; and all entries of one query or run, with times, proofs and what does not fit."""

from __future__ import annotations

import re
import shlex
from hashlib import sha256
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from federation.audit.reading.log_view import LoggedLeaf
from federation.audit.reading.records import describe
from federation.console.access import Auditor, Here
from federation.console.drawing import lanes_chart
from federation.console.problems import NoSuchPage
from federation.console.proofs import ProofSheet
from federation.console.rendering import render, words_of
from federation.console.stories import LONGEST, consents_of, tell, told_as
from protocols.transparency.hashing import leaf_hash
from protocols.transparency.leaves import LeafCommitment

router: Final = APIRouter()
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_REFERENCE: Final = re.compile(r"(?:[0-9a-f]{2}){1,64}")


@router.get("/entries/{number}")
def entry(request: Request, number: str, session: Auditor, console: Here) -> Response:
    """Show one entry, its proof checked by the server and again by the browser."""
    with console.reading() as log:
        index = read_number(number, log.size)
        logged, sheet = log.leaf(index), ProofSheet(log)
        checked, leaf = sheet.leaf(logged), logged.commitment()
        console.look(session, "entry", [index], entry=number)
        values = {
            "index": index,
            "last": log.size - 1,
            "record": describe(logged),
            "leaf": leaf,
            "body_bytes": len(logged.body),
            "body": _body_state(logged, leaf),
            "leaf_hash": leaf_hash(logged.data).hex(),
            "checked": checked,
            "sheet": sheet,
            "story": told_as(leaf.kind),
            "opens": bool(logged.body) and session.keys is not None,
            "place": shlex.quote(console.sources.place),
        }
    return render(request, "entry.html", values, page="timeline")


def _body_state(logged: LoggedLeaf, leaf: LeafCommitment) -> str:
    """Return how the stored body stands to the leaf: it has none, holds, was erased since, or is another."""
    if sha256(logged.body).digest() == leaf.body_hash:
        return "held" if logged.body else "none"
    return "wrong" if logged.body else "erased"


def read_number(number: str, size: int) -> int:
    """Return which entry an address names. Raises: NoSuchPage if it names none of a log of `size`."""
    if not _NUMBER.fullmatch(number) or int(number) >= size:
        raise NoSuchPage
    return int(number)


@router.get("/entries/{number}/proof")
def proof(number: str, session: Auditor, console: Here) -> Response:
    """Return the proof as a C2SP file, which convinces whoever holds the leaf and the public keys."""
    with console.reading() as log:
        index = read_number(number, log.size)
        text = log.prove(index).encode()
        console.look(session, "proof", [index], entry=number)
    headers = {"Content-Disposition": f'attachment; filename="entry-{index}.tlog-proof"'}
    return Response(text, media_type="text/plain; charset=utf-8", headers=headers)


@router.get("/queries/{reference}")
def story(request: Request, reference: str, session: Auditor, console: Here) -> Response:
    """Show one query or training run across all parties."""
    if not _REFERENCE.fullmatch(reference):
        raise NoSuchPage
    identifier = bytes.fromhex(reference)
    with console.reading() as log:
        found = console.index.of_reference(identifier, LONGEST + 1)
        if not found:
            raise NoSuchPage
        leaves = [log.leaf(index) for index in found[:LONGEST]]
        shown = [i for handle in consents_of(leaves) for i in console.index.of_reference(handle, LONGEST)]
        consents = [log.leaf(index) for index in shown if index < log.size]
        told, sheet = tell(identifier, leaves, consents, len(found) > LONGEST), ProofSheet(log)
        checks = {one.index: sheet.leaf(one) for one in (*consents, *leaves)}
        console.look(session, "query", sorted(checks), query=reference)
        examined = console.examiner.latest
        reached = examined is not None and examined.size > found[-1]
        values = {
            "story": told,
            "told": told_as(leaves[0].commitment().kind) or "run",
            "checks": checks,
            "sheet": sheet,
            "chart": lanes_chart(told, words_of(request)) if told.faults is not None else "",
            "parties": examined.fits.parties if examined is not None and examined.fits is not None else (),
            "discrepancies": examined.discrepancies(told.reference) if examined is not None and reached else None,
            "longest": LONGEST,
        }
    return render(request, "story.html", values, page="timeline")
