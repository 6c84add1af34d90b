"""`credfed coordinator run`: the public credit centre's process."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from federation.audit.views.auditor import SOCKET_FILE
from federation.cli.output import reported_errors
from federation.cli.running import AsJson, Check, Home, begin, report_check, settings_path
from federation.enterprise.http import check_desk
from federation.process.http import check_http
from federation.process.running import run_service
from federation.process.settings import read_settings
from federation.relay.membership import KeptRoster
from federation.relay.server import server_credentials
from federation.relay.service import CoordinatorService
from federation.relay.settings import COORDINATOR_FILE, CoordinatorSettings
from nodes.door import door
from nodes.keystore import read_cards, read_keys, read_roster, write_roster
from nodes.rotation import finish_rotation, pending_notice
from protocols.channel.identity import PartyKeys
from protocols.channel.pins import Pins

logger = logging.getLogger(__name__)


def run(home: Home, check: Check = False, as_json: AsJson = False) -> None:
    """Run the coordinator from DIR, which holds coordinator.yaml, its keys, tls/ and the log.

    Banks and data nodes dial it, each by a stream of its own under its own certificate. It stops on SIGTERM or Ctrl-C,
    after what it has begun is finished. Logs go to standard error, one JSON object a line.
    Exit code 2 for wrong settings, naming file and key; 1 if a witness proves that the log was tampered with.
    """
    with reported_errors(as_json):
        path = settings_path(home, COORDINATOR_FILE)
        settings = read_settings(path, CoordinatorSettings)
        check_http(settings.http)
        if settings.enterprises.listen:
            check_desk(settings.enterprises)
        server_credentials(home, settings)
        keys, pins = read_keys(home), read_cards(home / settings.cards)
        if check:
            facts: dict[str, str | int] = {"listen": settings.listen, "parties": len(pins.cards), "http": settings.http}
            report_check(facts, as_json)
            return
        begin()
        cards = home / settings.cards
        kept = KeptRoster(
            read_roster(cards), lambda signed: write_roster(cards, signed), pending_notice(home), partial(_change, home)
        )
        service = CoordinatorService(home, settings, keys, pins, kept)
        run_service(lambda: _serve(service, home, settings), settings.http, home, lambda: service.ready)


def _change(home: Path, pins: Pins) -> PartyKeys:
    """Take the coordinator's next keys into use, now that the roster names their card, and return them."""
    finish_rotation(home, pins)
    return read_keys(home)


async def _serve(service: CoordinatorService, home: Path, settings: CoordinatorSettings) -> None:
    """Run the service, its door for auditors and, if there is one, its desk for training."""
    views, running = service.view_desk(), asyncio.get_running_loop()
    async with AsyncExitStack() as doors:
        try:
            await doors.enter_async_context(
                door(home / SOCKET_FILE, lambda parcel: running.run_in_executor(None, views.handle, parcel))
            )
        except OSError as error:  # a path that is too long for a socket
            logger.warning("no door for auditors", extra={"path": str(home / SOCKET_FILE), "error": str(error)})
        if settings.desk:
            desk = service.training_desk()
            doors.callback(desk.close)
            await doors.enter_async_context(door(home / settings.desk, desk.serve))
        await service.run()
