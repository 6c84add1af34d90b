"""`credfed bank run`: a bank's process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from federation.cli.output import reported_errors
from federation.cli.running import AsJson, Check, Home, begin, report_check, settings_path
from federation.process.http import check_http
from federation.process.running import Main, run_service
from federation.process.settings import read_settings
from nodes.bank.model.file import read_model_file
from nodes.bank.opening import open_bank_site
from nodes.bank.settings import BANK_FILE, BankSettings
from nodes.bank.stream_service import StreamBankService
from protocols.channel.identity import PartyId, PartyRole


def run(home: Home, check: Check = False, as_json: AsJson = False) -> None:
    """Run a bank node from DIR, which holds bank.yaml, its keys, tls/, its model and ledger.

    With `api: {listen: 127.0.0.1:8440}` in bank.yaml it serves the REST API as well. It dials the coordinator; while
    that is away it dials again. It stops on SIGTERM or Ctrl-C. Logs go to standard error, one JSON object a line. Exit
    code 2 for wrong settings, naming file and key.
    """
    with reported_errors(as_json):
        settings = read_settings(settings_path(home, BANK_FILE), BankSettings)
        check_http(settings.http)
        settings.coordinator.tls.credentials(home)
        with open_bank_site(home, settings) as site:
            me, pins = PartyId(site.keys.party), site.pins
            model = read_model_file(home / settings.model, pins.card(me, PartyRole.BANK), pins.lineage(me)[1:])
            main = _main(home, settings, site.keys.party)
            if check:
                facts: dict[str, str | int] = {"model": model.model, "coordinator": settings.coordinator.address}
                if settings.api.listen:
                    facts["api"] = settings.api.listen
                report_check(facts, as_json)
                return
            begin()
            service = StreamBankService(home, settings, site, model)
            run_service(lambda: main(service), settings.http, home, lambda: service.up)


def _main(home: Path, settings: BankSettings, bank: str) -> Callable[[StreamBankService], Main]:
    """Return what the process runs: its service, and the REST API beside it if there is one.

    Raises: ConfigurationError.
    """
    if not settings.api.listen:
        return StreamBankService.run
    from nodes.bank.api.serving import configured, serve_api, serve_together  # a second to load, if it is served

    address, chosen = configured(home, bank, settings.api)
    return lambda service: serve_together(service.run(), serve_api(home, address, service, chosen))
