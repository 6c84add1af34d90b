"""Monitors: enterprises that are scored again on a schedule, with a signed webhook when one gets worse."""

from __future__ import annotations

import sqlite3
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request, Response

from nodes.bank.api.auth import needs
from nodes.bank.api.context import Bank, BankContext, Finish, IdempotencyKey
from nodes.bank.api.paging import Cursor, Limit, cursor_of, number_of
from nodes.bank.api.problems import Problem, documented, not_found
from nodes.bank.api.schemas.monitors import EventOut, EventPage, MonitorIn, MonitorOut, MonitorPage
from nodes.bank.store import monitors
from nodes.bank.store.api_keys import ApiKey, Scope
from nodes.bank.store.monitors import Monitor, MonitorStatus
from nodes.bank.store.replays import Answer
from nodes.bank.watching.webhooks import WebhookRefused, check_webhook

router: Final = APIRouter(prefix="/v1/monitors", tags=["monitors"])
Reader = Annotated[ApiKey, Depends(needs(Scope.READ_MONITORS))]
Writer = Annotated[ApiKey, Depends(needs(Scope.MONITOR))]
Identifier = Annotated[str, Path(pattern=r"^mon_[0-9a-f]{32}$", examples=["mon_9f2c41d07be34a5c8de1f0a2b3c4d5e6"])]


@router.post(
    "",
    status_code=201,
    response_model=MonitorOut,
    summary="Watch an enterprise",
    responses=documented(400, 404, 409, 413, 415),
)
async def watch(
    wanted: MonitorIn, request: Request, bank: Bank, caller: Writer, idempotency_key: IdempotencyKey = None
) -> Response:
    """Score an enterprise now and every so many days, as long as its consent holds.

    An event is sent to the webhook when the grade has fallen by two, the PD has doubled, a hard event appears, or the
    enterprise cannot be watched any more.
    """
    monitor = _monitor(bank, wanted)

    async def make() -> Finish:
        def finish(connection: sqlite3.Connection) -> Answer:
            monitors.add(connection, monitor)
            body = MonitorOut.of(monitor).model_dump_json().encode()
            return Answer(201, f"/v1/monitors/{monitor.id}", body)

        return finish

    response = await bank.once(caller, idempotency_key, request, make)
    bank.wake()
    return response


@router.get("", summary="List monitors", responses=documented())
async def list_monitors(bank: Bank, caller: Reader, cursor: Cursor = "", limit: Limit = 50) -> MonitorPage:
    """Return the latest monitors."""
    before = number_of(cursor)
    found = await bank.database.call(lambda c: monitors.page(c, before, limit + 1))
    following = cursor_of(found[limit - 1].number) if len(found) > limit else None
    return MonitorPage(items=[MonitorOut.of(monitor) for monitor in found[:limit]], next=following)


@router.get("/{monitor_id}", summary="Read a monitor", responses=documented(404))
async def read(monitor_id: Identifier, bank: Bank, caller: Reader) -> MonitorOut:
    """Return a monitor and when it asks next."""
    return MonitorOut.of(await _find(bank, monitor_id))


@router.get("/{monitor_id}/events", summary="List a monitor's events", responses=documented(404))
async def events(
    monitor_id: Identifier, bank: Bank, caller: Reader, cursor: Cursor = "", limit: Limit = 50
) -> EventPage:
    """Return a monitor's latest events, and whether each was delivered."""
    monitor, before = await _find(bank, monitor_id), number_of(cursor)
    found = await bank.database.call(lambda c: monitors.events_of(c, monitor.number, before, limit + 1))
    following = cursor_of(found[limit - 1].number) if len(found) > limit else None
    return EventPage(items=[EventOut.of(event) for event in found[:limit]], next=following)


@router.delete("/{monitor_id}", status_code=204, summary="Stop watching", responses=documented(404))
async def stop(monitor_id: Identifier, bank: Bank, caller: Writer) -> None:
    """Stop watching an enterprise and forget its consent; events that were not delivered are dropped."""
    if not await bank.database.call(lambda c: monitors.delete(c, monitor_id)):
        raise not_found("monitor")


def _monitor(bank: BankContext, wanted: MonitorIn) -> Monitor:
    bank.service.check_enterprise(wanted.enterprise)
    try:
        check_webhook(wanted.webhook, bank.settings.webhook_hosts, loopback=bank.settings.loopback_webhooks)
    except WebhookRefused as refused:
        raise Problem(403, "WEBHOOK_REFUSED", str(refused)) from refused
    now = bank.now()
    return Monitor(
        monitors.new_id("mon"),
        now,
        wanted.enterprise,
        wanted.consent,
        wanted.reference,
        wanted.every_days,
        wanted.webhook,
        MonitorStatus.ACTIVE,
        next_at=now,
    )


async def _find(bank: BankContext, identifier: str) -> Monitor:
    found = await bank.database.call(lambda c: monitors.find(c, identifier))
    if found is None:
        raise not_found("monitor")
    return found
