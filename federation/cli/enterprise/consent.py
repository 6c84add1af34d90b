"""`credfed consent`: what a consent service does: issue, revoke, publish what is revoked; and read a consent."""

from __future__ import annotations

import re
import secrets
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rich.markup import escape

from federation.cli.enterprise.consent_scope import known_domains, require_enterprise
from federation.cli.enterprise.consent_text import read_consent_text, spelled
from federation.cli.output import FAILED, console, print_json, reported_errors
from federation.local.consents import WITHHELD_FILE, ConsentService, write_list
from federation.local.layout import CONSENT_SERVICE
from nodes.consent_sources import read_issuers
from nodes.enrolment.founding import new_directory
from nodes.enterprise.home import read_card, write_record_key
from nodes.keystore import create_party, read_cards, read_keys
from protocols.channel.identity import PartyId, PartyRole
from protocols.consent import Consent, ConsentDemand, Purpose, split_consent, unverified_claims, verify_consent
from protocols.enrolment.token import check_name
from protocols.errors import ConfigurationError, PolicyDenied

_TOKEN_ID: Final = re.compile("[0-9a-f]{32}")

app = typer.Typer(help="Issue, revoke, publish and read consents.", no_args_is_help=True)

Home = Annotated[Path, typer.Argument(metavar="DIR", help="The consent service's own directory.")]
Cards = Annotated[Path | None, typer.Option("--cards", help="The federation's cards; by default beside DIR.")]
OtherIds = Annotated[
    bool,
    typer.Option("--other-ids", help="Enterprises go by other identifiers than unified social credit codes."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]


@app.callback()
def consent() -> None:
    """Issue, revoke, publish and read consents: for tests, and for the services that speak for enterprises."""


@app.command()
def init(
    home: Annotated[Path, typer.Argument(metavar="DIR", help="The new directory; it must not exist, or be empty.")],
    name: Annotated[str, typer.Option("--name", help="The service's name, as nodes know it.")] = CONSENT_SERVICE,
    as_json: AsJson = False,
) -> None:
    """Make a consent service's directory: its key, and NAME.pem, by which nodes and coordinator know it.

    Each data owner, and the coordinator, who accredits the service puts that file into its own DIR/issuers.

    Example: credfed consent init /srv/consents; scp /srv/consents/consent_service.pem tax:/srv/tax/issuers/
    """
    with reported_errors(as_json), new_directory(home) as made:
        check_name(name)
        create_party(made, PartyId(name), PartyRole.CONSENT_SERVICE, None)
        key = read_keys(made).signing.public_key()
        (made / f"{name}.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        (made / WITHHELD_FILE).write_text("", encoding="utf-8")
    if as_json:
        print_json({"service": name, "directory": str(home), "key": str(home / f"{name}.pem")})
    else:
        console.print(
            f"[green]{escape(str(home))}[/] holds the keys of {name}; to be known: {name}.pem", soft_wrap=True
        )


@app.command()
def issue(
    home: Home,
    subject: Annotated[str, typer.Argument(help="The enterprise that consents, by its code.")],
    bank: Annotated[str, typer.Option("--bank", help="The bank that may ask, under its pinned card.")],
    purpose: Annotated[list[Purpose] | None, typer.Option("--purpose", help="What for; may be repeated.")] = None,
    domain: Annotated[
        list[str] | None, typer.Option("--domain", help="Whose records; may be repeated. By default every node's.")
    ] = None,
    uses: Annotated[int, typer.Option("--uses", help="How many questions it serves.", min=1)] = 10,
    days: Annotated[int, typer.Option("--days", help="How long it holds.", min=1, max=3660)] = 30,
    other_ids: OtherIds = False,
    cards: Cards = None,
    as_json: AsJson = False,
) -> None:
    """Sign a consent and print it: one text, which the bank hands on as it is.

    It holds from now on, for this bank under its present key alone. The part before ~ is for the data nodes and travels
    sealed; the part after it is the slip that the coordinator may see, which names no enterprise.

    SUBJECT of a consent for training is the hash of a cohort, as `credfed train` says it. A code whose check fails, and
    a domain that no data node describes, are refused: no node would ever take such a consent.

    Example: credfed consent issue OUT/consent_service 91999999MANLAYN443 --bank bank
    """
    with reported_errors(as_json):
        service = _service(home, cards)
        known = service.pins.cards
        if bank not in known or known[PartyId(bank)].role is not PartyRole.BANK:
            raise ConfigurationError(f"no card of a bank {bank!r}", code="UNKNOWN_BANK")
        asked = tuple(purpose or [Purpose.ASSESSMENT])
        if Purpose.TRAINING not in asked:
            require_enterprise(subject, _cards(home, cards), other_ids)
        now = int(time.time())
        given = Consent(
            subject=subject,
            bank=bank,
            bank_card=known[PartyId(bank)].fingerprint(),
            purposes=asked,
            domains=known_domains(domain or (), _cards(home, cards), service.pins),
            uses=uses,
            issued=now,
            not_before=now,
            expires=now + days * 86_400,
            token_id=secrets.token_hex(16),
            record_key=service.record_key_for(subject, asked),
        )
        text = service.issue_as(given)
    if as_json:
        print_json({"id": given.token_id, "consent": text, "expires": given.expires})
    else:
        typer.echo(text)


@app.command()
def vouch(
    home: Home,
    subject: Annotated[str, typer.Argument(metavar="USCC", help="The enterprise, whose identity you have verified.")],
    card: Annotated[Path, typer.Argument(metavar="CARD", help="Its card, as it brought it: enterprise.card.")],
    days: Annotated[int, typer.Option("--days", help="How long it holds.", min=1, max=3660)] = 365,
    earlier: Annotated[
        Path | None, typer.Option("--earlier", help="Write the key that you kept for the enterprise so far there.")
    ] = None,
    other_ids: OtherIds = False,
    cards: Cards = None,
    as_json: AsJson = False,
) -> None:
    """Sign that a key is an enterprise's, and print it: its credential, with which it asks for its own record.

    Verify first, by another way, that it is this enterprise that brings the card: what nodes tell its holder, they tell
    on your word. A key that is lost is withdrawn as a consent is: `credfed consent revoke SERVICE ID`. Consents that
    you issue from now on name the enterprise's own key as the one to which the log's bodies are sealed; the bodies
    before that open with the key that --earlier writes, as DIR/record.keys.

    Example: credfed consent vouch OUT/consent_service 91999999MANLAYN443 DIR/enterprise.card > DIR/credential.jwt
    """
    with reported_errors(as_json):
        service = _service(home, cards)
        require_enterprise(subject, _cards(home, cards), other_ids)
        text = service.vouch(subject, read_card(card), days * 86_400)
        if earlier is not None:
            write_record_key(earlier, service.record_key(subject))
    if as_json:
        print_json({"id": unverified_claims(split_consent(text)[0])["jti"], "credential": text})
    else:
        typer.echo(text)


@app.command()
def revoke(
    home: Home,
    consents: Annotated[
        list[str], typer.Argument(metavar="CONSENT…", help="Ids (32 hex digits), consents, or files that hold one.")
    ],
    cards: Cards = None,
    as_json: AsJson = False,
) -> None:
    """Revoke consents for good, and sign the next list of revocations at once.

    Every node denies them as soon as it has that list, and without a fresh list it denies all: within one minute.
    """
    with reported_errors(as_json):
        service = _service(home, cards)
        ids = [_token_id(value, read_keys(home).party) for value in consents]
        for token_id in ids:
            service.revoke(token_id)
    if as_json:
        print_json({"revoked": ids})
    else:
        console.print(f"revoked: {escape(', '.join(ids))}; in force within a minute", soft_wrap=True)


@app.command()
def publish(
    home: Home,
    to: Annotated[
        list[Path] | None, typer.Option("--to", help="Also write the list to this file; may be repeated.")
    ] = None,
    every: Annotated[float, typer.Option("--every", help="Seconds between lists.", min=1, max=30)] = 20.0,
    once: Annotated[bool, typer.Option("--once", help="Write one list and exit.")] = False,
    cards: Cards = None,
    as_json: AsJson = False,
) -> None:
    """Keep the signed list of revocations fresh: a list holds for a minute, and without one every consent is denied.

    It is written to DIR/revocations.jwt, from where the coordinator (its setting `revocations`) passes it on to every
    node. Runs until Ctrl-C.
    """
    with reported_errors(as_json):
        service = _service(home, cards)
        while True:
            text = service.sign_list()
            for path in to or []:
                write_list(path, text)
            if once:
                break
            try:
                time.sleep(every)
            except KeyboardInterrupt:
                break
    if as_json:
        print_json(unverified_claims(text))
    else:
        console.print(f"list {unverified_claims(text)['seq']} is signed", soft_wrap=True)


@app.command()
def show(
    text: Annotated[str, typer.Argument(metavar="CONSENT", help="A consent, a file that holds one, or -.")],
    cards: Annotated[Path | None, typer.Option("--cards", help="Verify it under the cards of this folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print what a consent says; with --cards also whether it verifies, now, for the bank that it names.

    Exit code 0, or 1 if it does not verify.
    """
    with reported_errors(as_json):
        token, _ = split_consent(read_consent_text(text))
        claims = _read(token)
        code = "" if cards is None else _verdict(token, cards)
    if as_json:
        print_json({"claims": claims} | ({} if cards is None else {"verified": not code, "code": code}))
    else:
        for name, value in claims.items():
            console.print(f"  {name:<9} {escape(spelled(name, value))}", soft_wrap=True)
        if cards is not None:
            console.print("[green]verifies[/]" if not code else f"[red]does not verify[/], {code}")
    if code:
        raise typer.Exit(FAILED)


def _service(home: Path, cards: Path | None) -> ConsentService:
    pins = read_cards(_cards(home, cards))
    party = read_keys(home).party  # a directory that is no party's is named first
    if party in pins.cards and pins.cards[party].role is not PartyRole.CONSENT_SERVICE:
        raise ConfigurationError(f"{home}: {party} is no consent service; nobody believes it", code="NOT_AN_ISSUER")
    return ConsentService(home, (), pins, lambda: int(time.time()))


def _cards(home: Path, cards: Path | None) -> Path:
    return cards if cards is not None else home.resolve().parent / "cards"


def _token_id(value: str, issuer: str) -> str:
    """Return the id that a person means: an id as it is, or that of a consent of `issuer`; or ConfigurationError."""
    if _TOKEN_ID.fullmatch(value):
        return value
    claims = _read(split_consent(read_consent_text(value))[0])
    if claims.get("iss") != issuer:
        raise ConfigurationError("another service issued it, and alone revokes it", code="NO_CONSENT")
    return str(claims.get("jti", ""))


def _read(token: str) -> dict[str, object]:
    try:
        return dict(unverified_claims(token))
    except PolicyDenied as error:
        raise ConfigurationError("not a consent", code="NO_CONSENT") from error


def _verdict(token: str, folder: Path) -> str:
    """Return the code with which a node would refuse it, for whom and what it itself names."""
    pins, claims = read_cards(folder), _read(token)
    bank, purposes, domains = (claims.get(name) for name in ("aud", "purposes", "domains"))
    card = pins.cards.get(PartyId(str(bank)))
    if card is None:
        return "CONSENT_SCOPE"
    try:
        purpose = Purpose(purposes[0]) if isinstance(purposes, list) else Purpose.ASSESSMENT
        domain = str(domains[0]) if isinstance(domains, list) else ""
        demand = ConsentDemand(str(claims.get("sub")), card.party, card.fingerprint(), purpose, domain)
        verify_consent(token, read_issuers(folder.parent, pins), demand, int(time.time()))
    except PolicyDenied as refusal:
        return refusal.code
    except (ValueError, IndexError):
        return "CONSENT_INVALID"
    return ""
