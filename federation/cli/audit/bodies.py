"""`credfed audit init-auditor` and `open`: who may read bodies, and reading one, which leaves a leaf."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markup import escape

from federation.audit.reading.records import utc
from federation.audit.storage.location import coordinator_home
from federation.audit.views.auditor import check_body, open_body
from federation.audit.views.auditor_keys import create_auditor
from federation.cli.audit.logs import open_log
from federation.cli.audit.pinned import cards_folder_of, pinned_cards
from federation.cli.audit.viewing import ask_passphrase, viewer
from federation.cli.output import console, errors, print_json, reported_errors
from federation.enrolment.auditors import AUDITORS_FOLDER
from protocols.channel.identity import PartyId
from protocols.errors import ConfigurationError, VerificationFailed
from protocols.transparency.checkpoints import LogKeys
from protocols.transparency.leaves import CONSENT_KINDS, LeafCommitment, LeafKind, decode_leaf
from protocols.transparency.shredding import decode_body
from protocols.transparency.statements import Statement, StatementHead

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def init_auditor(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the auditor's key and card are to be.")],
    name: Annotated[str, typer.Option("--name", help="The auditor's name in the federation.")],
    federation: Annotated[
        Path | None, typer.Option("--federation", help="Also pin the card for all parties of this folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an auditor: keys under a passphrase, and the card by which the parties know it.

    Every party that has pinned the card seals the bodies of its leaves to this auditor as well; older bodies stay
    closed. Where parties are processes of their own, the card goes to coordinator/auditors/ and the coordinator tells
    everybody within seconds; in a federation of one process, to the folder of cards. The passphrase is asked for, or
    taken from CREDFED_PASSPHRASE.
    Compare the fingerprint by voice before a card is pinned.

    FOLDER/auditor.key opens bodies and stays with the auditor. FOLDER/console.key signs looks and opens nothing: give
    it to whoever runs the console, for `credfed console add-user --auditor`.

    Example: credfed audit init-auditor /secure/chen --name chen --federation OUT
    """
    with reported_errors(as_json):
        cards = None if federation is None else cards_folder_of(federation)
        if cards is not None and (not cards.is_dir() or (cards / f"{name}.card").exists()):
            raise ConfigurationError(f"{cards}: missing, or {name} is a party there already", code="BAD_NAME")
        card = create_auditor(folder, PartyId(name), ask_passphrase(f"A passphrase for {name}", confirm=True))
        if federation is not None and cards is not None:
            let_in = coordinator_home(federation) / AUDITORS_FOLDER
            let_in.mkdir(exist_ok=True)
            for place in (cards, let_in):
                shutil.copyfile(folder / f"{name}.card", place / f"{name}.card")
    if as_json:
        print_json({"auditor": name, "card": str(folder / f"{name}.card"), "fingerprint": card.fingerprint()})
    else:
        console.print(f"auditor {escape(name)}, fingerprint {card.fingerprint()}", soft_wrap=True)


class _OpenedEntry(msgspec.Struct, frozen=True):
    leaf: int
    actor: str
    view: int
    statements: list[Statement]
    shredded: list[int]


def open_command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a federation.")],
    leaf: Annotated[int, typer.Argument(metavar="LEAF", help="Number of the leaf, counted from 0.", min=0)],
    as_: Annotated[Path, typer.Option("--as", metavar="FOLDER", help="Your auditor's folder.")],
    as_json: AsJson = False,
) -> None:
    """Open the body of one leaf: whom it is about and what was decided, by the word and signature of its party.

    The leaf's proof is verified first, and then that the party signed what is shown. Opening leaves a leaf under your
    name, before anything is opened. A body that was shredded, or is older than you are an auditor, stays closed.

    Exit code 0, 1 if the body stays closed or is not what its party signed, 2 if there is no such leaf.
    """
    with reported_errors(as_json):
        logged, head = _leaf(directory, leaf)
        with viewer(directory, as_) as looking:
            sealed, statements, receipt = open_body(looking.desk, looking.auditor, leaf)
            if sealed.head != head:
                raise VerificationFailed("the body is not the one that the leaf commits to", code="BODY_INVALID")
            cards = pinned_cards(directory).lineage(PartyId(logged.actor))  # also those it has replaced since
            check_body(logged, sealed, statements, cards)
        gone = [place for place, entry in enumerate(sealed.entries) if not entry]
    if as_json:
        print_json(_OpenedEntry(leaf, logged.actor, receipt.leaf, list(statements.values()), gone))
        return
    for statement in statements.values():
        _show(statement)
    if gone:
        console.print(f"  {len(gone)} of {len(sealed.entries)} were shredded and open for nobody", soft_wrap=True)
    errors.print(f"this view is leaf {receipt.leaf} of the log", soft_wrap=True)


def _leaf(directory: Path, index: int) -> tuple[LeafCommitment, StatementHead]:
    """Return a leaf and the head of its body, after verifying that it is in the log.

    Raises: ConfigurationError, codes NO_SUCH_LEAF, NO_SUCH_BODY; MalformedMessage, VerificationFailed.
    """
    with open_log(directory) as log:
        if index >= log.size:
            raise ConfigurationError(f"leaf {index} is outside a log of {log.size}", code="NO_SUCH_LEAF")
        logged = log.leaf(index)
        log.prove(index).verify(logged.data, log.keys if index < log.witnessed_size else LogKeys(log.keys.log))
    if not logged.body:
        raise ConfigurationError(f"leaf {index} has no body", code="NO_SUCH_BODY")
    return decode_leaf(logged.data, logged.body).commitment(), decode_body(logged.body).head


def _show(statement: Statement) -> None:
    told = f"{statement.decision} {statement.code}".strip()
    rule = f", by {'rule ' * (statement.leaf is not LeafKind.REVOKE)}{statement.rule}" if statement.rule else ""
    about = f"[bold]{escape(statement.enterprise)}[/]" if statement.enterprise else "whose it is, its CONSENT says:"
    of = "consent" if statement.leaf in CONSENT_KINDS else "query"
    terms = [f"{name} {value}" for name, value in (("bank", statement.bank), ("purpose", statement.purpose)) if value]
    said = f"{statement.leaf} by {statement.party} at {utc(1000 * statement.at)}: {told}{rule}"
    asked = ", ".join([*terms, f"{of} {statement.reference.hex()}"])
    console.print(f"  {about}  {escape(said)}; {escape(asked)}", soft_wrap=True)
