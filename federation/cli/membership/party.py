"""`credfed party`: who takes part, as each party sees it; and what operators do about it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from federation.audit.log.keys import NEXT_SIGNER_FILE, draw_next_signer
from federation.cli.membership.party_views import applicant_rows, invited_rows, party_rows
from federation.cli.output import FAILED, console, errors, print_json, reported_errors
from federation.enrolment.inviting import approve as approve_party
from federation.enrolment.inviting import invite as invite_party
from federation.enrolment.inviting import reject as reject_party
from federation.enrolment.inviting import suspend as suspend_party
from federation.enrolment.registry import Invitation
from federation.local.layout import COORDINATOR
from federation.process.settings import read_settings
from federation.relay.settings import COORDINATOR_FILE, CoordinatorSettings
from nodes.further_keys import discard, draw_supernode_key, draw_witness_key, pending, refusal, supernode_folder
from nodes.keystore import read_cards, read_keys, read_roster, replace_file
from nodes.party_home import cards_folder, door_of
from nodes.rotation import NEXT, Rotated, discard_refused, prepare_rotation, refusal_code
from nodes.upkeep import RENEW_FILE
from protocols.channel.identity import PartyId, PartyRole
from protocols.channel.pins import Pins
from protocols.errors import ConfigurationError, PeerRefused

app = typer.Typer(help="Who takes part: list, approve, suspend, rotate.", no_args_is_help=True)

EFFECT_SECONDS = 20.0
ROLES = {"node": PartyRole.DATA_NODE, "bank": PartyRole.BANK}

Home = Annotated[Path, typer.Option("--home", help="The party's own directory; the present one by default.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The party.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]
HERE = Path()


@app.callback()
def party() -> None:
    """Who takes part: list, approve, suspend, rotate."""


def invite(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The party's name, for good.")],
    role: Annotated[str, typer.Option("--role", help="node or bank.")],
    domain: Annotated[str, typer.Option("--domain", help="What a data node describes; by default its name.")] = "",
    hours: Annotated[int, typer.Option("--hours", help="How long the token may be used.", min=1, max=720)] = 72,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Print a one-time token for a new party: send it to its administrator, apart from everything else.

    Whoever has it can *ask* to be NAME, once; you see the keys that are asked for, and compare digits with the party,
    before anything comes of it. A new token for the same name ends the last one.

    Example: credfed coordinator invite tax --role node --domain tax --home /srv/coordinator
    """
    with reported_errors(as_json):
        if role not in ROLES:
            raise ConfigurationError(f"--role is node or bank, not {role}", code="BAD_ROLE")
        pins = _coordinator_pins(home)
        invitation = Invitation(PartyId(name), ROLES[role], (domain or name) if role == "node" else "")
        token = invite_party(home, pins, invitation, int(time.time()) + 3600 * hours)
    if as_json:
        print_json({"party": name, "role": role, "token": token, "hours": hours})
    else:
        errors.print(f"good for {hours} hours, once:")
        typer.echo(token)


@app.command("list")
def show(home: Home = HERE, as_json: AsJson = False) -> None:
    """Show all parties with the keys that this party has pinned; at the coordinator, also who asks to be enrolled.

    Two parties, or an auditor, compare the cards out of band: equal digits, equal keys.
    """
    with reported_errors(as_json):
        rows = party_rows(read_cards(cards_folder(home)), read_roster(cards_folder(home)))
        if (home / COORDINATOR_FILE).exists():
            known = {row.party for row in rows}
            rows += [row for row in applicant_rows(home, _coordinator_pins(home)) if row.party not in known]
            rows += [row for row in invited_rows(home) if row.party not in {r.party for r in rows}]
    if as_json:
        print_json({"parties": rows})
        return
    table = Table("party", "role", "domain", "state", "digits to compare", box=None)
    for row in rows:
        table.add_row(row.party, row.role, escape(row.domain), row.state, row.digits)
    console.print(table)


@app.command()
def approve(
    name: Name,
    fingerprint: Annotated[str, typer.Option("--fingerprint", help="The thirty digits that the party has told you.")],
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Enrol a party, if these are the digits of the keys that were asked for in its name.

    Have the party read its digits to you; do not read yours to it. Then it gets a certificate and the roster, and
    everybody else learns of it. It is a leaf of kind KEY in the log.
    """
    with reported_errors(as_json):
        applicant = approve_party(home, _coordinator_pins(home).cards[COORDINATOR], name, fingerprint)
        done = _await(home, lambda pins: PartyId(name) in pins.cards)
    _tell(name, "enrolled" if done else "approved", {"card": applicant.application.card.fingerprint()}, as_json)


@app.command()
def reject(name: Name, home: Home = HERE, as_json: AsJson = False) -> None:
    """Forget what was asked in a party's name. Invite it again for a new token."""
    with reported_errors(as_json):
        _coordinator_pins(home)
        reject_party(home, name)
    _tell(name, "rejected", {}, as_json)


@app.command()
def suspend(
    name: Name,
    lift: Annotated[bool, typer.Option("--lift", help="End the suspension.")] = False,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Cut a party off: its stream ends, its certificate is refused, questions to and from it get PARTY_SUSPENDED.

    Every party learns of it with the next roster, and it is a leaf of kind KEY in the log. Run it at the coordinator.
    """
    with reported_errors(as_json):
        suspend_party(home, _coordinator_pins(home), name, int(time.time()), lift)
        done = _await(home, lambda pins: (PartyId(name) in pins.suspended) is not lift)
    state = ("lifted" if lift else "suspended") if done else "noted"
    _tell(name, state, {}, as_json)


@app.command()
def rotate(
    home: Home = HERE,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            help="signing, masks, paillier, tls, witness, supernode; the coordinator's: signing, masks, tls, log. "
            "Repeatable. By default signing, masks, paillier and tls.",
        ),
    ] = None,
    overlap_days: Annotated[
        float, typer.Option("--overlap-days", help="How long the old keys are still accepted.", min=0.0, max=366)
    ] = 7.0,
    wait: Annotated[int, typer.Option("--wait", help="Seconds to wait until all is changed.", min=0)] = 60,
    as_json: AsJson = False,
) -> None:
    """Replace this party's own keys while its process runs: nothing stops, and no question is lost.

    The new keys are drawn here; the new card is signed under the old one, so that all who have pinned that believe it.
    The running process announces it, and changes over when everybody knows; the coordinator does when it is restarted.
    `masks` are the mask and the sealing key. A `witness` or `log` key is named by the one that it replaces, so that
    whoever has pinned either believes the other. A SuperNode is started anew under its next key once no run is on.

    Example: credfed party rotate --home /srv/tax --key signing
    """
    with reported_errors(as_json):
        chosen = frozenset(key or [*(kind.value for kind in Rotated), "tls"])
        _check_kinds(home, chosen)
        pins = read_cards(cards_folder(home))
        discard_refused(home)
        _draw_further(home, chosen)
        which = _card_keys(chosen, pins, PartyId(read_keys(home).party), asked=key is not None)
        if which:
            errors.print("drawing keys")
            prepare_rotation(home, pins, which, round(overlap_days * 86_400))
        if "tls" in chosen:
            replace_file(home / RENEW_FILE, b"")
        restart = bool(which) and (home / COORDINATOR_FILE).exists()
        done = False if restart else _await_change(home, wait)
    names = ", ".join(sorted(which | (chosen - {kind.value for kind in Rotated})))
    state = "rotated" if done else "drawn: in use once the coordinator is restarted" if restart else "drawn"
    _tell(read_keys(home).party, state, {"keys": names}, as_json)
    if not (done or restart) and wait:
        raise typer.Exit(FAILED)


def _card_keys(chosen: frozenset[str], pins: Pins, party: PartyId, *, asked: bool) -> frozenset[Rotated]:
    """Return which keys of the card are to be replaced; "all" leaves out a Paillier key that there is not."""
    which = frozenset(kind for kind in Rotated if kind.value in chosen)
    return which if asked or pins.cards[party].paillier_key else which - {Rotated.PAILLIER}


def _check_kinds(home: Path, chosen: frozenset[str]) -> None:
    """Return if the directory's owner has keys of all these kinds. Raises: ConfigurationError, code BAD_KEY."""
    own = {"log"} if (home / COORDINATOR_FILE).exists() else {"witness", "supernode"}
    known = {kind.value for kind in Rotated} | {"tls"} | own
    for name in sorted(chosen - known):
        raise ConfigurationError(f"--key {name}: one of {', '.join(sorted(known))}", code="BAD_KEY")


def _draw_further(home: Path, chosen: frozenset[str]) -> None:
    """Draw the next keys beside the card. Raises: ConfigurationError, code ROTATION_PENDING and others; OSError."""
    supernode = supernode_folder(home, door_of(home))
    if refusal(home):
        discard(home, supernode)
    if "log" in chosen:
        draw_next_signer(home)
    if "witness" in chosen:
        draw_witness_key(home)
    if "supernode" in chosen:
        draw_supernode_key(supernode)


def _await_change(home: Path, seconds: float) -> bool:
    """Tell whether the running process has changed over in time. Raises: PeerRefused if the coordinator refuses."""
    limit, supernode = time.monotonic() + seconds, supernode_folder(home, door_of(home))
    own = (home / NEXT, home / RENEW_FILE, home / NEXT_SIGNER_FILE)
    while any(path.exists() for path in own) or pending(home, supernode):
        code = refusal_code(home) or refusal(home)
        if code:
            discard_refused(home)
            discard(home, supernode)
            raise PeerRefused(f"the coordinator refuses the new keys: {code}", code=code)
        if time.monotonic() >= limit:
            return False
        time.sleep(0.2)
    return True


def _await(home: Path, effective: Callable[[Pins], bool]) -> bool:
    """Tell whether the running coordinator has made it so in time."""
    limit = time.monotonic() + EFFECT_SECONDS
    while not effective(read_cards(cards_folder(home))):
        if time.monotonic() >= limit:
            errors.print("the coordinator does not run, or is busy: it is done when it next looks")
            return False
        time.sleep(0.2)
    return True


def _coordinator_pins(home: Path) -> Pins:
    """Return what the coordinator has pinned. Raises: ConfigurationError, code NOT_A_COORDINATOR."""
    if not (home / COORDINATOR_FILE).exists():
        raise ConfigurationError(f"{home}: no coordinator's directory; see --home", code="NOT_A_COORDINATOR")
    return read_cards(home / read_settings(home / COORDINATOR_FILE, CoordinatorSettings).cards)


def _tell(name: str, state: str, more: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json({"party": name, "state": state} | more)
        return
    console.print(f"[green]{name}[/] {state}" + "".join(f"   {k} {v}" for k, v in more.items()), soft_wrap=True)
