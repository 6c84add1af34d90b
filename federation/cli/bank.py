"""`credfed bank`: a bank's process."""

from __future__ import annotations

import typer

from federation.cli.output import reported_errors
from federation.cli.running import AsJson, Check, Home, begin, report_check, settings_path
from federation.process.http import check_http
from federation.process.running import run_service
from federation.process.settings import read_settings
from nodes.bank.model_file import read_model_file
from nodes.bank.opening import open_bank_site
from nodes.bank.settings import BANK_FILE, BankSettings
from nodes.bank.stream_service import StreamBankService
from protocols.channel.identity import PartyId, PartyRole

app = typer.Typer(help="A bank node: asks, and alone can read the answers.", no_args_is_help=True)


@app.callback()
def bank() -> None:
    """A bank node: asks, and alone can read the answers."""


@app.command()
def run(home: Home, check: Check = False, as_json: AsJson = False) -> None:
    """Run a bank node from DIR, which holds bank.yaml, its keys, tls/, its model and ledger.

    It dials the coordinator; while that is away it dials again. It stops on SIGTERM or Ctrl-C. Logs go to standard
    error, one JSON object a line. Exit code 2 for wrong settings, naming file and key.
    """
    with reported_errors(as_json):
        settings = read_settings(settings_path(home, BANK_FILE), BankSettings)
        check_http(settings.http)
        settings.coordinator.tls.credentials(home)
        with open_bank_site(home, settings) as site:
            model = read_model_file(home / settings.model, site.pins.card(PartyId(site.keys.party), PartyRole.BANK))
            if check:
                facts: dict[str, str | int] = {"model": model.model, "coordinator": settings.coordinator.address}
                report_check(facts, as_json)
                return
            begin()
            service = StreamBankService(home, settings, site, model)
            run_service(service.run, settings.http, home, lambda: service.up)


if __name__ == "__main__":  # what starts it alone loads no more than it needs
    app()
