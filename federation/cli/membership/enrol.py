"""`credfed node enrol` and `bank enrol`: ask the coordinator, compare digits, wait for its operator's word."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from federation.cli.output import console, errors, print_json, reported_errors
from federation.local.layout import witness_name
from nodes.bank.settings import BANK_FILE
from nodes.data_node.settings import NODE_FILE
from nodes.enrolment.joining import Joining, open_joining
from nodes.keystore import read_keys
from protocols.channel.identity import PartyId
from protocols.enrolment.token import parse_token
from protocols.errors import ConfigurationError, TransportError

POLL_SECONDS = 1.0

Home = Annotated[Path, typer.Argument(metavar="DIR", help="The party's own directory, made by `init`.")]
Address = Annotated[str, typer.Option("--coordinator", help="HOST:PORT of the coordinator's enrolment service.")]
TokenText = Annotated[str, typer.Option("--token", help="The one-time token; leave it out to go on waiting.")]
Wait = Annotated[int, typer.Option("--wait", help="Seconds to wait for approval; 0: ask, and leave.", min=0)]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]


def enrol_node(
    home: Home, coordinator: Address = "", token: TokenText = "", wait: Wait = 3600, as_json: AsJson = False
) -> None:
    """Ask the coordinator to enrol this data node, with the token that its operator has sent.

    Prints thirty digits: read them to the operator over the telephone, or compare them side by side. They stand for
    every key of both sides; if they differ, somebody is in the middle. Once approved, the certificate and the signed
    roster of all parties are written into DIR, and `credfed node run DIR` works. Asked again without a token it goes on
    waiting, or fetches a new certificate where the last one has expired.

    Example: credfed node enrol /srv/tax --coordinator credit.example.cn:7444 --token cfed1.tax.…
    """
    _enrol(home, NODE_FILE, coordinator, token, wait, as_json)


def enrol_bank(
    home: Home, coordinator: Address = "", token: TokenText = "", wait: Wait = 3600, as_json: AsJson = False
) -> None:
    """Ask the coordinator to enrol this bank: as `credfed node enrol`.

    Example: credfed bank enrol /srv/icbc --coordinator credit.example.cn:7444 --token cfed1.icbc.…
    """
    _enrol(home, BANK_FILE, coordinator, token, wait, as_json)


def _enrol(home: Path, settings: str, coordinator: str, token: str, wait: int, as_json: bool) -> None:
    with reported_errors(as_json):
        if not (home / settings).exists():
            raise ConfigurationError(f"{home}: no {settings} there; begin with init", code="NOT_A_FOLDER")
        joining = open_joining(home, settings, witness_name(PartyId(read_keys(home).party)))
        if token:
            if not coordinator:
                raise ConfigurationError("--coordinator HOST:PORT is needed with a token", code="BAD_ADDRESS")
            joining.ask(parse_token(token), coordinator)
        state = joining.state()
        if state is None:
            raise ConfigurationError(f"{home}: nothing was asked yet; --token is needed", code="NOT_ASKED")
        if not as_json:
            errors.print(f"compare with the coordinator's operator:   [bold]{state.fingerprint}[/]", soft_wrap=True)
        enrolled = _wait(joining, wait)
        if as_json:
            print_json({"party": joining.keys.party, "fingerprint": state.fingerprint, "enrolled": enrolled})
        elif enrolled:
            console.print(f"[green]{joining.keys.party} is enrolled[/]")
        else:
            console.print("not approved yet; the same command without --token goes on waiting", soft_wrap=True)


def _wait(joining: Joining, seconds: int) -> bool:
    """Poll until it is granted or time is over; a coordinator that is away for a moment is asked again."""
    limit = time.monotonic() + seconds
    while True:
        try:
            if joining.poll():
                return True
        except TransportError:
            if time.monotonic() >= limit:
                raise
        if time.monotonic() >= limit:
            return False
        time.sleep(POLL_SECONDS)
