"""`credfed coordinator authority`: the federation's certificate authority is replaced, in steps, without a stop."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer

from federation.cli.output import console, print_json, reported_errors
from federation.process.settings import read_settings
from federation.relay.authority_rotation import AuthorityRotation
from federation.relay.settings import COORDINATOR_FILE, CoordinatorSettings
from nodes.keystore import read_cards
from protocols.channel.identity import PartyId, PartyRole

app = typer.Typer(help="Replace the certificate authority, step by step.", no_args_is_help=True)
Home = Annotated[Path, typer.Option("--home", help="The coordinator's directory; the present one by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]
HERE = Path()


@app.callback()
def authority() -> None:
    """Replace the certificate authority, step by step: next, switch, drop."""


@app.command("next")
def draw_next(home: Home = HERE, as_json: AsJson = False) -> None:
    """Draw a new authority and trust both; the present one still issues.

    Every party learns of both when it renews its certificate: at two thirds of its life by itself, or at once with
    `credfed party rotate --key tls`. `status` says who has not yet.
    """
    with reported_errors(as_json):
        _open(home)[0].draw_next(_now())
    _tell(home, as_json)


@app.command()
def switch(home: Home = HERE, as_json: AsJson = False) -> None:
    """Let the new authority issue; both are trusted. Refused while a party does not know it (PARTIES_BEHIND)."""
    with reported_errors(as_json):
        rotation, parties = _open(home)
        rotation.switch(_now(), parties)
    _tell(home, as_json)


@app.command()
def drop(home: Home = HERE, as_json: AsJson = False) -> None:
    """Trust the old authority no more. Refused while a party has a certificate of it alone (PARTIES_BEHIND)."""
    with reported_errors(as_json):
        rotation, parties = _open(home)
        rotation.drop(parties)
    _tell(home, as_json)


@app.command()
def status(home: Home = HERE, as_json: AsJson = False) -> None:
    """Say how far the change has come, and who has had no certificate since the last step."""
    _tell(home, as_json)


def _tell(home: Path, as_json: bool) -> None:
    with reported_errors(as_json):
        rotation, parties = _open(home)
        state = rotation.state()
        behind = rotation.behind(parties) if state.at else []
    if as_json:
        print_json({"step": state.step.value, "behind": behind})
        return
    console.print(f"change of authority: {state.step}" + (f"   waits for {', '.join(behind)}" if behind else ""))


def _open(home: Path) -> tuple[AuthorityRotation, list[PartyId]]:
    """Return the change, and whom it concerns: parties that connect and are not suspended."""
    settings = read_settings(home / COORDINATOR_FILE, CoordinatorSettings)
    pins = read_cards(home / settings.cards)
    roles = (PartyRole.BANK, PartyRole.DATA_NODE)
    parties = [p for p, card in pins.cards.items() if card.role in roles and p not in pins.suspended]
    return AuthorityRotation(home, home / settings.tls.authority), sorted(parties)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
